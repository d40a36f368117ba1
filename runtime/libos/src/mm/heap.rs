//! brk.

use casemate_platform::pages::Protection;

use super::address_space::{AddressSpace, Heap};
use super::map::{MapRequest, Placement};
use super::span::{PAGE, Span, page_up};
use super::stage::STAGE_LIMIT;
use super::vma::Name;

/// A heap keeps this part of the free addresses: with 256 processes a sixtieth is still free.
const HEAP_SHARE: u64 = 64;

impl AddressSpace {
    /// Says where the heap begins and how large it may become; keeps the addresses free for it as far as they are. A heap that
    /// would have no room there because another process has its own there begins elsewhere. Returns where it begins.
    pub fn set_heap(&self, start: u64, limit: u64) -> u64 {
        let _change = self.change.lock();
        let start = self.heap_place(start, limit).unwrap_or(start);
        let first = page_up(start).unwrap_or(start);
        let mut room = self.heap_room(limit).unwrap_or(0);
        while room != 0 {
            let span = Span::new(first, first.saturating_add(room));
            if self.arena.claim_free(self.id, span) {
                self.state.lock().reserved.insert(span);
                break;
            }
            // Something lies in the way: keep what fits in smaller steps; brk(2) still tries beyond.
            room = page_up(room / 2).filter(|&half| half < room).unwrap_or(0);
        }
        self.state.lock().heap = Heap { start, end: start, limit };
        start
    }

    /// How much is kept for the heap alone: little of what is free, because other processes want heaps, too. brk(2) goes beyond
    /// it where nobody else is.
    fn heap_room(&self, limit: u64) -> Option<u64> {
        page_up(limit.min(self.arena.free_bytes() / HEAP_SHARE))
    }

    /// Another place for a heap whose room is not free.
    fn heap_place(&self, start: u64, limit: u64) -> Option<u64> {
        let wanted = Span::sized(page_up(start)?, self.heap_room(limit)?)?;
        if self.arena.is_free(wanted) {
            return None;
        }
        let top = self.state.lock().search_top;
        // Not where programs with fixed addresses come, if there is anything else.
        let windows = [STAGE_LIMIT, self.bounds().start].map(|bottom| Span::new(bottom.min(top), top));
        let mut room = self.heap_room(limit)?;
        while room != 0 {
            let found = windows.iter().find_map(|part| self.arena.claim_highest(self.id, room, PAGE, *part));
            if let Some(found) = found {
                self.arena.release(self.id, found);
                return Some(found.start);
            }
            room = page_up(room / 2).filter(|&half| half < room)?;
        }
        None
    }

    /// brk(2): moves the end of the heap if it can; returns where it is.
    pub fn brk(&self, wanted: u64) -> u64 {
        let Heap { start, end, limit } = self.state.lock().heap;
        if wanted < start || start == 0 || wanted - start > limit {
            return end;
        }
        let (Some(old_top), Some(new_top)) = (page_up(end), page_up(wanted)) else { return end };
        let done = if new_top > old_top {
            let request = MapRequest {
                name: Name::Heap,
                ..MapRequest::anonymous(
                    Placement::FixedNoReplace(old_top),
                    new_top - old_top,
                    Protection::READ_WRITE,
                )
            };
            self.map(request).is_ok()
        } else {
            new_top == old_top || self.unmap(new_top, old_top - new_top).is_ok()
        };
        if !done {
            return end;
        }
        self.state.lock().heap.end = wanted;
        wanted
    }
}
