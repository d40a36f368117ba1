//! `--trace`: system calls as strace prints them.

use alloc::format;
use core::sync::atomic::{AtomicBool, Ordering::*};

use casemate_platform::console::print_raw;

use super::table;
use crate::errno::Result;
use crate::process::Context;

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Turns tracing on.
pub fn enable() {
    ENABLED.store(true, Relaxed);
}

#[inline]
pub(super) fn is_enabled() -> bool {
    ENABLED.load(Relaxed)
}

/// Dispatches and prints one line when the call is done. Calls that end the thread are printed before.
#[cold]
pub(super) fn traced(context: &Context, number: u64) -> Result<usize> {
    let arguments = &core::array::from_fn(|index| context.argument(index));
    let text = table::show(number, arguments).unwrap_or_else(|| format!("syscall_{number}({arguments:x?})"));
    let tid = context.thread.tid();
    if matches!(number, 60 | 231) {
        print_raw(format_args!("[{tid}] {text} = ?"));
    }
    let result = table::dispatch(context, number).unpack();
    match result {
        Ok(super::REGISTERS_SET) => print_raw(format_args!("[{tid}] {text} = 0")),
        Ok(value) if value > 1 << 32 => print_raw(format_args!("[{tid}] {text} = {value:#x}")),
        Ok(value) => print_raw(format_args!("[{tid}] {text} = {}", value as isize)),
        Err(error) => print_raw(format_args!("[{tid}] {text} = -1 {}", error.name())),
    }
    result
}
