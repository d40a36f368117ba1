//! The enclave's gate: where EENTER arrives and from where EEXIT leaves (SDM 36.3; 38.4, EENTER and EEXIT).
//!
//! What the processor vouches for on entry: RAX is CSSA, RBX the TCS, GS.base the thread area, and that the code began at the entry
//! point. Everything else is the host's: stack, flags, MXCSR, x87 and vector registers, RDI, RSI, RDX, R8. So the stack is taken from
//! the area, and the state is set before any Rust code runs. On the way out the program's vector state is put aside, and
//! nothing that is a secret stays in a register.

use casemate_sgx::PAGE_SIZE;
use casemate_sgx::layout::EXCEPTION_STACK_SIZE;

use crate::area::{XSAVE_OFFSET, offset};
use crate::enclu::ENCLU_CODE;
use crate::extended_state::IN_ENCLAVE;

/// An XSAVE image in which every component is in its initial state; XRSTOR takes MXCSR from it all the same.
#[repr(C, align(64))]
struct Initial([u32; 144]);

static INITIAL: Initial = {
    let mut words = [0; 144];
    words[0] = 0x037f;
    words[6] = 0x1f80;
    Initial(words)
};

core::arch::global_asm!(
    r#"
    .section .data.casemate_gate, "aw", @progbits
    .balign 4
    // 0: not yet entered; 1: the first thread relocates the image; 2: every thread may enter.
casemate_gate_state:
    .long 0

    .text
    .macro casemate_initial_state
    mov eax, {COMPONENTS}
    xor edx, edx
    xrstor64 [rip + {INITIAL}]
    .endm

    .macro casemate_scrub
    xor ecx, ecx
    xor edx, edx
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    xor r15d, r15d
    .endm

    // EEXIT to rbx. The emulated one reads no stack of ours.
    .macro casemate_eexit
    mov eax, 4
    cmp qword ptr [rip + {CODE}], 0
    jne 77f
    .byte 0x0f, 0x01, 0xd7
    ud2
77: jmp qword ptr [rip + {CODE}]
    .endm

    // eax CSSA, rcx where the host goes on, rdi rsi rdx r8 the host's words; r11 relocates the image, r12 is the
    // function for a fresh entry: (first, rsi, rdx) -> result.
    .balign 64
    .globl casemate_gate_enter
casemate_gate_enter:
    cld
    test eax, eax
    jne casemate_gate_exception
    mov gs:[{HOST_RSP}], rsp
    mov gs:[{HOST_RBP}], rbp
    mov gs:[{HOST_RETURN}], rcx
    rdgsbase r10
    cmp dword ptr gs:[{IN_CALL}], 0
    jne casemate_gate_return
    test r8d, r8d
    je 5f
    mov dword ptr gs:[{INTERRUPT}], 1
5:  lea rsp, [r10 - {STACK_BELOW}]
    push 2
    popfq
    mov rbp, rdx
    casemate_initial_state
    xor eax, eax
    mov ecx, 1
    lock cmpxchg [rip + casemate_gate_state], ecx
    je 1f
    cmp eax, 2
    jne 3f
    xor edi, edi
    jmp 2f
1:  push rsi
    push r12
    call r11
    pop r12
    pop rsi
    test al, al
    je 3f
    mov dword ptr [rip + casemate_gate_state], 2
    mov edi, 1
2:  mov rdx, rbp
    xor ebp, ebp
    call r12
    mov rsi, rax
    jmp 4f
3:  mov rsi, -1
4:  mov rdi, -1
    casemate_initial_state
    mov rsp, gs:[{HOST_RSP}]
    mov rbp, gs:[{HOST_RBP}]
    mov rbx, gs:[{HOST_RETURN}]
    casemate_scrub
    // From here on the area and the stack may be another thread's.
    mov dword ptr gs:[{IDLE}], 1
    casemate_eexit

    // i64 casemate_gate_leave(rdi number, rsi arguments outside): a host call.
    .globl casemate_gate_leave
casemate_gate_leave:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov gs:[{CALL_RSP}], rsp
    rdfsbase rax
    mov gs:[{PROGRAM_FS}], rax
    rdgsbase r10
    mov eax, {COMPONENTS}
    xor edx, edx
    xsave64 [r10 + {XSAVE}]
    mov dword ptr gs:[{IN_CALL}], 1
    casemate_initial_state
    mov rsp, gs:[{HOST_RSP}]
    mov rbp, gs:[{HOST_RBP}]
    mov rbx, gs:[{HOST_RETURN}]
    casemate_scrub
    casemate_eexit

casemate_gate_return:
    mov rsp, gs:[{CALL_RSP}]
    push 2
    popfq
    mov r9, rdi
    mov eax, {COMPONENTS}
    xor edx, edx
    xrstor64 [r10 + {XSAVE}]
    mov rax, gs:[{PROGRAM_FS}]
    wrfsbase rax
    test r8d, r8d
    je 1f
    mov dword ptr gs:[{INTERRUPT}], 1
1:  mov dword ptr gs:[{IN_CALL}], 0
    mov rax, r9
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

    // The first stage of an exception: what was interrupted lies in SSA frame 0. Before the image is relocated there is
    // nothing to do for it.
casemate_gate_exception:
    cmp eax, 1
    jne 9f
    rdgsbase r10
    mov r9, rsp
    lea rsp, [r10 - {PAGE}]
    push 2
    popfq
    push r9
    push rbp
    push rcx
    sub rsp, 8
    casemate_initial_state
    cmp dword ptr [rip + casemate_gate_state], 2
    jne 1f
    xor ebp, ebp
    mov rdi, r10
    call {STAGE}
    casemate_initial_state
1:  add rsp, 8
    pop rbx
    pop rbp
    pop rsp
    xor esi, esi
    mov rdi, -1
    casemate_scrub
    casemate_eexit
9:  ud2

    // Where a thread goes on whose fault nothing can be done about: its stack is given up.
    .globl casemate_fatal_resume
casemate_fatal_resume:
    call {FATAL}
    ud2
"#,
    COMPONENTS = const IN_ENCLAVE,
    INITIAL = sym INITIAL,
    CODE = sym ENCLU_CODE,
    STAGE = sym crate::exception::stage,
    FATAL = sym crate::exception::report_fatal,
    PAGE = const PAGE_SIZE,
    STACK_BELOW = const 2 * PAGE_SIZE as u64 + EXCEPTION_STACK_SIZE,
    XSAVE = const XSAVE_OFFSET,
    HOST_RSP = const offset::HOST_RSP,
    HOST_RBP = const offset::HOST_RBP,
    HOST_RETURN = const offset::HOST_RETURN,
    CALL_RSP = const offset::CALL_RSP,
    PROGRAM_FS = const offset::PROGRAM_FS,
    IN_CALL = const offset::IN_CALL,
    IDLE = const offset::IDLE,
    INTERRUPT = const offset::INTERRUPT,
);

unsafe extern "C" {
    fn casemate_gate_leave(number: u64, args: u64) -> i64;
    fn casemate_fatal_resume();
}

/// Leaves for a host call, and returns its raw result.
///
/// # Safety
/// This thread was entered through the gate.
pub(crate) unsafe fn leave(number: u64, args: u64) -> i64 {
    // SAFETY: the caller vouches for the thread's state; callee-saved registers and the program's vector state are kept.
    unsafe { casemate_gate_leave(number, args) }
}

/// Where a thread goes on to report a fault of the library OS.
pub(crate) fn fatal_address() -> u64 {
    casemate_fatal_resume as *const () as u64
}
