//! `casemate-init`: the first program in the enclave when the manifest names a broker (`docs/broker.md`).
//!
//!     casemate-init SETTINGS PROGRAM ARGV0 ARGUMENTS…
//!
//! The library OS starts it with the manifest's `secrets` and the program's own command line; all of that is measured.
//! It makes a key, has a quote made over it, shows both to the broker whose key the manifest pins, receives the secrets,
//! puts them where the manifest says, and becomes the program. Where results go back it stays, as the program's parent,
//! and sends them when the program has ended.

#![forbid(unsafe_code)]

mod broker;
mod connection;
mod failure;
mod http;
mod identity;
mod names;
mod place;
mod program;
mod results;
mod settings;

use std::ffi::OsString;
use std::process::ExitCode;

use broker::Broker;
use failure::Failure;
use program::Program;
use settings::Settings;

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("casemate-init: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(arguments: Vec<OsString>) -> Result<ExitCode, Failure> {
    let (settings, mut program) = read_arguments(arguments)?;
    let identity = identity::make()?;
    let broker = Broker::new(&settings, identity)?;
    let secrets = broker.secrets(&settings)?;
    place::place(&settings, secrets, &mut program)?;
    if settings.results.is_empty() {
        return Err(program.become_it());
    }
    let ended = program.run()?;
    results::send(&settings, &broker, ended)
}

fn read_arguments(arguments: Vec<OsString>) -> Result<(Settings, Program), Failure> {
    let mut arguments = arguments.into_iter();
    let (Some(settings), Some(path), Some(name)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err(Failure::Settings("it is started by the library OS, not by hand".into()));
    };
    let settings =
        settings.into_string().map_err(|_| Failure::Settings("the settings are not UTF-8".into()))?;
    Ok((settings::parse(&settings)?, Program::new(path, name, arguments.collect())))
}
