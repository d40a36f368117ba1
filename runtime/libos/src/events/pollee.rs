//! Something that becomes ready, and the list of those who want to be told.

use alloc::collections::BTreeMap;
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
    mask: Events,
    observer: Arc<dyn Observer>,
}

/// Those who want to be told. A few have places in a list, which is what mostly happens; others are found by number, so that one
/// of very many comes and goes without a search and without a large allocation.
#[derive(Default)]
struct Entries {
    few: Vec<Option<Entry>>,
    many: BTreeMap<usize, Entry>,
    next: usize,
}

/// Most places in the list.
const FEW: usize = 8;

impl Entries {
    fn add(&mut self, entry: Entry) -> usize {
        if let Some(place) = self.few.iter().position(Option::is_none) {
            self.few[place] = Some(entry);
            return place;
        }
        if self.few.len() < FEW {
            self.few.push(Some(entry));
            return self.few.len() - 1;
        }
        self.next += 1;
        self.many.insert(FEW + self.next, entry);
        FEW + self.next
    }

    fn remove(&mut self, place: usize) -> Option<Entry> {
        if place < FEW { self.few.get_mut(place)?.take() } else { self.many.remove(&place) }
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.few.iter().flatten().chain(self.many.values())
    }

    fn len(&self) -> usize {
        self.few.iter().flatten().count() + self.many.len()
    }
}

/// Something that becomes ready.
pub struct Pollee {
    shared: Arc<Shared>,
}

struct Shared {
    entries: Mutex<Entries>,
    count: AtomicUsize,
}

/// Keeps an observer registered; dropping it ends the registration.
pub struct Registration {
    shared: Weak<Shared>,
    place: usize,
}

impl Pollee {
    /// Nobody observes it yet.
    pub fn new() -> Pollee {
        Pollee { shared: Arc::new(Shared { entries: Mutex::default(), count: AtomicUsize::new(0) }) }
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
        let mut entries = self.shared.entries.lock();
        let place = entries.add(Entry { mask: mask | Events::ALWAYS | Events::READ_HANG_UP, observer });
        self.shared.count.store(entries.len(), SeqCst);
        drop(entries);
        core::sync::atomic::fence(SeqCst);
        Registration { shared: Arc::downgrade(&self.shared), place }
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
            let gone = entries.remove(self.place);
            shared.count.store(entries.len(), SeqCst);
            drop(entries);
            // The observer may be the last reference to something whose drop takes locks.
            drop(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Observer for Count {
        fn notify(&self, _events: Events) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn whoever_is_registered_is_told_and_nobody_else() {
        let pollee = Pollee::new();
        let observers: Vec<Arc<Count>> = (0..100).map(|_| Arc::default()).collect();
        let mut registrations: Vec<_> =
            observers.iter().map(|one| Some(pollee.register(one.clone(), Events::IN))).collect();
        pollee.notify(Events::IN);
        pollee.notify(Events::OUT);
        for index in (0..100).filter(|index| index % 3 == 0) {
            registrations[index] = None;
        }
        registrations[0] = Some(pollee.register(observers[0].clone(), Events::OUT));
        pollee.notify(Events::OUT);
        pollee.notify(Events::HANG_UP);
        for (index, one) in observers.iter().enumerate() {
            let expected = match index {
                0 => 3,
                _ if index % 3 == 0 => 1,
                _ => 2,
            };
            assert_eq!(one.0.load(SeqCst), expected, "{index}");
        }
        drop(registrations);
        assert_eq!(pollee.shared.entries.lock().len(), 0);
    }
}
