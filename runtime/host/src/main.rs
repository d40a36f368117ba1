//! The loader's binary: entry point and panic handler around the library `casemate_host`.
//!
//! It exists only in the freestanding build (runtime/freestanding.toml); an ordinary build of the workspace gets a
//! program that says so.
#![cfg_attr(freestanding, no_std, no_main)]

#[cfg(not(freestanding))]
fn main() {
    eprintln!(
        "casemate-host: built without runtime/freestanding.toml, so this is not the loader; run 'make runtime'"
    );
    std::process::exit(70);
}

#[cfg(freestanding)]
mod freestanding {
    use core::panic::PanicInfo;

    use casemate_freestanding::relocation::{Dynamic, relocate};
    use casemate_host::heap::LoaderHeap;
    use casemate_host::report::{EXIT_INTERNAL, fail};
    use casemate_host::{start, sys};

    core::arch::global_asm!(
        r#"
        .text
        .globl _start
        .type _start, @function
        .hidden _DYNAMIC
        .hidden __ehdr_start
    _start:
        xor ebp, ebp
        mov rdi, rsp
        lea rsi, [rip + _DYNAMIC]
        lea rdx, [rip + __ehdr_start]
        and rsp, -16
        call {BEGIN}
        ud2
    "#,
        BEGIN = sym begin,
    );

    /// First Rust code: no static that holds a pointer is right before the relocation.
    unsafe extern "C" fn begin(stack: *const u64, dynamic: *const Dynamic, base: u64) -> ! {
        // SAFETY: the entry point passes the loader's own dynamic section and base; nothing is read-only yet.
        if !unsafe { relocate(base, dynamic) } {
            sys::write_all(2, b"casemate-host: this binary is broken: unknown relocation\n");
            sys::exit(EXIT_INTERNAL);
        }
        // SAFETY: called once, with the initial stack pointer.
        unsafe { start::start(stack, base) }
    }

    #[panic_handler]
    fn panic(info: &PanicInfo) -> ! {
        match info.location() {
            Some(place) => fail(
                EXIT_INTERNAL,
                format_args!(
                    "internal error at {}:{}: {}; please report this",
                    place.file(),
                    place.line(),
                    info.message()
                ),
            ),
            None => {
                fail(EXIT_INTERNAL, format_args!("internal error: {}; please report this", info.message()))
            }
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

    #[global_allocator]
    static ALLOCATOR: LoaderHeap = LoaderHeap::new();
}
