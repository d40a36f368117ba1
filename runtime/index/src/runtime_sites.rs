//! Finding system-call sites in code that no survey has seen: files from host volumes, code made at run time.
//!
//! Raw `0F 05` bytes are mostly data or operands, so only patterns count that nothing but code contains:
//! `mov eax, imm32; syscall` and `mov rax, imm32; syscall` with a number below 0x400, and `syscall; cmp rax, -4095` (or
//! `-4096`), which is how every libc tests for an error.

use crate::site::{MAX_CODE, Site, SiteKind};

/// Highest system-call number, exclusive, that a pattern may load.
const MAX_NUMBER: u32 = 0x400;
/// `rt_sigreturn`: unwinders recognise its restorer by its bytes, which therefore stay.
pub(crate) const RT_SIGRETURN: u32 = 15;

/// The sites in `code`, in order, none overlapping another; their offsets count from its start.
pub fn find_runtime_sites(code: &[u8]) -> RuntimeSites<'_> {
    RuntimeSites { code, position: 0, patched_to: 0 }
}

/// Iterator of [`find_runtime_sites`].
#[derive(Clone, Debug)]
pub struct RuntimeSites<'a> {
    code: &'a [u8],
    /// Where the search goes on.
    position: usize,
    /// End of the last site's code; the next must not begin before it.
    patched_to: usize,
}

impl Iterator for RuntimeSites<'_> {
    type Item = Site;

    fn next(&mut self) -> Option<Site> {
        while let Some(hit) = next_hit(self.code, self.position) {
            self.position = hit + 2;
            if u32::try_from(hit + MAX_CODE).is_err() {
                return None; // offsets are 32 bits wide
            }
            if let Some(site) = strict_site(self.code, hit)
                && site.offset() as usize >= self.patched_to
                && !may_be_an_operand(self.code, &site)
            {
                self.patched_to = site.offset() as usize + site.code_length();
                return Some(site);
            }
        }
        None
    }
}

/// The site that the bytes around the `0F 05` at `hit` make certain.
pub(crate) fn strict_site(code: &[u8], hit: usize) -> Option<Site> {
    let (head, tail) = (&code[..hit], &code[hit + 2..]);
    match loaded_number(head) {
        Some((RT_SIGRETURN, _)) => None,
        Some((_, length)) => Site::intact(u32::try_from(hit - length).ok()?, length as u8),
        None if head.last().is_some_and(|byte| is_legacy_prefix(*byte)) => None,
        None if tail.starts_with(&[0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff])
            || tail.starts_with(&[0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff]) =>
        {
            Site::covered(u32::try_from(hit).ok()?, 0, 8)
        }
        None => None,
    }
}

/// The number that a `mov eax, imm32` or `mov rax, imm32` at the end of `head` loads, and that instruction's length.
pub(crate) fn loaded_number(head: &[u8]) -> Option<(u32, usize)> {
    let (head, number) = head.split_last_chunk::<4>()?;
    let number = u32::from_le_bytes(*number);
    let (head, length) = match head.strip_suffix(&[0x48, 0xc7, 0xc0]) {
        Some(head) => (head, 7),
        None => (head.strip_suffix(&[0xb8])?, 5),
    };
    // With a prefix it is another instruction: 41 B8 loads r8d.
    let prefixed = head.last().is_some_and(|byte| matches!(byte, 0x40..=0x4f) || is_legacy_prefix(*byte));
    (number < MAX_NUMBER && !prefixed).then_some((number, length))
}

fn is_legacy_prefix(byte: u8) -> bool {
    matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
}

/// Whether the `B8` of a short `mov` may be the ModRM byte of a longer instruction with a 32-bit displacement, such as
/// `vmovdqu ymm15, [r8 + 0x1e0]`: the bytes alone cannot tell, so such a site is left to trap.
fn may_be_an_operand(code: &[u8], site: &Site) -> bool {
    if site.kind() != SiteKind::Intact || site.patch_length() != 5 {
        return false;
    }
    let before = |distance: usize| (site.offset() as usize).checked_sub(distance).map(|at| code[at]);
    // VEX and EVEX prefixes, 0F maps, and one-byte opcodes that take a ModRM byte.
    let takes_operand = |opcode: u8| {
        matches!(opcode, 0x00..=0x3f if opcode & 7 < 4)
            || matches!(opcode, 0x62 | 0x63 | 0x69 | 0x6b | 0x80..=0x8f | 0xc0 | 0xc1 | 0xc6 | 0xc7 | 0xd0..=0xd3)
            || matches!(opcode, 0xd8..=0xdf | 0xf6 | 0xf7 | 0xfe | 0xff)
    };
    before(1).is_some_and(takes_operand)
        || before(2) == Some(0x0f)
        || before(3).is_some_and(|byte| matches!(byte, 0x0f | 0xc5))
        || before(4) == Some(0xc4)
        || before(5) == Some(0x62)
}

/// Offset of the next `0F 05` at or after `from`. Looks for the rarer byte, 05, in chunks that vectorise.
pub(crate) fn next_hit(code: &[u8], from: usize) -> Option<usize> {
    const CHUNK: usize = 64;
    let mut start = from + 1; // of the second byte
    while start < code.len() {
        let chunk = &code[start..code.len().min(start + CHUNK)];
        let any = chunk.iter().fold(false, |any, &byte| any | (byte == 0x05));
        if any {
            let at = |i: &usize| code[*i] == 0x05 && code[*i - 1] == 0x0f;
            if let Some(second) = (start..start + chunk.len()).find(at) {
                return Some(second - 1);
            }
        }
        start += CHUNK;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &[u8]) -> Vec<(u32, SiteKind, usize)> {
        find_runtime_sites(code).map(|site| (site.offset(), site.kind(), site.patch_length())).collect()
    }

    #[test]
    fn strict_patterns_are_found_wherever_they_stand() {
        for padding in [0, 1, 62, 63, 64, 65, 200] {
            let mut code = vec![0x90; padding];
            code.extend_from_slice(&[0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3]);
            assert_eq!(found(&code), [(padding as u32, SiteKind::Intact, 5)]);
            code.extend_from_slice(&[0x48, 0xc7, 0xc0, 1, 0, 0, 0, 0x0f, 0x05]);
            code.extend_from_slice(&[0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff]);
            let at = padding as u32;
            assert_eq!(found(&code)[1..], [(at + 8, SiteKind::Intact, 7), (at + 17, SiteKind::Covered, 8)]);
        }
    }

    #[test]
    fn the_restorer_and_bare_bytes_are_left_alone() {
        assert_eq!(found(&[0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05]), []);
        assert_eq!(found(&[0xb8, 15, 0, 0, 0, 0x0f, 0x05]), []);
        assert_eq!(found(&[0xb8, 0, 4, 0, 0, 0x0f, 0x05]), [], "no such system call");
        assert_eq!(found(&[0x41, 0xb8, 5, 0, 0, 0, 0x0f, 0x05]), [], "this loads r8d");
        assert_eq!(found(&[0x66, 0x48, 0xc7, 0xc0, 5, 0, 0, 0, 0x0f, 0x05]), []);
        assert_eq!(found(&[0x0f, 0x05]), []);
        assert_eq!(found(&[0x05]), []);
        assert_eq!(found(&[]), []);
    }

    #[test]
    fn the_end_of_a_longer_instruction_is_no_site() {
        // vmovdqu ymm15, [r8 + 0x1e0]; mov edi, [rax + 0x1e0]; movzx edi, byte [rax + 0x1e0]
        assert_eq!(found(&[0xc4, 0x41, 0x7e, 0x6f, 0xb8, 0xe0, 1, 0, 0, 0x0f, 0x05]), []);
        assert_eq!(found(&[0x8b, 0xb8, 0xe0, 1, 0, 0, 0x0f, 0x05]), []);
        assert_eq!(found(&[0x0f, 0xb6, 0xb8, 0xe0, 1, 0, 0, 0x0f, 0x05]), []);
    }

    #[test]
    fn sites_never_overlap() {
        let code = [0xb8, 1, 0, 0, 0, 0x0f, 0x05, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff];
        assert_eq!(found(&code), [(0, SiteKind::Intact, 5)]);
    }
}
