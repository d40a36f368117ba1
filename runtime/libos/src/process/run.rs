//! The loop that every program thread runs in: resume the program, match the trap, handle it, look after signals, again.

use alloc::sync::Arc;
use core::cell::RefCell;

use casemate_platform::console::{self, Level};
use casemate_platform::context::{Exception, Trap, UserContext};
use casemate_platform::{log, thread};

use super::exit::{begin_exit, leave};
use super::{Context, ExitState, Thread, set_current_thread};
use crate::errno::Errno;
use crate::mm::FaultOutcome;
use crate::signal::{self, Next, Signal};
use crate::syscall;
use crate::user_space::Access;

/// Runs thread `own` from `registers` on until it ends. Called on the enclave thread that is to be it.
pub fn run(own: &Arc<Thread>, registers: UserContext) {
    set_current_thread(own.clone());
    thread::set_id(own.tid());
    own.cpu.wake();
    own.enter_stage();
    own.barrier.wake();
    let registers = RefCell::new(registers);
    let recent = RefCell::default();
    let context = Context { thread: own, registers: &registers, recent: &recent };
    let mut in_vain = InVain::default();
    while !own.must_end() {
        let trap = registers.borrow_mut().run();
        match trap {
            Trap::Syscall => {
                thread::note_call(Some(registers.borrow().regs.rax));
                serve_call(&context);
            }
            Trap::Exception(exception) => {
                thread::note_call(None);
                serve_exception(&context, exception, &mut in_vain);
            }
            Trap::Interrupt => {
                thread::note_call(None);
                signal::attend(&context, None);
                own.offer_stage();
            }
        }
    }
    leave(&context);
    own.barrier.sleep();
    own.leave_stage();
}

/// Serves one system call, however often it is cut short, and signals after it.
fn serve_call(context: &Context) {
    loop {
        let result = syscall::serve(context);
        let restart = match result {
            Err(error) if error.is_restart() => Some(error),
            _ => {
                if let Some(value) = syscall::to_register(result) {
                    context.registers.borrow_mut().regs.rax = value;
                }
                None
            }
        };
        if restart.is_none() && !context.thread.has_signal() {
            return;
        }
        if context.thread.must_end() {
            return;
        }
        let next = signal::attend(context, restart);
        context.thread.offer_stage();
        if next == Next::Resume {
            if restart == Some(Errno::ERESTART_RESTARTBLOCK) {
                *context.thread.sleep_until.lock() = None;
            }
            return;
        }
    }
}

/// x86 exception vector of a page fault.
const PAGE_FAULT: u8 = 14;

/// So many faults of one instruction at an address that is there are not chance any more: the host takes the page away, or never
/// gave it. On a machine that keeps its word there is one now and then, when another thread changes the page at that moment.
const IN_VAIN_LIMIT: u32 = 10_000;

/// Faults in a row that nothing was to be done about.
#[derive(Default)]
struct InVain {
    rip: u64,
    address: u64,
    count: u32,
}

impl InVain {
    /// Notes a fault, and whether anything was done about it; ends the run when it leads nowhere.
    fn note(&mut self, rip: u64, address: u64, repaired: bool) {
        let again = !repaired && (rip, address) == (self.rip, self.address);
        *self = InVain { rip, address, count: if again { self.count + 1 } else { 0 } };
        if self.count >= IN_VAIN_LIMIT {
            console::fatal("the host keeps a page of the program from it");
        }
    }
}

fn serve_exception(context: &Context, exception: Exception, in_vain: &mut InVain) {
    let mut outcome = None;
    if exception.vector == PAGE_FAULT {
        let access = if exception.error_code & 0x10 != 0 {
            Access::Execute
        } else if exception.error_code & 2 != 0 {
            Access::Write
        } else {
            Access::Read
        };
        let (found, repaired) = context.process().address_space().repair_fault(exception.address, access);
        if found == FaultOutcome::Resolved {
            in_vain.note(context.registers.borrow().regs.rip, exception.address, repaired);
            return;
        }
        if found == FaultOutcome::OutOfMemory {
            end_for_want_of_memory(context, exception.address);
            return;
        }
        outcome = Some(found);
    }
    signal::raise_exception(context, exception, outcome);
    if context.thread.has_signal() {
        signal::attend(context, None);
    }
}

/// As Linux's OOM killer: a page that a program has and touches cannot be had.
fn end_for_want_of_memory(context: &Context, address: u64) {
    let process = context.process();
    log!(
        Level::Error,
        "out of memory: process {} is killed (SIGKILL): there is no page for address {address:#x}, which it touched; \
         the enclave has no memory left (sgx.enclave_size), or the host none for it",
        process.pid
    );
    begin_exit(process, ExitState::Killed(Signal::KILL.number() as u8));
}

impl Errno {
    /// Whether it is one of the internal restart codes.
    pub fn is_restart(self) -> bool {
        matches!(
            self,
            Errno::ERESTARTSYS | Errno::ERESTARTNOINTR | Errno::ERESTARTNOHAND | Errno::ERESTART_RESTARTBLOCK
        )
    }
}
