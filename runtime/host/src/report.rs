//! The loader's own words: one line on standard error.

use core::fmt::{self, Write};

use crate::sys;

/// Exit status when the run could not start, as docker's.
pub const EXIT_LOADER: i32 = 125;
/// Exit status of an internal error (EX_SOFTWARE).
pub const EXIT_INTERNAL: i32 = 70;

/// A line of bounded length; what does not fit is cut.
pub struct Line {
    bytes: [u8; Line::LIMIT],
    length: usize,
}

impl Line {
    const LIMIT: usize = 512;

    /// An empty line.
    pub const fn new() -> Line {
        Line { bytes: [0; Line::LIMIT], length: 0 }
    }

    /// The text so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn end(&mut self) -> &[u8] {
        self.length = self.length.min(Line::LIMIT - 1);
        self.bytes[self.length] = b'\n';
        self.length += 1;
        self.as_bytes()
    }
}

impl Default for Line {
    fn default() -> Self {
        Line::new()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.length < Line::LIMIT - 1 {
                // What a file name holds must not move the terminal's cursor.
                self.bytes[self.length] = if byte < 0x20 || byte == 0x7f { b'?' } else { byte };
                self.length += 1;
            }
        }
        Ok(())
    }
}

/// Bytes shown as text; what is no UTF-8 becomes `?`.
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char('?')?;
            }
        }
        Ok(())
    }
}

/// Prints one line without a prefix.
pub fn print(arguments: fmt::Arguments) {
    let mut line = Line::new();
    let _ = line.write_fmt(arguments);
    sys::write_all(2, line.end());
}

/// Ends the process with one line that says why.
pub fn fail(status: i32, arguments: fmt::Arguments) -> ! {
    print(format_args!("casemate-host: {arguments}"));
    sys::exit(status)
}

/// `refuse!("…", …)`: the run cannot start; says why and ends with status 125.
#[macro_export]
macro_rules! refuse {
    ($($argument:tt)*) => { $crate::report::fail($crate::report::EXIT_LOADER, format_args!($($argument)*)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_and_holds_no_control_characters() {
        let mut line = Line::new();
        write!(line, "a\x1b[2J\nb{}", "x".repeat(1000)).unwrap();
        let text = line.end();
        assert_eq!(text.len(), Line::LIMIT);
        assert!(text.starts_with(b"a?[2J?bxx"));
        assert_eq!(text.iter().position(|byte| *byte == b'\n'), Some(Line::LIMIT - 1));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_question_marks() {
        assert_eq!(format!("{}", Text(b"a\xffb")), "a?b");
    }
}
