//! A thread that waits for several files at once: inside ones by registration, host ones in the host's poll, which a
//! wake-up ends.

use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_abi::PollEntry;
use casemate_platform::host::{self, HostError, HostFd};
use casemate_platform::thread;

use super::{Deadline, Events, Observer, Pollee, Registration, Waiter, asleep, sleep_until_woken};
use crate::errno::{Errno, Result};
use crate::process::current_thread;

/// Collects what one thread waits for. `File::poll` is given it and registers where its readiness comes from.
pub struct Poller {
    waiter: Arc<dyn Observer>,
    registrations: Vec<Registration>,
    host: Vec<PollEntry>,
    /// Changes of other events do not end the wait.
    interest: Events,
}

impl Poller {
    /// For the calling thread.
    pub fn new() -> Poller {
        Poller {
            waiter: Waiter::current(),
            registrations: Vec::new(),
            host: Vec::new(),
            interest: Events::all(),
        }
    }

    /// For another observer (an epoll entry); host descriptors are then the observer's own business.
    pub fn for_observer(observer: Arc<dyn Observer>) -> Poller {
        Poller { waiter: observer, registrations: Vec::new(), host: Vec::new(), interest: Events::all() }
    }

    /// From now on only these events of what is observed matter (and errors and hang-ups always).
    pub fn set_interest(&mut self, interest: Events) {
        self.interest = interest | Events::ALWAYS;
    }

    /// Be told about changes of `pollee`.
    pub fn observe(&mut self, pollee: &Pollee, events: Events) {
        self.registrations.push(pollee.register(self.waiter.clone(), events & self.interest));
    }

    /// Be told when the host descriptor has one of `events`.
    pub fn observe_host(&mut self, fd: &HostFd, events: Events) {
        self.host.push(host::poll_entry(fd, (events & self.interest).bits() as i16));
    }

    /// The host descriptors that were observed, for a wait that has more of them.
    pub(super) fn take_host(&mut self) -> Vec<PollEntry> {
        core::mem::take(&mut self.host)
    }

    /// Gives the registrations away, to be kept as long as they are wanted.
    pub fn into_registrations(self) -> Vec<Registration> {
        self.registrations
    }

    /// Sleeps until `ready` gives a value; it is asked after every wake-up. Errors: `ERESTARTNOHAND` when a signal waits, `ETIMEDOUT`.
    pub fn wait<T>(&mut self, deadline: Deadline, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
        let current = current_thread();
        loop {
            thread::clear_wake();
            if let Some(value) = ready() {
                return Ok(value);
            }
            if current.has_signal() {
                return Err(Errno::ERESTARTNOHAND);
            }
            let left = deadline.left();
            if left == Some(0) {
                return Err(Errno::ETIMEDOUT);
            }
            if self.host.is_empty() {
                sleep_until_woken(&current, deadline);
            } else {
                match asleep(&current, || host::fd_poll(&mut self.host, left)) {
                    Ok(_) | Err(HostError::INTERRUPTED) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

impl Default for Poller {
    fn default() -> Self {
        Self::new()
    }
}

/// What the host says about one descriptor now.
pub fn poll_host(fd: &HostFd, events: Events) -> Events {
    let mut entry = [host::poll_entry(fd, events.bits() as i16)];
    match host::fd_poll(&mut entry, Some(0)) {
        Ok(_) => Events::from_bits_truncate(entry[0].revents as u16 as u32),
        // A wake-up that waits for this thread says nothing of the descriptor.
        Err(HostError::INTERRUPTED) => Events::empty(),
        Err(_) => Events::ERROR,
    }
}
