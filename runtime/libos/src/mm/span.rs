//! [`Span`], a range of addresses, and [`SpanSet`], a set of them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Size of a page in bytes.
pub const PAGE: u64 = casemate_platform::PAGE_SIZE as u64;

/// The addresses `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    /// First address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
}

impl Span {
    /// `start..end`; empty when they are in the wrong order.
    pub const fn new(start: u64, end: u64) -> Span {
        Span { start, end: if end < start { start } else { end } }
    }

    /// `length` bytes from `start` on; `None` when that wraps around.
    pub fn sized(start: u64, length: u64) -> Option<Span> {
        Some(Span { start, end: start.checked_add(length)? })
    }

    /// The page of an address.
    pub fn page(address: u64) -> Span {
        let start = address & !(PAGE - 1);
        Span { start, end: start + PAGE }
    }

    /// Length in bytes.
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether the address lies in it.
    pub const fn contains(self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether the whole of `other` lies in it.
    pub const fn encloses(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether the two have an address in common.
    pub const fn overlaps(self, other: Span) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The parts below and above `hole`, as far as there are any.
    pub fn without(self, hole: Span) -> impl Iterator<Item = Span> {
        let below = Span::new(self.start, self.end.min(hole.start.max(self.start)));
        let above = Span::new(self.start.max(hole.end.min(self.end)), self.end);
        let parts = if hole.overlaps(self) { [below, above] } else { [self, Span::default()] };
        parts.into_iter().filter(|part| !part.is_empty())
    }

    /// The span in pieces of at most `length` bytes.
    pub fn chunks(self, length: u64) -> impl Iterator<Item = Span> {
        let piece = move |start: u64| Span::new(start, start.saturating_add(length).min(self.end));
        core::iter::successors(Some(piece(self.start)), move |last| Some(piece(last.end)))
            .take_while(|piece| !piece.is_empty())
    }

    /// What the two have in common; may be empty.
    pub fn meet(self, other: Span) -> Span {
        Span::new(self.start.max(other.start), self.end.min(other.end))
    }
}

/// `length` rounded up to whole pages; `None` when that does not fit.
pub fn page_up(length: u64) -> Option<u64> {
    length.checked_next_multiple_of(PAGE)
}

/// A set of addresses, kept as disjoint spans that do not touch.
#[derive(Clone, Debug, Default)]
pub struct SpanSet {
    spans: BTreeMap<u64, u64>,
    total: u64,
}

impl SpanSet {
    /// The empty set.
    pub const fn new() -> SpanSet {
        SpanSet { spans: BTreeMap::new(), total: 0 }
    }

    /// Number of addresses in the set.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Adds a span.
    pub fn insert(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        let mut joined = span;
        // Everything that overlaps or touches becomes part of the one new span.
        while let Some((&start, &end)) = self.spans.range(..=joined.end).next_back() {
            if end < joined.start {
                break;
            }
            self.spans.remove(&start);
            self.total -= end - start;
            joined = Span::new(joined.start.min(start), joined.end.max(end));
        }
        self.spans.insert(joined.start, joined.end);
        self.total += joined.len();
    }

    /// Takes a span out.
    pub fn remove(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        while let Some((&start, &end)) = self.spans.range(..span.end).next_back() {
            if end <= span.start {
                break;
            }
            self.spans.remove(&start);
            self.total -= end - start;
            for rest in [Span::new(start, span.start.min(end)), Span::new(span.end.max(start), end)] {
                if !rest.is_empty() {
                    self.spans.insert(rest.start, rest.end);
                    self.total += rest.len();
                }
            }
            if start < span.start {
                break;
            }
        }
    }

    /// The span around an address, if the address is in the set.
    pub fn around(&self, address: u64) -> Option<Span> {
        let (&start, &end) = self.spans.range(..=address).next_back()?;
        (address < end).then_some(Span { start, end })
    }

    /// Whether the address is in the set.
    pub fn contains(&self, address: u64) -> bool {
        self.around(address).is_some()
    }

    /// Whether all of `span` is in the set.
    pub fn covers(&self, span: Span) -> bool {
        span.is_empty() || self.around(span.start).is_some_and(|found| span.end <= found.end)
    }

    /// Whether some of `span` is in the set.
    pub fn touches(&self, span: Span) -> bool {
        let last = self.spans.range(..span.end).next_back();
        !span.is_empty() && last.is_some_and(|(_, &end)| end > span.start)
    }

    /// The parts of `span` in the set, ascending.
    pub fn within(&self, span: Span) -> impl Iterator<Item = Span> + '_ {
        let first = self.around(span.start).map_or(span.start, |found| found.start);
        self.spans
            .range(first..span.end.max(first))
            .map(move |(&start, &end)| Span { start, end }.meet(span))
            .filter(|part| !part.is_empty())
    }

    /// The parts of `span` not in the set, ascending.
    pub fn missing(&self, span: Span) -> Vec<Span> {
        let mut parts = Vec::new();
        let mut at = span.start;
        for found in self.within(span) {
            if at < found.start {
                parts.push(Span::new(at, found.start));
            }
            at = found.end;
        }
        if at < span.end {
            parts.push(Span::new(at, span.end));
        }
        parts
    }

    /// The largest part of `span` that holds `address` and is not in the set; `None` when `address` is in the set.
    pub fn gap_around(&self, address: u64, span: Span) -> Option<Span> {
        if self.contains(address) {
            return None;
        }
        let below = self.spans.range(..address).next_back().map_or(span.start, |(_, &end)| end);
        let above = self.spans.range(address..).next().map_or(span.end, |(&start, _)| start);
        Some(Span::new(below, above).meet(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(set: &SpanSet, span: Span) -> Vec<(u64, u64)> {
        set.within(span).map(|part| (part.start, part.end)).collect()
    }

    #[test]
    fn touching_spans_join_and_removal_splits() {
        let mut set = SpanSet::new();
        set.insert(Span::new(10, 20));
        set.insert(Span::new(30, 40));
        set.insert(Span::new(20, 30));
        assert_eq!(parts(&set, Span::new(0, 100)), [(10, 40)]);
        set.remove(Span::new(15, 35));
        assert_eq!(parts(&set, Span::new(0, 100)), [(10, 15), (35, 40)]);
        assert_eq!(set.total(), 10);
        assert_eq!(set.missing(Span::new(12, 37)), [Span::new(15, 35)]);
        assert_eq!(set.gap_around(20, Span::new(0, 36)), Some(Span::new(15, 35)));
        assert_eq!(set.gap_around(12, Span::new(0, 36)), None);
    }

    proptest! {
        #[test]
        fn behaves_as_a_set_of_numbers(operations in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..24), 0..60)) {
            let mut set = SpanSet::new();
            let mut model = [false; 96];
            for (insert, start, length) in operations {
                let span = Span::new(start, start + length);
                if insert { set.insert(span) } else { set.remove(span) }
                model[start as usize..(start + length) as usize].fill(insert);
                prop_assert_eq!(set.total(), model.iter().filter(|&&bit| bit).count() as u64);
            }
            for at in 0..96u64 {
                prop_assert_eq!(set.contains(at), model[at as usize]);
                for end in at..96 {
                    let range = &model[at as usize..end as usize];
                    prop_assert_eq!(set.covers(Span::new(at, end)), range.iter().all(|&bit| bit));
                    prop_assert_eq!(set.touches(Span::new(at, end)), range.iter().any(|&bit| bit));
                }
            }
        }
    }
}
