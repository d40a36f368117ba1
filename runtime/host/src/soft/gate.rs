//! Entering and leaving: what EENTER and EEXIT do to the flow of control, and the code that stands for ENCLU inside.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::{EXIT_DONE, EntryReason};
use casemate_sgx::Fault;
use casemate_sgx::layout::LayoutBlock;
use casemate_softsgx::{BUSY, ENCLU_LENGTH, Leaf, Registers};

use super::{device, faithful};
use crate::arena::{self, Thread};
use crate::report::{EXIT_INTERNAL, fail, print};
use crate::{calls, registers, sys};

/// What an entry begins with.
#[repr(C)]
pub(super) struct Entry {
    rip: u64,
    cssa: u64,
    pub(super) tcs: u64,
    pub(super) words: [u64; 3],
    fs: u64,
    gs: u64,
    pending: *const AtomicU32,
}

/// What EEXIT left in RDI and RSI.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Exit {
    pub number: u64,
    pub value: u64,
}

/// Registers of a leaf that stays inside.
#[repr(C)]
struct LeafRegisters {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    length: u64,
}

core::arch::global_asm!(
    r#"
    .text
    // Exit casemate_soft_run(rdi: const Entry *): goes where EENTER leads; returns after EEXIT.
    .globl casemate_soft_run
    .type casemate_soft_run, @function
casemate_soft_run:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    sub rsp, 8
    mov r11, rdi
    mov rax, [r11 + {FS}]
    wrfsbase rax
    mov rax, [r11 + {GS}]
    wrgsbase rax
    mov rax, [r11 + {CSSA}]
    mov rbx, [r11 + {TCS}]
    mov rdi, [r11 + {WORDS}]
    mov rsi, [r11 + {WORDS} + 8]
    mov rdx, [r11 + {WORDS} + 16]
    mov r10, [r11 + {RIP}]
    mov r9, [r11 + {PENDING}]
    lea rcx, [rip + casemate_soft_left]
    xor r8d, r8d
    xchg [r9], r8d
    .globl casemate_soft_entering
casemate_soft_entering:
    jmp r10
    .globl casemate_soft_left
casemate_soft_left:
    add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    mov rax, rdi
    mov rdx, rsi
    ret
    .size casemate_soft_run, . - casemate_soft_run

    // What the enclave does instead of ENCLU. EEXIT arrives on the host's stack; the other leaves on the enclave's.
    .globl casemate_soft_enclu
    .type casemate_soft_enclu, @function
casemate_soft_enclu:
    cmp eax, {EEXIT}
    jne 1f
    push rdi
    push rsi
    push rbx
    sub rsp, 8
    mov rdi, rbx
    mov rsi, rsp
    call {EXITED}
    add rsp, 8
    pop rbx
    pop rsi
    pop rdi
    jmp rbx
1:  push rbp
    mov rbp, rsp
    sub rsp, 48
    mov [rsp], rax
    mov [rsp + 8], rbx
    mov [rsp + 16], rcx
    mov [rsp + 24], rdx
    mov [rsp + 32], r9
    mov rdi, rsp
    call {LEAF}
    test rax, rax
    jz 2f
    mov r11, rax
    mov rax, [rsp]
    mov rcx, [rsp + 16]
    mov rdx, [rsp + 24]
    mov r9, [rsp + 32]
    leave
    xor r10d, r10d
    xchg [r11], r10d
    .globl casemate_soft_returning
casemate_soft_returning:
    ret
    // The instruction faults: vector and address in RAX and RDX, where it stands in R11.
2:  mov rax, [rsp]
    mov rdx, [rsp + 24]
    leave
    pop r11
    .globl casemate_soft_faulting
casemate_soft_faulting:
    ud2
    .size casemate_soft_enclu, . - casemate_soft_enclu
"#,
    RIP = const offset_of!(Entry, rip),
    CSSA = const offset_of!(Entry, cssa),
    TCS = const offset_of!(Entry, tcs),
    WORDS = const offset_of!(Entry, words),
    FS = const offset_of!(Entry, fs),
    GS = const offset_of!(Entry, gs),
    PENDING = const offset_of!(Entry, pending),
    EEXIT = const Leaf::Eexit as u32,
    EXITED = sym exited,
    LEAF = sym leaf,
);

unsafe extern "C" {
    fn casemate_soft_run(entry: *const Entry) -> Exit;
    fn casemate_soft_enclu();
    fn casemate_soft_entering();
    fn casemate_soft_returning();
    fn casemate_soft_faulting();
    fn casemate_soft_left();
}

/// Address of the code that stands for ENCLU; 0: the instruction.
pub fn enclu_address() -> u64 {
    if faithful::is_on() { 0 } else { casemate_soft_enclu as *const () as u64 }
}

/// Where the enclave goes on after EEXIT, and the asynchronous exit pointer.
pub(super) fn left_address() -> u64 {
    casemate_soft_left as *const () as u64
}

/// Which register tells the enclave of a host signal, when the signal arrives just as control goes inside.
pub(super) enum Window {
    /// R8 at an entry.
    Entry,
    /// R10 after a leaf.
    Leaf,
}

/// Whether control is about to go inside at this address of the loader, the note about signals already taken.
pub(super) fn window(rip: u64) -> Option<Window> {
    if rip == casemate_soft_entering as *const () as u64 {
        return Some(Window::Entry);
    }
    (rip == casemate_soft_returning as *const () as u64).then_some(Window::Leaf)
}

/// Whether a leaf is faulting at this address of the loader.
pub(super) fn is_faulting(rip: u64) -> bool {
    rip == casemate_soft_faulting as *const () as u64
}

static THREADS_BASE: AtomicU64 = AtomicU64::new(0);
static STRIDE: AtomicU64 = AtomicU64::new(u64::MAX);

/// Notes where TCSs are.
pub(super) fn set_layout(block: &LayoutBlock) {
    THREADS_BASE.store(block.threads_base, Relaxed);
    STRIDE.store(block.thread_stride, Relaxed);
}

const TCS_LIMIT: usize = casemate_sgx::layout::MAX_THREADS as usize;

/// Which host thread is inside by each TCS, as by the address of its block.
static INSIDE: [AtomicU64; TCS_LIMIT] = [const { AtomicU64::new(0) }; TCS_LIMIT];

fn slot(address: u64) -> Option<&'static AtomicU64> {
    let distance = address.checked_sub(THREADS_BASE.load(Relaxed))?;
    INSIDE.get((distance / STRIDE.load(Relaxed)) as usize)
}

/// Runs the first thread: enters by the first TCS. Does not return unless the enclave refuses to start.
pub fn run_first(thread: &Thread, start: u64) -> i64 {
    let Some(tcs) = device().block.thread(0).map(|thread| thread.tcs) else { return -1 };
    run(thread, tcs, [EntryReason::Start as u64, start, &raw const thread.host as u64])
}

/// Runs a thread that the enclave asked for.
pub fn run_thread(thread: &Thread) {
    let words = [EntryReason::Thread as u64, 0, &raw const thread.host as u64];
    run(thread, thread.host.area, words);
}

/// Enters, serves host calls, and enters again, until the entry is over.
fn run(thread: &Thread, tcs: u64, mut words: [u64; 3]) -> i64 {
    loop {
        let exit = enter(thread, tcs, words);
        if exit.number == EXIT_DONE {
            return exit.value as i64;
        }
        #[cfg(feature = "hostile")]
        thread.replying.store(1, SeqCst);
        words = [calls::host_call(exit.number, exit.value as *mut [u64; 6]) as u64, 0, 0];
        #[cfg(feature = "hostile")]
        crate::hostile::change_entry(&mut words);
    }
}

/// EENTER, and what runs inside until EEXIT.
pub(super) fn enter(thread: &Thread, tcs: u64, words: [u64; 3]) -> Exit {
    if faithful::is_on() {
        let pending = &raw const thread.pending;
        let entry = Entry { rip: 0, cssa: 0, tcs, words, fs: 0, gs: 0, pending };
        // SAFETY: only the TCS and the words are the host's to choose.
        return unsafe { faithful::enter(&entry) };
    }
    let frame = 0u64;
    let mut state = Registers {
        rbx: tcs,
        rcx: left_address(),
        rip: left_address() - ENCLU_LENGTH,
        rsp: &raw const frame as u64,
        rflags: 0x202,
        fs_base: registers::fs_base(),
        gs_base: registers::gs_base(),
        ..Registers::default()
    };
    loop {
        // SAFETY: the logical processor is the calling thread's own, and no handler uses it while the loader's code runs.
        let logical = unsafe { &mut *thread.logical.get() };
        match device().device.eenter(logical, &mut state) {
            Ok(()) => break,
            // Its last user is on the way out.
            Err(BUSY) if !logical.in_enclave() => sys::yield_processor(),
            // A thread that nobody asked for.
            #[cfg(feature = "hostile")]
            Err(_) if crate::hostile::is_on() => return Exit { number: EXIT_DONE, value: u64::MAX },
            Err(fault) => fail(EXIT_INTERNAL, format_args!("softsgx: EENTER: {fault}")),
        }
    }
    #[cfg(feature = "hostile")]
    crate::hostile::entered(thread, tcs);
    if let Some(slot) = slot(tcs) {
        slot.store(thread as *const Thread as u64, SeqCst);
    }
    let entry = Entry {
        rip: state.rip,
        cssa: state.rax,
        tcs,
        words,
        fs: state.fs_base,
        gs: state.gs_base,
        pending: &raw const thread.pending,
    };
    // SAFETY: the device let the thread in; the enclave comes back by EEXIT, with this stack as it is.
    unsafe { casemate_soft_run(&entry) }
}

/// EEXIT, on the host's stack.
extern "C" fn exited(target: u64, stack: u64) {
    let Some(thread) = arena::containing(stack) else {
        fail(EXIT_INTERNAL, format_args!("softsgx: EEXIT on an unknown stack"))
    };
    let mut state = Registers {
        rax: Leaf::Eexit as u64,
        rbx: target,
        rsp: stack,
        fs_base: registers::fs_base(),
        gs_base: registers::gs_base(),
        ..Registers::default()
    };
    // SAFETY: as in `enter`.
    let logical = unsafe { &mut *thread.logical.get() };
    if let Err(fault) = device().device.eexit(logical, &mut state) {
        fail(EXIT_INTERNAL, format_args!("softsgx: EEXIT: {fault}"));
    }
    // SAFETY: back to the bases that the loader had, which uses neither.
    unsafe { registers::set_bases(state.fs_base, state.gs_base) };
}

/// A leaf that stays inside; returns where host signals are noted, or null with a fault's vector in RAX and its address in RDX.
extern "C" fn leaf(operands: &mut LeafRegisters) -> *const AtomicU32 {
    let thread = match slot(registers::gs_base()).map(|slot| slot.load(SeqCst)) {
        // SAFETY: `enter` put the address of a thread's block there, and blocks are never unmapped.
        Some(address) if address != 0 => unsafe { &*(address as *const Thread) },
        _ => fail(EXIT_INTERNAL, format_args!("softsgx: ENCLU on a thread that is not inside")),
    };
    let mut state = Registers {
        rax: operands.rax,
        rbx: operands.rbx,
        rcx: operands.rcx,
        rdx: operands.rdx,
        ..Registers::default()
    };
    let first = state.rcx;
    // SAFETY: as in `enter`.
    let logical = unsafe { &mut *thread.logical.get() };
    let mut soft = device();
    let result = match Leaf::from_number(state.rax as u32) {
        Some(Leaf::Eaccept | Leaf::Emodpe | Leaf::Eacceptcopy) if operands.length != 0 => {
            soft.device.enclu_range(logical, &mut state, operands.length)
        }
        Some(Leaf::Ereport | Leaf::Egetkey) => soft.device.attest(logical, &mut state),
        _ => Err(Fault::GeneralProtection("ENCLU: not a leaf for code inside")),
    };
    drop(soft);
    if let Err(fault) = result {
        print(format_args!("casemate-host: softsgx: ENCLU[{}]: {fault}", operands.rax as u32));
        (operands.rax, operands.rdx) = match fault {
            Fault::InvalidOpcode => (6, 0),
            Fault::GeneralProtection(_) => (13, 0),
            Fault::Page(address, _) => (14, address),
        };
        return core::ptr::null();
    }
    operands.rax = state.rax;
    operands.length = state.rcx.wrapping_sub(first);
    &raw const thread.pending
}
