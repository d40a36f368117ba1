//! First entry: the start-up block is copied in, checked, and turned into values that can be used.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::*};

use casemate_abi::{ABI_VERSION, Blob, EntryReason, ExceptionFrame, Platform, START_MAGIC, StartBlock};
use casemate_sgx::layout::LayoutBlock;
use zerocopy::IntoBytes;

use crate::boundary::HostRange;
use crate::pages::Mode;
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
    /// The measured block's bytes, from the measured page.
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
    /// The ring for exitless host calls; empty when the host has none.
    pub ring: HostRange,
}

/// Largest manifest accepted.
const MANIFEST_LIMIT: u64 = 16 << 20;
/// Largest argument and environment area accepted (Linux: a quarter of the stack limit, 2 MiB by default).
const STRINGS_LIMIT: u64 = 4 << 20;
/// Largest of the engine's small files accepted.
const FILE_LIMIT: u64 = 1 << 20;
/// The host's kernel may bar addresses below this at most: programs at fixed addresses (0x400000) must fit.
const LOWEST_LIMIT: u64 = 2 << 20;

static STARTED: AtomicU32 = AtomicU32::new(0);
static MAIN: Once<fn(HostFacts, Arc<ThreadHandle>)> = Once::new();

/// Address of the enclave image, for reports.
pub fn image_base() -> u64 {
    crate::layout::image_base()
}

/// The entry on `direct`, after relocation. `main` is the library OS.
pub fn enter_direct(reason: u64, a: u64, b: u64, main: fn(HostFacts, Arc<ThreadHandle>)) -> i64 {
    if reason == EntryReason::Exception as u64 {
        // SAFETY: the loader passes its own frame on the signal stack; it has all rights over this process.
        crate::exception::handle(unsafe { &mut *(a as *mut ExceptionFrame) });
        return 0;
    }
    if reason == EntryReason::Thread as u64 {
        return crate::thread::enter_direct(a, b);
    }
    if reason == EntryReason::Start as u64 && STARTED.swap(1, SeqCst) == 0 {
        return begin(a, b, main, false);
    }
    -1
}

/// A fresh entry of an enclave, called by the gate on the thread's own stack: `first` once, after the image was
/// relocated. `main` is the library OS.
pub fn enter_enclave(first: bool, a: u64, b: u64, main: fn(HostFacts, Arc<ThreadHandle>)) -> i64 {
    if first { begin(a, b, main, true) } else { crate::thread::enter_enclave(b) }
}

/// The start: `a` is the address of the start-up block, `b` of the first host thread.
fn begin(a: u64, b: u64, main: fn(HostFacts, Arc<ThreadHandle>), gate: bool) -> i64 {
    if !crate::layout::adopt() {
        return -1;
    }
    let layout = crate::layout::block();
    // The first thread enters by the first TCS.
    if gate && layout.thread(0).is_none_or(|thread| thread.area.start != crate::area::base()) {
        return -1;
    }
    if a < layout.enclave_size
        || !a.is_multiple_of(align_of::<StartBlock>() as u64)
        || a.checked_add(size_of::<StartBlock>() as u64).is_none_or(|end| end > 1 << 47)
    {
        return -1;
    }
    // A copy, made once, so later changes do not matter.
    let mut words = [0; size_of::<StartBlock>() / 8];
    if crate::untrusted::copy_from_host(words.as_mut_bytes(), a).is_err() {
        return -1;
    }
    // SAFETY: the block is numbers alone, and as large as the words (asserted).
    let block = unsafe { core::mem::transmute::<[u64; size_of::<StartBlock>() / 8], StartBlock>(words) };
    if !accept_block(&block, layout, gate) {
        return -1;
    }
    START.lock().replace(block);
    let _ = MAIN.set(main);
    crate::thread::enter_first(b, run_main)
}

static START: crate::sync::Mutex<Option<StartBlock>> = crate::sync::Mutex::new(None);

/// Checks what the block says of the way out, and fixes how memory and host calls work. Nothing can be printed yet.
///
/// A host may claim `direct` or name code for ENCLU in a real enclave: no code outside is executable there, so its first
/// host call faults, before anything came of it.
fn accept_block(block: &StartBlock, layout: &LayoutBlock, gate: bool) -> bool {
    let outside = |address: u64| address >= layout.enclave_size && address < 1 << 47;
    let platform = match block.platform {
        1 => block.enclu == 0,
        2 => block.enclu == 0 || outside(block.enclu),
        3 => outside(block.host_call),
        _ => false,
    };
    let low = block.lowest_address.min(LOWEST_LIMIT).max(layout.user_base);
    let low = low.next_multiple_of(crate::PAGE_SIZE as u64);
    if block.magic != START_MAGIC
        || block.version != ABI_VERSION
        || !platform
        || gate == (block.platform == Platform::Direct as u32)
        || low >= layout.user_top
    {
        return false;
    }
    crate::user::set_range(low, layout.user_top);
    crate::enclu::set_code(if gate { block.enclu } else { 0 });
    crate::untrusted::set_careful(gate && block.enclu == 0);
    crate::host::set_host_call((!gate).then_some(block.host_call));
    let mode = match (gate, crate::layout::has_edmm()) {
        (false, _) => Mode::Host,
        (true, true) => Mode::Dynamic,
        (true, false) => Mode::Fixed,
    };
    crate::pages::set_mode(mode);
    crate::pages::set_host_mappings(block.mappings, layout.max_threads);
    let committed = if mode == Mode::Dynamic { layout.heap_added } else { layout.heap_size };
    crate::heap::set_range(layout.heap_base, layout.heap_size, committed, mode == Mode::Fixed);
    true
}

fn run_main(thread: Arc<ThreadHandle>) {
    crate::thread::reserve_pending();
    let block = START.lock().take();
    let hidden = |_| "the host cannot change the rights of program memory";
    let facts = block.ok_or("started twice").and_then(|block| {
        crate::pages::begin().map_err(hidden)?;
        read_facts(block)
    });
    match (facts, MAIN.get()) {
        (Ok(facts), Some(main)) => main(facts, thread),
        (Err(reason), _) => crate::console::fatal(reason),
        (_, None) => crate::console::fatal("no program to run"),
    }
}

fn read_facts(block: StartBlock) -> Result<HostFacts, &'static str> {
    if block.platform != Platform::Direct as u32 {
        let table = HostRange::new(block.cpuid.address, block.cpuid.length)
            .ok_or("the CPUID table is not readable")?;
        crate::cpuid::adopt(table, crate::extended_state::xcr0())?;
    }
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
        measured: crate::layout::measured_block().to_vec(),
        index: HostRange::new(block.index.address, block.index.length).ok_or("the index is not readable")?,
        arguments: strings(block.arguments).ok_or("the arguments are too long")?,
        environment: strings(block.environment).ok_or("the environment is too large")?,
        volumes: strings(block.volumes).ok_or("the list of host directories is too long")?,
        resolv_conf: bytes(block.resolv_conf, FILE_LIMIT).unwrap_or_default(),
        hosts: bytes(block.hosts, FILE_LIMIT).unwrap_or_default(),
        hostname: bytes(block.hostname, 255).unwrap_or_default(),
        ring: HostRange::new(block.ring.address, block.ring.length)
            .ok_or("the ring for exitless host calls is not readable")?,
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
