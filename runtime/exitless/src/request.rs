//! The state of one thread's request.
//!
//! | from | to | by |
//! |---|---|---|
//! | any but posted, taken | `POSTED` | the caller, when the request is written |
//! | `POSTED` | `IDLE` | the caller takes it back, and leaves by itself |
//! | `POSTED` | `TAKEN` | one server |
//! | `TAKEN` | `AWAITED` | the caller's host thread, before it sleeps |
//! | `TAKEN`, `AWAITED` | `ANSWERED` | the server, when the answer is written; wakes the sleeper |
//!
//! A token may name a request that was taken back, or that another token has brought to a server already: [`take`] fails then.

use crate::Word;

/// Nothing is asked.
pub const IDLE: u32 = 0;
/// A request waits for a server.
pub const POSTED: u32 = 1;
/// A server is at it.
pub const TAKEN: u32 = 2;
/// A server is at it, and the caller sleeps outside.
pub const AWAITED: u32 = 3;
/// The answer is there.
pub const ANSWERED: u32 = 4;

/// What the caller sees of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No server has it yet.
    Posted,
    /// A server has it.
    Taken,
    /// The answer is there.
    Answered,
    /// What no honest server leaves.
    Broken,
}

/// The caller: offers the request, which is written already.
pub fn post(state: &impl Word<u32>) -> Option<()> {
    state.store(POSTED)
}

/// The caller: looks.
pub fn progress(state: &impl Word<u32>) -> Progress {
    match state.load() {
        Some(POSTED) => Progress::Posted,
        Some(TAKEN | AWAITED) => Progress::Taken,
        Some(ANSWERED) => Progress::Answered,
        _ => Progress::Broken,
    }
}

/// The caller: takes the request back. False: a server has it.
#[must_use]
pub fn take_back(state: &impl Word<u32>) -> bool {
    state.exchange(POSTED, IDLE) == Some(POSTED)
}

/// A server: takes the request. False: somebody else has, or the caller took it back.
#[must_use]
pub fn take(state: &impl Word<u32>) -> bool {
    state.exchange(POSTED, TAKEN) == Some(POSTED)
}

/// The server: the answer is written. True: the caller sleeps, wake it.
#[must_use]
pub fn answer(state: &impl Word<u32>) -> bool {
    if state.exchange(TAKEN, ANSWERED) == Some(TAKEN) {
        return false;
    }
    // Only the caller's own thread changes the state meanwhile, and only to say that it sleeps.
    let _ = state.store(ANSWERED);
    true
}

/// The caller's host thread: sleeps until the answer is there. `sleep` returns at once when the word does not hold its
/// argument, and may return for no reason.
pub fn await_answer(state: &impl Word<u32>, mut sleep: impl FnMut(u32)) {
    while matches!(state.exchange(TAKEN, AWAITED), Some(TAKEN | AWAITED)) {
        sleep(AWAITED);
    }
}
