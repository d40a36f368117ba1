//! Entry and exit of the program's code, in assembly: the only code that runs with the program's registers.
//!
//! Only legacy SSE moves are used: they leave the upper halves of the vector registers, k0–7 and x87 alone, so that 16
//! `movaps` keep the whole vector state of the program alive across a system call (docs/architecture.md).

use crate::area::offset;
use crate::context::{FIXED_FLAGS, SETTABLE_FLAGS, layout};

/// Values of `trap_kind`, the result of `casemate_user_run`.
pub(crate) const TRAP_SYSCALL: u32 = 0;
pub(crate) const TRAP_EXCEPTION: u32 = 1;
pub(crate) const TRAP_INTERRUPT: u32 = 2;
/// DF, AC, ID: of the flags that a program may set, those that its calls do not carry through the library OS. Under the first two
/// nothing else may run.
const DISTURBING_FLAGS: u64 = 0x400 | 0x4_0000 | 0x20_0000;
/// A trap that the host says was a system call; the bytes before rip must say so too.
pub(crate) const TRAP_CLAIMED_SYSCALL: u32 = 3;

core::arch::global_asm!(
    r#"
    .text
    .balign 64
    .globl casemate_entry_code_begin
casemate_entry_code_begin:

    // u32 casemate_user_run(UserContext *rdi): into the program until it traps. Entered by a jump, with the return address
    // pushed, and left by a jump: a call and a return here would leave the processor's return stack one off, and each
    // system call would cost two mispredicted returns, ours and the program's.
    .globl casemate_user_run
casemate_user_run:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov gs:[{LIBOS_RSP}], rsp
    mov gs:[{CONTEXT}], rdi
    .globl casemate_run_begin
casemate_run_begin:
    mov dword ptr gs:[{IN_USER}], 1
    cmp dword ptr gs:[{INTERRUPT}], 0
    jne casemate_run_abort
    movaps xmm0, [rdi + {XMM} + 0x00]
    movaps xmm1, [rdi + {XMM} + 0x10]
    movaps xmm2, [rdi + {XMM} + 0x20]
    movaps xmm3, [rdi + {XMM} + 0x30]
    movaps xmm4, [rdi + {XMM} + 0x40]
    movaps xmm5, [rdi + {XMM} + 0x50]
    movaps xmm6, [rdi + {XMM} + 0x60]
    movaps xmm7, [rdi + {XMM} + 0x70]
    movaps xmm8, [rdi + {XMM} + 0x80]
    movaps xmm9, [rdi + {XMM} + 0x90]
    movaps xmm10, [rdi + {XMM} + 0xa0]
    movaps xmm11, [rdi + {XMM} + 0xb0]
    movaps xmm12, [rdi + {XMM} + 0xc0]
    movaps xmm13, [rdi + {XMM} + 0xd0]
    movaps xmm14, [rdi + {XMM} + 0xe0]
    movaps xmm15, [rdi + {XMM} + 0xf0]
    cmp dword ptr [rdi + {FULL}], 0
    je 1f
    push qword ptr [rdi + {RFLAGS}]
    popfq
    jmp 2f
1:
    // The arithmetic flags alone, which is faster than popfq: OF by an addition, the others from ah.
    mov eax, [rdi + {RFLAGS}]
    mov ecx, eax
    shr ecx, 11
    and ecx, 1
    mov ah, al
    mov al, cl
    add al, 0x7f
    sahf
2:
    mov rax, [rdi + {RIP}]
    mov gs:[{USER_RIP}], rax
    mov rax, [rdi + {RAX}]
    mov rbx, [rdi + {RBX}]
    mov rcx, [rdi + {RCX}]
    mov rdx, [rdi + {RDX}]
    mov rsi, [rdi + {RSI}]
    mov rbp, [rdi + {RBP}]
    mov r8,  [rdi + {R8}]
    mov r9,  [rdi + {R9}]
    mov r10, [rdi + {R10}]
    mov r11, [rdi + {R11}]
    mov r12, [rdi + {R12}]
    mov r13, [rdi + {R13}]
    mov r14, [rdi + {R14}]
    mov r15, [rdi + {R15}]
    mov rsp, [rdi + {RSP}]
    mov rdi, [rdi + {RDI}]
    jmp qword ptr gs:[{USER_RIP}]
    .globl casemate_run_end
casemate_run_end:

    // The program could not be entered: its context is untouched; trap_kind says why.
    .globl casemate_run_refused
casemate_run_refused:
    mov dword ptr gs:[{IN_USER}], 0
    mov rsp, gs:[{LIBOS_RSP}]
    mov eax, gs:[{TRAP_KIND}]
    jmp casemate_run_return
casemate_run_abort:
    mov dword ptr gs:[{IN_USER}], 0
    mov eax, {INTERRUPTED}
casemate_run_return:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    pop rcx
    jmp rcx

    // A rewritten call site: rcx = where the program goes on; r11 is free.
    .balign 64
    .globl casemate_syscall_entry
casemate_syscall_entry:
    mov r11, gs:[{CONTEXT}]
    mov [r11 + {RAX}], rax
    mov [r11 + {RBX}], rbx
    mov [r11 + {RCX}], rcx
    mov [r11 + {RDX}], rdx
    mov [r11 + {RSI}], rsi
    mov [r11 + {RDI}], rdi
    mov [r11 + {RBP}], rbp
    mov [r11 + {RSP}], rsp
    mov [r11 + {R8}], r8
    mov [r11 + {R9}], r9
    mov [r11 + {R10}], r10
    mov [r11 + {R12}], r12
    mov [r11 + {R13}], r13
    mov [r11 + {R14}], r14
    mov [r11 + {R15}], r15
    mov [r11 + {RIP}], rcx
    mov dword ptr [r11 + {FULL}], 0
    mov dword ptr gs:[{TRAP_KIND}], {SYSCALL}
    // Nothing so far has changed the flags, and the program's stack is not ours to push them on.
    mov rsp, gs:[{LIBOS_RSP}]
    pushfq
    pop rcx
    and ecx, {SETTABLE}
    or ecx, {FIXED}
    mov [r11 + {RFLAGS}], rcx
    mov [r11 + {R11}], rcx
    test ecx, {DISTURBING}
    jnz 3f

    // Common end: general registers are saved, vector registers are still the program's.
    .globl casemate_trap_resume
casemate_trap_resume:
    mov r11, gs:[{CONTEXT}]
    movaps [r11 + {XMM} + 0x00], xmm0
    movaps [r11 + {XMM} + 0x10], xmm1
    movaps [r11 + {XMM} + 0x20], xmm2
    movaps [r11 + {XMM} + 0x30], xmm3
    movaps [r11 + {XMM} + 0x40], xmm4
    movaps [r11 + {XMM} + 0x50], xmm5
    movaps [r11 + {XMM} + 0x60], xmm6
    movaps [r11 + {XMM} + 0x70], xmm7
    movaps [r11 + {XMM} + 0x80], xmm8
    movaps [r11 + {XMM} + 0x90], xmm9
    movaps [r11 + {XMM} + 0xa0], xmm10
    movaps [r11 + {XMM} + 0xb0], xmm11
    movaps [r11 + {XMM} + 0xc0], xmm12
    movaps [r11 + {XMM} + 0xd0], xmm13
    movaps [r11 + {XMM} + 0xe0], xmm14
    movaps [r11 + {XMM} + 0xf0], xmm15
    mov dword ptr gs:[{IN_USER}], 0
    mov rsp, gs:[{LIBOS_RSP}]
    mov eax, gs:[{TRAP_KIND}]
    jmp casemate_run_return

    // Flags of the program under which no other code may run.
3:
    push {FIXED}
    popfq
    mov dword ptr [r11 + {FULL}], 1
    jmp casemate_trap_resume

    .globl casemate_entry_code_end
casemate_entry_code_end:

    // casemate_on_stack(rdi argument, rsi stack top, rdx function): call on another stack; returns its result.
    .globl casemate_on_stack
casemate_on_stack:
    push rbp
    mov rbp, rsp
    mov rsp, rsi
    call rdx
    mov rsp, rbp
    pop rbp
    ret
"#,
    LIBOS_RSP = const offset::LIBOS_RSP,
    CONTEXT = const offset::CONTEXT,
    USER_RIP = const offset::USER_RIP,
    IN_USER = const offset::IN_USER,
    INTERRUPT = const offset::INTERRUPT,
    TRAP_KIND = const offset::TRAP_KIND,
    SYSCALL = const TRAP_SYSCALL,
    INTERRUPTED = const TRAP_INTERRUPT,
    RAX = const layout::RAX,
    RBX = const layout::RBX,
    RCX = const layout::RCX,
    RDX = const layout::RDX,
    RSI = const layout::RSI,
    RDI = const layout::RDI,
    RBP = const layout::RBP,
    RSP = const layout::RSP,
    R8 = const layout::R8,
    R9 = const layout::R9,
    R10 = const layout::R10,
    R11 = const layout::R11,
    R12 = const layout::R12,
    R13 = const layout::R13,
    R14 = const layout::R14,
    R15 = const layout::R15,
    RIP = const layout::RIP,
    RFLAGS = const layout::RFLAGS,
    FULL = const layout::FULL_RESTORE,
    SETTABLE = const SETTABLE_FLAGS,
    FIXED = const FIXED_FLAGS,
    DISTURBING = const DISTURBING_FLAGS,
    XMM = const layout::XMM,
);

unsafe extern "C" {
    fn casemate_user_run();
    pub(crate) fn casemate_on_stack(
        argument: u64,
        stack_top: u64,
        function: extern "C" fn(u64) -> i64,
    ) -> i64;
    fn casemate_syscall_entry();
    fn casemate_trap_resume();
    fn casemate_run_begin();
    fn casemate_run_end();
    fn casemate_run_refused();
    fn casemate_entry_code_begin();
    fn casemate_entry_code_end();
}

/// Runs the program with these registers until it traps; the kind of trap.
///
/// # Safety
/// `context` is exclusively the caller's until this returns, and this thread has its area.
#[inline]
pub(crate) unsafe fn user_run(context: *mut crate::context::UserContext) -> u32 {
    let kind: u32;
    // SAFETY: the entry code keeps rbx, rbp, r12 to r15 and the stack; everything else is declared clobbered.
    unsafe {
        core::arch::asm!(
            "lea rax, [rip + 2f]",
            "push rax",
            "jmp {run}",
            "2:",
            run = sym casemate_user_run,
            inout("rdi") context => _,
            lateout("eax") kind,
            clobber_abi("C"),
        );
    }
    kind
}

/// Where rewritten call sites enter.
pub(crate) fn syscall_entry_address() -> u64 {
    casemate_syscall_entry as *const () as u64
}

/// Where a trapped thread goes on once its general registers are saved.
pub(crate) fn trap_resume_address() -> u64 {
    casemate_trap_resume as *const () as u64
}

/// Where a thread goes on that could not enter the program.
pub(crate) fn run_refused_address() -> u64 {
    casemate_run_refused as *const () as u64
}

/// Whether `rip` lies where the context is loaded but not yet run.
pub(crate) fn is_entering(rip: u64) -> bool {
    (casemate_run_begin as *const () as u64..casemate_run_end as *const () as u64).contains(&rip)
}

/// Whether `rip` lies in this file's code.
pub(crate) fn is_entry_code(rip: u64) -> bool {
    (casemate_entry_code_begin as *const () as u64..casemate_entry_code_end as *const () as u64)
        .contains(&rip)
}
