//! [`UserContext`]: a program thread's registers, and `run`, which resumes the program until it traps.

use core::sync::atomic::Ordering::*;

use crate::emulate::Emulated;
use crate::entry::{TRAP_CLAIMED_SYSCALL, TRAP_EXCEPTION, TRAP_SYSCALL, user_run};
use crate::{area, user};

/// Offsets of fields, for assembly.
pub(crate) mod layout {
    pub const RAX: usize = 0x00;
    pub const RBX: usize = 0x08;
    pub const RCX: usize = 0x10;
    pub const RDX: usize = 0x18;
    pub const RSI: usize = 0x20;
    pub const RDI: usize = 0x28;
    pub const RBP: usize = 0x30;
    pub const RSP: usize = 0x38;
    pub const R8: usize = 0x40;
    pub const R9: usize = 0x48;
    pub const R10: usize = 0x50;
    pub const R11: usize = 0x58;
    pub const R12: usize = 0x60;
    pub const R13: usize = 0x68;
    pub const R14: usize = 0x70;
    pub const R15: usize = 0x78;
    pub const RIP: usize = 0x80;
    pub const RFLAGS: usize = 0x88;
    pub const FULL_RESTORE: usize = 0x90;
    pub const XMM: usize = 0xa0;
}

/// General registers of the program, in a fixed order known to the entry code.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[allow(missing_docs)]
pub struct GeneralRegisters {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
}

/// Flags a program may set by editing a context: CF PF AF ZF SF DF OF AC ID; never TF, IF or IOPL.
pub(crate) const SETTABLE_FLAGS: u64 = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x400 | 0x800 | 0x4_0000 | 0x20_0000;
/// The bits that are always set while a program runs: reserved bit 1 and IF.
pub(crate) const FIXED_FLAGS: u64 = 0x202;

/// A program thread's registers. Upper vector halves, masks, x87 and MXCSR stay in the processor: the library OS never touches
/// them (see [`crate::extended_state`] for signal frames and new threads).
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct UserContext {
    /// General registers and the instruction pointer.
    pub regs: GeneralRegisters,
    rflags: u64,
    full_restore: u32,
    reserved: [u32; 3],
    /// xmm0 to xmm15.
    pub xmm: [u128; 16],
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(UserContext, rflags) == layout::RFLAGS);
    assert!(offset_of!(UserContext, full_restore) == layout::FULL_RESTORE);
    assert!(offset_of!(UserContext, xmm) == layout::XMM);
    assert!(offset_of!(GeneralRegisters, rip) == layout::RIP);
    assert!(offset_of!(GeneralRegisters, r15) == layout::R15);
};

/// Why the program stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A system call: number in rax, arguments in rdi rsi rdx r10 r8 r9.
    Syscall,
    /// A processor exception.
    Exception(Exception),
    /// A host signal or [`crate::thread::ThreadHandle::interrupt`]; nothing is wrong with the program.
    Interrupt,
}

/// A processor exception of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// x86 vector: 0 #DE, 1 #DB, 3 #BP, 6 #UD, 13 #GP, 14 #PF, 16 #MF, 17 #AC, 19 #XM.
    pub vector: u8,
    /// Error code as the processor gives it (page faults: bit 1 write, bit 4 instruction fetch).
    pub error_code: u32,
    /// Faulting address of a page fault, else 0.
    pub address: u64,
}

impl Default for UserContext {
    fn default() -> Self {
        UserContext {
            regs: GeneralRegisters::default(),
            rflags: FIXED_FLAGS,
            full_restore: 1,
            reserved: [0; 3],
            xmm: [0; 16],
        }
    }
}

impl UserContext {
    /// Resumes the program with these registers until it traps; the registers are then as they were at the trap.
    ///
    /// After [`Trap::Syscall`] from a rewritten site rcx and r11 are clobbered as by the instruction.
    #[inline]
    pub fn run(&mut self) -> Trap {
        loop {
            // SAFETY: the context is exclusively borrowed until the call returns; the entry code keeps the library OS's
            // callee-saved registers and stack, and hands control to the program, which holds no reference to enclave data.
            let kind = unsafe { user_run(self) };
            if kind == TRAP_SYSCALL {
                return Trap::Syscall;
            }
            if kind == TRAP_EXCEPTION {
                let area = area::current();
                // SAFETY: the area is this thread's own and the exception handler that wrote these fields has returned.
                let (vector, error, address) =
                    unsafe { ((*area).trap_vector, (*area).trap_error, (*area).trap_address) };
                if vector == crate::emulate::INVALID_OPCODE && crate::host::leaves_by_gate() {
                    match crate::emulate::emulate(self) {
                        Emulated::Syscall => return Trap::Syscall,
                        Emulated::Done => continue,
                        Emulated::Not => {}
                    }
                }
                return Trap::Exception(Exception {
                    vector: vector as u8,
                    error_code: error as u32,
                    address,
                });
            }
            return if kind == TRAP_CLAIMED_SYSCALL { self.claimed_call() } else { Trap::Interrupt };
        }
    }

    /// What a trap is of which the host says that it was a system call: only the program's own instruction makes one.
    fn claimed_call(&self) -> Trap {
        let mut bytes = [0; 2];
        match user::copy_in(&mut bytes, self.regs.rip.wrapping_sub(2)).map(|()| bytes) {
            Ok([0x0f, 0x05]) => Trap::Syscall,
            // `int 0x80` and `sysenter`: this is no kernel with 32-bit calls.
            Ok([0xcd, 0x80] | [0x0f, 0x34]) => {
                Trap::Exception(Exception { vector: 13, error_code: 0, address: 0 })
            }
            _ => Trap::Interrupt,
        }
    }

    /// The program's flags.
    pub fn flags(&self) -> u64 {
        self.rflags
    }

    /// Sets the program's flags, as far as a program may.
    pub fn set_flags(&mut self, flags: u64) {
        self.rflags = (flags & SETTABLE_FLAGS) | FIXED_FLAGS;
        self.full_restore = 1;
    }

    pub(crate) fn store_trapped(&mut self, regs: GeneralRegisters, rflags: u64) {
        self.regs = regs;
        self.rflags = rflags;
        self.full_restore = 1;
    }
}

/// The program's fs base on this thread.
pub fn fs_base() -> u64 {
    let value: u64;
    // SAFETY: reads a register; FSGSBASE was checked at start.
    unsafe { core::arch::asm!("rdfsbase {}", out(reg) value, options(nostack, nomem, preserves_flags)) };
    value
}

/// Sets the program's fs base on this thread; false when the address is not canonical.
pub fn set_fs_base(value: u64) -> bool {
    if value >> 47 != 0 {
        return false;
    }
    // SAFETY: the enclave itself never uses fs; the address is canonical, so the instruction does not fault.
    unsafe { core::arch::asm!("wrfsbase {}", in(reg) value, options(nostack, nomem, preserves_flags)) };
    true
}

/// Sets this thread's interrupt mark: a host signal arrived while the library OS was at work.
pub(crate) fn note_interrupt() {
    // SAFETY: as in `take_interrupt`.
    unsafe { (*area::current()).interrupt.store(1, SeqCst) };
}

/// Takes this thread's interrupt mark: true once after each interrupt.
pub fn take_interrupt() -> bool {
    // SAFETY: the thread area outlives the thread's stay in the enclave; the field is atomic.
    unsafe { (*area::current()).interrupt.swap(0, SeqCst) != 0 }
}
