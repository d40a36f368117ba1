//! Host threads: made by a bare clone(2) on a slot of the arena, so that making and ending one costs six system calls.

use core::sync::atomic::Ordering::*;

use casemate_abi::{EntryReason, HostThread};
use linux_raw_sys::general::*;
use linux_raw_sys::prctl::{PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON};

use crate::arena::{self, Thread};
use crate::report::{EXIT_INTERNAL, fail};
use crate::sys::{self, Errno, Reply};
use crate::{exitless, hardware, memory, registers, run, signal, soft};

const FLAGS: u64 = (CLONE_VM
    | CLONE_FS
    | CLONE_FILES
    | CLONE_SIGHAND
    | CLONE_THREAD
    | CLONE_SYSVSEM
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID) as u64;

core::arch::global_asm!(
    r#"
    .text
    // i64 casemate_clone(rdi flags, rsi stack top, rdx parent's tid word, rcx child's tid word, r8: Thread *)
    .globl casemate_clone
    .type casemate_clone, @function
casemate_clone:
    mov r10, rcx
    mov r9, r8
    xor r8d, r8d
    mov eax, {CLONE}
    syscall
    test eax, eax
    jz 2f
    ret
2:  xor ebp, ebp
    mov rdi, r9
    call {MAIN}
    ud2
    .size casemate_clone, . - casemate_clone

    // casemate_switch(rdi: Thread *, rsi: stack top, rdx: function): goes on with function(thread) on another stack.
    .globl casemate_switch
    .type casemate_switch, @function
casemate_switch:
    mov rsp, rsi
    xor ebp, ebp
    call rdx
    ud2
    .size casemate_switch, . - casemate_switch
"#,
    CLONE = const __NR_clone,
    MAIN = sym thread_main,
);

unsafe extern "C" {
    fn casemate_clone(flags: u64, stack: u64, parent: u64, child: u64, thread: u64) -> i64;
    fn casemate_switch(thread: u64, stack: u64, function: u64) -> !;
}

/// Starts a thread that enters the enclave with `area`.
pub fn create(area: u64) -> Reply {
    let thread = arena::take()?;
    memory::guard_stack(area);
    let block = thread as *const Thread as *mut Thread;
    // SAFETY: the slot is this function's alone until the thread runs, and then the thread's; the kernel writes the thread id
    // before the thread starts, and clears `running` when it lets go of its memory.
    let result = unsafe {
        (*block).host.area = area;
        let tid = &raw mut (*block).host.tid as u64;
        casemate_clone(FLAGS, thread.stack_top(), tid, thread.running.as_ptr() as u64, block as u64)
    };
    if let Err(error) = sys::reply(result) {
        thread.alive.store(0, SeqCst);
        thread.running.store(0, SeqCst);
        arena::give_back(thread);
        return Err(if error == Errno::ENOMEM { error } else { Errno::EAGAIN });
    }
    Ok(0)
}

/// Moves the main thread to a slot of its own and goes on there.
pub fn become_first(
    function: extern "C" fn(&'static Thread) -> !,
) -> Result<core::convert::Infallible, Errno> {
    let thread = arena::take()?;
    // SAFETY: the slot is this thread's alone; nothing on the old stack is used again except what was put there for good
    // (arguments, environment). The function never returns.
    unsafe {
        (*(thread as *const Thread as *mut Thread)).host.tid = sys::call(__NR_gettid, [])? as u32;
        casemate_switch(thread as *const Thread as u64, thread.stack_top(), function as *const () as u64)
    }
}

/// Readies the calling thread for enclave code: signal stack, trapped system calls.
pub fn arm(thread: &Thread) -> Result<(), Errno> {
    signal::set_stack(thread)?;
    let (start, end) = run::text();
    let args = [PR_SET_SYSCALL_USER_DISPATCH as u64, PR_SYS_DISPATCH_ON as u64, start, end - start, 0];
    // SAFETY: from now on system calls outside the loader's code raise SIGSYS, which the handler serves.
    unsafe { sys::call(__NR_prctl, args) }?;
    if run::is_enclave() {
        // CPUID raises #UD in an enclave. Where the processor can make it fault, it does here too (as #GP); else it just works.
        // SAFETY: the loader itself uses CPUID no more.
        let _ = unsafe { sys::call(__NR_arch_prctl, [ARCH_SET_CPUID, 0]) };
    }
    Ok(())
}

/// arch_prctl(2) code (arch/x86/include/uapi/asm/prctl.h).
const ARCH_SET_CPUID: u64 = 0x1012;

/// Marks the thread as one on which the enclave may be told of exceptions.
pub fn open(thread: &Thread) {
    // SAFETY: neither the program nor the enclave runs on this thread yet.
    unsafe { registers::clear_bases() };
    thread.inside.store(1, SeqCst);
}

/// Starts a thread of the loader's own, which never enters the enclave.
#[cfg(feature = "hostile")]
pub fn create_own() -> Reply {
    create(OWN)
}

/// In place of an area: the thread is the loader's own, and disturbs.
#[cfg(feature = "hostile")]
pub const OWN: u64 = u64::MAX;
/// In place of an area: the thread serves exitless host calls. Odd, as no area is.
pub const SERVER: u64 = u64::MAX - 2;

/// Whether what a thread was made for is no area of the enclave.
#[cfg(feature = "hostile")]
pub fn is_own(area: u64) -> bool {
    matches!(area, OWN | SERVER)
}

extern "C" fn thread_main(thread: &'static Thread) -> ! {
    if thread.host.area == SERVER {
        exitless::serve(thread);
    }
    #[cfg(feature = "hostile")]
    if thread.host.area == OWN {
        crate::hostile::harass();
    }
    if let Err(error) = arm(thread) {
        fail(EXIT_INTERNAL, format_args!("a new thread cannot trap system calls: {error}"));
    }
    open(thread);
    if run::is_enclave() {
        if run::is_hardware() {
            hardware::run_thread(thread);
        } else {
            soft::run_thread(thread);
        }
    } else {
        let block = &raw const thread.host;
        // SAFETY: the area came with the request for this thread; the block lives in the thread's slot.
        unsafe { run::enter(EntryReason::Thread, thread.host.area, block as u64) };
    }
    thread.inside.store(0, SeqCst);
    thread.alive.store(0, SeqCst);
    arena::give_back(thread);
    loop {
        // SAFETY: ends this thread; the slot is used again only after the kernel cleared `running`.
        let _ = unsafe { sys::call(__NR_exit, [0]) };
    }
}

/// Sets a thread's wake word and ends its sleep; user code goes on.
pub fn unpark(address: u64) -> Reply {
    use casemate_abi::SleepState;
    let thread = arena::named(address).ok_or(Errno::EINVAL)?;
    if thread.alive.load(SeqCst) == 0 {
        return Ok(0);
    }
    thread.host.wake.store(1, SeqCst);
    match thread.host.sleeping.load(SeqCst) {
        state if state == SleepState::Parked as u32 => crate::lock::futex_wake(&thread.host.wake, 1),
        state if state == SleepState::InCall as u32 => signal::kick(thread),
        _ => {}
    }
    Ok(0)
}

/// Sets a thread's wake word and makes it stop whatever it does.
pub fn interrupt(address: u64) -> Reply {
    let thread = arena::named(address).ok_or(Errno::EINVAL)?;
    if thread.alive.load(SeqCst) != 0 {
        thread.interrupt.store(1, SeqCst);
        thread.host.wake.store(1, SeqCst);
        signal::kick(thread);
    }
    Ok(0)
}

/// Sleeps until the thread's wake word is set.
pub fn park(thread: &Thread, timeout_ns: u64) -> Reply {
    use casemate_abi::SleepState;
    let HostThread { wake, sleeping, .. } = &thread.host;
    let time = __kernel_timespec {
        tv_sec: (timeout_ns / 1_000_000_000) as i64,
        tv_nsec: (timeout_ns % 1_000_000_000) as i64,
    };
    let timeout = if timeout_ns == u64::MAX { 0 } else { &raw const time as u64 };
    let mut result = Ok(0);
    if wake.load(SeqCst) == 0 {
        sleeping.store(SleepState::Parked as u32, SeqCst);
        result = crate::lock::futex_wait(wake, 0, timeout, true);
        sleeping.store(SleepState::Awake as u32, SeqCst);
    }
    if wake.load(SeqCst) != 0 { Ok(0) } else { result.map(|_| 0) }
}
