//! Waiting for any of several files, as poll(2) and select(2) do: inside files by registration, those of the host in one
//! host poll.

use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_abi::PollEntry;
use casemate_platform::host::{self, HostError};
use casemate_platform::thread;

use super::{Deadline, Events, Poller, Waiter, asleep, sleep_until_woken};
use crate::errno::{Errno, Result};
use crate::file::File;
use crate::process::current_thread;

/// A file that is waited for.
pub struct Watched {
    /// The file; `None` is never ready.
    pub file: Option<Arc<dyn File>>,
    /// What it is wanted for.
    pub wanted: Events,
    /// What was found, of `wanted` and [`Events::ALWAYS`].
    pub found: Events,
}

/// Sleeps until one of the files is ready; how many are (0 when the deadline passed). `ERESTARTNOHAND` when a signal waits.
pub fn wait_for_any(watched: &mut [Watched], deadline: Deadline) -> Result<usize> {
    let current = current_thread();
    let mut host = HostPart::of(watched);
    let mut registered = None;
    loop {
        thread::clear_wake();
        let mut ready = look(watched);
        let waits = ready == 0 && deadline.left() != Some(0) && !current.has_signal();
        if waits && registered.is_none() {
            // Register first, then look again: what becomes ready in between is not missed.
            let mut poller = register(watched);
            host.entries.append(&mut poller.take_host());
            registered = Some(poller);
            continue;
        }
        let left = if waits { deadline.left() } else { Some(0) };
        if !host.entries.is_empty() {
            let mut poll = || host.poll(watched, left);
            ready += if waits { asleep(&current, poll)? } else { poll()? };
            if waits && ready == 0 {
                ready = look(watched);
            }
        } else if waits {
            sleep_until_woken(&current, deadline);
            ready = look(watched);
        }
        if ready > 0 {
            return Ok(ready);
        }
        if current.has_signal() {
            return Err(Errno::ERESTARTNOHAND);
        }
        if deadline.left() == Some(0) {
            return Ok(0);
        }
    }
}

/// Asks the inside files.
fn look(watched: &mut [Watched]) -> usize {
    let mut ready = 0;
    for one in watched {
        let Some(file) = one.file.as_ref().filter(|file| file.host_fd().is_none()) else { continue };
        one.found = file.poll(None) & (one.wanted | Events::ALWAYS);
        ready += !one.found.is_empty() as usize;
    }
    ready
}

fn register(watched: &[Watched]) -> Poller {
    let mut poller = Poller::for_observer(Waiter::current());
    for one in watched {
        if let Some(file) = one.file.as_ref().filter(|file| file.host_fd().is_none()) {
            poller.set_interest(one.wanted);
            file.poll(Some(&mut poller));
        }
    }
    poller
}

/// The host's descriptors among them.
struct HostPart {
    entries: Vec<PollEntry>,
    /// Where each belongs; entries beyond these only end the wait (an epoll's own descriptor of the host).
    places: Vec<usize>,
}

impl HostPart {
    fn of(watched: &[Watched]) -> HostPart {
        let mut part = HostPart { entries: Vec::new(), places: Vec::new() };
        for (place, one) in watched.iter().enumerate() {
            if let Some(fd) = one.file.as_ref().and_then(|file| file.host_fd()) {
                part.entries.push(host::poll_entry(fd, one.wanted.bits() as i16));
                part.places.push(place);
            }
        }
        part
    }

    fn poll(&mut self, watched: &mut [Watched], timeout_ns: Option<u64>) -> Result<usize> {
        match host::fd_poll(&mut self.entries, timeout_ns) {
            Ok(_) => {
                let mut ready = 0;
                for (entry, &place) in self.entries.iter().zip(&self.places) {
                    watched[place].found = Events::from_bits_truncate(entry.revents as u16 as u32);
                    ready += (entry.revents != 0) as usize;
                }
                Ok(ready)
            }
            Err(HostError::INTERRUPTED) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}
