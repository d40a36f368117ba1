//! brk.

use casemate_platform::pages::Protection;

use super::address_space::{AddressSpace, Heap};
use super::map::{MapRequest, Placement};
use super::span::{Span, page_up};
use super::vma::Name;

impl AddressSpace {
    /// Says where the heap begins and how large it may become; keeps the addresses free for it as far as they are.
    pub fn set_heap(&self, start: u64, limit: u64) {
        let _change = self.change.lock();
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
