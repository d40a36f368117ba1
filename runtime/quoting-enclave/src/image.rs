//! Entry and exit, and what crosses there.
//!
//! EENTER with RDI, RSI: a request outside and its length; RDX, R8: where the reply goes and how much room is there. EEXIT
//! with RDI: the reply's length, or -1. One thread; an entry on top of another (CSSA > 0) is turned away at once.

use alloc::vec;
use core::sync::atomic::{AtomicBool, Ordering};

use casemate_freestanding::relocation::{Dynamic, relocate};
use casemate_quoting::{MAX_MESSAGE, Role, serve};
use casemate_sgx::PAGE_SIZE;
use casemate_sgx::layout::{BLOCK_OFFSET, LayoutBlock};
use zerocopy::FromBytes;

use crate::heap;
use crate::processor::Cpu;

extern crate alloc;

core::arch::global_asm!(
    r#"
    .text
    .globl _start
_start:                         // EENTER: rax CSSA, rcx the address after it
    test rax, rax
    jne 2f
    mov r12, rcx
    mov r13, rsp
    mov r14, rbp
    lea rsp, [rip + casemate_quoting_stack + {stack}]
    xor ebp, ebp
    push 0x202                  // no AC, no DF
    popfq
    fninit
    push 0x1f80
    ldmxcsr [rsp]
    sub rsp, 24                 // aligned to 16 bytes before each call
    mov [rsp], rdi
    mov [rsp + 8], rsi
    mov [rsp + 16], rdx
    mov [rsp + 24], r8
    lea rdi, [rip + __ehdr_start]
    lea rsi, [rip + _DYNAMIC]
    call casemate_quoting_relocate
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    mov r9, -1
    test al, al
    je 1f
    call casemate_quoting_enter
    mov r9, rax
1:  // nothing of what was computed leaves in a register
    pxor xmm0, xmm0
    pxor xmm1, xmm1
    pxor xmm2, xmm2
    pxor xmm3, xmm3
    pxor xmm4, xmm4
    pxor xmm5, xmm5
    pxor xmm6, xmm6
    pxor xmm7, xmm7
    pxor xmm8, xmm8
    pxor xmm9, xmm9
    pxor xmm10, xmm10
    pxor xmm11, xmm11
    pxor xmm12, xmm12
    pxor xmm13, xmm13
    pxor xmm14, xmm14
    pxor xmm15, xmm15
    mov rsp, r13
    mov rbp, r14
    mov rbx, r12
    mov rdi, r9
    jmp 3f
2:  mov rbx, rcx
    mov rdi, -1
3:  xor ecx, ecx
    xor edx, edx
    xor esi, esi
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    xor r15d, r15d
    mov eax, 4                  // EEXIT
    .byte 0x0f, 0x01, 0xd7      // enclu

    .section .bss.casemate_quoting_stack, "aw", @nobits
    .balign 64
casemate_quoting_stack:
    .zero {stack}
    .text
"#,
    stack = const STACK_SIZE,
);

/// ECDSA in debug builds of its dependencies needs some 40 KiB.
const STACK_SIZE: usize = 256 << 10;

unsafe extern "C" {
    #[link_name = "__ehdr_start"]
    static IMAGE: u8;
}

static RELOCATED: AtomicBool = AtomicBool::new(false);

#[unsafe(no_mangle)]
unsafe extern "C" fn casemate_quoting_relocate(base: u64, dynamic: *const Dynamic) -> bool {
    if RELOCATED.swap(true, Ordering::Relaxed) {
        return true;
    }
    // SAFETY: done once, by the entry code, with the addresses that the linker gave this image, which is mapped writable.
    unsafe { relocate(base, dynamic) }
}

/// The measured page: it is just below the image.
fn measured_page() -> &'static [u8; PAGE_SIZE] {
    // SAFETY: the layout puts a readable page there, and nothing ever writes to it.
    unsafe { &*(&raw const IMAGE).sub(PAGE_SIZE).cast() }
}

/// First and last address (one past it) of the enclave.
fn range(block: &LayoutBlock) -> (u64, u64) {
    let base = (&raw const IMAGE as u64).wrapping_sub(block.image_base);
    (base, base.wrapping_add(block.enclave_size))
}

fn is_outside(block: &LayoutBlock, address: u64, length: u64) -> bool {
    let (base, end) = range(block);
    match address.checked_add(length) {
        Some(last) => address != 0 && (last <= base || address >= end),
        None => false,
    }
}

#[unsafe(no_mangle)]
extern "C" fn casemate_quoting_enter(request: u64, length: u64, reply: u64, room: u64) -> i64 {
    let page = measured_page();
    let Ok((block, _)) = LayoutBlock::read_from_prefix(&page[BLOCK_OFFSET..]) else { return -1 };
    let role = page.first_chunk().and_then(Role::from_block);
    let (Some(role), true) = (role, length <= MAX_MESSAGE as u64) else { return -1 };
    if !is_outside(&block, request, length) || !is_outside(&block, reply, room) {
        return -1;
    }
    let mut bytes = vec![0; length as usize];
    // SAFETY: the source is outside the enclave and the destination is ours and as long. What is read may change while it
    // is read, and is looked at only in the copy.
    unsafe { core::ptr::copy_nonoverlapping(request as *const u8, bytes.as_mut_ptr(), bytes.len()) };
    let answer = serve(role, &mut Cpu, &bytes);
    let length = answer.len();
    if length as u64 <= room {
        // SAFETY: the destination is outside the enclave and has room for it.
        unsafe { core::ptr::copy_nonoverlapping(answer.as_ptr(), reply as *mut u8, length) };
    }
    drop((bytes, answer));
    heap::wipe();
    if length as u64 <= room { length as i64 } else { -1 }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {
        // SAFETY: raises #UD, which ends the enclave: nothing outside resumes it.
        unsafe { core::arch::asm!("ud2", options(nomem, nostack)) };
    }
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
