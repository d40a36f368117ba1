//! The initial stack of a program: strings, argument and environment vectors, auxiliary vector, laid out exactly as
//! Linux does (fs/exec.c and create_elf_tables in fs/binfmt_elf.c).

use alloc::vec::Vec;

use crate::errno::{Errno, Result};
use crate::mm::Span;

/// Keys of the auxiliary vector (include/uapi/linux/auxvec.h).
#[allow(missing_docs)]
pub mod key {
    pub const IGNORE: u64 = 1;
    pub const PHDR: u64 = 3;
    pub const PHENT: u64 = 4;
    pub const PHNUM: u64 = 5;
    pub const PAGESZ: u64 = 6;
    pub const BASE: u64 = 7;
    pub const FLAGS: u64 = 8;
    pub const ENTRY: u64 = 9;
    pub const UID: u64 = 11;
    pub const EUID: u64 = 12;
    pub const GID: u64 = 13;
    pub const EGID: u64 = 14;
    pub const PLATFORM: u64 = 15;
    pub const HWCAP: u64 = 16;
    pub const CLKTCK: u64 = 17;
    pub const SECURE: u64 = 23;
    pub const RANDOM: u64 = 25;
    pub const HWCAP2: u64 = 26;
    pub const EXECFN: u64 = 31;
    pub const SYSINFO_EHDR: u64 = 33;
    pub const MINSIGSTKSZ: u64 = 51;
}

/// Longest single string with its NUL (MAX_ARG_STRLEN).
const STRING_LIMIT: usize = 131_072;
const PLATFORM: &[u8] = b"x86_64\0";

/// A stack that is ready to be copied to memory.
pub struct InitialStack {
    /// Where the program finds `argc`; 16-byte aligned.
    pub stack_pointer: u64,
    /// Bytes from the stack pointer up to the top.
    pub bytes: Vec<u8>,
    /// The argument strings.
    pub arguments: Span,
    /// The environment strings.
    pub environment: Span,
    /// The auxiliary vector as words, with its end mark, for /proc/self/auxv.
    pub auxiliary: Vec<[u64; 2]>,
}

/// What goes onto the stack.
pub struct StackContents<'a> {
    /// argv; an empty one becomes `[""]`, as on Linux.
    pub arguments: &'a [Vec<u8>],
    /// envp.
    pub environment: &'a [Vec<u8>],
    /// Path that was executed.
    pub path: &'a [u8],
    /// 16 random bytes for the program.
    pub random: [u8; 16],
    /// Bytes left free between the strings and the rest, below 8 KiB and a multiple of 16: Linux's stack randomisation.
    pub padding: u64,
    /// The auxiliary vector less those entries that point into the stack: `RANDOM`, `EXECFN` and `PLATFORM` are filled in.
    pub auxiliary: &'a [[u64; 2]],
}

impl StackContents<'_> {
    /// Lays the stack out below `top` in at most `limit` bytes; `E2BIG`.
    pub fn build(&self, top: u64, limit: u64) -> Result<InitialStack> {
        let empty = [Vec::new()];
        let arguments = if self.arguments.is_empty() { &empty } else { self.arguments };
        self.check_size(arguments, limit)?;

        // From the top down: a null word, the path, environment strings, argument strings.
        let mut strings = Vec::new();
        let argument_offsets = push_strings(&mut strings, arguments);
        let environment_start = strings.len();
        let environment_offsets = push_strings(&mut strings, self.environment);
        let path_start = strings.len();
        strings.extend_from_slice(self.path);
        strings.extend_from_slice(&[0; 9]);
        let base = top - strings.len() as u64;

        // Below them, after the random padding, what only auxv points to, then the vectors.
        let aligned = (base & !15) - self.padding;
        let platform = aligned - PLATFORM.len() as u64;
        let random = platform - self.random.len() as u64;
        let auxiliary: Vec<[u64; 2]> = self
            .auxiliary
            .iter()
            .map(|&[name, value]| match name {
                key::RANDOM => [name, random],
                key::EXECFN => [name, base + path_start as u64],
                key::PLATFORM => [name, platform],
                _ => [name, value],
            })
            .chain([[0, 0]])
            .collect();
        let mut words = alloc::vec![arguments.len() as u64];
        words.extend(argument_offsets.iter().map(|offset| base + offset));
        words.push(0);
        words.extend(environment_offsets.iter().map(|offset| base + offset));
        words.push(0);
        words.extend(auxiliary.iter().flatten());

        let stack_pointer = (random - 8 * words.len() as u64) & !15;
        let mut bytes = alloc::vec![0; (top - stack_pointer) as usize];
        let mut put = |at: u64, what: &[u8]| {
            let start = (at - stack_pointer) as usize;
            bytes[start..start + what.len()].copy_from_slice(what);
        };
        for (word, at) in words.iter().zip((stack_pointer..).step_by(8)) {
            put(at, &word.to_le_bytes());
        }
        put(random, &self.random);
        put(platform, PLATFORM);
        put(base, &strings);
        Ok(InitialStack {
            stack_pointer,
            bytes,
            arguments: Span::new(base, base + environment_start as u64),
            environment: Span::new(base + environment_start as u64, base + path_start as u64),
            auxiliary,
        })
    }

    /// As Linux: strings and pointers take at most a quarter of the stack's limit, a string at most 128 KiB.
    fn check_size(&self, arguments: &[Vec<u8>], limit: u64) -> Result<()> {
        let mut total = self.path.len() as u64 + 1;
        for text in arguments.iter().chain(self.environment) {
            if text.len() >= STRING_LIMIT {
                return Err(Errno::E2BIG);
            }
            total += text.len() as u64 + 9;
        }
        if total > limit / 4 { Err(Errno::E2BIG) } else { Ok(()) }
    }
}

/// Appends each string with a NUL; returns their offsets.
fn push_strings(all: &mut Vec<u8>, strings: &[Vec<u8>]) -> Vec<u64> {
    let mut offsets = Vec::with_capacity(strings.len());
    for text in strings {
        offsets.push(all.len() as u64);
        all.extend_from_slice(text);
        all.push(0);
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: u64 = 0x7fff_0000;

    fn build(arguments: &[&str], environment: &[&str]) -> InitialStack {
        let owned = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
        StackContents {
            arguments: &owned(arguments),
            environment: &owned(environment),
            path: b"/bin/true",
            random: [7; 16],
            padding: 0x120,
            auxiliary: &[[key::PAGESZ, 4096], [key::RANDOM, 0], [key::EXECFN, 0], [key::PLATFORM, 0]],
        }
        .build(TOP, 8 << 20)
        .unwrap()
    }

    fn word(stack: &InitialStack, address: u64) -> u64 {
        let at = (address - stack.stack_pointer) as usize;
        u64::from_le_bytes(stack.bytes[at..at + 8].try_into().unwrap())
    }

    fn text(stack: &InitialStack, address: u64) -> Vec<u8> {
        let at = (address - stack.stack_pointer) as usize;
        stack.bytes[at..].iter().copied().take_while(|&byte| byte != 0).collect()
    }

    #[test]
    fn a_program_finds_what_it_was_given() {
        let stack = build(&["true", "-x", ""], &["A=1", "LONG=value"]);
        let sp = stack.stack_pointer;
        assert_eq!(sp % 16, 0);
        assert_eq!(word(&stack, sp), 3);
        let argument = |index: u64| text(&stack, word(&stack, sp + 8 + 8 * index));
        assert_eq!([argument(0), argument(1), argument(2)], [b"true".to_vec(), b"-x".to_vec(), vec![]]);
        assert_eq!(word(&stack, sp + 8 * 4), 0);
        let variable = |index: u64| text(&stack, word(&stack, sp + 8 * (5 + index)));
        assert_eq!([variable(0), variable(1)], [b"A=1".to_vec(), b"LONG=value".to_vec()]);
        assert_eq!(word(&stack, sp + 8 * 7), 0);
        let auxiliary = |index: u64| {
            let at = sp + 8 * 8 + 16 * index;
            [word(&stack, at), word(&stack, at + 8)]
        };
        assert_eq!(auxiliary(0), [key::PAGESZ, 4096]);
        assert_eq!(auxiliary(1)[0], key::RANDOM);
        assert_eq!(word(&stack, auxiliary(1)[1]), 0x0707_0707_0707_0707);
        assert_eq!(text(&stack, auxiliary(2)[1]), b"/bin/true");
        assert_eq!(text(&stack, auxiliary(3)[1]), b"x86_64");
        assert_eq!(auxiliary(4), [0, 0]);
        assert_eq!(stack.bytes.len() as u64, TOP - sp);
        assert_eq!(word(&stack, TOP - 8), 0);
        assert_eq!(stack.arguments.len(), "true\0-x\0\0".len() as u64);
        assert_eq!(stack.environment.start, stack.arguments.end);
    }

    #[test]
    fn a_program_without_arguments_gets_an_empty_one() {
        let stack = build(&[], &[]);
        assert_eq!(word(&stack, stack.stack_pointer), 1);
        assert_eq!(text(&stack, word(&stack, stack.stack_pointer + 8)), b"");
    }

    #[test]
    fn too_much_is_refused() {
        let contents = |arguments: &[Vec<u8>], limit| {
            let auxiliary = &[];
            let contents = StackContents {
                arguments,
                environment: &[],
                path: b"/p",
                random: [0; 16],
                padding: 0,
                auxiliary,
            };
            contents.build(TOP, limit).err()
        };
        assert_eq!(contents(&[vec![b'x'; STRING_LIMIT]], 8 << 20), Some(Errno::E2BIG));
        assert_eq!(contents(&[vec![b'x'; STRING_LIMIT - 1]], 8 << 20), None);
        assert_eq!(contents(&vec![vec![b'x'; 1000]; 3000], 8 << 20), Some(Errno::E2BIG));
    }
}
