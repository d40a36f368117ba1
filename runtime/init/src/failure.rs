//! Why the program does not start, in a sentence, and the exit code that says the same (`sysexits.h`).

use std::fmt;

#[derive(Debug)]
pub enum Failure {
    /// `EX_CONFIG`: the settings make no sense.
    Settings(String),
    /// `EX_OSERR`: the enclave has no quote to show.
    NoQuote(String),
    /// `EX_UNAVAILABLE`: the broker did not answer in time.
    Unreachable(String),
    /// `EX_PROTOCOL`: who answered is not the broker, or does not speak as it does.
    NotTheBroker(String),
    /// `EX_NOPERM`: the broker refuses this enclave.
    Refused(String),
    /// `EX_CANTCREAT`: a secret cannot be put where it belongs.
    Place(String),
    /// 127, 126 as shells do: the program cannot be started.
    Program(String, std::io::Error),
    /// `EX_IOERR`: the program ended well, but its results did not reach the broker.
    Results(String),
}

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) => 78,
            Self::NoQuote(_) => 71,
            Self::Unreachable(_) => 69,
            Self::NotTheBroker(_) => 76,
            Self::Refused(_) => 77,
            Self::Place(_) => 73,
            Self::Program(_, error) if error.kind() == std::io::ErrorKind::NotFound => 127,
            Self::Program(..) => 126,
            Self::Results(_) => 74,
        }
    }

    /// Whether asking again may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(what) => write!(out, "the settings cannot be used: {what}"),
            Self::NoQuote(what) => write!(out, "this enclave cannot prove itself: {what}"),
            Self::Unreachable(what) => write!(out, "the broker cannot be reached: {what}"),
            Self::NotTheBroker(what) => write!(out, "the broker is not to be trusted: {what}"),
            Self::Refused(what) => write!(out, "the broker refuses this enclave: {what}"),
            Self::Place(what) => write!(out, "a secret cannot be placed: {what}"),
            Self::Program(what, error) => write!(out, "the program {what} cannot be started: {error}"),
            Self::Results(what) => write!(out, "the results are lost: {what}"),
        }
    }
}
