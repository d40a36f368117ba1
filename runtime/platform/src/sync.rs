//! Locks for the library OS. They spin briefly and then let another thread run; no lock may be held across a
//! host call or a sleep, so holders are never gone for long.

use core::sync::atomic::{AtomicU32, Ordering::*};

/// Spins before the processor is given away.
const SPINS: u32 = 128;

fn relax(attempt: &mut u32) {
    *attempt += 1;
    if *attempt < SPINS { core::hint::spin_loop() } else { crate::host::yield_now() }
}

/// A mutual-exclusion lock, one word.
pub struct RawMutex(AtomicU32);

// SAFETY: `lock` returns only after this thread changed the word from 0 to 1, and only the holder sets it to 0.
unsafe impl lock_api::RawMutex for RawMutex {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: RawMutex = RawMutex(AtomicU32::new(0));
    type GuardMarker = lock_api::GuardSend;

    #[inline]
    fn lock(&self) {
        let mut attempt = 0;
        while !self.try_lock() {
            while self.0.load(Relaxed) != 0 {
                relax(&mut attempt);
            }
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.0.compare_exchange(0, 1, Acquire, Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.0.store(0, Release);
    }
}

const WRITER: u32 = 1 << 31;

/// A readers-writer lock, one word: the writer bit and the number of readers.
pub struct RawRwLock(AtomicU32);

// SAFETY: shared access is granted only while the writer bit is clear, exclusive access only on the 0 → WRITER change.
unsafe impl lock_api::RawRwLock for RawRwLock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: RawRwLock = RawRwLock(AtomicU32::new(0));
    type GuardMarker = lock_api::GuardSend;

    #[inline]
    fn lock_shared(&self) {
        let mut attempt = 0;
        while !self.try_lock_shared() {
            relax(&mut attempt);
        }
    }

    #[inline]
    fn try_lock_shared(&self) -> bool {
        let state = self.0.load(Relaxed);
        state & WRITER == 0 && self.0.compare_exchange_weak(state, state + 1, Acquire, Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        self.0.fetch_sub(1, Release);
    }

    #[inline]
    fn lock_exclusive(&self) {
        let mut attempt = 0;
        while !self.try_lock_exclusive() {
            relax(&mut attempt);
        }
    }

    #[inline]
    fn try_lock_exclusive(&self) -> bool {
        self.0.compare_exchange(0, WRITER, Acquire, Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        self.0.store(0, Release);
    }
}

/// A mutual-exclusion lock around a value.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;
/// Guard of a [`Mutex`].
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;
/// A readers-writer lock around a value.
pub type RwLock<T> = lock_api::RwLock<RawRwLock, T>;
/// Shared guard of a [`RwLock`].
pub type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwLock, T>;
/// Exclusive guard of a [`RwLock`].
pub type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwLock, T>;

/// A value set once and then only read.
pub struct Once<T> {
    state: AtomicU32,
    value: core::cell::UnsafeCell<Option<T>>,
}

// SAFETY: the value is written by the one thread that moved `state` from 0 to 1, and read only after it became 2.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// An unset cell.
    pub const fn new() -> Once<T> {
        Once { state: AtomicU32::new(0), value: core::cell::UnsafeCell::new(None) }
    }

    /// Sets the value; the second call is refused and gives the value back.
    pub fn set(&self, value: T) -> Result<(), T> {
        if self.state.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            return Err(value);
        }
        // SAFETY: only the thread that won the exchange comes here, and no reader looks before state 2.
        unsafe { *self.value.get() = Some(value) };
        self.state.store(2, Release);
        Ok(())
    }

    /// The value, if set.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if self.state.load(Acquire) != 2 {
            return None;
        }
        // SAFETY: state 2 means that the value is written for good.
        unsafe { (*self.value.get()).as_ref() }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}
