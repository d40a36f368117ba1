//! `memcpy memmove memset memcmp bcmp strlen`, in assembly: written in Rust the compiler would turn the loops into calls
//! of themselves.
//!
//! Small sizes load everything before they store anything, so one routine serves `memcpy` and `memmove`. Large copies use
//! `rep movsb`, which every processor with SGX runs at full cache-line speed (ERMS).

use core::ffi::c_void;

core::arch::global_asm!(
    r#"
    .section .text.casemate_memory, "ax", @progbits

    // void *memmove(rdi to, rsi from, rdx length)
    .balign 64
    .globl casemate_memmove
    .type casemate_memmove, @function
casemate_memmove:
    mov rax, rdi
    cmp rdx, 16
    jb 10f
    cmp rdx, 32
    ja 20f
    movups xmm0, [rsi]
    movups xmm1, [rsi + rdx - 16]
    movups [rdi], xmm0
    movups [rdi + rdx - 16], xmm1
    ret
10: // 0 to 15 bytes
    cmp edx, 8
    jae 13f
    cmp edx, 4
    jae 12f
    test edx, edx
    je 11f
    // 1 to 3 bytes: the first, the middle one and the last, some of them the same
    mov r10d, edx
    shr r10d
    movzx ecx, byte ptr [rsi]
    movzx r8d, byte ptr [rsi + rdx - 1]
    movzx r9d, byte ptr [rsi + r10]
    mov [rdi], cl
    mov [rdi + r10], r9b
    mov [rdi + rdx - 1], r8b
11: ret
12: mov ecx, [rsi]
    mov r8d, [rsi + rdx - 4]
    mov [rdi], ecx
    mov [rdi + rdx - 4], r8d
    ret
13: mov rcx, [rsi]
    mov r8, [rsi + rdx - 8]
    mov [rdi], rcx
    mov [rdi + rdx - 8], r8
    ret

20: // more than 32 bytes
    cmp rdx, 128
    ja 30f
    movups xmm0, [rsi]
    movups xmm1, [rsi + 16]
    movups xmm2, [rsi + rdx - 32]
    movups xmm3, [rsi + rdx - 16]
    cmp edx, 64
    jbe 21f
    movups xmm4, [rsi + 32]
    movups xmm5, [rsi + 48]
    movups xmm6, [rsi + rdx - 64]
    movups xmm7, [rsi + rdx - 48]
    movups [rdi + 32], xmm4
    movups [rdi + 48], xmm5
    movups [rdi + rdx - 64], xmm6
    movups [rdi + rdx - 48], xmm7
21: movups [rdi], xmm0
    movups [rdi + 16], xmm1
    movups [rdi + rdx - 32], xmm2
    movups [rdi + rdx - 16], xmm3
    ret

30: // more than 128 bytes: backwards when the destination begins inside the source
    mov rcx, rdi
    sub rcx, rsi
    cmp rcx, rdx
    jb 40f
    cmp rdx, 2048
    jae 33f
31: movups xmm4, [rsi + rdx - 64]
    movups xmm5, [rsi + rdx - 48]
    movups xmm6, [rsi + rdx - 32]
    movups xmm7, [rsi + rdx - 16]
    lea r8, [rdi + rdx - 64]
32: movups xmm0, [rsi]
    movups xmm1, [rsi + 16]
    movups xmm2, [rsi + 32]
    movups xmm3, [rsi + 48]
    movups [rdi], xmm0
    movups [rdi + 16], xmm1
    movups [rdi + 32], xmm2
    movups [rdi + 48], xmm3
    add rsi, 64
    add rdi, 64
    cmp rdi, r8
    jb 32b
    movups [r8], xmm4
    movups [r8 + 16], xmm5
    movups [r8 + 32], xmm6
    movups [r8 + 48], xmm7
    ret
33: // `rep movsb` is slow when source and destination overlap closely
    neg rcx
    cmp rcx, 64
    jb 31b
    mov rcx, rdx
    rep movsb
    ret

40: test rcx, rcx
    je 42f
    movups xmm4, [rsi]
    movups xmm5, [rsi + 16]
    movups xmm6, [rsi + 32]
    movups xmm7, [rsi + 48]
    lea r8, [rdi + 64]
    lea rsi, [rsi + rdx]
    lea rdi, [rdi + rdx]
41: movups xmm0, [rsi - 16]
    movups xmm1, [rsi - 32]
    movups xmm2, [rsi - 48]
    movups xmm3, [rsi - 64]
    movups [rdi - 16], xmm0
    movups [rdi - 32], xmm1
    movups [rdi - 48], xmm2
    movups [rdi - 64], xmm3
    sub rsi, 64
    sub rdi, 64
    cmp rdi, r8
    ja 41b
    movups [rax], xmm4
    movups [rax + 16], xmm5
    movups [rax + 32], xmm6
    movups [rax + 48], xmm7
42: ret
    .size casemate_memmove, . - casemate_memmove

    // void *memset(rdi to, esi byte, rdx length)
    .balign 64
    .globl casemate_memset
    .type casemate_memset, @function
casemate_memset:
    mov r8, rdi
    movzx eax, sil
    cmp rdx, 2048
    jae 54f
    mov rcx, 0x0101010101010101
    imul rcx, rax
    cmp rdx, 16
    jb 51f
    movq xmm0, rcx
    punpcklqdq xmm0, xmm0
    lea rcx, [rdi + rdx - 16]
50: movups [rdi], xmm0
    add rdi, 16
    cmp rdi, rcx
    jb 50b
    movups [rcx], xmm0
    mov rax, r8
    ret
51: cmp edx, 8
    jb 52f
    mov [rdi], rcx
    mov [rdi + rdx - 8], rcx
    mov rax, r8
    ret
52: cmp edx, 4
    jb 53f
    mov [rdi], ecx
    mov [rdi + rdx - 4], ecx
    mov rax, r8
    ret
53: test edx, edx
    je 55f
    mov [rdi], cl
    mov [rdi + rdx - 1], cl
    shr edx
    mov [rdi + rdx], cl
    mov rax, r8
    ret
54: mov rcx, rdx
    rep stosb
55: mov rax, r8
    ret
    .size casemate_memset, . - casemate_memset

    // int memcmp(rdi, rsi, rdx length)
    .balign 64
    .globl casemate_memcmp
    .type casemate_memcmp, @function
casemate_memcmp:
    xor ecx, ecx
    cmp rdx, 16
    jb 62f
    sub rdx, 16
60: movups xmm0, [rdi + rcx]
    movups xmm1, [rsi + rcx]
    pcmpeqb xmm0, xmm1
    pmovmskb eax, xmm0
    xor eax, 0xffff
    jne 61f
    cmp rcx, rdx
    je 64f
    add rcx, 16
    cmp rcx, rdx
    jbe 60b
    mov rcx, rdx // the last 16 bytes, some of them again
    jmp 60b
61: bsf eax, eax
    add rcx, rax
    movzx eax, byte ptr [rdi + rcx]
    movzx edx, byte ptr [rsi + rcx]
    sub eax, edx
    ret
62: cmp rcx, rdx
    je 64f
63: movzx eax, byte ptr [rdi + rcx]
    movzx r8d, byte ptr [rsi + rcx]
    sub eax, r8d
    jne 65f
    inc rcx
    cmp rcx, rdx
    jne 63b
64: xor eax, eax
65: ret
    .size casemate_memcmp, . - casemate_memcmp

    // size_t strlen(rdi)
    .balign 16
    .globl casemate_strlen
    .type casemate_strlen, @function
casemate_strlen:
    mov rax, rdi
70: cmp byte ptr [rax], 0
    je 71f
    inc rax
    jmp 70b
71: sub rax, rdi
    ret
    .size casemate_strlen, . - casemate_strlen
    .text
"#
);

// The names that the compiler uses. Only where there is no C library that has them.
#[cfg(freestanding)]
core::arch::global_asm!(
    r#"
    .globl memcpy, memmove, memset, memcmp, bcmp, strlen
    .set memcpy, casemate_memmove
    .set memmove, casemate_memmove
    .set memset, casemate_memset
    .set memcmp, casemate_memcmp
    .set bcmp, casemate_memcmp
    .set strlen, casemate_strlen
"#
);

unsafe extern "C" {
    /// `memmove(3)`, and `memcpy(3)` too.
    ///
    /// # Safety
    /// As the C function: `from` is readable and `to` writable for `length` bytes.
    pub fn casemate_memmove(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void;
    /// `memset(3)`.
    ///
    /// # Safety
    /// As the C function: `to` is writable for `length` bytes.
    pub fn casemate_memset(to: *mut c_void, byte: i32, length: usize) -> *mut c_void;
    /// `memcmp(3)`, and `bcmp(3)` too.
    ///
    /// # Safety
    /// As the C function: both ranges are readable for `length` bytes.
    pub fn casemate_memcmp(left: *const c_void, right: *const c_void, length: usize) -> i32;
    /// `strlen(3)`.
    ///
    /// # Safety
    /// As the C function: `text` ends with a NUL inside readable memory.
    pub fn casemate_strlen(text: *const u8) -> usize;
}
