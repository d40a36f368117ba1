//! Pages and files in the test's own memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use casemate_index::Site;
use casemate_platform::pages::{Change, Need, Protection};

use crate::errno::{Errno, Result};
use crate::file::{Mappable, SiteTable};
use crate::mm::pages::Pages;
use crate::mm::{AddressSpace, Arena, PAGE, Span};

/// A page that exists.
#[derive(Clone)]
pub struct FakePage {
    pub protection: Protection,
    /// Empty: all zeros.
    pub bytes: Vec<u8>,
}

/// The hardware of the test.
#[derive(Default)]
pub struct FakePages {
    pub pages: Mutex<BTreeMap<u64, FakePage>>,
    /// Calls that an enclave would make to the host.
    pub calls: Mutex<usize>,
    /// Fail the n-th call from now, if not 0.
    pub fail_at: Mutex<usize>,
    /// A call that fails does so half-way.
    pub fails_half_way: AtomicBool,
    /// Pages that are not there are only hidden.
    pub only_hidden: AtomicBool,
    /// Pages that were zeroed at least once.
    pub zeroed: Mutex<BTreeSet<u64>>,
    /// Most boundaries between pages of different rights, if not 0; [`FOR_TOUCHED`] more for pages that are touched.
    pub most_boundaries: AtomicUsize,
}

const FOR_TOUCHED: usize = 2;

fn addresses(span: Span) -> impl Iterator<Item = u64> {
    assert!(span.start.is_multiple_of(PAGE) && span.end.is_multiple_of(PAGE), "{span:?}");
    (span.start..span.end).step_by(PAGE as usize)
}

/// Boundaries between pages of different rights, or none.
fn boundaries(pages: &BTreeMap<u64, FakePage>) -> usize {
    let kind = |at: u64| pages.get(&at).map(|page| page.protection);
    let edges = pages.keys().flat_map(|&at| [at, at + PAGE]).collect::<BTreeSet<u64>>();
    edges.into_iter().filter(|&at| kind(at - PAGE) != kind(at)).count()
}

impl FakePages {
    /// What is done of a call for `span`, and what comes of it.
    fn begin(&self, span: Span) -> (Span, Result<()>) {
        match self.count() {
            Ok(()) => (span, Ok(())),
            Err(error) if self.fails_half_way.load(Relaxed) => {
                (Span::new(span.start, span.start + span.len() / 2 / PAGE * PAGE), Err(error))
            }
            Err(error) => (Span::new(span.start, span.start), Err(error)),
        }
    }

    fn count(&self) -> Result<()> {
        *self.calls.lock().unwrap() += 1;
        let mut fail_at = self.fail_at.lock().unwrap();
        if *fail_at > 0 {
            *fail_at -= 1;
            if *fail_at == 0 {
                return Err(Errno::ENOMEM);
            }
        }
        Ok(())
    }

    fn access(
        &self,
        address: u64,
        length: usize,
        write: bool,
        mut each: impl FnMut(usize, &mut u8),
    ) -> Result<()> {
        let mut pages = self.pages.lock().unwrap();
        for position in 0..length {
            let at = address + position as u64;
            let page = pages.get_mut(&(at & !(PAGE - 1))).ok_or(Errno::EFAULT)?;
            let Protection { read, write: writable, execute } = page.protection;
            if if write { !writable } else { !(read || writable || execute) } {
                return Err(Errno::EFAULT);
            }
            if page.bytes.is_empty() {
                page.bytes.resize(PAGE as usize, 0);
            }
            each(position, &mut page.bytes[(at % PAGE) as usize]);
        }
        Ok(())
    }
}

impl Pages for FakePages {
    fn are_only_hidden(&self) -> bool {
        self.only_hidden.load(Relaxed)
    }

    fn admits(&self, span: Span, change: Change, need: Need) -> bool {
        let kept = if need == Need::Touched { FOR_TOUCHED } else { 0 };
        let most = self.most_boundaries.load(Relaxed);
        let mut pages = self.pages.lock().unwrap().clone();
        let before = boundaries(&pages);
        for at in addresses(span) {
            match change {
                Change::Map(protection) => drop(pages.insert(at, FakePage { protection, bytes: Vec::new() })),
                Change::Protect(protection) => {
                    if let Some(page) = pages.get_mut(&at) {
                        page.protection = protection;
                    }
                }
                Change::Unmap => drop(pages.remove(&at)),
            }
        }
        most == 0 || boundaries(&pages) <= (most + kept).max(before)
    }

    fn map(&self, span: Span, protection: Protection) -> Result<()> {
        assert!(!span.is_empty());
        let (span, outcome) = self.begin(span);
        let mut pages = self.pages.lock().unwrap();
        for at in addresses(span) {
            pages.insert(at, FakePage { protection, bytes: Vec::new() });
            self.zeroed.lock().unwrap().insert(at);
        }
        outcome
    }

    fn protect(&self, span: Span, protection: Protection) -> Result<()> {
        assert!(!span.is_empty());
        let (span, outcome) = self.begin(span);
        let mut pages = self.pages.lock().unwrap();
        for at in addresses(span) {
            pages.get_mut(&at).expect("protect of a page that is not there").protection = protection;
        }
        outcome
    }

    fn unmap(&self, span: Span) -> Result<()> {
        assert!(!span.is_empty());
        self.count()?;
        let mut pages = self.pages.lock().unwrap();
        addresses(span).for_each(|at| drop(pages.remove(&at)));
        Ok(())
    }

    fn discard(&self, span: Span) -> Result<()> {
        assert!(!span.is_empty());
        let (span, outcome) = self.begin(span);
        let mut pages = self.pages.lock().unwrap();
        for at in addresses(span) {
            pages.get_mut(&at).expect("discard of a page that is not there").bytes.clear();
        }
        outcome
    }

    fn read(&self, address: u64, to: &mut [u8]) -> Result<()> {
        self.access(address, to.len(), false, |position, byte| to[position] = *byte)
    }

    fn write(&self, address: u64, from: &[u8]) -> Result<()> {
        self.access(address, from.len(), true, |position, byte| *byte = from[position])
    }

    fn zero(&self, span: Span) -> Result<()> {
        self.access(span.start, span.len() as usize, true, |_, byte| *byte = 0)
    }

    fn relocate(&self, from: Span, to: Span, protection: Protection) -> Result<()> {
        assert!(from.len() == to.len() && !from.overlaps(to));
        if let Err(error) = self.count() {
            if self.fails_half_way.load(Relaxed) {
                // The rights are gone, and there is a copy of the first page.
                let mut pages = self.pages.lock().unwrap();
                for at in addresses(from) {
                    pages.get_mut(&at).unwrap().protection = Protection::NONE;
                }
                let copy = pages[&from.start].clone();
                pages.insert(to.start, copy);
            }
            return Err(error);
        }
        let mut pages = self.pages.lock().unwrap();
        for (old, new) in addresses(from).zip(addresses(to)) {
            let page = pages.remove(&old).expect("relocation of a page that is not there");
            pages.insert(new, FakePage { protection, ..page });
        }
        Ok(())
    }
}

/// A file of bytes.
pub struct FakeFile {
    pub bytes: Mutex<Vec<u8>>,
    pub broken: AtomicBool,
    /// Whether system-call sites are searched for; else the file has a table that names none.
    pub searched: bool,
}

/// A table of no sites.
struct NoSites;

impl SiteTable for NoSites {
    fn in_range(&self, _start: u64, _end: u64) -> Result<Vec<Site>> {
        Ok(Vec::new())
    }

    fn count(&self) -> usize {
        0
    }
}

impl FakeFile {
    pub fn new(bytes: Vec<u8>) -> Arc<FakeFile> {
        Arc::new(FakeFile { bytes: Mutex::new(bytes), broken: AtomicBool::new(false), searched: false })
    }

    /// A file whose page `n` is full of `n + 1`, and whose last page ends in the middle.
    pub fn numbered(pages: u64) -> Arc<FakeFile> {
        let length = pages * PAGE - PAGE / 2;
        Self::new((0..length).map(|at| (at / PAGE + 1) as u8).collect())
    }
}

impl Mappable for FakeFile {
    fn size(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn read_pages(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if self.broken.load(Relaxed) {
            return Err(Errno::EIO);
        }
        let bytes = self.bytes.lock().unwrap();
        buffer.fill(0);
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(())
    }

    fn write_pages(&self, offset: u64, from: &[u8]) -> Result<()> {
        let mut bytes = self.bytes.lock().unwrap();
        let rest = bytes.get_mut(offset as usize..).unwrap_or_default();
        let length = rest.len().min(from.len());
        rest[..length].copy_from_slice(&from[..length]);
        Ok(())
    }

    fn sites(&self) -> Option<Arc<dyn SiteTable>> {
        if self.searched { None } else { Some(Arc::new(NoSites)) }
    }

    fn identity(&self) -> (u64, u64) {
        (1, 2)
    }

    fn path_text(&self) -> Vec<u8> {
        b"/file".to_vec()
    }
}

/// First address of the test's arena.
pub const BASE: u64 = 0x40_0000;
/// Where the scratch pages of address spaces are, up to [`BASE`]: room for one.
const FLOOR: u64 = BASE - (2 << 20);

/// An address space over `pages` pages of its own arena.
pub fn space(pages: u64) -> (AddressSpace, Arc<FakePages>) {
    let fake = Arc::new(FakePages::default());
    let arena = alloc::sync::Arc::new(Arena::new(Span::new(FLOOR, BASE + pages * PAGE)));
    (AddressSpace::with(arena, fake.clone()), fake)
}

/// What memory holds; the pages are there.
pub fn contents(space: &AddressSpace, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    space.pages.read(address, &mut bytes).expect("the pages are there");
    bytes
}

/// The address space of another process of the same enclave.
pub fn sibling(space: &AddressSpace) -> AddressSpace {
    AddressSpace::with(space.arena.clone(), space.pages.clone())
}

/// Whether no process has an address once this one is gone.
pub fn leaves_nothing(space: Arc<AddressSpace>) -> bool {
    let arena = space.arena.clone();
    drop(space);
    arena.is_free(arena.bounds())
}
