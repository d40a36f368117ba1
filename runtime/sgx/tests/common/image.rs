//! A small enclave image, made byte by byte: text, read-only data, and data with BSS.

/// (flags, address, memory size, file bytes) of a segment.
pub type Part<'a> = (u32, u64, u64, &'a [u8]);

/// An ELF file with these segments, each at the file offset equal to its address.
pub fn elf(entry: u64, parts: &[Part<'_>]) -> Vec<u8> {
    let mut file = vec![0; 64 + 56 * parts.len()];
    file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    put(&mut file, 16, &3u16.to_le_bytes());
    put(&mut file, 18, &62u16.to_le_bytes());
    put(&mut file, 20, &1u32.to_le_bytes());
    put(&mut file, 24, &entry.to_le_bytes());
    put(&mut file, 32, &64u64.to_le_bytes());
    put(&mut file, 54, &56u16.to_le_bytes());
    put(&mut file, 56, &(parts.len() as u16).to_le_bytes());
    for (index, (flags, address, memory_size, bytes)) in parts.iter().enumerate() {
        let at = 64 + 56 * index;
        put(&mut file, at, &1u32.to_le_bytes());
        put(&mut file, at + 4, &flags.to_le_bytes());
        for (position, value) in
            [*address, *address, 0, bytes.len() as u64, *memory_size, 4096].iter().enumerate()
        {
            put(&mut file, at + 8 + 8 * position, &value.to_le_bytes());
        }
        let end = *address as usize + bytes.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        put(&mut file, *address as usize, bytes);
    }
    file
}

/// Two pages of text (entry in the first), a bit of data at an odd address, and three pages of BSS.
pub fn sample() -> Vec<u8> {
    let text: Vec<u8> = (0..5000u32).map(|i| (i % 251) as u8).collect();
    elf(0x1010, &[(4, 0x400, 64, &[1; 64]), (5, 0x1000, 5000, &text), (6, 0x3fc0, 0x3000, &[7; 0x60])])
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}
