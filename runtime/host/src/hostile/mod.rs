//! A loader that lies, for tests: built only with the feature `hostile`, which nothing that ships turns on.
//!
//! `CASEMATE_HOSTILE` in the environment says how, as `name=number` words with commas between them:
//!
//! | word | meaning |
//! |---|---|
//! | `seed` | of the random numbers |
//! | `rate` | lies in 1,000 calls |
//! | `kinds` | which lies, the sum of [`kind`]s |
//! | `after` | honest calls first |
//! | `report` | descriptor for the report: calls and lies by name, how the run ended |
//! | `start` | the lie in the start-up block, if any |
//!
//! `CASEMATE_CANARY` (32 hexadecimal digits) is looked for, at each call, in all that the enclave shows.

mod harass;
mod lies;
mod ring;
mod show;
mod watch;

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::{Blob, CALL_COUNT, CpuidEntry, HostCall, StartBlock};

use crate::arena::{self, Thread};
use crate::calls::Args;
use crate::report::Line;
use crate::{run, sys};

pub use harass::{change_entry, exception, harass, stages};
pub use ring::{before_answer, posted};
pub use watch::look_at_registers;

/// Kinds of lies.
pub mod kind {
    /// Results of calls.
    pub const RESULTS: u32 = 1;
    /// What is written to the host buffer.
    pub const BUFFERS: u32 = 2;
    /// The host's memory changes at any time.
    pub const SCRIBBLES: u32 = 4;
    /// Wake-ups and interrupts for no reason.
    pub const INTERRUPTS: u32 = 8;
    /// Exceptions that never were.
    pub const EXCEPTIONS: u32 = 16;
    /// Page calls that fail, or say so.
    pub const PAGES: u32 = 32;
    /// Threads that come twice, elsewhere or not.
    pub const THREADS: u32 = 64;
    /// Clocks that show anything.
    pub const CLOCKS: u32 = 128;
    /// Errors where an error is honestly the end: clocks that cannot be read.
    pub const CLOCK_ERRORS: u32 = 256;
    /// Addresses and contents of image files.
    pub const IMAGES: u32 = 512;
    /// In an enclave: entries with other words than were agreed, and exception stages that are missed or come twice.
    pub const ENTRIES: u32 = 1024;
    /// In an enclave: threads that enter where another is in a host call, and so reply to it, whatever it was.
    pub const REPLIES: u32 = 2048;
    /// Pages that should be hidden, with contents of the host's, in an enclave without EDMM.
    pub const SHOWS: u32 = 4096;
    /// The ring of exitless calls and the requests in it.
    pub const RING: u32 = 8192;
    /// No lie: the host has no more pages.
    pub const FULL: u32 = 16_384;
    /// Every second page that becomes a TCS: converted, and denied; the next one is said to be converted, as it was.
    pub const DENIED_TCS: u32 = 32_768;
}

static ON: AtomicBool = AtomicBool::new(false);
static NUMBERS: AtomicU64 = AtomicU64::new(0);
static RATE: AtomicU64 = AtomicU64::new(0);
static KINDS: AtomicU32 = AtomicU32::new(0);
/// Honest calls that are left.
static AFTER: AtomicU64 = AtomicU64::new(0);
static REPORT: AtomicI32 = AtomicI32::new(-1);
static LIES: [AtomicU64; CALL_COUNT] = [const { AtomicU64::new(0) }; CALL_COUNT];
static MADE: [AtomicU64; CALL_COUNT] = [const { AtomicU64::new(0) }; CALL_COUNT];
/// Words changed, wake-ups, interrupts, exceptions, entries.
static HARASSED: [AtomicU64; 5] = [const { AtomicU64::new(0) }; 5];
/// Lies about requests of the ring, entries of the ring changed.
static RING_LIES: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Threads that were made and entered where another was in a host call.
static REPLIED: AtomicU64 = AtomicU64::new(0);

/// Whether this loader lies in this run.
pub fn is_on() -> bool {
    ON.load(Relaxed)
}

/// The next random number (SplitMix64), from any thread.
fn next() -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut word = NUMBERS.fetch_add(STEP, Relaxed).wrapping_add(STEP);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn below(bound: u64) -> u64 {
    next() % bound
}

fn pick<T: Copy>(from: &[T]) -> T {
    from[below(from.len() as u64) as usize]
}

fn has(kind: u32) -> bool {
    KINDS.load(Relaxed) & kind != 0
}

fn setting(environment: &[&[u8]], name: &[u8]) -> Option<&'static [u8]> {
    let found = environment.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))?;
    // SAFETY: the environment stays where the kernel put it.
    Some(unsafe { core::slice::from_raw_parts(found.as_ptr(), found.len()) })
}

fn number(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads how to lie; lies in the start-up block if that is asked for.
pub fn begin(environment: &[&[u8]], mut block: StartBlock) -> StartBlock {
    let Some(settings) = setting(environment, b"CASEMATE_HOSTILE") else { return block };
    let value = |name: &[u8]| {
        let words = settings.split(|byte| *byte == b',');
        words.filter_map(|word| word.strip_prefix(name)?.strip_prefix(b"=")).find_map(number)
    };
    NUMBERS.store(value(b"seed").unwrap_or(0).wrapping_mul(0xd134_2543_de82_ef95), Relaxed);
    RATE.store(value(b"rate").unwrap_or(0), Relaxed);
    KINDS.store(value(b"kinds").unwrap_or(0) as u32, Relaxed);
    AFTER.store(value(b"after").unwrap_or(0), Relaxed);
    REPORT.store(value(b"report").map_or(-1, |number| number as i32), Relaxed);
    if let Some(canary) = setting(environment, b"CASEMATE_CANARY") {
        watch::set_canary(canary);
    }
    if let Some(lie) = value(b"start") {
        change_block(&mut block, lie);
    }
    ON.store(true, SeqCst);
    block
}

/// The start-up block's lies, by number.
fn change_block(block: &mut StartBlock, lie: u64) {
    let inside = Blob { address: run::program_base(), length: 4096 };
    match lie {
        0 => block.manifest = inside,
        1 => block.index = inside,
        2 => block.cpuid = inside,
        3 => block.arguments = inside,
        4 => block.environment = inside,
        5 => block.volumes = inside,
        6 => block.manifest.length = u64::MAX,
        7 => block.index.length = u64::MAX,
        8 => block.cpuid.length = 63,
        9 => block.lowest_address = u64::MAX,
        10 => block.cpuid.length = u64::MAX,
        11 => block.lowest_address = 0,
        12 => block.enclu = inside.address,
        13 => block.host_call = inside.address,
        14 => block.platform = 77,
        15 => block.version += 1,
        16 => block.processors = 0,
        17 => block.resolv_conf = inside,
        18 => block.hosts.length = u64::MAX,
        19 => block.hostname = inside,
        20 => block.manifest.address = 1 << 63,
        22 => block.ring = inside,
        23 => block.ring.length = u64::MAX,
        24 => block.ring.address += 8,
        25 => block.mappings = u64::MAX,
        26 => block.mappings = 0,
        // AVX with the right end and another size; no XSAVE; a whole area for SSE alone.
        27 => change_cpuid(block.cpuid, (0xd, 2), |registers| (registers[0], registers[1]) = (8, 824)),
        28 => change_cpuid(block.cpuid, (1, 0), |registers| registers[2] = 0),
        29 => change_cpuid(block.cpuid, (0xd, 0), |registers| *registers = [3, 576, 576, 0]),
        _ => block.index.address = (1 << 47) - 4096,
    }
}

/// Changes a leaf of the CPUID table.
fn change_cpuid(table: Blob, leaf: (u32, u32), change: fn(&mut [u32; 4])) {
    let (start, count) = (table.address as *mut CpuidEntry, table.length as usize / size_of::<CpuidEntry>());
    // SAFETY: the loader's own table, which nobody has read yet.
    let entries = unsafe { core::slice::from_raw_parts_mut(start, count) };
    let wanted = entries.iter_mut().filter(|entry| (entry.leaf, entry.subleaf) == leaf);
    wanted.for_each(|entry| change(&mut entry.registers));
}

/// Starts the threads that disturb the run.
pub fn start() {
    if has(kind::SHOWS) {
        show::fill();
    }
    let kinds = kind::SCRIBBLES | kind::INTERRUPTS | kind::EXCEPTIONS | kind::RING;
    if has(kinds) {
        let _ = crate::thread::create_own();
    }
}

/// Answers one call, honestly or not.
pub fn answer(call: HostCall, thread: &Thread, args: Args) -> i64 {
    if call == HostCall::AnswerAwait {
        // A server may be at the same thread's call.
        MADE[call as usize].fetch_add(1, Relaxed);
        return lies::answer(call, thread, args);
    }
    thread.called.store(1, SeqCst);
    let number = arena::number_of(thread);
    let outermost = harass::keep_out(number);
    let made = MADE[call as usize].fetch_add(1, Relaxed);
    watch::look(thread, made);
    let result = if AFTER.load(Relaxed) > 0 {
        AFTER.fetch_sub(1, Relaxed);
        lies::honest(call, thread, args)
    } else {
        lies::answer(call, thread, args)
    };
    if outermost {
        harass::let_in(number);
    }
    result
}

/// Notes an entry; if it is a new thread's, and that of the host thread whose place it took is still to come, it was the reply
/// to a host call.
pub fn entered(thread: &Thread, tcs: u64) {
    thread.replying.store(0, SeqCst);
    if !is_on() || thread.called.load(SeqCst) != 0 {
        return;
    }
    let replies = |other: &Thread| other.host_area() == tcs && other.replying.load(SeqCst) != 0;
    if arena::opened().any(|(_, other)| replies(other)) {
        REPLIED.fetch_add(1, Relaxed);
    }
}

/// Notes a lie, if it is time for one.
fn is_time(call: HostCall) -> bool {
    let told = below(1000) < RATE.load(Relaxed);
    if told {
        LIES[call as usize].fetch_add(1, Relaxed);
    }
    told
}

fn say(arguments: core::fmt::Arguments) {
    use core::fmt::Write;
    let mut line = Line::new();
    let _ = line.write_fmt(arguments);
    sys::write_all(REPORT.load(Relaxed), line.as_bytes());
    sys::write_all(REPORT.load(Relaxed), b"\n");
}

/// Writes the report: the run ends with this status or by this signal. Threads that end it at the same time wait here.
pub fn report_end(status: u64, signal: u64) {
    if REPORT.load(Relaxed) < 0 {
        return;
    }
    if !ON.swap(false, SeqCst) {
        loop {
            core::hint::spin_loop();
        }
    }
    for call in HostCall::ALL {
        let of = |counts: &[AtomicU64; CALL_COUNT]| counts[*call as usize].load(Relaxed);
        say(format_args!("call {} {} {}", call.name(), of(&MADE), of(&LIES)));
    }
    let of = |index: usize| HARASSED[index].load(Relaxed);
    say(format_args!("harassed {} {} {} {} {}", of(0), of(1), of(2), of(3), of(4)));
    let [requests, entries] = RING_LIES.each_ref().map(|count| count.load(Relaxed));
    say(format_args!("ring {requests} {entries}"));
    say(format_args!("replied {}", REPLIED.load(Relaxed)));
    say(format_args!("end {status} {signal}"));
}

/// A canary is outside: the run ends at once.
fn betray(call: &str, place: u64) -> ! {
    say(format_args!("canary {call} {place}"));
    sys::exit(99)
}
