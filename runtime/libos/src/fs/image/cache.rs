//! Pages of image files that were verified: a bounded cache, so that reading again costs a copy only.

use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_platform::sync::Mutex;
use hashbrown::HashMap;

use crate::fs::page::Page;
use crate::room;

const SHARDS: usize = 32;

/// File (inode number in the index) and page number.
type Key = (u32, u64);

/// The cache; each shard is a clock.
pub struct PageCache {
    shards: [Mutex<Shard>; SHARDS],
}

struct Shard {
    places: HashMap<Key, usize>,
    slots: Vec<Slot>,
    hand: usize,
    capacity: usize,
}

struct Slot {
    key: Key,
    page: Arc<Page>,
    /// Read since the hand last came by.
    used: bool,
}

impl PageCache {
    /// An empty cache for about `capacity` pages.
    pub fn new(capacity: usize) -> PageCache {
        let capacity = capacity.div_ceil(SHARDS).max(1);
        PageCache {
            shards: core::array::from_fn(|_| {
                Mutex::new(Shard { places: HashMap::new(), slots: Vec::new(), hand: 0, capacity })
            }),
        }
    }

    fn shard(&self, key: Key) -> &Mutex<Shard> {
        // Neighbouring pages go to different shards, so that readers of one file do not meet.
        &self.shards[(key.1 as usize).wrapping_add(key.0 as usize * 7) % SHARDS]
    }

    /// The page, if it is here.
    pub fn get(&self, key: Key) -> Option<Arc<Page>> {
        let mut shard = self.shard(key).lock();
        let place = *shard.places.get(&key)?;
        let slot = &mut shard.slots[place];
        slot.used = true;
        Some(slot.page.clone())
    }

    /// Puts a verified page in; another makes room.
    pub fn put(&self, key: Key, page: Arc<Page>) {
        let mut shard = self.shard(key).lock();
        if shard.places.contains_key(&key) {
            return;
        }
        let slot = Slot { key, page, used: false };
        let grows = shard.slots.len() < shard.capacity && (shard.slots.is_empty() || !room::is_short());
        if grows {
            let place = shard.slots.len();
            shard.slots.push(slot);
            shard.places.insert(key, place);
            return;
        }
        let place = shard.victim();
        let old = core::mem::replace(&mut shard.slots[place], slot);
        shard.places.remove(&old.key);
        shard.places.insert(key, place);
        drop(shard);
        drop(old);
    }

    /// Gives everything up.
    pub fn clear(&self) {
        for shard in &self.shards {
            let (places, slots) = {
                let mut shard = shard.lock();
                shard.hand = 0;
                (core::mem::take(&mut shard.places), core::mem::take(&mut shard.slots))
            };
            drop((places, slots));
        }
    }
}

impl Shard {
    fn victim(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            if !core::mem::take(&mut self.slots[place].used) {
                return place;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::page::PAGE_SIZE;

    #[test]
    fn the_cache_stays_bounded_and_keeps_what_is_read() {
        let cache = PageCache::new(SHARDS * 4);
        for number in 0..10_000 {
            cache.put((1, number), Page::cached([number as u8; PAGE_SIZE]));
            // Page 0 is read all the time, so the clock passes it over.
            assert_eq!(cache.get((1, 0)).expect("the hot page stays").bytes()[0], 0);
        }
        let kept = (0..10_000).filter(|&number| cache.get((1, number)).is_some()).count();
        assert_eq!(kept, SHARDS * 4);
        assert_eq!(cache.get((1, 9_999)).unwrap().bytes()[0], 9_999u64 as u8);
        assert!(cache.get((2, 9_999)).is_none());
    }
}
