//! One watched descriptor of an epoll.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::*};

use bitflags::bitflags;
use casemate_platform::host::{self, HostFd};
use casemate_platform::sync::{Mutex, Once};
use linux_raw_sys::general as raw;

use super::Epoll;
use crate::errno::{Errno, Result};
use crate::events::{Events, Observer, Poller, Registration};
use crate::file::File;

bitflags! {
    /// How an entry reports.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct Manner: u32 {
        const EDGE = raw::EPOLLET;
        const ONE_SHOT = raw::EPOLLONESHOT;
        const EXCLUSIVE = raw::EPOLLEXCLUSIVE;
        const WAKE_UP = raw::EPOLLWAKEUP;
    }
}

/// What epoll_ctl(2) says of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Interest {
    /// Events wanted; errors and hang-ups always are.
    pub events: Events,
    /// How they are reported.
    pub manner: Manner,
    /// Given back with each event.
    pub data: u64,
    /// A one-shot entry has reported: nothing until it is modified.
    pub disabled: bool,
}

impl Interest {
    /// From struct epoll_event.
    pub fn new(events: u32, data: u64) -> Interest {
        Interest {
            events: Events::from_bits_truncate(events),
            manner: Manner::from_bits_truncate(events),
            data,
            disabled: false,
        }
    }

    /// Which of `found` are to be reported.
    pub fn admit(&self, found: Events) -> Events {
        if self.disabled { Events::empty() } else { found & (self.events | Events::ALWAYS) }
    }

    /// The bits for the host's epoll.
    pub fn host_bits(&self) -> u32 {
        self.events.bits() | (self.manner & (Manner::EDGE | Manner::ONE_SHOT)).bits()
    }
}

/// A watched descriptor.
pub struct Entry {
    /// Its name in the host's epoll.
    pub id: u64,
    pub(super) epoll: Weak<Epoll>,
    file: Weak<dyn File>,
    interest: Mutex<Interest>,
    registrations: Mutex<Vec<Registration>>,
    /// An epoll of the host of its own, in between: the host's epoll takes a descriptor only once, the program may add it
    /// under several numbers.
    relay: Once<HostFd>,
    /// It is in the list of those that may be ready.
    pub(super) queued: AtomicBool,
}

/// Keeps no entry alive: entries hold the registrations.
struct Notifier(Weak<Entry>);

impl Observer for Notifier {
    fn notify(&self, _events: Events) {
        if let Some(entry) = self.0.upgrade()
            && let Some(epoll) = entry.epoll.upgrade()
        {
            epoll.enqueue(&entry, true);
        }
    }
}

impl Entry {
    pub(super) fn new(epoll: &Arc<Epoll>, id: u64, file: &Arc<dyn File>, interest: Interest) -> Arc<Entry> {
        Arc::new(Entry {
            id,
            epoll: Arc::downgrade(epoll),
            file: Arc::downgrade(file),
            interest: Mutex::new(interest),
            registrations: Mutex::new(Vec::new()),
            relay: Once::new(),
            queued: AtomicBool::new(false),
        })
    }

    /// The file, while any descriptor of it is open.
    pub fn file(&self) -> Option<Arc<dyn File>> {
        self.file.upgrade()
    }

    /// Whether the file is gone.
    pub fn is_dead(&self) -> bool {
        self.file.strong_count() == 0
    }

    /// What it is watched for.
    pub fn interest(&self) -> Interest {
        *self.interest.lock()
    }

    /// Changes what it is watched for; the host does the watching.
    pub(super) fn set_interest(&self, interest: Interest) {
        *self.interest.lock() = interest;
    }

    /// Changes what it is watched for and looks at the file; whether something wanted is ready.
    pub(super) fn watch(self: &Arc<Self>, interest: Interest) -> bool {
        self.set_interest(interest);
        let Some(file) = self.file() else { return false };
        let mut poller = Poller::for_observer(Arc::new(Notifier(Arc::downgrade(self))));
        poller.set_interest(interest.events);
        let found = file.poll(Some(&mut poller));
        let old = core::mem::replace(&mut *self.registrations.lock(), poller.into_registrations());
        drop(old);
        !interest.admit(found).is_empty()
    }

    /// Takes a report: what of `found` the program sees. `None`: nothing.
    pub(super) fn report(&self, found: Events) -> Option<(Events, Interest)> {
        let mut interest = self.interest.lock();
        let admitted = interest.admit(found);
        if admitted.is_empty() {
            return None;
        }
        interest.disabled = interest.manner.contains(Manner::ONE_SHOT);
        Some((admitted, *interest))
    }

    /// The epoll in between, if it has one.
    pub(super) fn relay(&self) -> Option<&HostFd> {
        self.relay.get()
    }

    /// Gives it an epoll in between that watches `fd`.
    pub(super) fn make_relay(&self, fd: &HostFd, events: u32) -> Result<&HostFd> {
        let relay = host::epoll_open().map_err(super::want_of_descriptors)?;
        host::epoll_control(&relay, raw::EPOLL_CTL_ADD, fd, events, self.id)?;
        let _ = self.relay.set(relay);
        self.relay.get().ok_or(Errno::EIO)
    }

    /// Ends the registrations.
    pub(super) fn forget(&self) {
        let old = core::mem::take(&mut *self.registrations.lock());
        drop(old);
        self.queued.store(true, SeqCst);
    }
}
