//! The least that an enclave image needs: entry, thread areas, user code that traps, host calls, words on standard error.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::{EntryReason, ExceptionFrame, HostCall, HostThread, StartBlock, VECTOR_INTERRUPT};
use casemate_freestanding::relocation::{Dynamic, relocate};
use casemate_sgx::PAGE_SIZE;
use casemate_sgx::layout::{BLOCK_OFFSET, LayoutBlock};

macro_rules! say {
    ($($argument:tt)*) => { $crate::enclave::print(format_args!("{}\n", format_args!($($argument)*))) };
}

macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            $crate::enclave::fail(format_args!(
                "FAILED {}:{}: {}\n",
                file!(),
                line!(),
                stringify!($condition)
            ))
        }
    };
}

macro_rules! same {
    ($left:expr, $right:expr) => {
        let (left, right) = (&$left, &$right);
        if left != right {
            $crate::enclave::fail(format_args!(
                "FAILED {}:{}: {} is {left:x?}, not {right:x?}\n",
                file!(),
                line!(),
                stringify!($left)
            ))
        }
    };
}

/// What gs points to.
#[repr(C, align(64))]
pub struct Area {
    this: *const Area,
    saved_rsp: u64,
    in_user: AtomicU32,
    /// Host signals seen while in enclave code.
    pub noted: AtomicU32,
    host_thread: AtomicU64,
    frame: UnsafeCell<ExceptionFrame>,
}

// SAFETY: only its own thread uses the fields that are not atomic.
unsafe impl Sync for Area {}

impl Area {
    /// An area that no thread uses.
    pub const fn new() -> Area {
        // SAFETY: integers only.
        let frame = unsafe { core::mem::zeroed() };
        Area {
            this: core::ptr::null(),
            saved_rsp: 0,
            in_user: AtomicU32::new(0),
            noted: AtomicU32::new(0),
            host_thread: AtomicU64::new(0),
            frame: UnsafeCell::new(frame),
        }
    }
}

/// A thread to start with [`spawn`].
#[repr(C)]
pub struct Thread {
    area: Area,
    main: fn(u64),
    argument: u64,
    /// 1 when `main` has returned.
    pub done: AtomicU32,
    /// Address of its host block once it runs.
    pub host: AtomicU64,
}

impl Thread {
    /// A thread that will call `main(argument)`.
    pub const fn new(main: fn(u64), argument: u64) -> Thread {
        Thread { area: Area::new(), main, argument, done: AtomicU32::new(0), host: AtomicU64::new(0) }
    }

    /// Waits until it runs and returns its host block's address.
    pub fn started(&self) -> u64 {
        while self.host.load(SeqCst) == 0 {
            host(HostCall::Yield, [0; 6]);
        }
        self.host.load(SeqCst)
    }

    /// Waits until it is done.
    pub fn join(&self) {
        while self.done.load(SeqCst) == 0 {
            host(HostCall::Yield, [0; 6]);
        }
    }
}

global_asm!(
    r#"
    .text
    .globl _start
_start:
    test rdi, rdi
    jne 1f
    push rdi
    push rsi
    push rdx
    lea rdi, [rip + __ehdr_start]
    lea rsi, [rip + _DYNAMIC]
    call {RELOCATE}
    pop rdx
    pop rsi
    pop rdi
1:  jmp {ENTER}

    // probe_run_user(rdi: const ExceptionFrame *): into user code until it traps.
probe_run_user:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov gs:[{SAVED}], rsp
    push qword ptr [rdi + {RFLAGS}]
    popfq
    mov rax, [rdi + {RAX}]
    mov rbx, [rdi + {RBX}]
    mov rcx, [rdi + {RIP}]
    mov rdx, [rdi + {RDX}]
    mov rsi, [rdi + {RSI}]
    mov rbp, [rdi + {RBP}]
    mov r8, [rdi + {R8}]
    mov r12, [rdi + {R12}]
    mov r15, [rdi + {R15}]
    mov rsp, [rdi + {RSP}]
    mov rdi, [rdi + {RDI}]
    mov dword ptr gs:[{IN_USER}], 1
    jmp rcx
probe_resume:
    mov dword ptr gs:[{IN_USER}], 0
    mov rsp, gs:[{SAVED}]
    cld
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

    // int probe_try_read(rdi): a byte, or -1 when reading it faults.
probe_try_read:
    movzx eax, byte ptr [rdi]
    ret
probe_try_read_failed:
    mov eax, -1
    ret

    // probe_call_on(rdi: number, rsi: args, rdx: function, rcx: stack top): a call on another stack.
probe_call_on:
    push rbp
    mov rbp, rsp
    mov rsp, rcx
    call rdx
    mov rsp, rbp
    pop rbp
    ret

    // probe_call_wide(rdi: number, rsi: args, rdx: function, rcx: 32 bytes in, r8: 16*16 bytes out): upper halves of ymm0-15 over a call.
probe_call_wide:
    push rbx
    mov rbx, r8
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqu ymm\n, [rcx]
    .endr
    call rdx
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vextractf128 [rbx + 16 * \n], ymm\n, 1
    .endr
    vzeroupper
    pop rbx
    ret
"#,
    RELOCATE = sym relocate_self,
    ENTER = sym enter,
    SAVED = const offset_of!(Area, saved_rsp),
    IN_USER = const offset_of!(Area, in_user),
    RFLAGS = const offset_of!(ExceptionFrame, rflags),
    RAX = const offset_of!(ExceptionFrame, rax),
    RBX = const offset_of!(ExceptionFrame, rbx),
    RIP = const offset_of!(ExceptionFrame, rip),
    RDX = const offset_of!(ExceptionFrame, rdx),
    RSI = const offset_of!(ExceptionFrame, rsi),
    RBP = const offset_of!(ExceptionFrame, rbp),
    R8 = const offset_of!(ExceptionFrame, r8),
    R12 = const offset_of!(ExceptionFrame, r12),
    R15 = const offset_of!(ExceptionFrame, r15),
    RSP = const offset_of!(ExceptionFrame, rsp),
    RDI = const offset_of!(ExceptionFrame, rdi),
);

unsafe extern "C" {
    fn probe_run_user(start: *const ExceptionFrame);
    fn probe_resume();
    fn probe_try_read(address: u64) -> i32;
    fn probe_try_read_failed();
    fn probe_call_on(number: u64, args: u64, function: u64, stack: u64) -> i64;
    fn probe_call_wide(number: u64, args: u64, function: u64, pattern: *const u8, out: *mut u8) -> i64;
}

unsafe extern "C" fn relocate_self(base: u64, dynamic: *const Dynamic) {
    // SAFETY: called once, first of all, with the image's own base and dynamic section.
    unsafe { relocate(base, dynamic) };
}

static BLOCK: AtomicU64 = AtomicU64::new(0);
static MAIN: MainArea = MainArea(Area::new());

struct MainArea(Area);

/// The start-up block.
pub fn block() -> &'static StartBlock {
    // SAFETY: set at the first entry; the loader keeps the block.
    unsafe { &*(BLOCK.load(Relaxed) as *const StartBlock) }
}

unsafe extern "C" {
    static __ehdr_start: u8;
}

fn measured_page() -> &'static [u8; PAGE_SIZE] {
    // SAFETY: the loader maps the measured page right below the image.
    unsafe { &*((&raw const __ehdr_start as u64 - PAGE_SIZE as u64) as *const [u8; PAGE_SIZE]) }
}

/// The layout, from the measured page.
pub fn layout() -> LayoutBlock {
    match LayoutBlock::read(measured_page()) {
        Some(layout) => layout,
        None => fail(format_args!("the measured page holds no layout\n")),
    }
}

/// The measured block.
pub fn measured() -> [u8; BLOCK_OFFSET] {
    let mut block = [0; BLOCK_OFFSET];
    block.copy_from_slice(&measured_page()[..BLOCK_OFFSET]);
    block
}

/// A blob's bytes.
pub fn bytes(blob: casemate_abi::Blob) -> &'static [u8] {
    if blob.length == 0 {
        return &[];
    }
    // SAFETY: the loader under test says that these bytes are there.
    unsafe { core::slice::from_raw_parts(blob.address as *const u8, blob.length as usize) }
}

extern "C" fn enter(reason: u64, a: u64, b: u64) -> i64 {
    if reason == EntryReason::Exception as u64 {
        // SAFETY: the loader passes a frame of its own.
        exception(unsafe { &mut *(a as *mut ExceptionFrame) });
        return 0;
    }
    if reason == EntryReason::Thread as u64 {
        // SAFETY: `spawn` passed a thread that lives until it is done.
        let thread = unsafe { &*(a as *const Thread) };
        install(&thread.area, b);
        thread.host.store(b, SeqCst);
        (thread.main)(thread.argument);
        thread.done.store(1, SeqCst);
        return 0;
    }
    BLOCK.store(a, Relaxed);
    install(&MAIN.0, b);
    let status = crate::scenario::run();
    host(HostCall::Exit, [status, 0, 0, 0, 0, 0]);
    -1
}

fn install(area: &'static Area, host_thread: u64) {
    area.host_thread.store(host_thread, SeqCst);
    // SAFETY: the area is this thread's alone from here on.
    unsafe {
        (*(area as *const Area as *mut Area)).this = area;
        core::arch::asm!("wrgsbase {}", in(reg) area, options(nostack, preserves_flags));
    }
}

/// The calling thread's area.
pub fn area() -> &'static Area {
    let area: *const Area;
    // SAFETY: gs was set by `install`.
    unsafe {
        core::arch::asm!("mov {}, gs:[0]", out(reg) area, options(nostack, readonly, preserves_flags));
        &*area
    }
}

fn exception(frame: &mut ExceptionFrame) {
    let area = area();
    if area.in_user.load(SeqCst) != 0 {
        // SAFETY: the thread waits for this in `run_user`.
        unsafe { *area.frame.get() = *frame };
        frame.rip = probe_resume as *const () as u64;
        frame.rflags = 0x202;
    } else if frame.vector == VECTOR_INTERRUPT {
        area.noted.fetch_add(1, SeqCst);
    } else if frame.rip == probe_try_read as *const () as u64 {
        // SAFETY: as above; the reader is suspended.
        unsafe { *area.frame.get() = *frame };
        frame.rip = probe_try_read_failed as *const () as u64;
    } else {
        say!(
            "unexpected exception: vector {} rip {:#x} address {:#x}",
            frame.vector,
            frame.rip,
            frame.address
        );
        host(HostCall::Exit, [71, 0, 0, 0, 0, 0]);
    }
}

/// Runs user code with these registers until it traps.
pub fn run_user(start: &ExceptionFrame) -> ExceptionFrame {
    // SAFETY: the code is a scenario's own; the exception entry brings control back and keeps callee-saved registers.
    unsafe {
        probe_run_user(start);
        *area().frame.get()
    }
}

/// Reads a byte that may not be there; [`last_fault`] says why it was not.
pub fn try_read(address: u64) -> Option<u8> {
    // SAFETY: a fault is recovered by the exception entry.
    u8::try_from(unsafe { probe_try_read(address) }).ok()
}

/// Vector, address and host signal of the last fault on this thread.
pub fn last_fault() -> (u64, u64, u64) {
    // SAFETY: the exception that wrote it is over.
    let frame = unsafe { *area().frame.get() };
    (frame.vector, frame.address, frame.signal)
}

/// The calling thread's host block.
pub fn host_thread() -> &'static HostThread {
    // SAFETY: the loader keeps the block.
    unsafe { &*(area().host_thread.load(Relaxed) as *const HostThread) }
}

/// Address of the calling thread's host buffer.
pub fn buffer() -> u64 {
    host_thread().buffer
}

fn stage(args: [u64; 6]) -> u64 {
    let place = host_thread() as *const HostThread as *mut [u64; 6];
    // SAFETY: the arguments are the block's first field and this thread's to write.
    unsafe { place.write_volatile(args) };
    place as u64
}

/// A host call.
pub fn host(call: HostCall, args: [u64; 6]) -> i64 {
    host_number(call as u64, args)
}

/// A host call by number.
pub fn host_number(number: u64, args: [u64; 6]) -> i64 {
    host_raw(number, stage(args))
}

/// A host call with its arguments anywhere.
pub fn host_raw(number: u64, args: u64) -> i64 {
    // SAFETY: the start-up block names the loader's function.
    let function: extern "C" fn(u64, u64) -> i64 = unsafe { core::mem::transmute(block().host_call) };
    function(number, args)
}

/// A host call on another stack.
pub fn host_on(call: HostCall, args: [u64; 6], stack: u64) -> i64 {
    // SAFETY: the caller passes the top of a stack of its own.
    unsafe { probe_call_on(call as u64, stage(args), block().host_call, stack) }
}

/// A host call with known upper halves in ymm0 to ymm15; returns those found after it.
pub fn host_wide(call: HostCall, args: [u64; 6], pattern: &[u8; 32]) -> [[u8; 16]; 16] {
    let mut found = [[0; 16]; 16];
    // SAFETY: the caller has looked that the processor has AVX.
    unsafe {
        probe_call_wide(
            call as u64,
            stage(args),
            block().host_call,
            pattern.as_ptr(),
            found.as_mut_ptr().cast(),
        )
    };
    found
}

/// Starts a thread.
pub fn spawn(thread: &'static Thread) -> i64 {
    host(HostCall::ThreadCreate, [thread as *const Thread as u64, 0, 0, 0, 0, 0])
}

/// Copies bytes to the host buffer at `offset` and returns their address.
pub fn put(offset: u64, bytes: &[u8]) -> u64 {
    let at = buffer() + offset;
    // SAFETY: scenarios stay inside the buffer.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) };
    at
}

/// Reads a value from the host buffer at `offset`.
pub fn get<T: Copy>(offset: u64) -> T {
    // SAFETY: scenarios stay inside the buffer and read integers only.
    unsafe { ((buffer() + offset) as *const T).read_unaligned() }
}

/// Bytes of the host buffer.
pub fn seen(offset: u64, length: usize) -> &'static [u8] {
    // SAFETY: scenarios stay inside the buffer.
    unsafe { core::slice::from_raw_parts((buffer() + offset) as *const u8, length) }
}

struct Line([u8; 256], usize);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes().take(self.0.len() - self.1) {
            self.0[self.1] = byte;
            self.1 += 1;
        }
        Ok(())
    }
}

/// Offset in the host buffer of text on its way out, far from where scenarios put things.
const TEXT: u64 = 200 * 1024;

/// Prints on the loader's standard error.
pub fn print(arguments: fmt::Arguments) {
    let mut line = Line([0; 256], 0);
    let _ = line.write_fmt(arguments);
    let at = put(TEXT, &line.0[..line.1]);
    host(HostCall::Log, [at, line.1 as u64, 0, 0, 0, 0]);
}

/// Ends the run as failed.
pub fn fail(arguments: fmt::Arguments) -> ! {
    print(arguments);
    loop {
        host(HostCall::Exit, [1, 0, 0, 0, 0, 0]);
    }
}

/// The layout's crate can allocate; nothing that the probe uses of it does.
struct NoHeap;

// SAFETY: it hands nothing out.
unsafe impl core::alloc::GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {}
}

#[global_allocator]
static HEAP: NoHeap = NoHeap;

// The compiler's own libraries are built to unwind and refer to these; with `panic = "abort"` neither is ever called.
global_asm!(
    r#"
    .globl _Unwind_Resume
    .globl rust_eh_personality
_Unwind_Resume:
rust_eh_personality:
    ud2
"#
);

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    fail(format_args!("{info}\n"))
}
