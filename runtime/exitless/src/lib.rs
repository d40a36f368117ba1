//! Exitless host calls: a thread of the enclave puts a *request* where the loader's servers see it, and waits inside for the answer.
//!
//! Two parts, both over words of untrusted memory:
//!
//! - [`ring`]: a bounded lock-free queue of *tokens*; a token names a thread's request. The enclave's threads push, the servers take.
//! - [`request`]: the state of one thread's request, through which it is posted, taken by one server or taken back, and answered.
//!
//! The enclave believes nothing that it reads in either. Its side needs no index from outside: where the next token goes is
//! its own counter, and whatever a word holds only decides whether the token is in, which a thread that gets no answer
//! finds out by itself. What comes back is the result of a host call, and is checked as such.
//!
//! The algorithms do not know what the words are: atomics of the loader, accesses of the enclave that may fault, or loom's
//! (`tests/loom.rs`, which tries every interleaving).
#![no_std]
#![forbid(unsafe_code)]

pub mod request;
pub mod ring;

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// A word that other threads change too. None: it cannot be reached any more, as memory of the host may be taken away.
///
/// Implementations load with acquire, store with release, and exchange with both.
pub trait Word<T> {
    /// Reads it.
    fn load(&self) -> Option<T>;

    /// Writes it.
    fn store(&self, value: T) -> Option<()>;

    /// Writes `new` if it holds `expected`; returns what was found.
    fn exchange(&self, expected: T, new: T) -> Option<T>;
}

impl<T, W: Word<T>> Word<T> for &W {
    fn load(&self) -> Option<T> {
        W::load(self)
    }

    fn store(&self, value: T) -> Option<()> {
        W::store(self, value)
    }

    fn exchange(&self, expected: T, new: T) -> Option<T> {
        W::exchange(self, expected, new)
    }
}

macro_rules! words {
    ($($atomic:ident $value:ident)*) => {$(
        impl Word<$value> for $atomic {
            fn load(&self) -> Option<$value> {
                Some($atomic::load(self, Acquire))
            }

            fn store(&self, value: $value) -> Option<()> {
                $atomic::store(self, value, Release);
                Some(())
            }

            fn exchange(&self, expected: $value, new: $value) -> Option<$value> {
                Some(match self.compare_exchange(expected, new, AcqRel, Acquire) {
                    Ok(found) | Err(found) => found,
                })
            }
        }
    )*};
}

words!(AtomicU32 u32 AtomicU64 u64);
