//! First entry: the start-up block is copied in, checked, and turned into values that can be used.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::{ABI_VERSION, Blob, EntryReason, ExceptionFrame, Platform, START_MAGIC, StartBlock};

use crate::boundary::HostRange;
use crate::sync::Once;
use crate::thread::ThreadHandle;

/// What the host said at start, in enclave memory. Only sizes were checked: contents are the host's word.
#[derive(Debug)]
pub struct HostFacts {
    /// The platform the loader claims to be.
    pub platform: Platform,
    /// `StartFlags`.
    pub flags: u32,
    /// Processors, at least 1.
    pub processors: u32,
    /// The manifest's bytes; to be checked against the measured block.
    pub manifest: Vec<u8>,
    /// The measured block's bytes.
    pub measured: Vec<u8>,
    /// The file index, still outside: read block by block.
    pub index: HostRange,
    /// Arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Environment, `NAME=VALUE`.
    pub environment: Vec<Vec<u8>>,
    /// Host directories offered, `PATH-INSIDE[:ro]`, by volume number.
    pub volumes: Vec<Vec<u8>>,
    /// `/etc/resolv.conf` of the host.
    pub resolv_conf: Vec<u8>,
    /// `/etc/hosts` of the host.
    pub hosts: Vec<u8>,
    /// Name of the host.
    pub hostname: Vec<u8>,
}

/// Largest manifest accepted.
const MANIFEST_LIMIT: u64 = 16 << 20;
/// Largest argument and environment area accepted (Linux: a quarter of the stack limit, 2 MiB by default).
const STRINGS_LIMIT: u64 = 4 << 20;
/// Largest of the engine's small files accepted.
const FILE_LIMIT: u64 = 1 << 20;

static IMAGE_BASE: AtomicU64 = AtomicU64::new(0);
static STARTED: AtomicU32 = AtomicU32::new(0);
static MAIN: Once<fn(HostFacts, Arc<ThreadHandle>)> = Once::new();

/// Address of the enclave image, for reports.
pub fn image_base() -> u64 {
    IMAGE_BASE.load(Relaxed)
}

/// The enclave's one entry, after relocation. `main` is the library OS.
pub fn enter(reason: u64, a: u64, b: u64, main: fn(HostFacts, Arc<ThreadHandle>)) -> i64 {
    if reason == EntryReason::Exception as u64 {
        // SAFETY: on `direct` and `softsgx` the loader passes its own frame on the signal stack; it has all rights over this
        // process, and the hardware back end takes the frame from the SSA instead.
        crate::exception::handle(unsafe { &mut *(a as *mut ExceptionFrame) });
        return 0;
    }
    if reason == EntryReason::Thread as u64 {
        return crate::thread::enter(a, b);
    }
    if reason == EntryReason::Start as u64 && STARTED.swap(1, SeqCst) == 0 {
        // SAFETY: the loader passes its start-up block; this is a copy, made once, so later changes do not matter.
        let block = unsafe { core::ptr::read_volatile(a as *const StartBlock) };
        if !set_ranges(&block, a) {
            return -1;
        }
        START.lock().replace(block);
        let _ = MAIN.set(main);
        return crate::thread::enter_first(b, run_main);
    }
    -1
}

static START: crate::sync::Mutex<Option<StartBlock>> = crate::sync::Mutex::new(None);

/// Checks the layout and fixes it. Nothing can be printed yet.
fn set_ranges(block: &StartBlock, address: u64) -> bool {
    let size = block.enclave_size;
    let page = |value: u64| value.is_multiple_of(crate::PAGE_SIZE as u64);
    let image_end = block.image_base.checked_add(block.image_size);
    // Where this code is, whatever the host says; elsewhere than in the enclave image only in tests.
    let code = set_ranges as *const () as u64;
    let in_image = image_end.is_some_and(|end| (block.image_base..end).contains(&code));
    let heap_end = block.heap_base.checked_add(block.heap_size);
    let good = block.magic == START_MAGIC
        && block.version == ABI_VERSION
        && size.is_power_of_two()
        && (1 << 24..=1 << 46).contains(&size)
        && address >= size
        && (in_image || cfg!(not(freestanding)))
        && (block.host_call >= size || block.platform != Platform::Direct as u32)
        && [block.user_base, block.user_top, block.heap_base, block.heap_size, block.image_base]
            .into_iter()
            .all(page)
        && 0x10000 <= block.user_base
        && block.user_base < block.user_top
        && block.user_top <= block.heap_base
        && heap_end.is_some_and(|end| end <= block.image_base)
        && image_end.is_some_and(|end| end <= size);
    if good {
        crate::boundary::set_enclave_size(size);
        crate::user::set_range(block.user_base, block.user_top);
        crate::heap::set_range(block.heap_base, block.heap_size);
        crate::host::set_host_call(block.host_call);
        IMAGE_BASE.store(block.image_base, Relaxed);
    }
    good
}

fn run_main(thread: Arc<ThreadHandle>) {
    let block = START.lock().take();
    let facts = block.ok_or("started twice").and_then(read_facts);
    match (facts, MAIN.get()) {
        (Ok(facts), Some(main)) => main(facts, thread),
        (Err(reason), _) => crate::console::fatal(reason),
        (_, None) => crate::console::fatal("no program to run"),
    }
}

fn read_facts(block: StartBlock) -> Result<HostFacts, &'static str> {
    if !crate::random::is_available() {
        return Err("the processor has no RDRAND");
    }
    let platform = match block.platform {
        1 => Platform::Sgx,
        2 => Platform::SoftSgx,
        3 => Platform::Direct,
        _ => return Err("the loader names an unknown platform"),
    };
    Ok(HostFacts {
        platform,
        flags: block.flags,
        processors: block.processors.clamp(1, 1024),
        manifest: bytes(block.manifest, MANIFEST_LIMIT).ok_or("the manifest is too large or not readable")?,
        measured: bytes(block.measured, 4096).ok_or("the measured block is not readable")?,
        index: HostRange::new(block.index.address, block.index.length).ok_or("the index is not readable")?,
        arguments: strings(block.arguments).ok_or("the arguments are too long")?,
        environment: strings(block.environment).ok_or("the environment is too large")?,
        volumes: strings(block.volumes).ok_or("the list of host directories is too long")?,
        resolv_conf: bytes(block.resolv_conf, FILE_LIMIT).unwrap_or_default(),
        hosts: bytes(block.hosts, FILE_LIMIT).unwrap_or_default(),
        hostname: bytes(block.hostname, 255).unwrap_or_default(),
    })
}

fn bytes(blob: Blob, limit: u64) -> Option<Vec<u8>> {
    HostRange::new(blob.address, blob.length)?.to_vec(limit)
}

fn strings(blob: Blob) -> Option<Vec<Vec<u8>>> {
    let all = bytes(blob, STRINGS_LIMIT)?;
    let mut parts: Vec<Vec<u8>> = all.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    // Each string is ended by NUL, so what follows the last one is empty.
    parts.pop();
    Some(parts)
}

/// A short name of the platform for messages.
pub fn platform_name(platform: Platform) -> String {
    String::from(match platform {
        Platform::Sgx => "sgx",
        Platform::SoftSgx => "softsgx",
        Platform::Direct => "direct",
    })
}
