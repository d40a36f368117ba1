//! Entering through `__vdso_sgx_enter_enclave`, and what follows each way out.
//!
//! The kernel's function executes the one ENCLU that enters, and that every asynchronous exit leads back to. It returns after
//! EEXIT, and after an exception that ENCLU or the code inside raised (`arch/x86/include/uapi/asm/sgx.h`). Host signals it does not
//! report: their handler runs in the middle of it and looks for itself whether code inside was interrupted.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::EntryReason;
use casemate_sgx::kernel::{EENTER, EEXIT, ERESUME, EnclaveRun};

/// What the enclave is entered with, in RDI, RSI and RDX.
pub type Words = [u64; 3];

/// How a call of the kernel's function ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// EEXIT, with what the enclave left in RDI and RSI.
    Exit {
        /// A host call's number, or that the entry is over.
        number: u64,
        /// Its arguments' address, or the result.
        value: u64,
    },
    /// An exception: raised by ENCLU itself when `leaf` is EENTER; by code inside (or by ERESUME) when it is ERESUME.
    Exception {
        /// The leaf in EAX.
        leaf: u32,
        /// x86 vector.
        vector: u16,
        /// Low half of the error code.
        error_code: u16,
        /// Where, page-granular for addresses inside.
        address: u64,
    },
    /// The function refused its arguments.
    Refused(i32),
}

/// Why a thread cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The enclave did not let itself be entered, or not be resumed.
    Entry(Outcome),
    /// The stage that takes exceptions up ended in something else than its end.
    Stage(Outcome),
    /// Exceptions without end: the code inside makes no progress.
    Storm(Outcome),
}

/// The kernel's function, or a script in a test.
pub trait Enclu {
    /// One call. `words` are used by EENTER only.
    fn call(&mut self, leaf: u32, tcs: u64, words: Words) -> Outcome;
}

/// ERESUMEs in a row that may end in an exception at once, without the enclave having reached a host call in between. Programs fault
/// for good reasons, and often (memory is brought in by faults); an enclave that never gets anywhere faults forever.
const STORM: u32 = 1 << 24;

/// Enters by a TCS, serves host calls and exceptions, and enters again, until the entry is over; its result. `done` is
/// the number that says so in place of a host call's.
pub fn drive(
    enclu: &mut impl Enclu,
    tcs: u64,
    words: Words,
    done: u64,
    mut host_call: impl FnMut(u64, u64) -> i64,
) -> Result<u64, Failure> {
    let (mut leaf, mut words, mut exceptions) = (EENTER, words, 0);
    loop {
        match enclu.call(leaf, tcs, words) {
            Outcome::Exit { number, value } if number == done => return Ok(value),
            Outcome::Exit { number, value } => {
                (leaf, words, exceptions) = (EENTER, [host_call(number, value) as u64, 0, 0], 0);
            }
            inside @ Outcome::Exception { leaf: ERESUME, .. } => {
                exceptions += 1;
                if exceptions > STORM {
                    return Err(Failure::Storm(inside));
                }
                take_up(enclu, tcs, done)?;
                leaf = ERESUME;
            }
            refused => return Err(Failure::Entry(refused)),
        }
    }
}

/// The exception stage: the enclave looks at the frame that the asynchronous exit left. ERESUME follows.
pub fn take_up(enclu: &mut impl Enclu, tcs: u64, done: u64) -> Result<(), Failure> {
    match enclu.call(EENTER, tcs, [EntryReason::Exception as u64, 0, 0]) {
        Outcome::Exit { number, .. } if number == done => Ok(()),
        other => Err(Failure::Stage(other)),
    }
}

/// The registers of a call, as the assembly reads and writes them.
#[repr(C)]
struct Frame {
    words: Words,
    leaf: u64,
    run: *mut EnclaveRun,
    pending: *const AtomicU32,
    rdi: u64,
    rsi: u64,
}

core::arch::global_asm!(
    r#"
    .text
    // i32 casemate_sgx_call(rdi: function, rsi: &mut Frame). Every register but RSP and RBP may come back changed.
    .globl casemate_sgx_call
    .type casemate_sgx_call, @function
casemate_sgx_call:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    push rsi
    sub rsp, 8
    push [rsi + {RUN}]
    mov rax, rdi
    mov r10, [rsi + {PENDING}]
    mov rcx, [rsi + {LEAF}]
    mov rdx, [rsi + {WORDS} + 16]
    mov rdi, [rsi + {WORDS}]
    mov rsi, [rsi + {WORDS} + 8]
    xor r9d, r9d
    xor r8d, r8d
    xchg [r10], r8d
    .globl casemate_sgx_entering
casemate_sgx_entering:
    call rax
    .globl casemate_sgx_left
casemate_sgx_left:
    cld
    add rsp, 16
    pop r11
    mov [r11 + {RDI}], rdi
    mov [r11 + {RSI}], rsi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
    .size casemate_sgx_call, . - casemate_sgx_call
"#,
    WORDS = const offset_of!(Frame, words),
    LEAF = const offset_of!(Frame, leaf),
    RUN = const offset_of!(Frame, run),
    PENDING = const offset_of!(Frame, pending),
    RDI = const offset_of!(Frame, rdi),
    RSI = const offset_of!(Frame, rsi),
);

unsafe extern "C" {
    fn casemate_sgx_call(function: u64, frame: &mut Frame) -> i32;
    fn casemate_sgx_entering();
}

/// Where `__vdso_sgx_enter_enclave` begins and ends.
static FUNCTION: AtomicU64 = AtomicU64::new(0);
static FUNCTION_END: AtomicU64 = AtomicU64::new(0);

/// Notes where the kernel's function is.
pub fn adopt(function: core::ops::Range<u64>) {
    FUNCTION.store(function.start, Relaxed);
    FUNCTION_END.store(function.end, Relaxed);
}

/// The kernel's function, on the calling thread.
pub struct Vdso<'a> {
    function: u64,
    /// 1 when a host signal arrived of which the enclave is to be told at its next entry.
    pending: &'a AtomicU32,
}

impl<'a> Vdso<'a> {
    /// After [`adopt`].
    pub fn new(pending: &'a AtomicU32) -> Self {
        Self { function: FUNCTION.load(Relaxed), pending }
    }
}

impl Enclu for Vdso<'_> {
    fn call(&mut self, leaf: u32, tcs: u64, words: Words) -> Outcome {
        let mut run = EnclaveRun::new(tcs);
        let mut frame =
            Frame { words, leaf: leaf.into(), run: &raw mut run, pending: self.pending, rdi: 0, rsi: 0 };
        // SAFETY: the function is the vDSO's (or a test's stand-in with its interface), and the structures live during the call.
        let result = unsafe { casemate_sgx_call(self.function, &mut frame) };
        outcome(result, &run, frame.rdi, frame.rsi)
    }
}

fn outcome(result: i32, run: &EnclaveRun, rdi: u64, rsi: u64) -> Outcome {
    match (result, run.function) {
        (0, EEXIT) => Outcome::Exit { number: rdi, value: rsi },
        (0, leaf) => Outcome::Exception {
            leaf,
            vector: run.exception_vector,
            error_code: run.exception_error_code,
            address: run.exception_addr,
        },
        (error, _) => Outcome::Refused(error),
    }
}

/// ENCLU.
const ENCLU: [u8; 3] = [0x0f, 0x01, 0xd7];

/// What a signal handler found when it interrupted a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Code inside: an asynchronous exit led to the vDSO's ENCLU, with ERESUME and the TCS as operands (SDM 37.4.1).
    Inside {
        /// The TCS in RBX.
        tcs: u64,
    },
    /// Control was on its way in: what is put into R8 now arrives inside.
    Entering,
    /// The loader itself.
    Outside,
}

/// Judges by the interrupted registers.
pub fn found(rip: u64, rax: u64, rbx: u64) -> Found {
    let function = FUNCTION.load(Relaxed)..FUNCTION_END.load(Relaxed);
    if rip == casemate_sgx_entering as *const () as u64 {
        return Found::Entering;
    }
    if !function.contains(&rip) {
        return Found::Outside;
    }
    // SAFETY: the kernel's function is mapped for reading, and goes on behind its ENCLU.
    let is_enclu = rip + 3 <= function.end && unsafe { (rip as *const [u8; 3]).read_unaligned() } == ENCLU;
    if is_enclu && rax == u64::from(ERESUME) { Found::Inside { tcs: rbx } } else { Found::Entering }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const INSIDE: Outcome = Outcome::Exception { leaf: ERESUME, vector: 14, error_code: 4, address: 0x5000 };
    const END: u64 = u64::MAX;
    const DONE: Outcome = Outcome::Exit { number: END, value: 7 };

    /// Outcomes in order, and what was called.
    struct Script(Vec<Outcome>, Vec<Entry>);

    /// Leaf, TCS and words of a call.
    type Entry = (u32, u64, Words);

    impl Enclu for Script {
        fn call(&mut self, leaf: u32, tcs: u64, words: Words) -> Outcome {
            self.1.push((leaf, tcs, words));
            self.0.remove(0)
        }
    }

    /// The result, the entries, and the host calls.
    type Run = (Result<u64, Failure>, Vec<Entry>, Vec<(u64, u64)>);

    fn run(outcomes: &[Outcome]) -> Run {
        let mut script = Script(outcomes.to_vec(), Vec::new());
        let mut calls = Vec::new();
        let result = drive(&mut script, 0x9000, [1, 2, 3], END, |number, value| {
            calls.push((number, value));
            -38
        });
        (result, script.1, calls)
    }

    #[test]
    fn a_host_call_is_served_and_its_result_carried_inside() {
        let (result, entries, calls) = run(&[Outcome::Exit { number: 8, value: 0x7000 }, DONE]);
        assert_eq!(result, Ok(7));
        assert_eq!(calls, [(8, 0x7000)]);
        assert_eq!(entries, [(EENTER, 0x9000, [1, 2, 3]), (EENTER, 0x9000, [-38i64 as u64, 0, 0])]);
    }

    #[test]
    fn an_exception_inside_is_taken_up_and_the_thread_resumed() {
        let stage = [EntryReason::Exception as u64, 0, 0];
        let (result, entries, calls) = run(&[INSIDE, DONE, INSIDE, DONE, DONE]);
        assert_eq!(result, Ok(7));
        assert!(calls.is_empty());
        let leaves: Vec<u32> = entries.iter().map(|entry| entry.0).collect();
        assert_eq!(leaves, [EENTER, EENTER, ERESUME, EENTER, ERESUME]);
        assert!(entries[1].2 == stage && entries[3].2 == stage);
    }

    #[test]
    fn an_enclave_that_cannot_be_entered_ends_the_thread() {
        let refused = Outcome::Exception { leaf: EENTER, vector: 13, error_code: 0, address: 0 };
        assert_eq!(run(&[refused]).0, Err(Failure::Entry(refused)));
        assert_eq!(run(&[Outcome::Refused(-22)]).0, Err(Failure::Entry(Outcome::Refused(-22))));
    }

    #[test]
    fn the_exception_stage_makes_no_host_calls_and_does_not_fault() {
        for wrong in [Outcome::Exit { number: 1, value: 0 }, INSIDE, Outcome::Refused(-22)] {
            assert_eq!(run(&[INSIDE, wrong]).0, Err(Failure::Stage(wrong)));
        }
    }

    // A stand-in with the vDSO function's interface: the run structure is its seventh argument, on the stack. It
    // does to the registers what an enclave that scrubs them does, and keeps RSP and RBP as EEXIT must.
    core::arch::global_asm!(
        r#"
        .globl casemate_sgx_stand_in
    casemate_sgx_stand_in:
        push rbp
        mov rbp, rsp
        mov rax, [rbp + 16]
        cmp ecx, 3
        je 1f
        mov dword ptr [rax + 8], 4
        lea rdi, [rdi + rsi]
        lea rsi, [rdx + r8]
        jmp 2f
    1:  mov dword ptr [rax + 8], 3
        mov word ptr [rax + 12], 14
        mov word ptr [rax + 14], 6
        mov rcx, [rax]
        mov [rax + 16], rcx
    2:  xor ebx, ebx
        xor r12d, r12d
        xor r13d, r13d
        xor r14d, r14d
        xor r15d, r15d
        std
        xor eax, eax
        leave
        ret
    "#
    );

    unsafe extern "C" {
        fn casemate_sgx_stand_in();
    }

    #[test]
    fn the_call_follows_the_kernels_convention() {
        let pending = AtomicU32::new(0);
        let mut vdso = Vdso { function: casemate_sgx_stand_in as *const () as u64, pending: &pending };
        assert_eq!(vdso.call(EENTER, 0x9000, [1, 2, 3]), Outcome::Exit { number: 3, value: 3 });
        pending.store(1, SeqCst);
        assert_eq!(vdso.call(EENTER, 0x9000, [1, 2, 3]), Outcome::Exit { number: 3, value: 4 });
        assert_eq!(pending.load(SeqCst), 0);
        assert_eq!(
            vdso.call(ERESUME, 0x9000, [0; 3]),
            Outcome::Exception { leaf: ERESUME, vector: 14, error_code: 6, address: 0x9000 }
        );
    }

    #[test]
    fn results_of_the_kernels_function_are_told_apart() {
        let mut run = EnclaveRun::new(0);
        run.function = EEXIT;
        assert_eq!(outcome(0, &run, 5, 6), Outcome::Exit { number: 5, value: 6 });
        assert_eq!(outcome(-22, &run, 5, 6), Outcome::Refused(-22));
        run.function = ERESUME;
        (run.exception_vector, run.exception_error_code, run.exception_addr) = (6, 0, 0x1000);
        let exception = Outcome::Exception { leaf: ERESUME, vector: 6, error_code: 0, address: 0x1000 };
        assert_eq!(outcome(0, &run, 5, 6), exception);
    }

    #[test]
    fn a_signal_handler_tells_where_the_thread_was() {
        let code = [0x90u8, 0x0f, 0x01, 0xd7, 0x90, 0xc3];
        let start = code.as_ptr() as u64;
        adopt(start..start + code.len() as u64);
        assert_eq!(found(casemate_sgx_entering as *const () as u64, 0, 0), Found::Entering);
        assert_eq!(found(start - 1, 3, 0x9000), Found::Outside);
        assert_eq!(found(start + 6, 3, 0x9000), Found::Outside);
        assert_eq!(found(start + 1, 3, 0x9000), Found::Inside { tcs: 0x9000 });
        assert_eq!(found(start + 1, 2, 0x9000), Found::Entering);
        assert_eq!(found(start, 3, 0x9000), Found::Entering);
        assert_eq!(found(start + 5, 3, 0x9000), Found::Entering);
    }
}
