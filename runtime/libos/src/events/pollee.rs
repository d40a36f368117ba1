//! Something that becomes ready, and the list of those who want to be told.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::*};

use bitflags::bitflags;
use casemate_platform::sync::Mutex;

bitflags! {
    /// POLL* and EPOLL* readiness bits (the same values).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    #[allow(missing_docs)]
    pub struct Events: u32 {
        const IN = 0x001;
        const PRIORITY = 0x002;
        const OUT = 0x004;
        const ERROR = 0x008;
        const HANG_UP = 0x010;
        const INVALID = 0x020;
        const READ_NORMAL = 0x040;
        const READ_BAND = 0x080;
        const WRITE_NORMAL = 0x100;
        const WRITE_BAND = 0x200;
        const MESSAGE = 0x400;
        const READ_HANG_UP = 0x2000;
    }
}

impl Events {
    /// Bits that are reported whether asked for or not.
    pub const ALWAYS: Events = Events::ERROR.union(Events::HANG_UP).union(Events::INVALID);
    /// Something can be read.
    pub const READABLE: Events = Events::IN.union(Events::READ_NORMAL);
    /// Something can be written.
    pub const WRITABLE: Events = Events::OUT.union(Events::WRITE_NORMAL);
}

/// Who is told about changes of readiness. Called with no lock of the pollee held; must not block.
pub trait Observer: Send + Sync {
    /// Some of `events` may have become true; empty: anything may have changed.
    fn notify(&self, events: Events);
}

struct Entry {
    id: usize,
    mask: Events,
    observer: Arc<dyn Observer>,
}

/// Something that becomes ready.
pub struct Pollee {
    shared: Arc<Shared>,
}

struct Shared {
    entries: Mutex<Vec<Entry>>,
    count: AtomicUsize,
    next: AtomicUsize,
}

/// Keeps an observer registered; dropping it ends the registration.
pub struct Registration {
    shared: Weak<Shared>,
    id: usize,
}

impl Pollee {
    /// Nobody observes it yet.
    pub fn new() -> Pollee {
        let shared =
            Shared { entries: Mutex::new(Vec::new()), count: AtomicUsize::new(0), next: AtomicUsize::new(1) };
        Pollee { shared: Arc::new(shared) }
    }

    /// Tells the observers that wait for any of `events`. Cheap when nobody observes. Change the state first, then notify.
    pub fn notify(&self, events: Events) {
        core::sync::atomic::fence(SeqCst);
        if self.shared.count.load(SeqCst) == 0 {
            return;
        }
        let told: Vec<Arc<dyn Observer>> = self
            .shared
            .entries
            .lock()
            .iter()
            .filter(|entry| entry.mask.intersects(events))
            .map(|entry| entry.observer.clone())
            .collect();
        for observer in told {
            observer.notify(events);
        }
    }

    /// Registers an observer for `mask` (error and hang-up always belong to it). Register first, then look at the state.
    pub fn register(&self, observer: Arc<dyn Observer>, mask: Events) -> Registration {
        let id = self.shared.next.fetch_add(1, Relaxed);
        let mut entries = self.shared.entries.lock();
        entries.push(Entry { id, mask: mask | Events::ALWAYS | Events::READ_HANG_UP, observer });
        self.shared.count.store(entries.len(), SeqCst);
        drop(entries);
        core::sync::atomic::fence(SeqCst);
        Registration { shared: Arc::downgrade(&self.shared), id }
    }
}

impl Default for Pollee {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            let mut entries = shared.entries.lock();
            let gone = entries
                .iter()
                .position(|entry| entry.id == self.id)
                .map(|position| entries.swap_remove(position));
            shared.count.store(entries.len(), SeqCst);
            drop(entries);
            // The observer may be the last reference to something whose drop takes locks.
            drop(gone);
        }
    }
}
