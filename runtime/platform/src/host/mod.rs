//! Host calls, typed: arguments are copied out through the thread's host buffer, results are checked before anyone sees
//! them. A result that no honest host gives becomes `EIO` (or ends the run where nothing sensible is left).
//!
//! `docs/host-calls.md` lists the checks.

mod errors;
mod exitless;
mod file;
mod network;
mod quote;
mod socket;

use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_abi::{HOST_BUFFER_SIZE, HostCall, HostThread};

use crate::area;
use crate::boundary::HostRange;

pub use errors::{HostError, may_fail_with};
pub use exitless::use_ring;
pub use file::*;
pub use network::*;
pub use quote::{quote_make, quote_target};
pub use socket::*;

/// Largest transfer in one host call, in bytes. The rest of the buffer holds headers and addresses.
pub const TRANSFER_LIMIT: usize = HOST_BUFFER_SIZE - 8192;
/// Offset in the buffer of small outputs beside a transfer.
const SIDE: u64 = TRANSFER_LIMIT as u64;

static HOST_CALL: AtomicU64 = AtomicU64::new(0);

/// [`HOST_CALL`] of an enclave: host calls leave through the gate.
const GATE: u64 = 1;

/// Fixes how host calls leave: by the function of platform `direct`, or through the gate. Called once at start.
pub(crate) fn set_host_call(address: Option<u64>) {
    HOST_CALL.store(address.unwrap_or(GATE), Relaxed);
}

/// Whether this is an enclave (of hardware or software), which is left by EEXIT.
#[inline]
pub(crate) fn leaves_by_gate() -> bool {
    HOST_CALL.load(Relaxed) == GATE
}

/// The number of host calls made so far by kind is counted by the loader (`--stats`); this names the one under way on this thread.
pub(crate) fn current_call() -> Option<HostCall> {
    if !area::is_ready() {
        return None;
    }
    // SAFETY: the area is this thread's own.
    let mark = unsafe { (*area::current()).current_call };
    HostCall::from_number(mark.checked_sub(1)? as u64)
}

/// Why the run must end, from a thread that cannot end it itself.
static BROKEN: crate::sync::Once<&'static str> = crate::sync::Once::new();

/// Ends the run at the next host call of any thread that can make one.
pub(crate) fn break_off(reason: &'static str) {
    let _ = BROKEN.set(reason);
}

/// Makes a host call; a negative result is an error from the call's own set.
pub(crate) fn call_raw(call: HostCall, args: [u64; 6]) -> Result<u64, HostError> {
    if HOST_CALL.load(Relaxed) == 0 || !area::is_ready() {
        return Err(HostError::IO);
    }
    let area = area::current();
    // SAFETY: the area is this thread's.
    let result = unsafe {
        (*area).current_call = call as u32 + 1;
        let result = match exitless::call(call, &args, (*area).host_thread) {
            Some(result) => result,
            None => leave(call, &args),
        };
        (*area).current_call = 0;
        result
    };
    if result >= 0 { Ok(result as u64) } else { Err(errors::admit(call, result)) }
}

/// Leaves the enclave for a call; returns its raw result.
fn leave(call: HostCall, args: &[u64; 6]) -> i64 {
    if let Some(reason) = BROKEN.get()
        && !matches!(call, HostCall::Log | HostCall::Exit)
    {
        crate::console::fatal(reason);
    }
    // SAFETY: the area is this thread's.
    let host_thread = unsafe { (*area::current()).host_thread };
    // The arguments are the block's first field. A host that takes the block away gets no call.
    const { assert!(core::mem::offset_of!(HostThread, args) == 0) };
    if !put_arguments(host_thread, args) {
        return i64::MIN;
    }
    let function = HOST_CALL.load(Relaxed);
    // SAFETY: this thread came in by the gate. On `direct` the function pointer came from the loader, which has all rights over
    // this process anyway.
    unsafe {
        if function == GATE {
            crate::gate::leave(call as u64, host_thread)
        } else {
            let function: extern "C" fn(u64, *mut u64) -> i64 = core::mem::transmute(function);
            function(call as u64, host_thread as *mut u64)
        }
    }
}

fn put_arguments(host_thread: u64, args: &[u64; 6]) -> bool {
    HostRange::new(host_thread, size_of::<[u64; 6]>() as u64)
        .is_some_and(|range| range.write(0, zerocopy::IntoBytes::as_bytes(args)))
}

/// A host call whose only honest results are 0 and errors.
pub(crate) fn call_done(call: HostCall, args: [u64; 6]) -> Result<(), HostError> {
    match call_raw(call, args)? {
        0 => Ok(()),
        _ => Err(HostError::IO),
    }
}

/// The calling thread's host buffer.
fn buffer() -> HostRange {
    // SAFETY: the area is this thread's; its buffer address was checked when the thread entered.
    let address = unsafe { (*area::current()).host_buffer };
    HostRange::new(address, HOST_BUFFER_SIZE as u64)
        .unwrap_or_else(|| crate::console::fatal("bad host buffer"))
}

/// Reads a `u64` that the host wrote into the buffer at `offset`.
fn read_u64(buffer: HostRange, offset: u64) -> Result<u64, HostError> {
    let mut bytes = [0; 8];
    if !buffer.read(offset, &mut bytes) {
        return Err(HostError::IO);
    }
    Ok(u64::from_le_bytes(bytes))
}

fn put(buffer: HostRange, offset: u64, bytes: &[u8]) -> Result<(), HostError> {
    if buffer.write(offset, bytes) { Ok(()) } else { Err(HostError::IO) }
}

/// Writes bytes to the loader's standard error.
pub(crate) fn log(bytes: &[u8]) {
    let buffer = buffer();
    let bytes = &bytes[..bytes.len().min(4096)];
    if put(buffer, SIDE, bytes).is_ok() {
        let _ = call_raw(HostCall::Log, [buffer.address() + SIDE, bytes.len() as u64, 0, 0, 0, 0]);
    }
}

/// Ends the process: with an exit status, or by a signal when `signal` ≠ 0.
pub fn exit(status: u8, signal: u8) -> ! {
    loop {
        let _ = call_raw(HostCall::Exit, [status as u64, signal as u64, 0, 0, 0, 0]);
        // A host that returns from this is hostile; the program must not run on.
        core::hint::spin_loop();
    }
}

/// Lets another thread run.
pub fn yield_now() {
    if HOST_CALL.load(Relaxed) == 0 {
        core::hint::spin_loop();
    } else {
        let _ = call_raw(HostCall::Yield, [0; 6]);
    }
}

/// Takes the host signals that arrived since the last call: bit n−1 for signal n. Signals that only a fault can raise are dropped.
pub fn take_signals() -> u64 {
    /// SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGSEGV SIGSTOP SIGSYS and the real-time signals are never the host's to send.
    const ADMITTED: u64 =
        !(1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 18 | 1 << 30) & 0x7fff_ffff;
    let buffer = buffer();
    match call_done(HostCall::SignalsTake, [buffer.address() + SIDE, 0, 0, 0, 0, 0]) {
        Ok(()) => read_u64(buffer, SIDE).unwrap_or(0) & ADMITTED,
        Err(_) => 0,
    }
}

/// The host's clocks: realtime, monotonic, boot time, in ns; not checked against each other.
pub(crate) fn read_clocks() -> Option<[u64; 3]> {
    let buffer = buffer();
    call_done(HostCall::ClockRead, [buffer.address() + SIDE, 0, 0, 0, 0, 0]).ok()?;
    Some([read_u64(buffer, SIDE).ok()?, read_u64(buffer, SIDE + 8).ok()?, read_u64(buffer, SIDE + 16).ok()?])
}
