//! Diagnostics to the host's standard error, and the end of the run when something is beyond repair.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering::*};

use casemate_abi::{ExceptionFrame, HostCall};

use crate::{area, host};

/// Severity of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// The run or a request fails.
    Error = 1,
    /// Something the user should know.
    Warning = 2,
    /// Progress for debugging.
    Debug = 3,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Warning as u8);

/// Messages less severe than this are dropped; 0 drops all.
pub fn set_level(level: u8) {
    LEVEL.store(level, Relaxed);
}

/// Whether messages of this level are shown.
#[inline]
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Relaxed)
}

struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            // One byte stays for the line end; the rest of an overlong line is cut.
            if self.length < self.bytes.len() - 1 {
                // What a program or host chose must not move the terminal's cursor.
                self.bytes[self.length] = if byte < 0x20 || byte == 0x7f { b'?' } else { byte };
                self.length += 1;
            }
        }
        Ok(())
    }
}

fn write_line(arguments: fmt::Arguments) {
    let mut line = Line { bytes: [0; 512], length: 0 };
    let _ = line.write_fmt(arguments);
    line.bytes[line.length] = b'\n';
    line.length += 1;
    if area::is_ready() {
        host::log(&line.bytes[..line.length]);
    }
}

/// Prints one line if its level is shown. Use [`log!`](crate::log).
pub fn print(level: Level, arguments: fmt::Arguments) {
    if enabled(level) {
        let name = match level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Debug => "debug",
        };
        write_line(format_args!("casemate: {name}: {arguments}"));
    }
}

/// Prints one line as it is, whatever the level (traces, reports).
pub fn print_raw(arguments: fmt::Arguments) {
    write_line(arguments);
}

/// `log!(Level::Warning, "…", …)`: prints one diagnostic line.
#[macro_export]
macro_rules! log {
    ($level:expr, $($argument:tt)*) => {
        if $crate::console::enabled($level) {
            $crate::console::print($level, format_args!($($argument)*))
        }
    };
}

/// Ends the run with a message; exit status 70.
pub fn fatal(message: &str) -> ! {
    write_line(format_args!("casemate: fatal: {message}"));
    host::exit(70, 0)
}

/// The processor finds no page where the host says that there is one.
pub(crate) fn fatal_page(address: u64) -> ! {
    write_line(format_args!(
        "casemate: fatal: the host says that the page at {address:#x} is there, and it is not"
    ));
    host::exit(70, 0)
}

/// A fault inside the library OS: one report, then the end. The program's data is not printed.
pub(crate) fn fatal_exception(frame: &ExceptionFrame) -> ! {
    // One report: a host that makes the reporting itself fault must not have it nest without end.
    static REPORTED: AtomicBool = AtomicBool::new(false);
    if REPORTED.swap(true, Relaxed) {
        host::exit(70, 0)
    }
    write_line(format_args!(
        "casemate: fatal: fault in the library OS: vector {} error {:#x} at rip {:#x} (image+{:#x}), address {:#x}, rsp {:#x}, thread area {:p}, host call {}",
        frame.vector,
        frame.error_code,
        frame.rip,
        frame.rip.wrapping_sub(crate::start::image_base()),
        frame.address,
        frame.rsp,
        area::current(),
        host::current_call().map_or("none", HostCall::name),
    ));
    host::exit(70, 0)
}
