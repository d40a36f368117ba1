//! The program of the manifest: its command line and environment, and how it is started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::Signals;

use crate::failure::Failure;

/// What a container's engine or a user may send to the first process.
const FORWARDED: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];

pub struct Program {
    path: OsString,
    name: OsString,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
}

impl Program {
    pub fn new(path: OsString, name: OsString, arguments: Vec<OsString>) -> Self {
        Self { path, name, arguments, environment: std::env::vars_os().collect() }
    }

    pub fn set_variable(&mut self, name: &str, value: OsString) {
        self.environment.insert(name.into(), value);
    }

    pub fn add_argument(&mut self, value: OsString) {
        self.arguments.push(value);
    }

    #[cfg(test)]
    pub fn variable(&self, name: &str) -> Option<OsString> {
        self.environment.get(std::ffi::OsStr::new(name)).cloned()
    }

    #[cfg(test)]
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.arg0(&self.name).args(&self.arguments).env_clear().envs(&self.environment);
        command
    }

    /// Replaces this process; returns only when that fails.
    pub fn become_it(self) -> Failure {
        let error = self.command().exec();
        Failure::Program(self.path.to_string_lossy().into_owned(), error)
    }

    /// Runs it as a child that gets the signals of this process, until it has ended.
    pub fn run(self) -> Result<ExitStatus, Failure> {
        let cannot = |error| Failure::Program(self.path.to_string_lossy().into_owned(), error);
        // Before the child is there, so that no signal is lost between.
        let signals = Signals::new(FORWARDED).map_err(cannot)?;
        let mut child = self.command().spawn().map_err(cannot)?;
        forward(signals, &child);
        child.wait().map_err(cannot)
    }
}

/// Hands signals on for as long as this process lives.
fn forward(mut signals: Signals, child: &Child) {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return };
    thread::spawn(move || {
        for number in signals.forever() {
            if let Some(signal) = Signal::from_named_raw(number) {
                // The child may just have ended.
                let _ = kill_process(pid, signal);
            }
        }
    });
}
