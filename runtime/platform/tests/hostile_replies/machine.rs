//! The two memories and the way into the platform layer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

use casemate_abi::{
    ABI_VERSION, Blob, EntryReason, ExceptionFrame, HOST_BUFFER_SIZE, HostThread, Platform, RING_ENTRIES,
    START_MAGIC, StartBlock,
};
use casemate_platform::layout;
use casemate_platform::start::{self, HostFacts};
use casemate_platform::thread::ThreadHandle;
use casemate_sgx::layout::LayoutBlock;

use crate::host;

pub const PAGE: u64 = 4096;
pub const ENCLAVE_SIZE: u64 = 1 << 40;
pub const USER_BASE: u64 = 0x1000_0000;
pub const USER_SIZE: u64 = 1 << 20;
pub const HEAP_BASE: u64 = 0x2000_0000;
pub const HEAP_SIZE: u64 = 64 << 20;
const THREADS_BASE: u64 = 0x3000_0000;
/// More than a thread's block takes.
const THREAD_STRIDE: u64 = 0x6_0000;
pub const MAX_THREADS: u32 = 512;
/// Program memory that programs send; the rest holds canaries.
pub const PUBLIC: u64 = USER_BASE;
pub const PUBLIC_SIZE: usize = 512 * 1024;
/// Where canaries are.
pub const SECRET: u64 = USER_BASE + PUBLIC_SIZE as u64;

/// What must never be seen outside.
pub const CANARY: [u8; 16] = *b"\xc5\x1a\x9d\x7fcanary\x03\xe2\xb8\x61\xf4\x0e";

/// Address of the main thread's block.
pub static MAIN_BLOCK: AtomicU64 = AtomicU64::new(0);

fn map(address: u64, length: u64) -> u64 {
    let fixed = if address == 0 { 0 } else { libc::MAP_FIXED_NOREPLACE };
    // SAFETY: new pages at a free place.
    let mapped = unsafe {
        libc::mmap(
            address as *mut _,
            length as usize,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed,
            -1,
            0,
        )
    };
    assert!(
        mapped != libc::MAP_FAILED && (address == 0 || mapped as u64 == address),
        "no memory at {address:#x}"
    );
    mapped as u64
}

pub fn protect(address: u64, length: u64, protection: i32) {
    // SAFETY: pages of this test; nobody holds references into them.
    assert_eq!(unsafe { libc::mprotect(address as *mut _, length as usize, protection) }, 0);
}

/// A thread's block and buffer, each between pages without access.
pub fn host_block() -> u64 {
    let whole = map(0, PAGE * 4 + HOST_BUFFER_SIZE as u64);
    let (block, buffer) = (whole + PAGE, whole + PAGE * 3);
    for guard in [whole, whole + PAGE * 2, buffer + HOST_BUFFER_SIZE as u64] {
        protect(guard, PAGE, libc::PROT_NONE);
    }
    // SAFETY: the page is new; the buffer's address is the only field that must be set.
    unsafe { (*(block as *mut HostThread)).buffer = buffer };
    block
}

/// A ring for exitless calls: its entries end a page, what follows them begins the next.
pub fn ring() -> u64 {
    let whole = map(0, PAGE * 4);
    protect(whole, PAGE, libc::PROT_NONE);
    protect(whole + PAGE * 3, PAGE, libc::PROT_NONE);
    whole + PAGE * 2 - 8 * RING_ENTRIES as u64
}

pub fn buffer_of(block: u64) -> u64 {
    block + PAGE * 2
}

/// A block inside the enclave, as no honest host gives.
pub fn block_in_enclave() -> u64 {
    HEAP_BASE + HEAP_SIZE - PAGE
}

fn fill_with_canaries(address: u64, length: u64) {
    // SAFETY: fresh pages of this test.
    let bytes = unsafe { std::slice::from_raw_parts_mut(address as *mut u8, length as usize) };
    bytes.chunks_mut(16).for_each(|chunk| chunk.copy_from_slice(&CANARY[..chunk.len()]));
}

/// Faults go to the platform layer as the loader brings them; one that it does not fix ends the test there.
fn catch_faults() {
    extern "C" fn on_fault(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel passes its own frames.
        unsafe {
            crate::exitless::on_fault((*info).si_addr() as u64);
            let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
            let rip = registers[libc::REG_RIP as usize] as u64;
            // As the loader has it (runtime/host/src/soft/gate.rs).
            let is_leaf = crate::edmm::is_leaf_fault(rip);
            let mut frame = ExceptionFrame {
                rip: if is_leaf { registers[libc::REG_R11 as usize] as u64 } else { rip },
                rsp: registers[libc::REG_RSP as usize] as u64,
                rcx: registers[libc::REG_RCX as usize] as u64,
                vector: 14,
                address: (*info).si_addr() as u64,
                ..ExceptionFrame::default()
            };
            start::enter_direct(EntryReason::Exception as u64, &raw mut frame as u64, 0, |_, _| ());
            registers[libc::REG_RIP as usize] = frame.rip as i64;
            if is_leaf {
                registers[libc::REG_RAX as usize] = frame.rax as i64;
                registers[libc::REG_R9 as usize] = frame.r9 as i64;
                registers[libc::REG_R10 as usize] = frame.r10 as i64;
            }
        }
    }
    // SAFETY: the handler only edits the frame.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
        }
    }
}

/// What the platform layer is started with: the host's words, and the layout, which in an enclave is measured.
pub type Start = (StartBlock, LayoutBlock);

/// An honest start.
pub fn start_block() -> Start {
    map(USER_BASE, USER_SIZE);
    map(HEAP_BASE, HEAP_SIZE);
    map(THREADS_BASE, THREAD_STRIDE * u64::from(MAX_THREADS));
    fill_with_canaries(SECRET, USER_SIZE - PUBLIC_SIZE as u64);
    fill_with_canaries(HEAP_BASE + HEAP_SIZE / 2, HEAP_SIZE / 2);
    let layout = LayoutBlock {
        magic: LayoutBlock::MAGIC,
        version: LayoutBlock::VERSION,
        flags: 0,
        enclave_size: ENCLAVE_SIZE,
        user_base: USER_BASE,
        user_top: USER_BASE + USER_SIZE,
        heap_base: HEAP_BASE,
        heap_size: HEAP_SIZE,
        heap_added: HEAP_SIZE,
        threads_base: THREADS_BASE,
        thread_stride: THREAD_STRIDE,
        max_threads: MAX_THREADS,
        added_threads: MAX_THREADS,
        ssa_frame_size: 1,
        ssa_slots: 2,
        image_base: ENCLAVE_SIZE - (1 << 20),
        image_size: 1 << 20,
        entry: ENCLAVE_SIZE - (1 << 20),
    };
    let block = StartBlock {
        magic: START_MAGIC,
        version: ABI_VERSION,
        platform: Platform::Direct as u32,
        host_call: host::call as *const () as u64,
        processors: 2,
        manifest: blob(b"{}"),
        index: blob(b"index"),
        ..StartBlock::default()
    };
    (block, layout)
}

fn blob(bytes: &'static [u8]) -> Blob {
    Blob { address: bytes.as_ptr() as u64, length: bytes.len() as u64 }
}

/// Enters the platform layer for the first time, with this block; returns its answer if it refuses.
pub fn enter((block, layout): Start, host_thread: u64, main: fn(HostFacts, Arc<ThreadHandle>)) -> i64 {
    catch_faults();
    layout::provide(layout);
    MAIN_BLOCK.store(host_thread, SeqCst);
    let block = Box::leak(Box::new(block));
    let address = &raw const *block as u64;
    std::thread::spawn(move || start::enter_direct(EntryReason::Start as u64, address, host_thread, main))
        .join()
        .unwrap()
}

pub fn start(main: fn(HostFacts, Arc<ThreadHandle>)) -> ! {
    let answer = enter(start_block(), host_block(), main);
    panic!("the platform layer refused to start: {answer}");
}
