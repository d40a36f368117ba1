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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena;

    // Calls the function in rdi under single-stepping: each instruction of it ends in SIGTRAP.
    core::arch::global_asm!(
        r#"
        .text
        .globl casemate_test_stepped
    casemate_test_stepped:          // (rdi: call, rsi: HostThread *)
        pushfq
        or qword ptr [rsp], 0x100
        popfq
        call casemate_blocking
        pushfq
        and qword ptr [rsp], ~0x100
        popfq
        ret
    "#
    );

    unsafe extern "C" {
        fn casemate_test_stepped(call: *const [u64; 7], thread: *const HostThread) -> i64;
    }

    static STEPS: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);
    static WAKE_AT: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);
    static THREAD: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);

    /// At one of the steps: what a wake-up and its kick do.
    extern "C" fn on_step(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel passes its frame; the thread block is the test's.
        let (registers, thread) = unsafe {
            let context = &mut *context.cast::<libc::ucontext_t>();
            (&mut context.uc_mcontext.gregs, &*(THREAD.load(SeqCst) as *const HostThread))
        };
        let rip = &mut registers[libc::REG_RIP as usize];
        let before_call = (casemate_blocking as *const () as i64
            ..=casemate_blocking_call as *const () as i64)
            .contains(rip);
        if before_call && STEPS.fetch_add(1, SeqCst) == WAKE_AT.load(SeqCst) {
            thread.wake.store(1, SeqCst);
            if let Some(address) = interrupted_address(*rip as u64) {
                *rip = address as i64;
            }
        }
    }

    #[test]
    fn a_wake_up_at_any_instruction_before_the_call_prevents_it() {
        let _arena = arena::reserve_for_test();
        let thread = arena::take().unwrap();
        THREAD.store(&raw const thread.host as u64, SeqCst);
        // SAFETY: the handler above is async-signal-safe and only this thread single-steps.
        unsafe {
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = on_step as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGTRAP, &action, core::ptr::null_mut()), 0);
        }
        let getpid = [libc::SYS_getpid as u64, 0, 0, 0, 0, 0, 0];
        let run = |wake_at| {
            thread.host.wake.store(0, SeqCst);
            STEPS.store(0, SeqCst);
            WAKE_AT.store(wake_at, SeqCst);
            // SAFETY: the stub keeps to the calling convention; the system call touches no memory.
            reply(unsafe { casemate_test_stepped(&getpid, &thread.host) })
        };
        let process = std::process::id() as i64;
        assert_eq!(run(u32::MAX), Ok(process));
        let steps = STEPS.load(SeqCst);
        assert_eq!(steps, 12, "as many as the stub has instructions up to the call");
        for step in 0..steps {
            assert_eq!(run(step), Err(crate::sys::Errno::EINTR), "wake-up before instruction {step}");
        }
        thread.running.store(0, SeqCst);
        arena::give_back(thread);
    }
}
