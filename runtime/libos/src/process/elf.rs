//! ELF images: headers are read and checked here, once, and mapped into an address space.
//!
//! Source: System V ABI (gABI), chapters 4 and 5; what Linux refuses and with which error: fs/binfmt_elf.c.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use casemate_platform::pages::Protection;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::errno::{Errno, Result};
use crate::file::Mappable;
use crate::mm::{AddressSpace, MapRequest, PAGE, Placement, Span};

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_PHDR: u32 = 6;
const PT_GNU_STACK: u32 = 0x6474_e551;
/// "\x7fELF", 64-bit. Linux looks at the class only through the machine and the sizes.
const MAGIC: &[u8] = b"\x7fELF";
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;
/// Linux reads at most this many bytes of program headers.
const HEADERS_LIMIT: usize = 65_536;
/// PATH_MAX: longest interpreter path with its NUL.
const INTERPRETER_LIMIT: u64 = 4096;
/// Largest alignment that is honoured.
const ALIGNMENT_LIMIT: u64 = 1 << 30;

/// Elf64_Ehdr.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
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

/// Elf64_Phdr.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_size: u64,
    memory_size: u64,
    alignment: u64,
}

const _: () = assert!(size_of::<FileHeader>() == 64 && size_of::<ProgramHeader>() == 56);

/// A loadable segment; all sums of its numbers are below the end of program memory.
#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    offset: u64,
    file_size: u64,
    memory_size: u64,
    protection: Protection,
    writable: bool,
}

/// A checked ELF file.
pub struct ElfFile {
    file: Arc<dyn Mappable>,
    position_independent: bool,
    entry: u64,
    /// Address of the program headers as the file has it, before any load bias.
    program_headers: u64,
    program_header_count: u16,
    segments: Vec<Segment>,
    alignment: u64,
    interpreter: Option<(u64, u64)>,
    executable_stack: bool,
}

/// Where an image was put.
#[derive(Clone, Copy, Debug)]
pub struct LoadedImage {
    /// Added to every address of the file.
    pub bias: u64,
    /// Where it begins to run.
    pub entry: u64,
    /// Its program headers in memory, if a segment holds them.
    pub program_headers: u64,
    /// How many.
    pub program_header_count: u16,
    /// All of its addresses.
    pub span: Span,
    /// End of its data: where the heap may begin.
    pub end: u64,
}

impl ElfFile {
    /// Reads and checks the headers; `ENOEXEC` for everything that is not an x86-64 program.
    pub fn read(file: Arc<dyn Mappable>) -> Result<ElfFile> {
        let mut bytes = [0; size_of::<FileHeader>()];
        if file.size() < bytes.len() as u64 {
            return Err(Errno::ENOEXEC);
        }
        file.read_pages(0, &mut bytes)?;
        let header = FileHeader::read_from_bytes(&bytes).map_err(|_| Errno::ENOEXEC)?;
        let count = usize::from(header.program_header_count);
        let length = count * size_of::<ProgramHeader>();
        let good = header.ident.starts_with(MAGIC)
            && matches!(header.kind, ET_EXEC | ET_DYN)
            && header.machine == EM_X86_64
            && usize::from(header.program_header_size) == size_of::<ProgramHeader>()
            && (1..=HEADERS_LIMIT).contains(&length);
        let end = header.program_headers.checked_add(length as u64);
        if !good || end.is_none_or(|end| end > file.size()) {
            return Err(Errno::ENOEXEC);
        }
        let mut bytes = vec![0; length];
        file.read_pages(header.program_headers, &mut bytes)?;
        let headers: Vec<ProgramHeader> = bytes
            .chunks_exact(size_of::<ProgramHeader>())
            .map(|chunk| ProgramHeader::read_from_bytes(chunk).map_err(|_| Errno::ENOEXEC))
            .collect::<Result<_>>()?;
        Self::check(file, &header, &headers)
    }

    fn check(file: Arc<dyn Mappable>, header: &FileHeader, headers: &[ProgramHeader]) -> Result<ElfFile> {
        let loads = || headers.iter().filter(|entry| entry.kind == PT_LOAD);
        let segments: Vec<Segment> = loads().map(Segment::check).collect::<Result<_>>()?;
        if segments.is_empty() {
            return Err(Errno::EINVAL);
        }
        let aligned = loads().map(|entry| entry.alignment).filter(|value| value.is_power_of_two());
        let alignment = aligned.max().unwrap_or(PAGE).clamp(PAGE, ALIGNMENT_LIMIT);
        let interpreter = headers.iter().find(|entry| entry.kind == PT_INTERP);
        let stack = headers.iter().find(|entry| entry.kind == PT_GNU_STACK);
        Ok(ElfFile {
            position_independent: header.kind == ET_DYN,
            entry: header.entry,
            program_headers: headers_address(header, headers),
            program_header_count: header.program_header_count,
            segments,
            alignment,
            interpreter: interpreter.map(|entry| (entry.offset, entry.file_size)),
            executable_stack: stack.is_some_and(|entry| entry.flags & PF_X != 0),
            file,
        })
    }

    /// Path of the interpreter it wants; `ENOEXEC` when that is malformed.
    pub fn interpreter(&self) -> Result<Option<Vec<u8>>> {
        let Some((offset, size)) = self.interpreter else { return Ok(None) };
        if !(2..=INTERPRETER_LIMIT).contains(&size) {
            return Err(Errno::ENOEXEC);
        }
        if offset.checked_add(size).is_none_or(|end| end > self.file.size()) {
            return Err(Errno::EIO);
        }
        let mut path = vec![0; size as usize];
        self.file.read_pages(offset, &mut path)?;
        if path.pop() != Some(0) {
            return Err(Errno::ENOEXEC);
        }
        let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
        path.truncate(end);
        Ok(Some(path))
    }

    /// Whether it can be loaded anywhere.
    pub fn is_position_independent(&self) -> bool {
        self.position_independent
    }

    /// Whether it asks for an executable stack.
    pub fn wants_executable_stack(&self) -> bool {
        self.executable_stack
    }

    /// Addresses of all segments, in whole pages, as the file has them.
    fn extent(&self) -> Span {
        let start = self.segments.iter().map(|segment| segment.address).min().unwrap_or(0);
        let end = self.segments.iter().map(Segment::end).max().unwrap_or(0);
        Span::new(start & !(PAGE - 1), end.next_multiple_of(PAGE))
    }

    /// The addresses that it must have, if it cannot be loaded anywhere.
    pub fn fixed_extent(&self) -> Option<Span> {
        (!self.position_independent).then(|| self.extent())
    }

    /// Maps it: at its own addresses, or for a position-independent one at `preferred` if there is room (0: anywhere).
    pub fn map(&self, space: &AddressSpace, preferred: u64) -> Result<LoadedImage> {
        let extent = self.extent();
        let placement = match (self.position_independent, preferred) {
            (false, _) => Placement::FixedNoReplace(extent.start),
            (true, 0) => Placement::Aligned(self.alignment, None),
            (true, preferred) => Placement::Aligned(self.alignment, Some(preferred)),
        };
        // All of it is taken first, so that nothing else comes to lie between the segments.
        let base = space
            .map(MapRequest::anonymous(placement, extent.len(), Protection::NONE))
            .map_err(|error| if error == Errno::EEXIST { Errno::ENOMEM } else { error })?;
        let bias = base.wrapping_sub(extent.start);
        let mut covered = crate::mm::SpanSet::new();
        for segment in &self.segments {
            covered.insert(segment.map(space, &self.file, bias)?);
        }
        let whole = Span::new(base, base + extent.len());
        for hole in covered.missing(whole) {
            space.unmap(hole.start, hole.len())?;
        }
        let end = self.segments.iter().map(Segment::end).max().unwrap_or(0);
        Ok(LoadedImage {
            bias,
            entry: self.entry.wrapping_add(bias),
            program_headers: if self.program_headers == 0 {
                0
            } else {
                self.program_headers.wrapping_add(bias)
            },
            program_header_count: self.program_header_count,
            span: whole,
            end: end.wrapping_add(bias),
        })
    }
}

/// Where the program headers are in memory: PT_PHDR's word, else the segment that holds their file offset.
fn headers_address(header: &FileHeader, headers: &[ProgramHeader]) -> u64 {
    if let Some(entry) = headers.iter().find(|entry| entry.kind == PT_PHDR) {
        return entry.address;
    }
    let holds = |entry: &&ProgramHeader| {
        entry.kind == PT_LOAD
            && header
                .program_headers
                .checked_sub(entry.offset)
                .is_some_and(|distance| distance < entry.file_size)
    };
    headers
        .iter()
        .find(holds)
        .map_or(0, |entry| entry.address.wrapping_add(header.program_headers - entry.offset))
}

impl Segment {
    /// `EINVAL`, as Linux's mmap would say, for numbers that do not fit.
    fn check(entry: &ProgramHeader) -> Result<Segment> {
        const LIMIT: u64 = 1 << 47;
        let below = |value: u64, length: u64| value.checked_add(length).is_some_and(|end| end <= LIMIT);
        let good = below(entry.address, entry.memory_size)
            && below(entry.offset, entry.file_size)
            && entry.file_size <= entry.memory_size
            && entry.address % PAGE == entry.offset % PAGE;
        if !good {
            return Err(Errno::EINVAL);
        }
        Ok(Segment {
            address: entry.address,
            offset: entry.offset,
            file_size: entry.file_size,
            memory_size: entry.memory_size,
            protection: Protection {
                read: entry.flags & PF_R != 0,
                write: entry.flags & PF_W != 0,
                execute: entry.flags & PF_X != 0,
            },
            writable: entry.flags & PF_W != 0,
        })
    }

    fn end(&self) -> u64 {
        self.address + self.memory_size
    }

    /// Maps the file's part, zeros its last page's rest, and adds pages of zeros; returns the pages it covers.
    fn map(&self, space: &AddressSpace, file: &Arc<dyn Mappable>, bias: u64) -> Result<Span> {
        let address = self.address.wrapping_add(bias);
        let start = address & !(PAGE - 1);
        let data_end = address + self.file_size;
        let file_pages = if self.file_size == 0 { start } else { data_end.next_multiple_of(PAGE) };
        let end = (address + self.memory_size).next_multiple_of(PAGE);
        if file_pages > start {
            let offset = self.offset - (address - start);
            let length = file_pages - start;
            let place = Placement::Fixed(start);
            space.map(MapRequest::private_file(place, length, self.protection, file.clone(), offset))?;
            if self.memory_size > self.file_size && self.writable {
                space.write_zeros(Span::new(data_end, file_pages))?;
            }
        }
        if end > file_pages {
            let place = Placement::Fixed(file_pages);
            space.map(MapRequest::anonymous(place, end - file_pages, self.protection))?;
        }
        Ok(Span::new(start, end))
    }
}
