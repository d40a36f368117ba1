//! What /proc shows of an address space.

use alloc::vec::Vec;

use casemate_platform::pages::Protection;

use super::address_space::AddressSpace;
use super::span::Span;
use super::vma::{Name, Vma};

/// A line of /proc/self/maps.
#[derive(Clone, Debug)]
pub struct MapEntry {
    /// Addresses.
    pub span: Span,
    /// Rights.
    pub protection: Protection,
    /// `s` instead of `p`.
    pub shared: bool,
    /// Offset in the file.
    pub offset: u64,
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Path, `[heap]`, `[stack]`, `[vdso]`, or nothing.
    pub name: Vec<u8>,
    /// Bytes of it that exist.
    pub present: u64,
    /// Anonymous memory, for the sums of /proc/self/status.
    pub anonymous: bool,
    /// mlock(2).
    pub locked: bool,
}

/// Sums over an address space, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryTotals {
    /// VmSize.
    pub mapped: u64,
    /// VmRSS: pages that exist; anonymous memory counts from its mmap on.
    pub present: u64,
    /// RssAnon.
    pub present_anonymous: u64,
    /// VmData: private writable memory but the stack.
    pub data: u64,
    /// VmStk.
    pub stack: u64,
    /// VmExe and VmLib together: executable file mappings.
    pub text: u64,
    /// VmLck.
    pub locked: u64,
}

impl AddressSpace {
    /// Bytes in `span` that would count as data if they were writable, and do not yet.
    pub fn data_to_be(&self, span: Span) -> u64 {
        let state = self.state.lock();
        let counts = |vma: &&Vma| !vma.shared && !vma.protection.write && vma.name != Name::Stack;
        state.vmas.overlapping(span).filter(counts).map(|vma| vma.span.meet(span).len()).sum()
    }

    /// How many mappings there are.
    pub fn mapping_count(&self) -> usize {
        self.state.lock().vmas.len()
    }

    /// All mappings, ascending.
    pub fn describe(&self) -> Vec<MapEntry> {
        // Files are asked for their names with the lock released.
        let vmas: Vec<(Vma, u64)> = {
            let state = self.state.lock();
            let present = |span| state.present.within(span).map(Span::len).sum();
            state.vmas.iter().map(|vma| (vma.clone(), present(vma.span))).collect()
        };
        vmas.iter().map(|(vma, present)| describe(vma, *present)).collect()
    }

    /// Sums over all mappings.
    pub fn totals(&self) -> MemoryTotals {
        let state = self.state.lock();
        let mut totals = MemoryTotals::default();
        for vma in state.vmas.iter() {
            let length = vma.span.len();
            let present: u64 = state.present.within(vma.span).map(Span::len).sum();
            totals.mapped += length;
            totals.present += present;
            let of = |condition: bool, bytes: u64| if condition { bytes } else { 0 };
            totals.present_anonymous += of(vma.file().is_none(), present);
            totals.stack += of(vma.name == Name::Stack, length);
            totals.data += of(vma.protection.write && !vma.shared && vma.name != Name::Stack, length);
            totals.text += of(vma.protection.execute && vma.file().is_some(), length);
            totals.locked += of(vma.locked, length);
        }
        totals
    }
}

fn describe(vma: &Vma, present: u64) -> MapEntry {
    let file = vma.file().map(|(file, _)| file);
    let (device, inode) = file.map_or((0, 0), |file| file.identity());
    let name = match vma.name {
        Name::None => file.map(|file| file.path_text()).unwrap_or_default(),
        Name::Heap => b"[heap]".to_vec(),
        Name::Stack => b"[stack]".to_vec(),
        Name::Vvar => b"[vvar]".to_vec(),
        Name::Vdso => b"[vdso]".to_vec(),
    };
    MapEntry {
        span: vma.span,
        protection: vma.protection,
        shared: vma.shared,
        offset: vma.offset_of(vma.span.start),
        device,
        inode,
        name,
        present,
        anonymous: file.is_none(),
        locked: vma.locked,
    }
}
