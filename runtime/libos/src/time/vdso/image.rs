//! The vDSO's ELF image: one page, one loadable segment, the tables by which C libraries and Go find functions.
//!
//! Source: System V ABI (gABI) chapters 4 and 5; Linux's vdso(7) for soname and symbol version.

use alloc::vec;
use alloc::vec::Vec;

use casemate_platform::vdso::{CODE_OFFSET, Function};

use crate::mm::PAGE;

const SONAME: &str = "linux-vdso.so.1";
const VERSION: &str = "LINUX_2.6";
const HEADER_SIZE: u64 = 64;
const PROGRAM_HEADER_SIZE: u64 = 56;
const SYMBOL_SIZE: u64 = 24;
const DYNAMIC_COUNT: u64 = 10;

/// Version indices: the object itself, and its one version.
const BASE_INDEX: u16 = 1;
const VERSION_INDEX: u16 = 2;

/// Bytes in the making, little-endian.
struct Image(Vec<u8>);

impl Image {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }
    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    fn align(&mut self) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        self.0.len() as u64
    }
}

/// The hash of names in DT_HASH and in version definitions.
fn elf_hash(name: &str) -> u32 {
    name.bytes().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// Strings of the dynamic section, and where each begins.
struct Strings {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
}

impl Strings {
    fn new<'a>(all: impl Iterator<Item = &'a str>) -> Strings {
        let mut strings = Strings { bytes: vec![0], offsets: Vec::new() };
        for text in all {
            strings.offsets.push(strings.bytes.len() as u32);
            strings.bytes.extend_from_slice(text.as_bytes());
            strings.bytes.push(0);
        }
        strings
    }
}

/// The image: at most a page, to be filled up with zeros. `None` when code or tables are too large for it.
pub fn build(code: &[u8], functions: &[Function]) -> Option<Vec<u8>> {
    let strings = Strings::new([SONAME, VERSION].into_iter().chain(functions.iter().map(|f| f.name)));
    let mut image = Image(vec![0; (HEADER_SIZE + 2 * PROGRAM_HEADER_SIZE) as usize]);

    let hash = image.align();
    put_hash(&mut image, functions);
    let symbols = image.align();
    put_symbols(&mut image, functions, &strings);
    let names = image.align();
    image.put(&strings.bytes);
    let versions = image.align();
    image.u16(0);
    functions.iter().for_each(|_| image.u16(VERSION_INDEX));
    let definitions = image.align();
    put_definition(&mut image, BASE_INDEX, SONAME, strings.offsets[0], true);
    put_definition(&mut image, VERSION_INDEX, VERSION, strings.offsets[1], false);
    let dynamic = image.align();
    let entries: [[u64; 2]; DYNAMIC_COUNT as usize] = [
        [14, strings.offsets[0].into()],  // DT_SONAME
        [4, hash],                        // DT_HASH
        [5, names],                       // DT_STRTAB
        [6, symbols],                     // DT_SYMTAB
        [10, strings.bytes.len() as u64], // DT_STRSZ
        [11, SYMBOL_SIZE],                // DT_SYMENT
        [0x6fff_fff0, versions],          // DT_VERSYM
        [0x6fff_fffc, definitions],       // DT_VERDEF
        [0x6fff_fffd, 2],                 // DT_VERDEFNUM
        [0, 0],                           // DT_NULL
    ];
    entries.iter().flatten().for_each(|&word| image.u64(word));
    if image.0.len() as u64 > CODE_OFFSET || CODE_OFFSET + code.len() as u64 > PAGE {
        return None;
    }
    image.0.resize(CODE_OFFSET as usize, 0);
    image.put(code);
    let size = image.0.len() as u64;
    let headers = headers(size, dynamic);
    image.0[..headers.len()].copy_from_slice(&headers);
    Some(image.0)
}

fn headers(size: u64, dynamic: u64) -> Vec<u8> {
    const SHARED_OBJECT: u16 = 3;
    const X86_64: u16 = 62;
    let mut out = Image(Vec::new());
    out.put(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    out.u16(SHARED_OBJECT);
    out.u16(X86_64);
    out.u32(1);
    // Entry, program headers, no section headers.
    [0, HEADER_SIZE, 0].into_iter().for_each(|word| out.u64(word));
    out.u32(0);
    [HEADER_SIZE as u16, PROGRAM_HEADER_SIZE as u16, 2, 0, 0, 0].into_iter().for_each(|half| out.u16(half));
    let mut segment = |kind: u32, rights: u32, start: u64, length: u64, alignment: u64| {
        out.u32(kind);
        out.u32(rights);
        [start, start, start, length, length, alignment].into_iter().for_each(|word| out.u64(word));
    };
    // PT_LOAD, read and execute; PT_DYNAMIC, read.
    segment(1, 5, 0, size, PAGE);
    segment(2, 4, dynamic, DYNAMIC_COUNT * 16, 8);
    out.0
}

/// DT_HASH with as many buckets as functions.
fn put_hash(image: &mut Image, functions: &[Function]) {
    let count = functions.len();
    let (mut buckets, mut chains) = (vec![0u32; count], vec![0u32; count + 1]);
    for (index, function) in functions.iter().enumerate() {
        let bucket = elf_hash(function.name) as usize % count;
        chains[index + 1] = core::mem::replace(&mut buckets[bucket], index as u32 + 1);
    }
    image.u32(buckets.len() as u32);
    image.u32(chains.len() as u32);
    buckets.iter().chain(&chains).for_each(|&word| image.u32(word));
}

fn put_symbols(image: &mut Image, functions: &[Function], strings: &Strings) {
    const GLOBAL_FUNCTION: u8 = 1 << 4 | 2;
    // Any section but none: there are no section headers.
    const DEFINED: u16 = 1;
    image.put(&[0; SYMBOL_SIZE as usize]);
    for (function, &name) in functions.iter().zip(&strings.offsets[2..]) {
        image.u32(name);
        image.put(&[GLOBAL_FUNCTION, 0]);
        image.u16(DEFINED);
        image.u64(CODE_OFFSET + u64::from(function.start));
        image.u64(function.size.into());
    }
}

fn put_definition(image: &mut Image, index: u16, name: &str, name_offset: u32, is_base: bool) {
    const DEFINITION_SIZE: u32 = 20;
    const WITH_NAME: u32 = DEFINITION_SIZE + 8;
    // Version of the format, VER_FLG_BASE, index, names
    [1, u16::from(is_base), index, 1].into_iter().for_each(|half| image.u16(half));
    image.u32(elf_hash(name));
    image.u32(DEFINITION_SIZE);
    image.u32(if is_base { WITH_NAME } else { 0 });
    image.u32(name_offset);
    image.u32(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_platform::vdso;

    fn word(image: &[u8], at: u64) -> u64 {
        u64::from_le_bytes(image[at as usize..at as usize + 8].try_into().unwrap())
    }

    fn half(image: &[u8], at: u64) -> u32 {
        u32::from_le_bytes(image[at as usize..at as usize + 4].try_into().unwrap())
    }

    /// Looks a function up as musl and Go do: through the hash table, checking the version.
    fn find(image: &[u8], name: &str) -> Option<u64> {
        let dynamic = word(image, HEADER_SIZE + PROGRAM_HEADER_SIZE + 16);
        let entry = |key: u64| {
            (0..DYNAMIC_COUNT)
                .map(|n| dynamic + n * 16)
                .find(|&at| word(image, at) == key)
                .map(|at| word(image, at + 8))
        };
        let (hash, names, symbols, versions) = (entry(4)?, entry(5)?, entry(6)?, entry(0x6fff_fff0)?);
        let text = |at: u64| {
            let bytes = &image[(names + at) as usize..];
            core::str::from_utf8(&bytes[..bytes.iter().position(|&byte| byte == 0)?]).ok()
        };
        let buckets = half(image, hash);
        let mut symbol = half(image, hash + 8 + u64::from(elf_hash(name) % buckets) * 4);
        while symbol != 0 {
            let at = symbols + u64::from(symbol) * SYMBOL_SIZE;
            if text(half(image, at).into()) == Some(name) {
                let version = half(image, versions + u64::from(symbol) * 2) as u16;
                let second = entry(0x6fff_fffc)? + 28;
                assert_eq!((half(image, second + 4) as u16, version), (VERSION_INDEX, VERSION_INDEX));
                assert_eq!(text(half(image, second + 20).into()), Some(VERSION));
                return Some(word(image, at + 8));
            }
            symbol = half(image, hash + 8 + u64::from(buckets + symbol) * 4);
        }
        None
    }

    #[test]
    fn functions_are_found_by_name_and_version() {
        let image = build(vdso::code(), &vdso::functions()).unwrap();
        assert!(image.len() as u64 <= PAGE);
        for function in vdso::functions() {
            assert_eq!(find(&image, function.name), Some(CODE_OFFSET + u64::from(function.start)));
        }
        assert_eq!(find(&image, "__vdso_nothing"), None);
        // The version's hash is a constant in Go's runtime.
        assert_eq!(elf_hash(VERSION), 0x03ae_75f6);
    }

    #[test]
    fn the_tools_for_elf_files_accept_it() {
        let image = build(vdso::code(), &vdso::functions()).unwrap();
        let path = std::env::temp_dir().join(format!("casemate-vdso-{}.so", std::process::id()));
        std::fs::write(&path, &image).unwrap();
        let run =
            std::process::Command::new("readelf").args(["-W", "-l", "-d", "-D", "-s"]).arg(&path).output();
        std::fs::remove_file(&path).unwrap();
        let Ok(output) = run else { return };
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("[linux-vdso.so.1]") && text.contains("__vdso_gettimeofday"), "{text}");
    }
}
