//! The enclave image as the layout needs it: a static position-independent ELF file's loadable segments.
//!
//! Only what the linker makes for `casemate-enclave` is accepted (System V ABI, AMD64 supplement, chapters 4 and 5):
//! an image that another loader would read differently is refused, never guessed at.

use alloc::vec::Vec;
use core::fmt;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::{PAGE_SIZE, SecInfoFlags};

const PAGE: u64 = PAGE_SIZE as u64;
/// Largest image and largest alignment: far above any real one, so that no sum below can overflow.
const MAX_SIZE: u64 = 1 << 32;
const MAX_ALIGN: u64 = 1 << 21;

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct FileHeader {
    ident: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    program_headers: u64,
    section_headers: u64,
    flags: u32,
    header_size: u16,
    program_header_size: u16,
    program_header_count: u16,
    section_header_size: u16,
    section_header_count: u16,
    section_names: u16,
}

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
}

const _: () = assert!(size_of::<FileHeader>() == 64 && size_of::<ProgramHeader>() == 56);

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;

/// A loadable segment. Addresses are relative to the image's first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address of its first byte.
    pub address: u64,
    /// Bytes in memory; those beyond `file_size` are 0.
    pub memory_size: u64,
    /// Where its bytes are in the file.
    pub file_offset: u64,
    /// How many there are.
    pub file_size: u64,
    /// R, W, X.
    pub flags: SecInfoFlags,
}

impl Segment {
    /// Address of its first page.
    #[must_use]
    pub fn first_page(&self) -> u64 {
        self.address & !(PAGE - 1)
    }

    /// How many pages it touches.
    #[must_use]
    pub fn pages(&self) -> u64 {
        (self.address + self.memory_size - self.first_page()).div_ceil(PAGE)
    }
}

/// A checked enclave image.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    segments: Vec<Segment>,
    entry: u64,
    size: u64,
    align: u64,
}

/// Why a file is not an enclave image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElfError(&'static str);

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl<'a> Image<'a> {
    /// Reads and checks the headers. Accepts any bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        let header = bytes
            .get(..size_of::<FileHeader>())
            .and_then(|head| FileHeader::read_from_bytes(head).ok())
            .ok_or(ElfError("it is shorter than an ELF header"))?;
        check_header(&header)?;
        let mut segments = Vec::new();
        let mut align = PAGE;
        for program_header in program_headers(bytes, &header)? {
            match program_header.kind {
                PT_LOAD => {
                    segments.push(read_segment(&program_header, bytes.len() as u64)?);
                    align = align.max(program_header.align);
                }
                PT_INTERP => return Err(ElfError("it asks for a dynamic loader")),
                _ => {}
            }
        }
        let first = segments.first().ok_or(ElfError("it has no loadable segment"))?.first_page();
        let mut end = first;
        for segment in &segments {
            if segment.first_page() < end {
                return Err(ElfError("its segments are not in ascending order, or share a page"));
            }
            end = segment.first_page() + segment.pages() * PAGE;
        }
        let entry = header.entry;
        let inside = |s: &Segment| entry >= s.address && entry - s.address < s.file_size;
        if !segments.iter().any(|s| s.flags.contains(SecInfoFlags::X) && inside(s)) {
            return Err(ElfError("its entry point is not in an executable segment"));
        }
        segments.iter_mut().for_each(|segment| segment.address -= first);
        Ok(Self { bytes, segments, entry: entry - first, size: end - first, align })
    }

    /// Segments in ascending order; no two share a page.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The entry point, relative to the image's first page.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Bytes from the first to the last page.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What the image's base must be a multiple of.
    #[must_use]
    pub fn align(&self) -> u64 {
        self.align
    }

    /// Fills `page` with the `index`th page of a segment of this image, as it is before relocation.
    pub fn read_page(&self, segment: &Segment, index: u64, page: &mut [u8; PAGE_SIZE]) {
        page.fill(0);
        let start = segment.first_page() + index * PAGE;
        let from = start.max(segment.address);
        let to = (start + PAGE).min(segment.address + segment.file_size);
        if from < to {
            let offset = (segment.file_offset + (from - segment.address)) as usize;
            let source = &self.bytes[offset..offset + (to - from) as usize];
            page[(from - start) as usize..(to - start) as usize].copy_from_slice(source);
        }
    }
}

fn check_header(header: &FileHeader) -> Result<(), ElfError> {
    // ELFCLASS64, ELFDATA2LSB, EV_CURRENT.
    if !header.ident.starts_with(b"\x7fELF\x02\x01\x01") || header.version != 1 {
        return Err(ElfError("it is not a 64-bit little-endian ELF file"));
    }
    if header.machine != EM_X86_64 {
        return Err(ElfError("it is not for x86-64"));
    }
    if header.kind != ET_DYN {
        return Err(ElfError("it is not position-independent"));
    }
    if usize::from(header.program_header_size) != size_of::<ProgramHeader>() {
        return Err(ElfError("its program headers have an unknown size"));
    }
    Ok(())
}

fn program_headers(bytes: &[u8], header: &FileHeader) -> Result<Vec<ProgramHeader>, ElfError> {
    let size = size_of::<ProgramHeader>();
    usize::try_from(header.program_headers)
        .ok()
        .and_then(|start| bytes.get(start..)?.get(..usize::from(header.program_header_count) * size))
        .ok_or(ElfError("its program headers lie outside the file"))?
        .chunks_exact(size)
        .map(|chunk| {
            ProgramHeader::read_from_bytes(chunk).map_err(|_| ElfError("its program headers are cut off"))
        })
        .collect()
}

fn read_segment(header: &ProgramHeader, length: u64) -> Result<Segment, ElfError> {
    if header.memory_size == 0 || header.file_size > header.memory_size {
        return Err(ElfError("a segment is empty or smaller in memory than in the file"));
    }
    if header.address > MAX_SIZE || header.memory_size > MAX_SIZE {
        return Err(ElfError("a segment is larger than 4 GiB"));
    }
    if header.offset > length || header.file_size > length - header.offset {
        return Err(ElfError("a segment lies outside the file"));
    }
    if !header.align.is_power_of_two() || header.align > MAX_ALIGN {
        return Err(ElfError("a segment's alignment is not a power of two of at most 2 MiB"));
    }
    if header.offset % PAGE != header.address % PAGE {
        return Err(ElfError("a segment's place in the file does not suit its address"));
    }
    let flags = match header.flags & 7 {
        4 => SecInfoFlags::R,
        5 => SecInfoFlags::RX,
        6 => SecInfoFlags::RW,
        _ => return Err(ElfError("a segment is not readable, or both writable and executable")),
    };
    Ok(Segment {
        address: header.address,
        memory_size: header.memory_size,
        file_offset: header.offset,
        file_size: header.file_size,
        flags,
    })
}
