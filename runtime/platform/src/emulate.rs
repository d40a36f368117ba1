//! Instructions that raise #UD in an enclave and that programs use all the same: `syscall`, `cpuid`, `rdtsc`, `rdtscp`
//! (SDM 36.6.1, "Illegal instructions"). What stands at the program's rip decides, never the host's word.

use casemate_abi::ExceptionFrame;

use crate::context::UserContext;
use crate::user;

const CPUID: [u8; 2] = [0x0f, 0xa2];

/// Vector of #UD.
pub(crate) const INVALID_OPCODE: u64 = 6;

/// What an instruction that raised #UD was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emulated {
    /// A system call; the registers are as after the instruction.
    Syscall,
    /// Another one, and it is done.
    Done,
    /// None of them: the program's own fault.
    Not,
}

/// Looks at the instruction at rip and does what it does outside an enclave.
pub(crate) fn emulate(context: &mut UserContext) -> Emulated {
    let mut code = [0; 3];
    // The last instruction of a page may be shorter than three bytes.
    let seen = (1..=3).rev().find(|&length| user::copy_in(&mut code[..length], context.regs.rip).is_ok());
    let done = |context: &mut UserContext, length| {
        context.regs.rip = context.regs.rip.wrapping_add(length);
        Emulated::Done
    };
    match (seen, code) {
        (Some(2..), [0x0f, 0x05, _]) => {
            context.regs.rip = context.regs.rip.wrapping_add(2);
            context.regs.rcx = context.regs.rip;
            context.regs.r11 = context.flags();
            Emulated::Syscall
        }
        (Some(2..), [0x0f, 0xa2, _]) => {
            let (leaf, subleaf) = (context.regs.rax as u32, context.regs.rcx as u32);
            let [a, b, c, d] = crate::cpuid::cpuid(leaf, subleaf).map(u64::from);
            (context.regs.rax, context.regs.rbx, context.regs.rcx, context.regs.rdx) = (a, b, c, d);
            done(context, 2)
        }
        (Some(2..), [0x0f, 0x31, _]) => {
            set_counter(context);
            done(context, 2)
        }
        (Some(3), [0x0f, 0x01, 0xf9]) => {
            set_counter(context);
            context.regs.rcx = 0;
            done(context, 3)
        }
        _ => Emulated::Not,
    }
}

/// CPUID in the enclave image itself: crates ask it before they choose between implementations. They are told of nothing that
/// would use more than the lower halves of the vector registers, as those hold the program's state (docs/architecture.md).
pub(crate) fn own_cpuid(frame: &mut ExceptionFrame) -> bool {
    let layout = crate::layout::block();
    let image = layout.image_base..layout.image_base + layout.image_size - 1;
    if frame.vector != INVALID_OPCODE || !crate::host::leaves_by_gate() || !image.contains(&frame.rip) {
        return false;
    }
    // SAFETY: the processor just fetched an instruction there, in the image, which stays as it is.
    if unsafe { (frame.rip as *const [u8; 2]).read_unaligned() } != CPUID {
        return false;
    }
    let [a, b, c, d] =
        crate::cpuid::without_wide_registers(frame.rax as u32, frame.rcx as u32).map(u64::from);
    (frame.rax, frame.rbx, frame.rcx, frame.rdx) = (a, b, c, d);
    frame.rip += CPUID.len() as u64;
    true
}

/// RDX:RAX as RDTSC leaves them; one tick a nanosecond.
fn set_counter(context: &mut UserContext) {
    let ticks = crate::clock::now().monotonic_ns;
    (context.regs.rax, context.regs.rdx) = (ticks & 0xffff_ffff, ticks >> 32);
}
