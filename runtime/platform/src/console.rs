//! Diagnostics to the host's standard error, and the end of the run when something is beyond repair.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::*};

use casemate_abi::{ExceptionFrame, HostCall};

use crate::sync::Once;
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

/// Exit status of a run that the library OS ended for a reason of its own (EX_SOFTWARE).
const FATAL: u8 = 70;

/// Names of the program's system calls, for reports.
static CALL_NAMES: Once<fn(u64) -> Option<&'static str>> = Once::new();

/// Says how the program's system calls are called, for reports.
pub fn set_call_names(names: fn(u64) -> Option<&'static str>) {
    let _ = CALL_NAMES.set(names);
}

/// What the calling thread is at.
struct Work;

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if !area::is_ready() {
            return f.write_str("before the start");
        }
        // SAFETY: the area is this thread's.
        let (thread, call) = unsafe { ((*area::current()).thread_id, (*area::current()).program_call) };
        write!(f, "thread {thread}, system call ")?;
        match call.checked_sub(1).map(|number| (number, CALL_NAMES.get().and_then(|names| names(number)))) {
            None => f.write_str("none")?,
            Some((_, Some(name))) => f.write_str(name)?,
            Some((number, None)) => write!(f, "{number}")?,
        }
        write!(f, ", host call {}", host::current_call().map_or("none", HostCall::name))
    }
}

/// Prints the one report of a run, and ends it.
fn end(arguments: fmt::Arguments) -> ! {
    /// The area of the thread that reports, or 1.
    static REPORTER: AtomicU64 = AtomicU64::new(0);
    let own = if area::is_ready() { area::current() as u64 } else { 1 };
    match REPORTER.compare_exchange(0, own, SeqCst, SeqCst) {
        Ok(_) => write_line(format_args!("casemate: fatal: {arguments}")),
        // A host that makes the reporting itself fault must not have it nest without end.
        Err(first) if first == own => {}
        // Another thread is about to end the run.
        Err(_) => loop {
            core::hint::spin_loop();
        },
    }
    host::exit(FATAL, 0)
}

/// Ends the run with a message.
pub fn fatal(message: &str) -> ! {
    end(format_args!("{message}"))
}

/// The processor finds no page where the host says that there is one.
pub(crate) fn fatal_page(address: u64) -> ! {
    end(format_args!("the host says that the page at {address:#x} is there, and it is not"))
}

/// Ends the run because the library OS's own code met what it does not expect.
pub fn fatal_panic(info: &core::panic::PanicInfo) -> ! {
    match info.location() {
        Some(at) => end(format_args!("panic in the library OS at {at}, {Work}: {}", info.message())),
        None => end(format_args!("panic in the library OS, {Work}: {}", info.message())),
    }
}

/// Ends the run because of a fault in the library OS. The program's data is not printed.
pub(crate) fn fatal_exception(frame: &ExceptionFrame) -> ! {
    end(format_args!(
        "fault in the library OS: vector {} error {:#x} at rip {:#x} (image+{:#x}), address {:#x}, rsp {:#x}, {Work}",
        frame.vector,
        frame.error_code,
        frame.rip,
        frame.rip.wrapping_sub(crate::start::image_base()),
        frame.address,
        frame.rsp,
    ))
}
