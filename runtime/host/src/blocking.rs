//! Blocking system calls that a wake-up ends, without a race between the check and the sleep.
//!
//! The stub looks at the thread's `wake` word and then makes the call. A signal that arrives between the two moves the
//! instruction pointer to the stub's way out ([`interrupted_address`]), as musl does for thread cancellation, so a
//! wake-up is never lost.

use core::mem::offset_of;
use core::sync::atomic::Ordering::SeqCst;

use casemate_abi::{HostThread, SleepState};

use crate::arena::Thread;
use crate::sys::{Reply, reply};

core::arch::global_asm!(
    r#"
    .text
    .balign 32
    // i64 casemate_blocking(rdi: const u64 call[7], rsi: HostThread *)
    .globl casemate_blocking
    .type casemate_blocking, @function
casemate_blocking:
    push rbx
    mov rbx, rsi
    mov rax, [rdi]
    mov rsi, [rdi + 16]
    mov rdx, [rdi + 24]
    mov r10, [rdi + 32]
    mov r8, [rdi + 40]
    mov r9, [rdi + 48]
    mov rdi, [rdi + 8]
    .globl casemate_blocking_begin
casemate_blocking_begin:
    cmp dword ptr [rbx + {WAKE}], 0
    jne casemate_blocking_interrupted
    .globl casemate_blocking_call
casemate_blocking_call:
    syscall
    pop rbx
    ret
    .globl casemate_blocking_interrupted
casemate_blocking_interrupted:
    mov rax, -{EINTR}
    pop rbx
    ret
    .size casemate_blocking, . - casemate_blocking
"#,
    WAKE = const offset_of!(HostThread, wake),
    EINTR = const linux_raw_sys::errno::EINTR,
);

unsafe extern "C" {
    fn casemate_blocking(call: *const [u64; 7], thread: *const HostThread) -> i64;
    fn casemate_blocking_begin();
    fn casemate_blocking_call();
    fn casemate_blocking_interrupted();
}

/// Makes a system call that may block; `EINTR` at once when the thread's `wake` word is set, or as soon as it gets set.
///
/// # Safety
/// As [`crate::sys::call`].
pub unsafe fn call<const N: usize>(thread: &Thread, number: u32, args: [u64; N]) -> Reply {
    const { assert!(N <= 6) };
    let mut call = [0; 7];
    call[0] = number as u64;
    call[1..=N].copy_from_slice(&args);
    thread.host.sleeping.store(SleepState::InCall as u32, SeqCst);
    // SAFETY: the stub keeps to the C calling convention; the caller vouches for the system call.
    let result = unsafe { casemate_blocking(&call, &thread.host) };
    thread.host.sleeping.store(SleepState::Awake as u32, SeqCst);
    reply(result)
}

/// Where a thread goes on that a signal met at `rip`, if it was about to make a blocking call.
pub fn interrupted_address(rip: u64) -> Option<u64> {
    let begin = casemate_blocking_begin as *const () as u64;
    let call = casemate_blocking_call as *const () as u64;
    (begin..=call).contains(&rip).then_some(casemate_blocking_interrupted as *const () as u64)
}
