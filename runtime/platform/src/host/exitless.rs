//! Exitless host calls: short calls are put where servers of the loader see them, and the thread waits inside for the answer.
//!
//! Everything outside is hostile at any time. The thread's request is written, never read back. Of the ring and the request the
//! enclave reads whether there is room, whether the answer is there, and then the result, once: it goes the way of any
//! other result. Nothing that is read becomes an address or an index. A thread waits inside a bounded number of looks; then it
//! takes its request back and leaves as for any call, or, when a server has the request, sleeps outside.

use core::hint::spin_loop;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::{ExitlessRing, HostCall, HostThread, RING_ENTRIES, Request, is_short};
use casemate_exitless::Word;
use casemate_exitless::request::{self, Progress};
use casemate_exitless::ring::{self, Token};

use crate::area;
use crate::boundary::HostRange;
use crate::untrusted;

/// Looks for room in the ring.
const ROOM_LOOKS: u32 = 16;
/// Looks at a request that no server has taken: about what an exit and an entry take on hardware.
const POSTED_LOOKS: u32 = 128;
/// Looks at a request that a server has taken: longer than most calls take.
const TAKEN_LOOKS: u32 = 1024;

/// Checked address of the ring; 0: host calls leave the enclave.
static RING: AtomicU64 = AtomicU64::new(0);
/// Where the next token goes.
static TAIL: AtomicU32 = AtomicU32::new(0);

/// Offset of the request in a thread's block.
const REQUEST: u64 = offset_of!(HostThread, request) as u64;

/// A word outside, whose address was checked.
struct Outside(u64);

impl Word<u32> for Outside {
    fn load(&self) -> Option<u32> {
        untrusted::load_host_u32(self.0)
    }

    fn store(&self, value: u32) -> Option<()> {
        untrusted::store_host_u32(self.0, value)
    }

    fn exchange(&self, expected: u32, new: u32) -> Option<u32> {
        untrusted::exchange_host_u32(self.0, expected, new)
    }
}

impl Word<u64> for Outside {
    fn load(&self) -> Option<u64> {
        untrusted::load_host_u64(self.0)
    }

    fn store(&self, value: u64) -> Option<()> {
        untrusted::store_host_u64(self.0, value)
    }

    fn exchange(&self, expected: u64, new: u64) -> Option<u64> {
        untrusted::exchange_host_u64(self.0, expected, new)
    }
}

/// From now on short calls go by this ring. False, and nothing changes: it is none.
#[must_use]
pub fn use_ring(ring: HostRange) -> bool {
    let good = ring.len() == size_of::<ExitlessRing>() as u64
        && ring.address().is_multiple_of(align_of::<ExitlessRing>() as u64);
    if good {
        RING.store(ring.address(), SeqCst);
    }
    good
}

/// Makes a call by the ring. None: it is none for the ring, or nobody came for it, and the thread must leave.
#[inline]
pub(super) fn call(call: HostCall, args: &[u64; 6], host_thread: u64) -> Option<i64> {
    let ring = RING.load(Relaxed);
    if ring == 0 || !is_short(call, args) {
        return None;
    }
    by_ring(call, args, ring, host_thread)
}

fn by_ring(call: HostCall, args: &[u64; 6], ring: u64, host_thread: u64) -> Option<i64> {
    // SAFETY: the area is this thread's.
    let token = Token::new(unsafe { (*area::current()).host_number })?;
    let awake = Outside(ring + offset_of!(ExitlessRing, awake) as u64);
    if Word::<u32>::load(&awake).unwrap_or(0) == 0 {
        return None;
    }
    let request = HostRange::new(host_thread + REQUEST, size_of::<Request>() as u64)?;
    write_request(request, call, args)?;
    let state = Outside(request.address() + offset_of!(Request, state) as u64);
    request::post(&state)?;
    if push(ring, token) {
        look(&state, POSTED_LOOKS, TAKEN_LOOKS);
    }
    // With or without a token in the ring: an old one may have brought a server.
    loop {
        if request::take_back(&state) {
            return None;
        }
        match request::progress(&state) {
            Progress::Answered => return Some(read_result(request)),
            Progress::Broken => return Some(NO_RESULT),
            Progress::Posted | Progress::Taken => {}
        }
        super::leave(HostCall::AnswerAwait, &[0; 6]);
    }
}

/// No call may fail with this.
const NO_RESULT: i64 = i64::MIN;

/// The request's words but its state; None: they are gone.
fn write_request(request: HostRange, call: HostCall, args: &[u64; 6]) -> Option<()> {
    const { assert!(offset_of!(Request, args) == 8 && offset_of!(Request, call) == 4) };
    let mut bytes = [0; 52];
    bytes[..4].copy_from_slice(&(call as u32).to_le_bytes());
    bytes[4..].copy_from_slice(zerocopy::IntoBytes::as_bytes(args));
    request.write(offset_of!(Request, call) as u64, &bytes).then_some(())
}

fn push(ring: u64, token: Token) -> bool {
    let entry = |index: usize| Outside(ring + offset_of!(ExitlessRing, entries) as u64 + 8 * index as u64);
    for _ in 0..ROOM_LOOKS {
        if ring::push::<RING_ENTRIES, _>(&TAIL, entry, token).is_ok() {
            return true;
        }
        spin_loop();
    }
    false
}

/// Looks until the answer is there, so often at most while no server has the request, and so often while one has.
fn look(state: &Outside, mut posted: u32, mut taken: u32) {
    loop {
        let left = match request::progress(state) {
            Progress::Posted => &mut posted,
            Progress::Taken => &mut taken,
            Progress::Answered | Progress::Broken => return,
        };
        if *left == 0 {
            return;
        }
        *left -= 1;
        spin_loop();
    }
}

/// The result, read once.
fn read_result(request: HostRange) -> i64 {
    let result = Outside(request.address() + offset_of!(Request, result) as u64);
    Word::<u64>::load(&result).map_or(NO_RESULT, |result| result as i64)
}
