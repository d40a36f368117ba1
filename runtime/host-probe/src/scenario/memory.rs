//! Pages of program memory, and what user code can run into.

use casemate_abi::{ExceptionFrame, HostCall, HostClock, VECTOR_SYSCALL};
use linux_raw_sys::errno::EINVAL;

use crate::enclave::{block, buffer, get, host, last_fault, layout, run_user, try_read};

const READ: u64 = 1;
const READ_WRITE: u64 = 3;
const READ_EXECUTE: u64 = 5;
const PAGE: u64 = 4096;

fn map(address: u64, length: u64, protection: u64) -> i64 {
    host(HostCall::PageMap, [address, length, protection, 0, 0, 0])
}

/// Puts code at an address of program memory.
pub fn place_code(address: u64, code: &[u8]) {
    same!(map(address, PAGE, READ_WRITE), 0);
    // SAFETY: the page was just mapped read-write and is the scenario's own.
    unsafe { core::ptr::copy_nonoverlapping(code.as_ptr(), address as *mut u8, code.len()) };
    same!(host(HostCall::PageProtect, [address, PAGE, READ_EXECUTE, 0, 0, 0]), 0);
}

/// A start of user code at `rip` with a stack that is not there.
pub fn at(rip: u64) -> ExceptionFrame {
    ExceptionFrame { rip, rsp: 8, rflags: 0x202, ..ExceptionFrame::default() }
}

/// Map, protect, unmap, discard, and the ranges that are refused.
pub fn pages() {
    let base = layout().user_base;
    same!((try_read(base), last_fault()), (None, (14, base, 11)));
    same!(map(base, 4 * PAGE, READ_WRITE), 0);
    for page in 0..4 {
        // SAFETY: mapped read-write just now.
        unsafe { ((base + page * PAGE) as *mut u8).write_volatile(page as u8 + 1) };
    }
    same!(host(HostCall::PageProtect, [base, PAGE, 0, 0, 0, 0]), 0);
    check!(try_read(base).is_none());
    same!(host(HostCall::PageProtect, [base, PAGE, READ, 0, 0, 0]), 0);
    same!(try_read(base), Some(1));
    same!(host(HostCall::PageDiscard, [base + PAGE, PAGE, 0, 0, 0, 0]), 0);
    same!(try_read(base + PAGE), Some(0));
    same!(host(HostCall::PageUnmap, [base + 2 * PAGE, PAGE, 0, 0, 0, 0]), 0);
    check!(try_read(base + 2 * PAGE).is_none());
    same!(map(base + 2 * PAGE, 2 * PAGE, READ_WRITE), 0);
    same!(try_read(base + 3 * PAGE), Some(0));
    let top = layout().user_top;
    same!(map(top - PAGE, PAGE, READ_WRITE), 0);
    let refused = [
        (base - PAGE, PAGE),
        (top, PAGE),
        (top - PAGE, 2 * PAGE),
        (base + 1, PAGE),
        (base, 100),
        (base, 0),
        (0, PAGE),
        (u64::MAX - 4095, PAGE),
        (base, u64::MAX - 4095),
        (buffer(), PAGE),
    ];
    for (address, length) in refused {
        for call in [HostCall::PageMap, HostCall::PageProtect, HostCall::PageUnmap, HostCall::PageDiscard] {
            same!(host(call, [address, length, 0, 0, 0, 0]), -(EINVAL as i64));
        }
    }
    same!(map(base, PAGE, 8), -(EINVAL as i64));
}

/// Every way in which user code traps, with all registers as they were.
pub fn faults() {
    let base = layout().user_base;
    let code_page = base + 0x10000;
    let run = |code: &[u8], registers: ExceptionFrame| {
        place_code(code_page, code);
        let found = run_user(&registers);
        same!((found.rbx, found.rbp, found.r8, found.r12, found.r15), (11, 22, 33, 44, 55));
        same!((found.rsp, found.rsi, found.rdx), (8, 66, 77));
        found
    };
    let registers = ExceptionFrame {
        rbx: 11,
        rbp: 22,
        r8: 33,
        r12: 44,
        r15: 55,
        rsi: 66,
        rdx: 77,
        rax: 39,
        rdi: base,
        ..at(code_page)
    };
    let fault = |code: &[u8], vector, offset| {
        let found = run(code, registers);
        same!((found.vector, found.rip - code_page), (vector, offset));
        found
    };
    // syscall; it comes back behind the instruction, with the number in rax.
    let found = fault(&[0x90, 0x0f, 0x05], VECTOR_SYSCALL, 3);
    same!((found.rax, found.signal), (39, 31));
    // mov al, [rdi]: not mapped.
    let found = fault(&[0x8a, 0x07], 14, 0);
    same!((found.address, found.error_code & 0x13, found.signal), (base, 0, 11));
    // mov [rdi], al: read-only.
    same!(map(base, PAGE, READ), 0);
    same!(try_read(base), Some(0));
    let found = fault(&[0x88, 0x07], 14, 0);
    same!((found.address, found.error_code & 0x13), (base, 3));
    // jmp rdi: not executable.
    let found = run(&[0xff, 0xe7], registers);
    same!((found.vector, found.rip, found.address, found.error_code & 0x10), (14, base, base, 0x10));
    // push rax: the stack is not there; the handler must not need it.
    same!(fault(&[0x50], 14, 0).address, 0);
    // xor ecx, ecx; div ecx.
    fault(&[0x31, 0xc9, 0xf7, 0xf1], 0, 2);
    // ud2; int3; hlt; mov al, [non-canonical].
    same!(fault(&[0x0f, 0x0b], 6, 0).signal, 4);
    same!(fault(&[0xcc], 3, 1).signal, 5);
    fault(&[0xf4], 13, 0);
    same!(run(&[0x8a, 0x07], ExceptionFrame { rdi: 1 << 60, ..registers }).vector, 13);
    // Alignment checks and the direction flag on: the handler must not mind.
    let found = run(&[0x0f, 0x0b], ExceptionFrame { rflags: 0x4_0602, ..registers });
    same!((found.vector, found.rflags & 0x4_0600), (6, 0x4_0600));
    // popcnt of an odd address with AC on: #AC.
    let found = run(&[0x8b, 0x07], ExceptionFrame { rflags: 0x4_0202, rdi: code_page + 1, ..registers });
    same!(found.vector, 17);
    // Single step: popfq sets TF, and the instruction after it traps.
    place_code(code_page, &[0x9d, 0x90, 0x90]);
    same!(map(base, PAGE, READ_WRITE), 0);
    // SAFETY: mapped read-write just now.
    unsafe { (base as *mut u64).write_volatile(0x302) };
    let found = run_user(&ExceptionFrame { rsp: base, ..registers });
    same!((found.vector, found.rip, found.rsp), (1, code_page + 2, base + 8));
}

/// A fault in the loader's own code ends the run with a report: the stack of a host call that is not there.
pub fn loader_fault() {
    run_user(&ExceptionFrame { rsp: 64, ..at(block().host_call) });
    check!(false);
}

/// Prints ns for one trapped system call.
pub fn trapped_call_speed() {
    const COUNT: u64 = 20_000;
    let page = layout().user_base;
    place_code(page, &[0x0f, 0x05]);
    let start = now_ns();
    for _ in 0..COUNT {
        same!(run_user(&at(page)).vector, VECTOR_SYSCALL);
    }
    say!("{} ns for one trapped system call", (now_ns() - start) / COUNT);
}

/// The monotonic clock.
pub fn now_ns() -> u64 {
    host(HostCall::ClockRead, [buffer(), 0, 0, 0, 0, 0]);
    get::<HostClock>(0).monotonic_ns
}
