//! Signal frames as x86-64 Linux lays them out (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h, ucontext.h).

use casemate_platform::context::UserContext;
use casemate_platform::extended_state::{ExtendedState, enabled_components};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::deliver::{FaultWords, recompute_attention};
use super::{Action, ActionFlags, AlternateStack, SignalInfo};
use crate::errno::{Errno, Result};
use crate::process::Context;
use crate::user_space::{self, Addr};

const RED_ZONE: u64 = 128;
/// UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS.
const CONTEXT_FLAGS: u64 = 7;
/// User code, stack and null selectors: cs, gs, fs, ss.
const SELECTORS: u64 = 0x33 | 0x2b << 48;
const MAGIC_1: u32 = 0x4650_5853;
const MAGIC_2: u32 = 0x4650_5845;
/// Offset of struct _fpx_sw_bytes in the legacy area.
const SOFTWARE_BYTES: usize = 464;
const SS_ONSTACK: u32 = 1;
const SS_DISABLE: u32 = 2;
const SS_AUTODISARM: u32 = 1 << 31;

/// struct ucontext with struct sigcontext, up to and including the kernel's 8-byte mask.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct ContextRecord {
    flags: u64,
    link: u64,
    stack: [u64; 3],
    /// r8 to r15.
    high: [u64; 8],
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    rsp: u64,
    rip: u64,
    eflags: u64,
    selectors: u64,
    error: u64,
    trap: u64,
    old_mask: u64,
    fault_address: u64,
    floating_point: u64,
    reserved: [u64; 8],
    mask: u64,
}

const RECORD_SIZE: u64 = core::mem::size_of::<ContextRecord>() as u64;
const _: () = assert!(RECORD_SIZE == 304);
const INFO_SIZE: u64 = 128;

/// struct sigaltstack as words: base, flags, size.
pub fn stack_words(stack: &AlternateStack, stack_pointer: u64) -> [u64; 3] {
    let mut flags = 0;
    if stack.size == 0 {
        flags |= SS_DISABLE;
    } else if stack.contains(stack_pointer) {
        flags |= SS_ONSTACK;
    }
    if stack.auto_disarm {
        flags |= SS_AUTODISARM;
    }
    [stack.base, flags as u64, stack.size]
}

/// The alternate stack that words from a program describe; `EINVAL`, `ENOMEM`.
pub fn stack_from_words(words: [u64; 3]) -> Result<AlternateStack> {
    let flags = words[1] as u32;
    match flags & !SS_AUTODISARM {
        SS_DISABLE => Ok(AlternateStack::default()),
        0 | SS_ONSTACK if words[2] < 2048 => Err(Errno::ENOMEM),
        0 | SS_ONSTACK => {
            Ok(AlternateStack { base: words[0], size: words[2], auto_disarm: flags & SS_AUTODISARM != 0 })
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Puts a frame on the program's stack and makes the registers enter the handler. `EFAULT` when the stack cannot take it.
pub(super) fn push(
    context: &Context,
    info: &SignalInfo,
    action: &Action,
    handler: u64,
    old_mask: u64,
    fault: Option<FaultWords>,
) -> Result<()> {
    let mut registers = context.registers.borrow().clone();
    let stack = *context.thread.signals.alternate_stack.lock();
    let rsp = registers.regs.rsp;
    let mut top = rsp.wrapping_sub(RED_ZONE);
    if action.flags.contains(ActionFlags::ON_STACK) && stack.size != 0 && !stack.contains(rsp) {
        top = stack.base.wrapping_add(stack.size);
    }
    let state = ExtendedState::save(&registers);
    let floating_point = top.wrapping_sub(state.bytes().len() as u64 + 4) & !63;
    let frame = (floating_point.wrapping_sub(8 + RECORD_SIZE + INFO_SIZE) & !15).wrapping_sub(8);
    if stack.contains(rsp) && !stack.contains(frame) && action.flags.contains(ActionFlags::ON_STACK) {
        return Err(Errno::EFAULT);
    }
    let record = record(&registers, context, &stack, floating_point, old_mask, fault);
    write_floating_point(&state, floating_point)?;
    user_space::write_u64(Addr(frame), action.restorer)?;
    user_space::write(Addr(frame + 8), &record)?;
    user_space::copy_out(Addr(frame + 8 + RECORD_SIZE), &info.to_bytes())?;
    registers.regs.rdi = info.signal.number() as u64;
    registers.regs.rsi = frame + 8 + RECORD_SIZE;
    registers.regs.rdx = frame + 8;
    registers.regs.rax = 0;
    registers.regs.rsp = frame;
    registers.regs.rip = handler;
    registers.set_flags(registers.flags() & !0x400);
    *context.registers.borrow_mut() = registers;
    if stack.auto_disarm {
        *context.thread.signals.alternate_stack.lock() = AlternateStack::default();
    }
    Ok(())
}

fn record(
    registers: &UserContext,
    context: &Context,
    stack: &AlternateStack,
    floating_point: u64,
    old_mask: u64,
    fault: Option<FaultWords>,
) -> ContextRecord {
    let regs = &registers.regs;
    let [trap, error, fault_address] = fault.unwrap_or([0; 3]);
    ContextRecord {
        flags: CONTEXT_FLAGS,
        link: 0,
        stack: stack_words(stack, regs.rsp),
        high: [regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15],
        rdi: regs.rdi,
        rsi: regs.rsi,
        rbp: regs.rbp,
        rbx: regs.rbx,
        rdx: regs.rdx,
        rax: regs.rax,
        rcx: regs.rcx,
        rsp: regs.rsp,
        // A pc inside a trampoline is shown as the place in the program that it stands for.
        rip: context.process().address_space().original_pc(regs.rip),
        eflags: registers.flags(),
        selectors: SELECTORS,
        error,
        trap,
        old_mask,
        fault_address,
        floating_point,
        reserved: [0; 8],
        mask: old_mask,
    }
}

/// The XSAVE image with the words that tell a program (and sigreturn) how long it is.
fn write_floating_point(state: &ExtendedState, at: u64) -> Result<()> {
    let mut bytes = state.to_vec();
    let size = bytes.len() as u32;
    let mut software = [0u8; 48];
    software[0..4].copy_from_slice(&MAGIC_1.to_le_bytes());
    software[4..8].copy_from_slice(&(size + 4).to_le_bytes());
    software[8..16].copy_from_slice(&enabled_components().to_le_bytes());
    software[16..20].copy_from_slice(&size.to_le_bytes());
    bytes[SOFTWARE_BYTES..SOFTWARE_BYTES + 48].copy_from_slice(&software);
    user_space::copy_out(Addr(at), &bytes)?;
    user_space::write_u32(Addr(at + size as u64), MAGIC_2)
}

/// rt_sigreturn(2): takes the frame at the stack pointer back. `EFAULT` when it is not readable.
pub fn return_from_handler(context: &Context) -> Result<()> {
    let at = context.registers.borrow().regs.rsp;
    let record: ContextRecord = user_space::read(Addr(at))?;
    let mut registers = context.registers.borrow().clone();
    let regs = &mut registers.regs;
    [regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15] = record.high;
    (regs.rdi, regs.rsi, regs.rbp, regs.rbx) = (record.rdi, record.rsi, record.rbp, record.rbx);
    (regs.rdx, regs.rax, regs.rcx, regs.rsp) = (record.rdx, record.rax, record.rcx, record.rsp);
    regs.rip = context.process().address_space().resumable_pc(record.rip);
    registers.set_flags(record.eflags);
    read_floating_point(record.floating_point)?.restore(&mut registers);
    *context.registers.borrow_mut() = registers;
    let signals = &context.thread.signals;
    signals.set_mask(record.mask);
    if let Ok(stack) = stack_from_words(record.stack) {
        *signals.alternate_stack.lock() = stack;
    }
    recompute_attention(context.thread);
    Ok(())
}

fn read_floating_point(at: u64) -> Result<ExtendedState> {
    if at == 0 {
        return Ok(ExtendedState::initial());
    }
    let mut software = [0u8; 20];
    user_space::copy_in(&mut software, Addr(at + SOFTWARE_BYTES as u64))?;
    let word =
        |at: usize| u32::from_le_bytes([software[at], software[at + 1], software[at + 2], software[at + 3]]);
    let full = casemate_platform::extended_state::image_size();
    let extended = word(0) == MAGIC_1 && word(16) as usize == full;
    let mut bytes = alloc::vec![0; if extended { full } else { 512 }];
    user_space::copy_in(&mut bytes, Addr(at))?;
    ExtendedState::from_program(&bytes).ok_or(Errno::EFAULT)
}
