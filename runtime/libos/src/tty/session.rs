//! Sessions and their controlling terminals; signals from a terminal to its foreground process group.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::*;

use super::SLAVE_MAJOR;
use super::pair::{self, Pair};
use crate::errno::{Errno, Result};
use crate::fs::mount::make_device;
use crate::fs::stream::StandardStream;
use crate::process::{FIRST_PROCESS, Process, all_processes, current_process, find_process};
use crate::signal::{Signal, SignalInfo, send_to_process};

/// SI_KERNEL.
const FROM_KERNEL: i32 = 0x80;

/// The pseudo-terminal that controls a session.
pub fn controlling(session: u32) -> Option<Arc<Pair>> {
    pair::all().into_iter().find(|pair| pair.session.load(SeqCst) == session)
}

/// What /proc/PID/stat shows of a session's controlling terminal: its device, and the foreground process group.
pub fn shown(session: u32) -> (u64, i64) {
    match controlling(session) {
        Some(pair) => (make_device(SLAVE_MAJOR, pair.number), pair.foreground.load(SeqCst).into()),
        None => (0, -1),
    }
}

/// Whether a session has a controlling terminal: a pseudo-terminal, or the host's.
fn has_terminal(session: u32) -> bool {
    controlling(session).is_some() || session == FIRST_PROCESS && StandardStream::have_terminal()
}

/// Sends to every process of a group.
pub fn signal_group(group: u32, signal: Signal) {
    if group == 0 {
        return;
    }
    for process in all_processes().iter().filter(|process| process.group.load(Relaxed) == group) {
        let _ = send_to_process(process, SignalInfo::new(signal, FROM_KERNEL));
    }
}

impl Pair {
    /// Sends to the foreground process group.
    pub fn signal(&self, signal: Signal) {
        signal_group(self.foreground.load(SeqCst), signal);
    }

    /// Whether it controls the calling process.
    pub fn controls_caller(&self) -> bool {
        self.session.load(SeqCst) == current_process().session.load(Relaxed)
    }

    fn control(&self, process: &Process) {
        self.session.store(process.session.load(Relaxed), SeqCst);
        self.foreground.store(process.group.load(Relaxed), SeqCst);
    }

    /// An open of the slave: a session leader without a controlling terminal gets it, if it is nobody's.
    pub fn control_opener(&self) {
        let process = current_process();
        let session = process.session.load(Relaxed);
        if session == process.pid && !has_terminal(session) && self.session.load(SeqCst) == 0 {
            self.control(&process);
        }
    }

    /// TIOCSCTTY. `steals`: root may take it from another session.
    pub fn control_caller(&self, steals: bool) -> Result<()> {
        let process = current_process();
        let session = process.session.load(Relaxed);
        if session != process.pid {
            return Err(Errno::EPERM);
        }
        if self.session.load(SeqCst) == session {
            return Ok(());
        }
        let taken = self.session.load(SeqCst) != 0;
        let may_steal = steals && process.credentials.read().euid == 0;
        if has_terminal(session) || taken && !may_steal {
            return Err(Errno::EPERM);
        }
        self.control(&process);
        Ok(())
    }

    /// TIOCNOTTY.
    pub fn release_caller(&self) -> Result<()> {
        if !self.controls_caller() {
            return Err(Errno::ENOTTY);
        }
        // Only the leader's word ends it for the whole session.
        let process = current_process();
        if process.session.load(Relaxed) == process.pid {
            self.signal(Signal::HUP);
            self.signal(Signal::CONT);
            self.session.store(0, SeqCst);
            self.foreground.store(0, SeqCst);
        }
        Ok(())
    }

    /// TIOCSPGRP.
    pub fn set_foreground(&self, group: i32) -> Result<()> {
        if !self.controls_caller() {
            return Err(Errno::ENOTTY);
        }
        let group = u32::try_from(group).map_err(|_| Errno::EINVAL)?;
        let processes = all_processes();
        let member = processes.iter().find(|process| process.group.load(Relaxed) == group);
        let session = member.ok_or(Errno::ESRCH)?.session.load(Relaxed);
        if session != self.session.load(SeqCst) {
            return Err(Errno::EPERM);
        }
        self.foreground.store(group, SeqCst);
        Ok(())
    }
}

/// SIGHUP and SIGCONT for the leader of the terminal's session and its foreground group, which lose it.
pub fn hang_up(pair: &Pair) {
    let session = pair.session.swap(0, SeqCst);
    let foreground = pair.foreground.swap(0, SeqCst);
    if session == 0 {
        return;
    }
    let leader = find_process(session);
    for signal in [Signal::HUP, Signal::CONT] {
        if let Some(leader) = leader.as_ref().filter(|leader| leader.group.load(Relaxed) != foreground) {
            let _ = send_to_process(leader, SignalInfo::new(signal, FROM_KERNEL));
        }
        signal_group(foreground, signal);
    }
}

/// A process ended: when it led a session, the foreground group of its terminal is told, and the terminal is free.
pub fn session_ended(process: &Process) {
    if process.session.load(Relaxed) == process.pid
        && let Some(pair) = controlling(process.pid)
    {
        pair.signal(Signal::HUP);
        pair.session.store(0, SeqCst);
        pair.foreground.store(0, SeqCst);
    }
}
