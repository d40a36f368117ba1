//! The signal handler: faults, trapped system calls, kicks and signals from outside become exceptions of the enclave.
//!
//! It runs on the thread's signal stack, at any point of any code, with whatever fs and gs that code has. It finds the thread by
//! the address of its own frame. The enclave is told of every event on a thread that it has entered (`inside`, gs not 0),
//! even when the thread is in a host call just then: it knows by its own state what the event means.

use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_abi::{EntryReason, ExceptionFrame, VECTOR_INTERRUPT, VECTOR_SYSCALL};
use linux_raw_sys::general::*;

use crate::arena::{self, SIGNAL_STACK_SIZE, Thread};
use crate::report::{EXIT_INTERNAL, fail};
use crate::signal_frame::{Context, Disposition, Event, FAULTS, KICK, SignalInfo, classify, disposition};
use crate::soft::{self, Interruption};
use crate::sys::{self, Errno};
use crate::{blocking, hardware, registers, run, stats, vdso};

/// Signals that arrived and were not yet taken: bit n−1 for signal n.
static ARRIVED: AtomicU64 = AtomicU64::new(0);

/// Handlers nested deeper than this mean that the enclave's exception entry itself keeps faulting.
const DEPTH_LIMIT: u32 = 4;

/// sizeof(kernel sigset_t).
const MASK_SIZE: u64 = 8;

core::arch::global_asm!(
    r#"
    .text
    .globl casemate_signal_entry
    .type casemate_signal_entry, @function
casemate_signal_entry:
    // The program may have set AC (alignment checks); the kernel clears DF and TF only.
    pushfq
    and qword ptr [rsp], -0x40001
    popfq
    jmp {HANDLER}
    .globl casemate_signal_return
    .type casemate_signal_return, @function
casemate_signal_return:
    mov eax, {SIGRETURN}
    syscall
    ud2
"#,
    HANDLER = sym handle,
    SIGRETURN = const __NR_rt_sigreturn,
);

unsafe extern "C" {
    fn casemate_signal_entry();
    fn casemate_signal_return();
}

/// The kernel's `struct sigaction` on x86-64.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Action {
    handler: u64,
    flags: u64,
    restorer: u64,
    mask: u64,
}

const IGNORE: u64 = 1;

/// Sets the dispositions of all signals and unblocks them. The calling thread must run in an arena slot.
pub fn install() -> Result<(), Errno> {
    let handled = Action {
        handler: casemate_signal_entry as *const () as u64,
        // The mask has the handled signal where it is to be blocked.
        flags: (SA_SIGINFO | SA_ONSTACK | SA_RESTORER | SA_NODEFER) as u64,
        restorer: casemate_signal_return as *const () as u64,
        // Faults stay open, so that one in the handler is reported instead of killing without a word.
        mask: !synchronous(),
    };
    for signal in 1..=64 {
        let action = match disposition(signal) {
            Disposition::Default => continue,
            Disposition::Ignore => Action { handler: IGNORE, ..Action::default() },
            Disposition::Handle | Disposition::HandleUnlessIgnored => handled,
        };
        let before = set_action(signal, &action)?;
        if disposition(signal) == Disposition::HandleUnlessIgnored && before.handler == IGNORE {
            set_action(signal, &before)?;
        }
    }
    set_mask(0);
    Ok(())
}

/// The signals that only the thread's own code causes.
fn synchronous() -> u64 {
    FAULTS.iter().chain(&[SIGSYS as i32]).fold(0, |mask, signal| mask | 1u64 << (signal - 1))
}

/// Blocks every signal, for the calling thread and those that it makes.
pub fn block() {
    set_mask(u64::MAX);
}

/// Lets through the signals that only the thread's own code causes: a fault of the loader is reported.
pub fn open_faults() {
    set_mask(!synchronous());
}

fn set_action(signal: i32, action: &Action) -> Result<Action, Errno> {
    let mut before = Action::default();
    let args = [signal as u64, action as *const Action as u64, &raw mut before as u64, MASK_SIZE];
    // SAFETY: the handler keeps to what signal handlers may do (see the module's head).
    unsafe { sys::call(__NR_rt_sigaction, args) }?;
    Ok(before)
}

fn set_mask(mask: u64) {
    let args = [SIG_SETMASK as u64, &raw const mask as u64, 0, MASK_SIZE];
    // SAFETY: the kernel reads the local mask.
    let _ = unsafe { sys::call(__NR_rt_sigprocmask, args) };
}

/// Gives the calling thread its signal stack.
pub fn set_stack(thread: &Thread) -> Result<(), Errno> {
    let stack =
        sigaltstack { ss_sp: thread.signal_stack() as *mut _, ss_flags: 0, ss_size: SIGNAL_STACK_SIZE };
    // SAFETY: the stack is the thread's own and used for nothing else.
    unsafe { sys::call(__NR_sigaltstack, [&raw const stack as u64, 0]) }.map(drop)
}

/// Takes the signals that arrived.
pub fn take_arrived() -> u64 {
    ARRIVED.swap(0, SeqCst)
}

/// Makes a thread stop what it does, by the kick signal.
pub fn kick(thread: &Thread) {
    if thread.kicked.swap(1, SeqCst) != 0 {
        return;
    }
    let args = [run::process_id() as u64, thread.host.tid as u64, KICK as u64];
    // SAFETY: sends a signal; a thread that has ended is ESRCH.
    let _ = unsafe { sys::call(__NR_tgkill, args) };
}

/// Ends the process by `signal`, so that the parent sees it.
pub fn die(signal: i32) -> ! {
    let limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: no core file of an enclave; the kernel reads the local limit.
    let _ = unsafe { sys::call(__NR_prlimit64, [0, RLIMIT_CORE as u64, &raw const limit as u64, 0]) };
    let _ = set_action(signal, &Action::default());
    set_mask(0);
    // SAFETY: sends a signal to this very thread, so that it is acted on before the call returns.
    let _ = unsafe {
        let thread = sys::call(__NR_gettid, []).unwrap_or(0);
        sys::call(__NR_tgkill, [run::process_id() as u64, thread as u64, signal as u64])
    };
    // Process 1 of a container is immune to its own signals, and some signals do not kill.
    sys::exit(128 + signal)
}

extern "C" fn handle(signal: i32, info: *const SignalInfo, context: *mut Context) {
    let Some(thread) = arena::containing(context as u64) else {
        fail(EXIT_INTERNAL, format_args!("internal error: signal {signal} on an unknown stack"))
    };
    // SAFETY: the kernel wrote both structures into this handler's own frame.
    let (code, context) = unsafe { ((*info).code, &mut *context) };
    let depth = thread.depth.fetch_add(1, Relaxed);
    let event = classify(signal, code);
    if context.is_foreign() {
        refuse_foreign_code(thread, context, signal);
        if matches!(event, Event::Fault | Event::TrappedCall) {
            thread.depth.fetch_sub(1, Relaxed);
            return;
        }
    }
    match event {
        Event::Kick => {
            // First: a kick that is asked for from here on is sent anew.
            thread.kicked.store(0, SeqCst);
            interrupt(thread, context, signal, thread.interrupt.swap(0, SeqCst) != 0);
            #[cfg(feature = "hostile")]
            if let Some(exception) = crate::hostile::exception() {
                invent(thread, context, exception);
            }
        }
        Event::Asynchronous => {
            ARRIVED.fetch_or(1 << (signal - 1), SeqCst);
            thread.host.wake.store(1, SeqCst);
            // Inside another handler's enclave entry the mark must do.
            interrupt(thread, context, signal, depth == 0);
        }
        Event::TrappedCall if vdso::contains(context.rip) => {
            vdso::retire();
            context.rax = make_trapped_call(context);
        }
        // The vDSO reports the exceptions of code inside, but for #DB and #BP.
        Event::TrappedCall | Event::Fault if run::is_hardware() => {
            if depth >= DEPTH_LIMIT || !hardware::interrupt(thread, context) {
                fail_at(signal, context);
            }
        }
        Event::Fault if soft::is_enclu(thread, context) => {
            if depth >= DEPTH_LIMIT {
                fail_at(signal, context);
            }
            soft::execute(thread, context);
        }
        Event::TrappedCall | Event::Fault if soft::is_inside(thread, context.rip) => {
            if depth >= DEPTH_LIMIT {
                fail_at(signal, context);
            }
            if event == Event::TrappedCall {
                stats::count_trapped();
            }
            soft::raise(thread, context, interruption(event, context));
        }
        Event::TrappedCall if is_entered(thread) => {
            stats::count_trapped();
            raise(context, VECTOR_SYSCALL, signal);
        }
        Event::RefusedCall => context.rax = (-(Errno::ENOSYS.0 as i64)) as u64,
        Event::Fault | Event::TrappedCall => {
            if depth >= DEPTH_LIMIT || run::is_own_code(context.rip) || !is_entered(thread) {
                fail_at(signal, context);
            }
            raise(context, vector_of(context), signal);
        }
    }
    thread.depth.fetch_sub(1, Relaxed);
}

/// 32-bit code is none that runs in an enclave, whose far transfers fault: the program gets #GP where it was met in it.
fn refuse_foreign_code(thread: &Thread, context: &mut Context, signal: i32) {
    let selector = context.use_own_selectors();
    (context.trap_number, context.error_code, context.fault_address) = (GENERAL_PROTECTION, selector, 0);
    // The loader's own code is never of that kind.
    if run::is_enclave() && soft::is_entered(thread) {
        soft::raise(thread, context, interruption(Event::Fault, context));
    } else if is_entered(thread) {
        raise(context, GENERAL_PROTECTION, signal);
    } else {
        fail_at(signal, context);
    }
}

const GENERAL_PROTECTION: u64 = 13;

fn vector_of(context: &Context) -> u64 {
    if context.trap_number < 32 { context.trap_number } else { GENERAL_PROTECTION }
}

/// What met a thread inside an enclave, of the two kinds that are no signals.
fn interruption(event: Event, context: &Context) -> Interruption {
    if event == Event::TrappedCall {
        return Interruption::Syscall;
    }
    let vector = vector_of(context) as u8;
    Interruption::Exception { vector, error_code: context.error_code as u32, address: context.fault_address }
}

/// A host signal: a blocking call that had not begun does not begin, and the enclave is told.
fn interrupt(thread: &Thread, context: &mut Context, signal: i32, tell: bool) {
    if let Some(address) = blocking::interrupted_address(context.rip)
        && thread.host.wake.load(SeqCst) != 0
    {
        context.rip = address;
    }
    if run::is_hardware() {
        if tell {
            hardware::interrupt(thread, context);
        }
    } else if run::is_enclave() {
        if tell && soft::is_inside(thread, context.rip) {
            soft::raise(thread, context, Interruption::Signal);
        } else if tell {
            soft::note(thread, context);
        }
    } else if tell && is_entered(thread) {
        raise(context, VECTOR_INTERRUPT, signal);
    }
}

/// On `direct`: whether the enclave runs on this thread and has set its gs.
fn is_entered(thread: &Thread) -> bool {
    !run::is_enclave() && thread.inside.load(SeqCst) != 0 && registers::gs_base() != 0
}

fn raise(context: &mut Context, vector: u64, signal: i32) {
    let mut frame = ExceptionFrame { vector, signal: signal as u64, ..context.to_frame() };
    if vector < 32 {
        frame.error_code = context.error_code;
        frame.address = context.fault_address;
    }
    // SAFETY: the enclave's entry takes an exception frame with this reason, at any time after it has set gs.
    unsafe { run::enter(EntryReason::Exception, &raw mut frame as u64, 0) };
    context.take_from(&frame);
}

/// Tells the enclave of an exception that never was: vector, error code, address. On the software device it meets code inside, and
/// has a vector and error code that a processor could report.
#[cfg(feature = "hostile")]
fn invent(thread: &Thread, context: &mut Context, [vector, error_code, address]: [u64; 3]) {
    if run::is_enclave() {
        if soft::is_inside(thread, context.rip) && !run::is_own_code(context.rip) {
            let (vector, error_code) = (vector as u8 % 32, error_code as u32);
            soft::raise(thread, context, Interruption::Exception { vector, error_code, address });
        }
        return;
    }
    if !is_entered(thread) {
        return;
    }
    let mut frame = ExceptionFrame { vector, error_code, address, signal: KICK as u64, ..context.to_frame() };
    // SAFETY: as in `raise`.
    unsafe { run::enter(EntryReason::Exception, &raw mut frame as u64, 0) };
    context.take_from(&frame);
}

/// The vDSO's system call, made on its behalf.
fn make_trapped_call(context: &Context) -> u64 {
    let args = [context.rdi, context.rsi, context.rdx, context.r10, context.r8, context.r9];
    // SAFETY: the vDSO's own fallback calls: clock_gettime and its like, writing where the loader asked it to.
    match unsafe { sys::call(context.rax as u32, args) } {
        Ok(value) => value as u64,
        Err(error) => (-(error.0 as i64)) as u64,
    }
}

fn fail_at(signal: i32, context: &Context) -> ! {
    fail(
        EXIT_INTERNAL,
        format_args!(
            "internal error: signal {signal}, vector {} at rip {:#x} (loader{:+#x}), address {:#x}, rsp {:#x}; please report this",
            context.trap_number,
            context.rip,
            context.rip.wrapping_sub(run::loader_base()) as i64,
            context.fault_address,
            context.rsp,
        ),
    )
}
