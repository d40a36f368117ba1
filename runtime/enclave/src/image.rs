//! Entry point, self-relocation, allocator, panic.

use casemate_freestanding::relocation::{Dynamic, relocate};
use casemate_platform::{console, heap::EnclaveHeap, start};

#[global_allocator]
static HEAP: EnclaveHeap = EnclaveHeap::new();

core::arch::global_asm!(
    r#"
    .text
    .globl _start
_start:                         // rdi reason, rsi and rdx as the reason says; rax tells the platforms apart
    movabs r11, {DIRECT}
    cmp rax, r11
    je 2f
    lea r11, [rip + casemate_enclave_relocate_self]
    lea r12, [rip + casemate_enclave_enter]
    jmp casemate_gate_enter
casemate_enclave_relocate_self:
    lea rdi, [rip + __ehdr_start]
    lea rsi, [rip + _DYNAMIC]
    jmp casemate_enclave_relocate
2:  test rdi, rdi
    jne 1f
    // Once: to relocate again would add the base to pointers that have it.
    mov eax, 1
    xchg eax, dword ptr [rip + casemate_enclave_begun]
    test eax, eax
    jne 2f
    push rdi
    push rsi
    push rdx
    lea rdi, [rip + __ehdr_start]
    lea rsi, [rip + _DYNAMIC]
    call casemate_enclave_relocate
    pop rdx
    pop rsi
    pop rdi
    test al, al
    jne 1f
2:
    mov rax, -1
    ret
1:
    jmp casemate_enclave_enter_direct

    .bss
    .balign 4
casemate_enclave_begun:
    .long 0
    .text
"#,
    DIRECT = const casemate_abi::DIRECT_ENTRY,
);

#[unsafe(no_mangle)]
unsafe extern "C" fn casemate_enclave_relocate(base: u64, dynamic: *const Dynamic) -> bool {
    // SAFETY: called once, by `_start`, with the addresses that the linker gave this image; its data is writable.
    unsafe { relocate(base, dynamic) }
}

#[unsafe(no_mangle)]
extern "C" fn casemate_enclave_enter_direct(reason: u64, a: u64, b: u64) -> i64 {
    start::enter_direct(reason, a, b, casemate_libos::start)
}

#[unsafe(no_mangle)]
extern "C" fn casemate_enclave_enter(first: u64, a: u64, b: u64) -> i64 {
    start::enter_enclave(first == 1, a, b, casemate_libos::start)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    console::fatal_panic(info)
}

// The compiler's own libraries are built to unwind and refer to these; with `panic = "abort"` neither is ever called.
core::arch::global_asm!(
    r#"
    .globl _Unwind_Resume
    .globl rust_eh_personality
_Unwind_Resume:
rust_eh_personality:
    ud2
"#
);
