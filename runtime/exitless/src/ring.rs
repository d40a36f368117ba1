//! A bounded lock-free queue of tokens in memory that may not be trusted.
//!
//! Position p of the queue is entry p mod `N`. An entry is one word: the position that it is for, and the token, or that
//! there is none yet. To push is to exchange *empty for p* for *p's token*, to take is to exchange that for
//! *empty for p + `N`*; either is done in one step, and whoever finds the other's step done moves the counter on. So a thread that
//! stops anywhere holds nobody up, and no token is lost or taken twice.
//!
//! Each side has a counter of its own. A counter lies in its side's memory and is never read by the other one.
//!
//! Positions are 32 bits and come round. A thread that sleeps in the middle of one step for 2³² others could mistake one lap for
//! another: a token is then lost or taken twice, which the requests bear.

use crate::Word;

/// Names a request; less than 2³² − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u32);

impl Token {
    /// None for the one number that is no token.
    pub const fn new(number: u32) -> Option<Token> {
        if number == u32::MAX { None } else { Some(Token(number)) }
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Why a token was not pushed: there is no room, or the ring is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Steps that others may be ahead with before a thread gives up.
const ATTEMPTS: usize = 32;

/// The word of the entry for `position` while nothing is in it.
pub const fn empty(position: u32) -> u64 {
    (position as u64) << 32
}

const fn filled(position: u32, token: Token) -> u64 {
    empty(position) | (token.0 as u64 + 1)
}

/// What an entry's word says.
fn read(word: u64) -> (u32, Option<Token>) {
    ((word >> 32) as u32, (word as u32).checked_sub(1).map(Token))
}

/// Pushes a token. `tail` is the pushing side's counter; the entries are the other side's, and may hold anything at any time.
pub fn push<const N: usize, E: Word<u64>>(
    tail: &impl Word<u32>,
    entry: impl Fn(usize) -> E,
    token: Token,
) -> Result<(), Full> {
    const { assert!(N.is_power_of_two() && N <= 1 << 16) };
    for _ in 0..ATTEMPTS {
        let position = tail.load().ok_or(Full)?;
        let entry = entry(position as usize % N);
        let found = entry.load().ok_or(Full)?;
        if found == empty(position) {
            if entry.exchange(found, filled(position, token)).ok_or(Full)? == found {
                let _ = tail.exchange(position, position.wrapping_add(1));
                return Ok(());
            }
        } else if read(found).0 == position {
            // Another thread's token is in: its counter may lag behind.
            let _ = tail.exchange(position, position.wrapping_add(1));
        } else if tail.load() == Some(position) {
            // Still the lap before, or nothing that belongs here.
            return Err(Full);
        }
    }
    Err(Full)
}

/// Takes the oldest token. `head` is the taking side's counter.
pub fn take<const N: usize, E: Word<u64>>(
    head: &impl Word<u32>,
    entry: impl Fn(usize) -> E,
) -> Option<Token> {
    for _ in 0..ATTEMPTS {
        let position = head.load()?;
        let entry = entry(position as usize % N);
        let word = entry.load()?;
        let after = empty(position.wrapping_add(N as u32));
        let (at, token) = read(word);
        if let Some(token) = token.filter(|_| at == position) {
            if entry.exchange(word, after)? == word {
                let _ = head.exchange(position, position.wrapping_add(1));
                return Some(token);
            }
        } else if at == read(after).0 {
            // Another thread has it: its counter may lag behind.
            let _ = head.exchange(position, position.wrapping_add(1));
        } else if head.load() == Some(position) {
            return None;
        }
    }
    None
}
