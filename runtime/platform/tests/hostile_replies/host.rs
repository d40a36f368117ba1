//! The host's side: looks at everything it is shown for canaries, and answers as it was told to.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::*};

use casemate_abi::{CALL_COUNT, HOST_BUFFER_SIZE, HostCall, HostThread};

use crate::machine::{CANARY, MAIN_BLOCK, buffer_of};

pub const BUFFER: u64 = HOST_BUFFER_SIZE as u64;
/// Where small outputs lie.
pub const SIDE: u64 = BUFFER - 8192;

/// Answers one call of the main thread.
pub type Answer = Box<dyn FnMut(HostCall, [u64; 6]) -> i64 + Send>;

static ANSWER: Mutex<Option<Answer>> = Mutex::new(None);
/// How often each call was made.
pub static MADE: [AtomicU64; CALL_COUNT] = [const { AtomicU64::new(0) }; CALL_COUNT];
/// Exit calls to return from before the end.
static REFUSED_EXITS: AtomicU64 = AtomicU64::new(3);

thread_local! {
    /// Whether this is a thread that the test made for `ThreadCreate`: those get honest answers.
    pub static HELPER: Cell<bool> = const { Cell::new(false) };
}

/// From now on the main thread's calls are answered so.
pub fn answer(answer: impl FnMut(HostCall, [u64; 6]) -> i64 + Send + 'static) {
    *ANSWER.lock().unwrap() = Some(Box::new(answer));
}

/// Runs something with one answer to every call.
pub fn with<T>(answer: impl FnMut(HostCall, [u64; 6]) -> i64 + Send + 'static, run: impl FnOnce() -> T) -> T {
    self::answer(answer);
    run()
}

pub extern "C" fn call(number: u64, args: *mut [u64; 6]) -> i64 {
    let call = HostCall::from_number(number).expect("a number of the table");
    let made = MADE[number as usize].fetch_add(1, Relaxed);
    crate::random::make_whole();
    // SAFETY: the arguments are the first field of a block that this test made.
    let words = unsafe { args.read_volatile() };
    look_for_canaries(args as u64, made);
    if call == HostCall::Exit {
        return exit(words[0]);
    }
    if HELPER.get() || args as u64 != MAIN_BLOCK.load(SeqCst) {
        return 0;
    }
    if call == HostCall::Log && std::env::var_os("CASEMATE_LOG").is_some() {
        // SAFETY: the range lies in the buffer.
        let text = unsafe { std::slice::from_raw_parts(words[0] as *const u8, words[1] as usize) };
        eprint!("{}", String::from_utf8_lossy(text));
    }
    match &mut *ANSWER.lock().unwrap() {
        Some(answer) => answer(call, words),
        None => 0,
    }
}

fn look_for_canaries(block: u64, made: u64) {
    let buffer = buffer_of(block);
    let all = [(buffer, BUFFER)];
    let usual = [(block, size_of::<HostThread>() as u64), (buffer, 4096), (buffer + SIDE, 8192)];
    for &(address, length) in if made.is_multiple_of(256) { &all[..] } else { &usual[..] } {
        look(address, length);
    }
}

/// Looks for a canary in memory of the host that the test keeps readable.
pub fn look(address: u64, length: u64) {
    // SAFETY: the host's own pages; only libc looks at them.
    let found =
        unsafe { libc::memmem(address as *const _, length as usize, CANARY.as_ptr().cast(), CANARY.len()) };
    assert!(found.is_null(), "a canary is outside at {found:?}, of the {length} bytes from {address:#x}");
}

/// An `Exit` that the host does not carry out at first.
fn exit(status: u64) -> i64 {
    if REFUSED_EXITS.load(SeqCst) == 0 {
        std::process::exit(status as i32);
    }
    REFUSED_EXITS.fetch_sub(1, SeqCst) as i64 - 2
}

/// Ends the run well.
pub fn finish() -> ! {
    casemate_platform::host::exit(0, 0)
}

/// Writes into the main thread's buffer.
pub fn put(offset: u64, bytes: &[u8]) {
    assert!(offset + bytes.len() as u64 <= BUFFER);
    let buffer = buffer_of(MAIN_BLOCK.load(SeqCst));
    // SAFETY: the range lies in the buffer, which the test keeps writable here.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), (buffer + offset) as *mut u8, bytes.len()) };
}

pub fn put_words(offset: u64, words: &[u64]) {
    for (index, word) in words.iter().enumerate() {
        put(offset + index as u64 * 8, &word.to_le_bytes());
    }
}
