//! [`Vma`], one mapping, and [`VmaMap`], the mappings of an address space in order.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_platform::pages::Protection;

use super::rewrite::Trampoline;
use super::span::{PAGE, Span};
use crate::file::Mappable;
use crate::user_space::Access;

/// What is behind a mapping.
#[derive(Clone)]
pub enum Backing {
    /// Zeros at first.
    Anonymous,
    /// A file; `offset` is that of the mapping's first byte.
    File {
        /// The file's contents.
        file: Arc<dyn Mappable>,
        /// Offset in the file of the first address.
        offset: u64,
        /// The mmap(2) call that made it: pieces that a split left have the same.
        id: u64,
    },
    /// Pages of the library OS that all processes see (the vDSO).
    System,
}

/// What /proc/self/maps calls a mapping that has no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Nothing.
    None,
    /// `[heap]`.
    Heap,
    /// `[stack]`.
    Stack,
    /// `[vvar]`.
    Vvar,
    /// `[vdso]`.
    Vdso,
}

/// One mapping.
#[derive(Clone)]
pub struct Vma {
    /// Its addresses.
    pub span: Span,
    /// Rights that the program asked for.
    pub protection: Protection,
    /// MAP_SHARED.
    pub shared: bool,
    /// Whether mprotect(2) may add the right to write.
    pub may_write: bool,
    /// MAP_GROWSDOWN.
    pub grows_down: bool,
    /// mlock(2).
    pub locked: bool,
    /// What is behind it.
    pub backing: Backing,
    /// Its name.
    pub name: Name,
    /// Where system calls in its code go, when it was executable.
    pub trampoline: Option<Arc<Trampoline>>,
}

impl Vma {
    /// Whether the program may do this to it. As on x86-64, whatever may be written or executed may be read.
    pub fn allows(&self, access: Access) -> bool {
        let Protection { read, write, execute } = self.protection;
        match access {
            Access::Read => read || write || execute,
            Access::Write => write,
            Access::Execute => execute,
        }
    }

    /// Whether writes to it must reach a file.
    pub fn writes_back(&self) -> bool {
        self.shared && matches!(self.backing, Backing::File { .. })
    }

    /// Whether all its pages come into being, as zeros, when it is made.
    pub fn starts_fresh(&self) -> bool {
        match &self.backing {
            Backing::Anonymous => true,
            Backing::File { file, .. } => self.shared && file.is_fresh(),
            Backing::System => false,
        }
    }

    /// Whether it is memory without a file, shared or not.
    pub fn is_memory(&self) -> bool {
        match &self.backing {
            Backing::Anonymous => true,
            Backing::File { file, .. } => file.is_memory(),
            Backing::System => false,
        }
    }

    /// Rights that its pages get before they were written to: pages of a shared file mapping become writable at the first
    /// write, which marks them to be written back.
    pub fn clean_protection(&self) -> Protection {
        Protection { write: self.protection.write && !self.writes_back(), ..self.protection }
    }

    /// Whether nothing may be done to it.
    pub fn is_inaccessible(&self) -> bool {
        self.protection == Protection::NONE
    }

    /// The file offset behind an address in the mapping; 0 when there is no file.
    pub fn offset_of(&self, address: u64) -> u64 {
        match self.backing {
            Backing::File { offset, .. } => offset + (address - self.span.start),
            _ => 0,
        }
    }

    /// The file and the identity of the mmap(2) call, if a file is behind it.
    pub fn file(&self) -> Option<(&Arc<dyn Mappable>, u64)> {
        match &self.backing {
            Backing::File { file, id, .. } => Some((file, *id)),
            _ => None,
        }
    }

    /// The pages that show bytes `[start, end)` of the file with this device and inode number.
    pub fn part_of_file(&self, identity: (u64, u64), start: u64, end: u64) -> Option<Span> {
        let Backing::File { file, offset, .. } = &self.backing else { return None };
        if file.identity() != identity {
            return None;
        }
        let place = |position: u64| self.span.start.saturating_add(position.saturating_sub(*offset));
        let first = place(start) & !(PAGE - 1);
        let last = place(end).min(self.span.end).next_multiple_of(PAGE);
        (first < last).then(|| Span::new(first, last))
    }

    /// Cuts it to `span`, which lies within it.
    fn cut(&mut self, span: Span) {
        let start = self.span.start;
        if let Backing::File { offset, .. } = &mut self.backing {
            *offset += span.start - start;
        }
        self.span = span;
    }

    /// Whether `next`, which begins where this ends, continues it.
    fn continues_in(&self, next: &Vma) -> bool {
        let same_backing = match (&self.backing, &next.backing) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (
                Backing::File { file, offset, id },
                Backing::File { file: next_file, offset: next_offset, id: next_id },
            ) => id == next_id && Arc::ptr_eq(file, next_file) && offset + self.span.len() == *next_offset,
            _ => false,
        };
        let same_trampoline = match (&self.trampoline, &next.trampoline) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        same_backing
            && same_trampoline
            && self.span.end == next.span.start
            && self.protection == next.protection
            && (self.shared, self.may_write, self.grows_down, self.locked, self.name)
                == (next.shared, next.may_write, next.grows_down, next.locked, next.name)
    }
}

/// The mappings of an address space, by their first address.
#[derive(Default)]
pub struct VmaMap {
    vmas: BTreeMap<u64, Vma>,
}

impl VmaMap {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.vmas.len()
    }

    /// The mapping that holds an address.
    pub fn find(&self, address: u64) -> Option<&Vma> {
        let (_, vma) = self.vmas.range(..=address).next_back()?;
        vma.span.contains(address).then_some(vma)
    }

    /// All mappings, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Vma> {
        self.vmas.values()
    }

    /// Mappings with an address in `span`, ascending.
    pub fn overlapping(&self, span: Span) -> impl Iterator<Item = &Vma> {
        let first = self.find(span.start).map_or(span.start, |vma| vma.span.start);
        self.vmas.range(first..span.end.max(first)).map(|(_, vma)| vma)
    }

    /// The parts of `span` that are mapped without a hole between them, joined.
    pub fn mapped_parts(&self, span: Span) -> Vec<Span> {
        let mut parts: Vec<Span> = Vec::new();
        for vma in self.overlapping(span) {
            let part = vma.span.meet(span);
            match parts.last_mut() {
                Some(last) if last.end == part.start => last.end = part.end,
                _ => parts.push(part),
            }
        }
        parts
    }

    /// Whether all of `span` is mapped.
    pub fn covers(&self, span: Span) -> bool {
        self.mapped_parts(span) == [span]
    }

    /// Takes `span` out, splitting mappings at its ends; returns what was there.
    pub fn carve(&mut self, span: Span) -> Vec<Vma> {
        if span.is_empty() {
            return Vec::new();
        }
        self.split(span.start);
        self.split(span.end);
        let keys: Vec<u64> = self.vmas.range(span.start..span.end).map(|(&start, _)| start).collect();
        keys.iter().filter_map(|start| self.vmas.remove(start)).collect()
    }

    /// How many mappings more there would be after `carve(span)` (without counting those that go).
    pub fn splits(&self, span: Span) -> usize {
        let inside = |at: u64| self.find(at).is_some_and(|vma| vma.span.start < at);
        usize::from(inside(span.start)) + usize::from(inside(span.end))
    }

    fn split(&mut self, at: u64) {
        let Some((_, vma)) = self.vmas.range_mut(..at).next_back() else { return };
        if at >= vma.span.end {
            return;
        }
        let mut upper = vma.clone();
        upper.cut(Span::new(at, vma.span.end));
        vma.span.end = at;
        self.vmas.insert(at, upper);
    }

    /// Puts a mapping where none is, joining it with its neighbours if they continue each other.
    pub fn insert(&mut self, mut vma: Vma) {
        if vma.span.is_empty() {
            return;
        }
        if let Some((&start, before)) = self.vmas.range(..vma.span.start).next_back()
            && before.continues_in(&vma)
        {
            let end = vma.span.end;
            let Some(joined) = self.vmas.remove(&start) else { return };
            vma = joined;
            vma.span.end = end;
        }
        if let Some(after) = self.vmas.get(&vma.span.end)
            && vma.continues_in(after)
        {
            let (old_end, new_end) = (after.span.start, after.span.end);
            self.vmas.remove(&old_end);
            vma.span.end = new_end;
        }
        self.vmas.insert(vma.span.start, vma);
    }

    /// Changes the mapped parts of `span`, splitting and joining as needed.
    pub fn change(&mut self, span: Span, mut edit: impl FnMut(&mut Vma)) {
        for mut vma in self.carve(span) {
            edit(&mut vma);
            self.insert(vma);
        }
    }
}
