//! The enclave image's ELF file: a static PIE, read for its segments and its entry.

use object::LittleEndian;
use object::elf::{EM_X86_64, ET_DYN, FileHeader64, PF_R, PF_W, PF_X, PT_INTERP, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::sys::PAGE;

/// Most segments that an image may have.
const SEGMENT_LIMIT: usize = 16;
/// Largest image accepted.
const IMAGE_LIMIT: u64 = 1 << 32;

/// One part of the image to map. Addresses are relative to the image's base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// First byte.
    pub address: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Where its bytes begin in the file.
    pub file_offset: u64,
    /// Bytes in the file; the rest of the memory is zero.
    pub file_size: u64,
    /// PROT_* bits.
    pub protection: u32,
}

/// An image that can be mapped.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    segments: [Segment; SEGMENT_LIMIT],
    count: usize,
    /// Entry point, relative to the base.
    pub entry: u64,
    /// Bytes from the base to the end of the last segment.
    pub size: u64,
}

impl Image {
    /// The segments, in address order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments[..self.count]
    }

    /// Reads an image's headers; the error says what is wrong.
    pub fn parse(file: &[u8]) -> Result<Image, &'static str> {
        let header = FileHeader64::<LittleEndian>::parse(file).map_err(|_| "it is no 64-bit ELF file")?;
        let endian = header.endian().map_err(|_| "it is no little-endian ELF file")?;
        if header.e_machine(endian) != EM_X86_64 || header.e_type(endian) != ET_DYN {
            return Err("it is no position-independent x86-64 program");
        }
        let headers = header.program_headers(endian, file).map_err(|_| "its program headers are cut off")?;
        let mut image =
            Image { segments: Default::default(), count: 0, entry: header.e_entry(endian), size: 0 };
        for header in headers {
            match header.p_type(endian) {
                PT_INTERP => return Err("it wants a dynamic linker"),
                PT_LOAD => image.add(segment(header, endian, file.len() as u64)?)?,
                _ => {}
            }
        }
        let executable = |part: &Segment| {
            part.protection & PF_PROT_EXECUTE != 0
                && (part.address..part.address + part.memory_size).contains(&image.entry)
        };
        if !image.segments().iter().any(executable) {
            return Err("its entry point lies outside its code");
        }
        Ok(image)
    }

    fn add(&mut self, segment: Segment) -> Result<(), &'static str> {
        if self.count == SEGMENT_LIMIT {
            return Err("it has too many segments");
        }
        if segment.address / PAGE * PAGE < self.size.next_multiple_of(PAGE) {
            return Err("its segments overlap");
        }
        self.segments[self.count] = segment;
        self.count += 1;
        self.size = segment.address + segment.memory_size;
        Ok(())
    }
}

const PF_PROT_EXECUTE: u32 = linux_raw_sys::general::PROT_EXEC;

fn segment(
    header: &object::elf::ProgramHeader64<LittleEndian>,
    endian: LittleEndian,
    file_length: u64,
) -> Result<Segment, &'static str> {
    use linux_raw_sys::general::{PROT_EXEC, PROT_READ, PROT_WRITE};
    let flags = header.p_flags(endian);
    let right = |flag, protection| if flags & flag != 0 { protection } else { 0 };
    let segment = Segment {
        address: header.p_vaddr(endian),
        memory_size: header.p_memsz(endian),
        file_offset: header.p_offset(endian),
        file_size: header.p_filesz(endian),
        protection: right(PF_R, PROT_READ) | right(PF_W, PROT_WRITE) | right(PF_X, PROT_EXEC),
    };
    let in_file = segment.file_offset.checked_add(segment.file_size).is_some_and(|end| end <= file_length);
    let in_memory = segment.address.checked_add(segment.memory_size).is_some_and(|end| end <= IMAGE_LIMIT);
    if !in_file || !in_memory || segment.memory_size == 0 || segment.file_size > segment.memory_size {
        return Err("a segment is cut off or too large");
    }
    if segment.address % PAGE != segment.file_offset % PAGE {
        return Err("a segment is not aligned to pages");
    }
    if segment.memory_size > segment.file_size && segment.protection & PROT_WRITE == 0 {
        return Err("a segment to be filled with zeros is not writable");
    }
    Ok(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minimal static PIE: code at 0x1000, data with zero fill at 0x2000.
    fn sample() -> Vec<u8> {
        let mut file = vec![0u8; 0x2100];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &[3, 0, 62, 0, 1, 0, 0, 0]);
        put(24, &0x1010u64.to_le_bytes());
        put(32, &64u64.to_le_bytes());
        put(52, &[64, 0, 56, 0, 2, 0]);
        let mut header = |at: usize, flags: u32, values: [u64; 6]| {
            put(at, &1u32.to_le_bytes());
            put(at + 4, &flags.to_le_bytes());
            for (index, value) in values.iter().enumerate() {
                put(at + 8 + index * 8, &value.to_le_bytes());
            }
        };
        header(64, 5, [0x1000, 0x1000, 0x1000, 0x800, 0x800, 4096]);
        header(120, 6, [0x2000, 0x2000, 0x2000, 0x100, 0x5000, 4096]);
        file
    }

    #[test]
    fn reads_segments_and_entry() {
        let image = Image::parse(&sample()).unwrap();
        assert_eq!((image.entry, image.size, image.segments().len()), (0x1010, 0x7000, 2));
        assert_eq!(image.segments()[0].protection, 5);
        assert_eq!(image.segments()[1].protection, 3);
        assert_eq!(image.segments()[1].memory_size, 0x5000);
    }

    #[test]
    fn refuses_what_cannot_be_mapped() {
        let cases: [(usize, &[u8], &str); 8] = [
            (0, b"x", "no 64-bit ELF"),
            (16, &[2], "position-independent"),
            (18, &[3], "position-independent"),
            (24, &[0, 0x20], "entry point"),
            (64 + 32, &[0xff, 0xff, 0xff], "cut off"),
            (64 + 16, &[1], "aligned"),
            (120, &[3], ""),
            (120 + 16, &[0, 0x10], "overlap"),
        ];
        for (at, bytes, reason) in cases {
            let mut file = sample();
            file[at..at + bytes.len()].copy_from_slice(bytes);
            match Image::parse(&file) {
                Err(refusal) => assert!(refusal.contains(reason) || reason.is_empty(), "{at}: {refusal}"),
                Ok(_) => panic!("byte {at} changed and still accepted"),
            }
        }
    }

    #[test]
    fn no_prefix_and_no_changed_byte_makes_it_panic() {
        let file = sample();
        for length in 0..200 {
            let _ = Image::parse(&file[..length]);
        }
        for at in 0..176 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] = value;
                let _ = Image::parse(&changed);
            }
        }
    }
}
