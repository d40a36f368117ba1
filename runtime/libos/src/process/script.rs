//! `#!` lines (fs/binfmt_script.c).

use alloc::vec::Vec;

/// How much of a file is looked at (BINPRM_BUF_SIZE).
pub const LOOKED_AT: usize = 256;

/// What a `#!` line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptInterpreter {
    /// Path of the interpreter.
    pub path: Vec<u8>,
    /// The one argument: the rest of the line.
    pub argument: Option<Vec<u8>>,
}

/// The interpreter named by a file's first bytes (at most the first 256 count); `None`: not a script, or one that Linux
/// refuses with `ENOEXEC`.
pub fn script_interpreter(first_bytes: &[u8]) -> Option<ScriptInterpreter> {
    let looked_at = &first_bytes[..first_bytes.len().min(LOOKED_AT)];
    let rest = looked_at.strip_prefix(b"#!")?;
    let newline = rest.iter().position(|&byte| byte == b'\n' || byte == 0);
    let line = match newline {
        Some(end) => &rest[..end],
        // The line is cut off: that is good enough only if the interpreter's path is whole.
        None if looked_at.len() == LOOKED_AT => {
            let path = trim_start(rest);
            path.iter().position(|&byte| is_blank(byte))?;
            rest
        }
        None => rest,
    };
    let line = trim_end(trim_start(line));
    let end = line.iter().position(|&byte| is_blank(byte)).unwrap_or(line.len());
    let (path, rest) = line.split_at(end);
    let argument = trim_start(rest);
    (!path.is_empty()).then(|| ScriptInterpreter {
        path: path.to_vec(),
        argument: (!argument.is_empty()).then(|| argument.to_vec()),
    })
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim_start(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|&byte| !is_blank(byte)).unwrap_or(text.len())..]
}

fn trim_end(text: &[u8]) -> &[u8] {
    &text[..text.iter().rposition(|&byte| !is_blank(byte)).map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Option<(&'static str, Option<&'static str>)> {
        let leak = |bytes: Vec<u8>| -> &'static str { String::from_utf8(bytes).unwrap().leak() };
        script_interpreter(text).map(|found| (leak(found.path), found.argument.map(leak)))
    }

    #[test]
    fn the_rest_of_the_line_is_one_argument() {
        assert_eq!(parse(b"#!/bin/sh\n"), Some(("/bin/sh", None)));
        assert_eq!(parse(b"#! \t/usr/bin/env  python3 -u  \nx"), Some(("/usr/bin/env", Some("python3 -u"))));
        assert_eq!(parse(b"#!/bin/sh -e"), Some(("/bin/sh", Some("-e"))));
        assert_eq!(parse(b"#!/bin/sh\0junk"), Some(("/bin/sh", None)));
    }

    #[test]
    fn lines_that_name_nothing_are_refused() {
        for text in [&b"#!\n"[..], b"#!   \n", b"#!", b"#", b"", b"# !/bin/sh\n", b"\x7fELF"] {
            assert_eq!(parse(text), None);
        }
    }

    #[test]
    fn a_cut_line_counts_only_with_a_whole_path() {
        let mut long = b"#!/".to_vec();
        long.resize(300, b'a');
        assert_eq!(script_interpreter(&long), None);
        let mut argument = b"#!/bin/x ".to_vec();
        argument.resize(300, b'a');
        let found = script_interpreter(&argument).unwrap();
        assert_eq!(found.path, b"/bin/x");
        assert_eq!(found.argument.unwrap().len(), LOOKED_AT - 9);
    }
}
