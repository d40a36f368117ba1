//! What the survey wants to know of an ELF file: its code, and where functions begin.

use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _, Rela as _, SectionHeader as _, Sym as _};
use object::{LittleEndian, ReadRef as _};

use super::held::HeldBytes;

type Header = FileHeader64<LittleEndian>;
const ENDIAN: LittleEndian = LittleEndian;

/// A run of machine code.
pub(crate) struct Code<'a> {
    /// Virtual address of the first byte.
    pub address: u64,
    /// Its place in the file.
    pub offset: u64,
    pub bytes: &'a [u8],
}

impl Code<'_> {
    pub fn end(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }
}

/// A program or library.
pub(crate) struct Image<'a> {
    /// By address; disjoint in addresses and in the file.
    pub code: Vec<Code<'a>>,
    /// Where functions begin, by symbols, unwind tables and the entry point; sorted.
    pub functions: Vec<u64>,
    /// The loaded segments: address, and bytes as far as they are held.
    pub segments: Vec<(u64, &'a [u8])>,
    /// Whether all of the file is here.
    pub is_whole: bool,
}

/// Whether a file that begins so may be an x86-64 ELF program or library. Short heads get the benefit of the doubt.
pub(crate) fn may_be_program(head: &[u8]) -> bool {
    let same = |offset: usize, wanted: &[u8]| {
        head.get(offset..).is_none_or(|head| head.iter().zip(wanted).all(|(one, other)| one == other))
    };
    // Magic, 64-bit, little-endian; type EXEC or DYN; machine x86-64.
    same(0, b"\x7fELF\x02\x01") && (same(16, &[2, 0]) || same(16, &[3, 0])) && same(18, &[62, 0])
}

/// Offset and length of the parts of the file that the survey needs; `None` when that would be too much, or there is no
/// code.
pub(crate) fn parts_to_hold(head: &[u8], size: u64, limit: u64) -> Option<Vec<(u64, u64)>> {
    let header = Header::parse(head).ok()?;
    if size <= limit {
        return Some(vec![(0, size)]);
    }
    let table = (header.e_shoff.get(ENDIAN), u64::from(header.e_shnum.get(ENDIAN)) * 64);
    let mut wanted = vec![(0, head.len() as u64), table];
    for segment in header.program_headers(ENDIAN, head).ok()? {
        if is_code(segment) {
            wanted.push(segment.file_range(ENDIAN));
        }
    }
    wanted.sort_unstable();
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for (offset, length) in wanted {
        let end = offset.checked_add(length).filter(|&end| end <= size)?;
        match parts.last_mut() {
            Some((last, length)) if offset <= *last + *length => *length = (*length).max(end - *last),
            _ => parts.push((offset, length)),
        }
    }
    let total: u64 = parts.iter().map(|(_, length)| length).sum();
    (total <= limit).then_some(parts)
}

fn is_code(segment: &ProgramHeader64<LittleEndian>) -> bool {
    segment.p_type(ENDIAN) == elf::PT_LOAD && segment.p_flags(ENDIAN).contains(elf::PF_X)
}

impl<'a> Image<'a> {
    /// `None` for a file that is no x86-64 program or library, or is too damaged to be loaded.
    pub fn parse(held: &'a HeldBytes) -> Option<Self> {
        let header = Header::parse(held).ok()?;
        let loaded = header.program_headers(ENDIAN, held).ok()?;
        let mut image = Self {
            code: code_of(header, loaded, held),
            functions: vec![header.e_entry.get(ENDIAN)],
            segments: Vec::new(),
            is_whole: held.is_whole(),
        };
        for segment in loaded {
            if segment.p_type(ENDIAN) == elf::PT_LOAD
                && let Ok(bytes) = segment.data(ENDIAN, held)
            {
                image.segments.push((segment.p_vaddr(ENDIAN), bytes));
            }
            if segment.p_type(ENDIAN) == elf::PT_GNU_EH_FRAME
                && let Ok(bytes) = segment.data(ENDIAN, held)
            {
                add_unwind_table(&mut image.functions, segment.p_vaddr(ENDIAN), bytes);
            }
        }
        add_symbols(&mut image.functions, header, held);
        image.add_relocated_pointers(header, held);
        image.functions.sort_unstable();
        image.functions.dedup();
        Some(image)
    }

    /// The run of code that holds `address`.
    pub fn code_at(&self, address: u64) -> Option<usize> {
        let after = self.code.partition_point(|code| code.address <= address);
        after.checked_sub(1).filter(|&i| address < self.code[i].end())
    }
}

impl Image<'_> {
    /// Pointers to code that the dynamic loader relocates: functions that only tables name, labels of computed jumps.
    fn add_relocated_pointers(&mut self, header: &Header, held: &HeldBytes) {
        let mut pointers = Vec::new();
        for section in header.section_headers(ENDIAN, held).unwrap_or_default() {
            if let Ok(Some((relocations, _))) = section.rela(ENDIAN, held) {
                let local = relocations.iter().filter(|relocation| {
                    matches!(
                        relocation.r_type(ENDIAN, false),
                        elf::R_X86_64_RELATIVE | elf::R_X86_64_IRELATIVE
                    )
                });
                pointers.extend(local.map(|relocation| relocation.r_addend(ENDIAN) as u64));
            }
            if let Ok(Some(places)) = section.relr(ENDIAN, held) {
                pointers.extend(places.filter_map(|place| self.word_at(place)));
            }
        }
        pointers.retain(|&pointer| self.code_at(pointer).is_some());
        self.functions.append(&mut pointers);
    }

    /// The 8-byte word at an address of the loaded segments.
    fn word_at(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|(start, bytes)| {
            let at = usize::try_from(address.checked_sub(*start)?).ok()?;
            Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
        })
    }
}

/// The executable sections that lie in executable segments; without sections, those segments.
fn code_of<'a>(
    header: &'a Header,
    loaded: &[ProgramHeader64<LittleEndian>],
    held: &'a HeldBytes,
) -> Vec<Code<'a>> {
    let segments: Vec<Code<'a>> = loaded
        .iter()
        .filter(|segment| is_code(segment))
        .filter_map(|segment| code(segment.p_vaddr(ENDIAN), segment.file_range(ENDIAN), held))
        .collect();
    let is_loaded = |code: &Code<'_>| {
        segments.iter().any(|segment| {
            let skipped = code.address.wrapping_sub(segment.address);
            code.address >= segment.address
                && code.end() <= segment.end()
                && segment.offset + skipped == code.offset
        })
    };
    let sections = header.section_headers(ENDIAN, held).unwrap_or_default();
    let sections: Vec<Code<'a>> = sections
        .iter()
        .filter(|section| section.sh_flags(ENDIAN).contains(elf::SHF_EXECINSTR))
        .filter_map(|section| code(section.sh_addr(ENDIAN), section.file_range(ENDIAN)?, held))
        .filter(is_loaded)
        .collect();
    let mut chosen = if sections.is_empty() { segments } else { sections };
    // Hostile files may let runs overlap; keep the first.
    chosen.sort_by_key(|code| code.address);
    chosen.dedup_by(|next, previous| next.address < previous.end());
    let mut places: Vec<(u64, u64)> =
        chosen.iter().map(|code| (code.offset, code.bytes.len() as u64)).collect();
    places.sort_unstable();
    if places.is_sorted_by(|one, next| one.0 + one.1 <= next.0) { chosen } else { Vec::new() }
}

fn code<'a>(address: u64, (offset, length): (u64, u64), held: &'a HeldBytes) -> Option<Code<'a>> {
    let bytes = held.read_bytes_at(offset, length).ok()?;
    // Room above, so that adding a short distance to an address never wraps.
    let in_range = address.checked_add(length)?.checked_add(1 << 32).is_some();
    (in_range && !bytes.is_empty()).then_some(Code { address, offset, bytes })
}

/// Function starts in `.eh_frame_hdr`, in the one encoding that linkers write.
fn add_unwind_table(functions: &mut Vec<u64>, address: u64, bytes: &[u8]) {
    // Version 1; pointer to .eh_frame: sdata4, pc-relative; count: udata4; table: sdata4, relative to this header.
    let Some(([1, 0x1b, 0x03, 0x3b, _, _, _, _, c0, c1, c2, c3], table)) = bytes.split_first_chunk() else {
        return;
    };
    let count = u32::from_le_bytes([*c0, *c1, *c2, *c3]) as usize;
    for [f0, f1, f2, f3, _, _, _, _] in table.as_chunks::<8>().0.iter().take(count) {
        let distance = i32::from_le_bytes([*f0, *f1, *f2, *f3]);
        functions.push(address.wrapping_add_signed(distance.into()));
    }
}

fn add_symbols(functions: &mut Vec<u64>, header: &Header, held: &HeldBytes) {
    let Ok(sections) = header.sections(ENDIAN, held) else { return };
    for table in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
        let Ok(symbols) = sections.symbols(ENDIAN, held, table) else { continue };
        for symbol in symbols.iter() {
            let is_function = matches!(symbol.st_type(), elf::STT_FUNC | elf::STT_GNU_IFUNC);
            if is_function && symbol.st_shndx(ENDIAN) != elf::SHN_UNDEF {
                functions.push(symbol.st_value(ENDIAN));
            }
        }
    }
}
