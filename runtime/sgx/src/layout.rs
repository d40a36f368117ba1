//! The enclave's layout: which pages are added in which order, from which contents, measured or not.
//!
//! Computed here and nowhere else: signing measures it, the loader builds it, and the enclave reads from a measured
//! page what was decided. The order is ascending by address:
//!
//! | region | pages | permissions | contents | measured |
//! |---|---|---|---|---|
//! | program memory (without EDMM only) | `[user_base, user_top)` | RWX | undefined | EADD only |
//! | heap | all of it, or with EDMM the first MiB | RW | undefined; with EDMM zero | EADD only; with EDMM all |
//! | for each thread: stack, exception stack, area, SSA | see [`Thread`] | RW | zero | all |
//! | … and its TCS | 1 | – | [`LayoutBlock::tcs`] | all |
//! | the measured page | 1 | R | measured block, [`LayoutBlock`], zero | all |
//! | the image's segments | | as in the ELF file | as in the file, unrelocated | all |
//!
//! "EADD only" means that address, type and permissions are in MRENCLAVE and the contents are not: the host may
//! have put anything there. It is sound because nothing inside reads such a page before it wrote to it: the platform
//! layer clears memory when it commits it. With EDMM no such page exists: EAUG gives zeroed pages, and the rest is measured.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::measure::Measurement;
use crate::{
    Attributes, AttributesFlags, Image, MiscSelect, PAGE_SIZE, PageType, SecInfo, SecInfoFlags, Secs, Tcs,
    Xfrm, frame_pages,
};

const PAGE: u64 = PAGE_SIZE as u64;

/// First address of program memory; nothing is ever mapped below (Linux's `mmap_min_addr`).
pub const USER_BASE: u64 = 64 << 10;
/// Least program memory that a layout may leave.
pub const MIN_USER_SIZE: u64 = 16 << 20;
/// Heap that is there from the start with EDMM.
pub const INITIAL_HEAP: u64 = 1 << 20;
/// Largest enclave size: what Linux gives a process.
pub const MAX_ENCLAVE_SIZE: u64 = 1 << 46;
/// Most threads.
pub const MAX_THREADS: u32 = 1 << 16;
/// Slots of each thread's SSA: one for the program, one for an interruption of the exception handler.
pub const SSA_SLOTS: u32 = 2;
/// Bytes of each thread's stack in the library OS.
pub const STACK_SIZE: u64 = 256 << 10;
/// Bytes of the stack on which exceptions are taken up.
pub const EXCEPTION_STACK_SIZE: u64 = 16 << 10;
/// Bytes of the thread area (GS.base).
pub const AREA_SIZE: u64 = 16 << 10;
/// Where in the measured page [`LayoutBlock`] begins.
pub const BLOCK_OFFSET: usize = 64;

/// Processor features that the enclave must have, and those that it may use where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Always in XFRM: the enclave does not start without them.
    pub required: Xfrm,
    /// In XFRM where the processor has them.
    pub optional: Xfrm,
}

impl Default for Features {
    /// AVX and AVX-512 where they are. Nothing else: what is not saved and cleared at the enclave's gate must not be on.
    fn default() -> Self {
        Self { required: Xfrm::LEGACY, optional: Xfrm::AVX.union(Xfrm::AVX512) }
    }
}

impl Features {
    /// Everything that may be in XFRM.
    #[must_use]
    pub fn allowed(&self) -> Xfrm {
        self.required | self.optional | Xfrm::LEGACY
    }

    /// ATTRIBUTES and ATTRIBUTEMASK for the SIGSTRUCT: every flag must match, and every XFRM bit that is not optional.
    #[must_use]
    pub fn attributes(&self, debug: bool) -> (Attributes, Attributes) {
        let debug = if debug { AttributesFlags::DEBUG } else { AttributesFlags::empty() };
        let required = self.required | Xfrm::LEGACY;
        let free = self.optional - required;
        (
            Attributes { flags: (AttributesFlags::MODE64BIT | debug).bits(), xfrm: required.bits() },
            Attributes { flags: u64::MAX, xfrm: !free.bits() },
        )
    }
}

/// What decides a layout, beside the image.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// Bytes of the enclave's range, a power of two.
    pub enclave_size: u64,
    /// Bytes of the library OS's heap, a multiple of the page size; `None`: a quarter of the enclave.
    pub heap_size: Option<u64>,
    /// How many threads can exist at a time.
    pub max_threads: u32,
    /// Memory and threads are added on demand.
    pub edmm: bool,
    /// Faults on memory are reported inside (MISCSELECT.EXINFO).
    pub exinfo: bool,
    /// Processor features.
    pub features: Features,
    /// The measured block (`/casemate/measured`).
    pub measured: [u8; 64],
}

bitflags! {
    /// Flags of [`LayoutBlock`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LayoutFlags: u32 {
        /// [`Parameters::edmm`].
        const EDMM = 1;
        /// [`Parameters::exinfo`].
        const EXINFO = 2;
    }
}

/// The layout as the enclave reads it: at [`BLOCK_OFFSET`] of the measured page, which is the page below the image.
/// It is measured, so it is to be believed where the host's start-up block is not. Addresses are offsets from the
/// enclave's base, which is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LayoutBlock {
    /// [`LayoutBlock::MAGIC`].
    pub magic: [u8; 8],
    /// [`LayoutBlock::VERSION`].
    pub version: u32,
    /// [`LayoutFlags`].
    pub flags: u32,
    /// Bytes of the range.
    pub enclave_size: u64,
    /// First address of program memory.
    pub user_base: u64,
    /// One past its last address.
    pub user_top: u64,
    /// First address of the heap.
    pub heap_base: u64,
    /// Its size.
    pub heap_size: u64,
    /// How much of it exists from the start.
    pub heap_added: u64,
    /// First address of the first thread's block.
    pub threads_base: u64,
    /// Distance between two threads' blocks.
    pub thread_stride: u64,
    /// Most threads.
    pub max_threads: u32,
    /// Threads that exist from the start.
    pub added_threads: u32,
    /// Pages of an SSA frame.
    pub ssa_frame_size: u32,
    /// Slots of each SSA.
    pub ssa_slots: u32,
    /// Where the image begins.
    pub image_base: u64,
    /// Its size.
    pub image_size: u64,
    /// Its entry point, which is every TCS's.
    pub entry: u64,
}

const _: () = assert!(size_of::<LayoutBlock>() == 120);

/// One thread's block. Between the ranges, and below the stack, lie guard pages that are never added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its stack in the library OS.
    pub stack: Range<u64>,
    /// The stack for the first stage of exception handling.
    pub exception_stack: Range<u64>,
    /// The thread area (GS.base).
    pub area: Range<u64>,
    /// SSA frames.
    pub ssa: Range<u64>,
    /// The TCS.
    pub tcs: u64,
}

/// Where the contents of a region's pages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Zero.
    Zero,
    /// The TCS of this thread.
    Tcs(u32),
    /// The measured page.
    Measured,
    /// This segment of the image.
    Segment(usize),
}

/// Pages that are added one after the other in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Offset of the first.
    pub offset: u64,
    /// How many.
    pub pages: u64,
    /// SECINFO.FLAGS as given to EADD.
    pub flags: SecInfoFlags,
    /// Contents.
    pub content: Content,
    /// Whether every page is EEXTENDed.
    pub measured: bool,
}

/// Why there is no such layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// Not a power of two, or out of bounds.
    EnclaveSize(u64),
    /// No threads, or too many.
    MaxThreads(u32),
    /// Not a multiple of the page size, or too small.
    HeapSize(u64),
    /// XFRM bits that do not go together.
    Features(u64),
    /// It would not leave enough program memory; the least size that does.
    TooSmall {
        /// What was asked for.
        enclave_size: u64,
        /// What would do.
        needed: u64,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::EnclaveSize(size) => {
                write!(f, "the enclave size is {size} bytes; it must be a power of two of at most 64 TiB")
            }
            Self::MaxThreads(count) => {
                write!(f, "the number of threads is {count}; it must be 1 to {MAX_THREADS}")
            }
            Self::HeapSize(size) => {
                write!(
                    f,
                    "the heap size is {size} bytes; it must be a multiple of 4096 and at least {INITIAL_HEAP}"
                )
            }
            Self::Features(xfrm) => write!(f, "the processor features {xfrm:#x} cannot be used together"),
            Self::TooSmall { enclave_size, needed } => {
                write!(f, "an enclave of {enclave_size} bytes is too small; {needed} are needed")
            }
        }
    }
}

/// A computed layout.
#[derive(Clone, Debug)]
pub struct Layout {
    block: LayoutBlock,
    measured: [u8; 64],
    miscselect: MiscSelect,
    regions: Vec<Region>,
}

impl Layout {
    /// Computes the layout of this image under these parameters.
    pub fn new(image: &Image<'_>, parameters: &Parameters) -> Result<Self, LayoutError> {
        let block = LayoutBlock::compute(image, parameters)?;
        let miscselect = if parameters.exinfo { MiscSelect::EXINFO } else { MiscSelect::empty() };
        let regions = regions(image, &block);
        Ok(Self { block, measured: parameters.measured, miscselect, regions })
    }

    /// What the enclave reads of it.
    #[must_use]
    pub fn block(&self) -> &LayoutBlock {
        &self.block
    }

    /// The regions, in the order in which their pages are added.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// MISCSELECT; every bit of it must match at EINIT.
    #[must_use]
    pub fn miscselect(&self) -> MiscSelect {
        self.miscselect
    }

    /// The SECS for ECREATE, with these attributes.
    #[must_use]
    pub fn secs(&self, attributes: Attributes) -> Secs {
        let mut secs = Secs::zeroed();
        secs.size = self.block.enclave_size;
        secs.ssa_frame_size = self.block.ssa_frame_size;
        secs.miscselect = self.miscselect.bits();
        secs.attributes = attributes;
        secs
    }

    /// Fills `page` with the `index`th page of a region of this layout.
    pub fn read_page(&self, image: &Image<'_>, region: &Region, index: u64, page: &mut [u8; PAGE_SIZE]) {
        match region.content {
            Content::Zero => page.fill(0),
            Content::Tcs(thread) => page.copy_from_slice(self.block.tcs(thread).as_bytes()),
            Content::Measured => {
                page.fill(0);
                page[..BLOCK_OFFSET].copy_from_slice(&self.measured);
                page[BLOCK_OFFSET..BLOCK_OFFSET + size_of::<LayoutBlock>()]
                    .copy_from_slice(self.block.as_bytes());
            }
            Content::Segment(number) => image.read_page(&image.segments()[number], index, page),
        }
    }

    /// MRENCLAVE. `image` is the one that the layout was computed for.
    #[must_use]
    pub fn measure(&self, image: &Image<'_>) -> [u8; 32] {
        let mut measurement = Measurement::create(self.block.ssa_frame_size, self.block.enclave_size);
        let mut page = [0; PAGE_SIZE];
        for region in &self.regions {
            let secinfo = SecInfo::new(measured_flags(region.flags));
            if !region.measured {
                measurement.add_run(region.offset, region.pages, &secinfo);
                continue;
            }
            let same_everywhere = region.content == Content::Zero;
            for index in 0..region.pages {
                let offset = region.offset + index * PAGE;
                measurement.add(offset, &secinfo);
                if index == 0 || !same_everywhere {
                    self.read_page(image, region, index, &mut page);
                }
                measurement.extend_page(offset, &page);
            }
        }
        measurement.value()
    }
}

/// EADD forces R, W and X of a TCS to 0 before it measures the SECINFO (SDM 38.3, EADD).
fn measured_flags(flags: SecInfoFlags) -> SecInfoFlags {
    if flags.page_type() == Some(PageType::Tcs) { flags - SecInfoFlags::RWX } else { flags }
}

impl LayoutBlock {
    /// First bytes.
    pub const MAGIC: [u8; 8] = *b"CSMTLAYT";
    /// Version of this structure.
    pub const VERSION: u32 = 1;

    /// Reads it out of the measured page; `None` when it is not one of this version.
    #[must_use]
    pub fn read(page: &[u8; PAGE_SIZE]) -> Option<Self> {
        let bytes = &page[BLOCK_OFFSET..BLOCK_OFFSET + size_of::<Self>()];
        let block = Self::read_from_bytes(bytes).ok()?;
        (block.magic == Self::MAGIC && block.version == Self::VERSION).then_some(block)
    }

    fn compute(image: &Image<'_>, parameters: &Parameters) -> Result<Self, LayoutError> {
        let size = parameters.enclave_size;
        if !size.is_power_of_two() || size > MAX_ENCLAVE_SIZE {
            return Err(LayoutError::EnclaveSize(size));
        }
        if parameters.max_threads == 0 || parameters.max_threads > MAX_THREADS {
            return Err(LayoutError::MaxThreads(parameters.max_threads));
        }
        // AVX-512 needs AVX and so on: both with and without the optional features.
        let (required, allowed) =
            (parameters.features.required | Xfrm::LEGACY, parameters.features.allowed());
        if let Some(bad) = [required, allowed].into_iter().find(|xfrm| !Xfrm::is_legal(xfrm.bits())) {
            return Err(LayoutError::Features(bad.bits()));
        }
        let heap_size = parameters.heap_size.unwrap_or(size / 4 / PAGE * PAGE);
        if parameters.heap_size.is_some()
            && (heap_size & (PAGE - 1) != 0 || !(INITIAL_HEAP..=size).contains(&heap_size))
        {
            return Err(LayoutError::HeapSize(heap_size));
        }
        let frame = frame_pages(allowed);
        let stride = thread_stride(frame);
        let top = image.size() + image.align() + PAGE + u64::from(parameters.max_threads) * stride + PAGE;
        let needed = top + heap_size + USER_BASE + MIN_USER_SIZE;
        if needed > size || heap_size < INITIAL_HEAP {
            let scale = if parameters.heap_size.is_some() { needed } else { (needed - heap_size) * 4 / 3 };
            return Err(LayoutError::TooSmall { enclave_size: size, needed: scale.next_power_of_two() });
        }
        let image_base = (size - image.size()) / image.align() * image.align();
        let threads_base = image_base - PAGE - u64::from(parameters.max_threads) * stride;
        let heap_base = threads_base - PAGE - heap_size;
        let mut flags = LayoutFlags::empty();
        flags.set(LayoutFlags::EDMM, parameters.edmm);
        flags.set(LayoutFlags::EXINFO, parameters.exinfo);
        Ok(Self {
            magic: Self::MAGIC,
            version: Self::VERSION,
            flags: flags.bits(),
            enclave_size: size,
            user_base: USER_BASE,
            user_top: heap_base,
            heap_base,
            heap_size,
            heap_added: if parameters.edmm { INITIAL_HEAP } else { heap_size },
            threads_base,
            thread_stride: stride,
            max_threads: parameters.max_threads,
            added_threads: if parameters.edmm { 1 } else { parameters.max_threads },
            ssa_frame_size: frame,
            ssa_slots: SSA_SLOTS,
            image_base,
            image_size: image.size(),
            entry: image_base + image.entry(),
        })
    }

    /// The flags.
    #[must_use]
    pub fn flags(&self) -> LayoutFlags {
        LayoutFlags::from_bits_truncate(self.flags)
    }

    /// Address of the page that holds this structure.
    #[must_use]
    pub fn measured_page(&self) -> u64 {
        self.image_base - PAGE
    }

    /// Where the parts of a thread's block are; `None` beyond `max_threads`.
    #[must_use]
    pub fn thread(&self, number: u32) -> Option<Thread> {
        if number >= self.max_threads {
            return None;
        }
        let after = |start: u64, size: u64| start..start + size;
        let stack = after(self.threads_base + u64::from(number) * self.thread_stride + PAGE, STACK_SIZE);
        let exception_stack = after(stack.end + PAGE, EXCEPTION_STACK_SIZE);
        let area = after(exception_stack.end + PAGE, AREA_SIZE);
        let ssa = after(area.end, ssa_size(self.ssa_frame_size));
        let tcs = ssa.end;
        Some(Thread { stack, exception_stack, area, ssa, tcs })
    }

    /// The TCS of a thread: what EADD copies, and what the enclave writes before a page becomes a TCS with EDMM.
    ///
    /// # Panics
    /// When `number` is not below `max_threads`.
    #[must_use]
    pub fn tcs(&self, number: u32) -> Tcs {
        let thread = self.thread(number).expect("a thread of this layout");
        let mut tcs = Tcs::zeroed();
        tcs.ossa = thread.ssa.start;
        tcs.nssa = self.ssa_slots;
        tcs.oentry = self.entry;
        tcs.ofsbase = thread.area.start;
        tcs.ogsbase = thread.area.start;
        // Limits matter in 32-bit mode only; the manual wants their low 12 bits set there.
        tcs.fslimit = 0xfff;
        tcs.gslimit = 0xfff;
        tcs
    }
}

const fn ssa_size(frame_pages: u32) -> u64 {
    SSA_SLOTS as u64 * frame_pages as u64 * PAGE
}

/// Guard, stack, guard, exception stack, guard, area, SSA, TCS.
const fn thread_stride(frame_pages: u32) -> u64 {
    3 * PAGE + STACK_SIZE + EXCEPTION_STACK_SIZE + AREA_SIZE + ssa_size(frame_pages) + PAGE
}

fn regions(image: &Image<'_>, block: &LayoutBlock) -> Vec<Region> {
    let edmm = block.flags().contains(LayoutFlags::EDMM);
    let region = |range: Range<u64>, flags: SecInfoFlags, content, measured| Region {
        offset: range.start,
        pages: (range.end - range.start) / PAGE,
        flags: flags | PageType::Reg.flags(),
        content,
        measured,
    };
    let mut regions = Vec::new();
    if !edmm {
        regions.push(region(block.user_base..block.user_top, SecInfoFlags::RWX, Content::Zero, false));
    }
    let heap = block.heap_base..block.heap_base + block.heap_added;
    regions.push(region(heap, SecInfoFlags::RW, Content::Zero, edmm));
    for (number, thread) in
        (0..block.added_threads).filter_map(|number| Some((number, block.thread(number)?)))
    {
        for range in [thread.stack, thread.exception_stack, thread.area.start..thread.ssa.end] {
            regions.push(region(range, SecInfoFlags::RW, Content::Zero, true));
        }
        regions.push(Region {
            offset: thread.tcs,
            pages: 1,
            flags: PageType::Tcs.flags(),
            content: Content::Tcs(number),
            measured: true,
        });
    }
    let measured = block.measured_page()..block.image_base;
    regions.push(region(measured, SecInfoFlags::R, Content::Measured, true));
    for (number, segment) in image.segments().iter().enumerate() {
        let start = block.image_base + segment.first_page();
        let range = start..start + segment.pages() * PAGE;
        regions.push(region(range, segment.flags, Content::Segment(number), true));
    }
    regions
}
