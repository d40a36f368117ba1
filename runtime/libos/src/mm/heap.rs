//! brk.

use casemate_platform::pages::Protection;

use super::address_space::{AddressSpace, Heap};
use super::map::{MapRequest, Placement};
use super::span::{PAGE, Span, page_up};
use super::stage::STAGE_LIMIT;
use super::vma::Name;

impl AddressSpace {
    /// Says where the heap begins and how large it may become; keeps the addresses free for it as far as they are. A heap that
    /// would have no room there because another process has its own there begins elsewhere. Returns where it begins.
    pub fn set_heap(&self, start: u64, limit: u64) -> u64 {
        let _change = self.change.lock();
        let start = self.heap_place(start, limit).unwrap_or(start);
        let first = page_up(start).unwrap_or(start);
        let mut room = page_up(limit).unwrap_or(0);
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

    /// Another place for a heap whose first page is not free.
    fn heap_place(&self, start: u64, limit: u64) -> Option<u64> {
        let first = Span::page(page_up(start)?);
        if self.arena.is_free(first) {
            return None;
        }
        let high = Span::new(STAGE_LIMIT, self.state.lock().search_top);
        let mut room = page_up(limit)?;
        while room != 0 {
            if let Some(found) = self.arena.claim_highest(self.id, room, PAGE, high) {
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
