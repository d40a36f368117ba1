//! Running code inside: EENTER as a jump, ENCLU as a trap.
//!
//! ENCLU raises #UD on processors without SGX (SIGILL), and #GP or #PF where it is executed outside of an enclave on one
//! with it (SIGSEGV). Either way the handler finds the instruction and asks the device. FS and GS keep the values of this
//! process inside, since signal handlers need them; the enclave uses neither.

use std::cell::Cell;
use std::ptr;

use casemate_sgx::Fault;
use casemate_softsgx::{Flow, LogicalProcessor, MAX_XSAVE, Registers, SoftDevice, XsaveArea};
use libc::{c_int, c_void, siginfo_t, ucontext_t};

use crate::pages::Pages;

const ENCLU: [u8; 3] = [0x0f, 0x01, 0xd7];
const EENTER: u64 = 2;
const HANDLER_STACK: usize = 256 << 10;

thread_local! {
    /// The machine whose enclave this thread is inside.
    static INSIDE: Cell<*mut Machine> = const { Cell::new(ptr::null_mut()) };
    static PREPARED: Cell<bool> = const { Cell::new(false) };
}

/// A device with its one enclave, and the processor that enters it.
pub struct Machine {
    pub device: SoftDevice<Pages>,
    pub logical: LogicalProcessor,
    pub extended: Box<XsaveArea>,
}

impl Machine {
    pub fn new(device: SoftDevice<Pages>) -> Self {
        Self { device, logical: LogicalProcessor::default(), extended: Box::new([0; MAX_XSAVE]) }
    }

    /// Enters by this TCS with four words, and returns the word that the enclave leaves with.
    pub fn enter(&mut self, tcs: u64, words: [u64; 4]) -> Result<u64, Fault> {
        prepare_thread();
        let mut registers = Registers { rax: EENTER, rbx: tcs, ..Registers::default() };
        let flow = self.device.enclu(&mut self.logical, &mut registers, &mut self.extended)?;
        assert_eq!(flow, Flow::Entered);
        let machine = INSIDE.replace(ptr::from_mut(self));
        assert!(machine.is_null(), "an enclave is entered from inside another");
        let result;
        // SAFETY: the target is the entry point of an enclave that EINIT measured and accepted. It works on its own stack,
        // leaves by EEXIT to the label with RSP and RBP as they were, and everything else is named as changed.
        unsafe {
            core::arch::asm!(
                "push rbx",
                "push rbp",
                "mov rbx, r10",
                "lea rcx, [rip + 2f]",
                "xor eax, eax",
                "jmp r9",
                "2:",
                "pop rbp",
                "pop rbx",
                in("r10") tcs,
                in("r9") registers.rip,
                inout("rdi") words[0] => result,
                in("rsi") words[1],
                in("rdx") words[2],
                in("r8") words[3],
                out("r12") _, out("r13") _, out("r14") _, out("r15") _,
                clobber_abi("sysv64"),
            );
        }
        INSIDE.set(ptr::null_mut());
        Ok(result)
    }
}

/// A stack for the handler (the enclave's own is not the kernel's to write to), and the handlers themselves.
fn prepare_thread() {
    if PREPARED.replace(true) {
        return;
    }
    let stack = Box::leak(vec![0u8; HANDLER_STACK].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: HANDLER_STACK };
    // SAFETY: the stack lives for ever; the handler has the signature that SA_SIGINFO asks for.
    unsafe {
        assert_eq!(libc::sigaltstack(&raw const stack, ptr::null_mut()), 0);
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = on_trap as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        for signal in [libc::SIGILL, libc::SIGSEGV] {
            assert_eq!(libc::sigaction(signal, &raw const action, ptr::null_mut()), 0);
        }
    }
}

extern "C" fn on_trap(signal: c_int, _: *mut siginfo_t, context: *mut c_void) {
    let machine = INSIDE.get();
    // SAFETY: the kernel gives the interrupted context. While the pointer is set, `enter` waits in its asm block, so
    // nobody else uses the machine.
    let (context, machine) = unsafe { (&mut *context.cast::<ucontext_t>(), machine.as_mut()) };
    let Some(machine) = machine else { default_action(signal) };
    let mut registers = load(context);
    // SAFETY: RIP was just fetched from, and an instruction of three bytes is there or the trap had another reason; the
    // image ends with more bytes than that.
    let code = unsafe { (registers.rip as *const [u8; 3]).read() };
    if code != ENCLU {
        die("the architectural enclave stopped itself");
    }
    match machine.device.enclu(&mut machine.logical, &mut registers, &mut machine.extended) {
        Ok(_) => store(context, &registers),
        Err(_) => die("the architectural enclave made an ENCLU that faults"),
    }
}

/// What would have happened without a handler: the signal comes again when the handler returns.
fn default_action(signal: c_int) -> ! {
    // SAFETY: restores the default and raises; async-signal-safe.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        libc::_exit(70)
    }
}

fn die(reason: &str) -> ! {
    let text = [b"casemate: ", reason.as_bytes(), b"\n"].concat();
    // SAFETY: writes bytes of ours and ends the process; async-signal-safe.
    unsafe {
        libc::write(2, text.as_ptr().cast(), text.len());
        libc::_exit(70)
    }
}

const GENERAL: [c_int; 18] = [
    libc::REG_RAX,
    libc::REG_RBX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_RBP,
    libc::REG_RSP,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
    libc::REG_RIP,
    libc::REG_EFL,
];

fn fields(registers: &mut Registers) -> [&mut u64; 18] {
    let r = registers;
    [
        &mut r.rax,
        &mut r.rbx,
        &mut r.rcx,
        &mut r.rdx,
        &mut r.rsi,
        &mut r.rdi,
        &mut r.rbp,
        &mut r.rsp,
        &mut r.r8,
        &mut r.r9,
        &mut r.r10,
        &mut r.r11,
        &mut r.r12,
        &mut r.r13,
        &mut r.r14,
        &mut r.r15,
        &mut r.rip,
        &mut r.rflags,
    ]
}

fn load(context: &ucontext_t) -> Registers {
    let mut registers = Registers::default();
    for (field, number) in fields(&mut registers).into_iter().zip(GENERAL) {
        *field = context.uc_mcontext.gregs[number as usize] as u64;
    }
    registers
}

fn store(context: &mut ucontext_t, registers: &Registers) {
    let mut registers = *registers;
    for (field, number) in fields(&mut registers).into_iter().zip(GENERAL) {
        context.uc_mcontext.gregs[number as usize] = *field as i64;
    }
}
