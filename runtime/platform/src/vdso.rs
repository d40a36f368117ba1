//! The code of the program's vDSO: reads the clock from a data page without leaving the program.
//!
//! It runs as part of the program, at a place that is chosen at run time, so it is only bytes here: position-independent,
//! [`CODE_OFFSET`] bytes into an ELF image (made by the library OS) that lies right behind the data page. Nothing in it is
//! trusted: a program that breaks its copy breaks its own clock.
//!
//! The data page holds [`crate::clock::Parameters`]. When they are stale, or a clock is asked for that they do not give, the
//! functions make the system call by the library OS's entry, `jmp gs:[8]`, with the address to go on at in rcx.

use crate::area::offset;

/// Distance of the code from the start of the image.
pub const CODE_OFFSET: u64 = 0x800;
/// Distance of the data page from the start of the image, downwards.
pub const DATA_BEFORE: u64 = 0x1000;

core::arch::global_asm!(
    r#"
    .section .rodata.casemate_vdso, "a", @progbits
    .balign 64
casemate_vdso_begin:
    // Data: generation, anchor_ticks, valid_ticks, factor, monotonic_ns, realtime_ns, boot_offset_ns.
    .set casemate_vdso_data, casemate_vdso_begin - {DATA}

    // Local: rdi clock (bit set), rsi place. -> ZF clear and rax seconds, rdx ns; or ZF set: make the call.
    .macro casemate_vdso_read clock_in_ecx
2:  mov r8, [rip + casemate_vdso_data]
    test r8, 1
    jne 9f
    lfence
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, [rip + casemate_vdso_data + 8]
    cmp rax, [rip + casemate_vdso_data + 16]
    jae 9f
    mul qword ptr [rip + casemate_vdso_data + 24]
    shrd rax, rdx, 32
    .if \clock_in_ecx
    test ecx, 0x21
    jne 3f
    add rax, [rip + casemate_vdso_data + 32]
    test ecx, 0x80
    je 4f
    add rax, [rip + casemate_vdso_data + 48]
    jmp 4f
    .endif
3:  add rax, [rip + casemate_vdso_data + 40]
4:  cmp r8, [rip + casemate_vdso_data]
    jne 2b
    xor edx, edx
    mov r9d, 1000000000
    div r9
    .endm

    // int clock_gettime(clockid_t edi, struct timespec *rsi)
    .balign 16
casemate_vdso_clock_gettime:
    cmp edi, 7
    ja 9f
    mov eax, 1
    mov ecx, edi
    shl eax, cl
    mov ecx, eax
    // REALTIME MONOTONIC MONOTONIC_RAW REALTIME_COARSE MONOTONIC_COARSE BOOTTIME
    test ecx, 0xf3
    je 9f
    casemate_vdso_read 1
    mov [rsi], rax
    mov [rsi + 8], rdx
    xor eax, eax
    ret
9:  mov eax, 228
    jmp casemate_vdso_call

    // int gettimeofday(struct timeval *rdi, struct timezone *rsi)
    .balign 16
casemate_vdso_gettimeofday:
    test rdi, rdi
    je 9f
    test rsi, rsi
    jne 9f
    casemate_vdso_read 0
    mov [rdi], rax
    mov eax, edx
    xor edx, edx
    mov r9d, 1000
    div r9
    mov [rdi + 8], rax
    xor eax, eax
    ret
9:  mov eax, 96
    jmp casemate_vdso_call

    // time_t time(time_t *rdi)
    .balign 16
casemate_vdso_time:
    casemate_vdso_read 0
    test rdi, rdi
    je 1f
    mov [rdi], rax
1:  ret
9:  mov eax, 201
    jmp casemate_vdso_call

    // int clock_getres(clockid_t edi, struct timespec *rsi)
    .balign 16
casemate_vdso_clock_getres:
    mov eax, 229
    jmp casemate_vdso_call

    // int getcpu(unsigned *rdi, unsigned *rsi, void *rdx)
    .balign 16
casemate_vdso_getcpu:
    mov eax, 309

casemate_vdso_call:
    lea rcx, [rip + 1f]
    jmp qword ptr gs:[{ENTRY}]
1:  ret

casemate_vdso_end:
    .balign 4
    .globl casemate_vdso_table
casemate_vdso_table:
    .long casemate_vdso_end - casemate_vdso_begin
    .long casemate_vdso_clock_gettime - casemate_vdso_begin
    .long casemate_vdso_gettimeofday - casemate_vdso_begin
    .long casemate_vdso_time - casemate_vdso_begin
    .long casemate_vdso_clock_getres - casemate_vdso_begin
    .long casemate_vdso_getcpu - casemate_vdso_begin
    .long casemate_vdso_table - casemate_vdso_begin
    .text
"#,
    DATA = const CODE_OFFSET + DATA_BEFORE,
    ENTRY = const offset::SYSCALL_ENTRY,
);

unsafe extern "C" {
    static casemate_vdso_table: [u32; 7];
}

/// The code's functions.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// As the symbol table names it.
    pub name: &'static str,
    /// From the start of the code.
    pub start: u32,
    /// In bytes, padding included.
    pub size: u32,
}

/// The code, to be copied to its place.
pub fn code() -> &'static [u8] {
    // SAFETY: the table and the code lie in this module's read-only section, the distance between them in the table.
    unsafe {
        let start =
            core::ptr::addr_of!(casemate_vdso_table).cast::<u8>().sub(casemate_vdso_table[6] as usize);
        core::slice::from_raw_parts(start, casemate_vdso_table[0] as usize)
    }
}

/// The functions in the code, by address.
pub fn functions() -> [Function; 5] {
    let names = [
        "__vdso_clock_gettime",
        "__vdso_gettimeofday",
        "__vdso_time",
        "__vdso_clock_getres",
        "__vdso_getcpu",
    ];
    // SAFETY: the table is read-only data of this module.
    let table = unsafe { casemate_vdso_table };
    let mut functions = [Function { name: "", start: 0, size: 0 }; 5];
    for (index, (function, name)) in functions.iter_mut().zip(names).enumerate() {
        let end = if index == 4 { table[0] } else { table[index + 2] };
        *function = Function { name, start: table[index + 1], size: end - table[index + 1] };
    }
    functions
}
