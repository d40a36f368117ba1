//! A small mutual-exclusion lock on a futex. The signal handler takes none.

use core::sync::atomic::{AtomicU32, Ordering::*};

use linux_raw_sys::general::{__NR_futex, FUTEX_PRIVATE_FLAG, FUTEX_WAIT, FUTEX_WAKE};

use crate::sys::{self, Reply};

/// futex(2) FUTEX_WAIT while `word` holds `value`; `timeout` is the address of a relative timespec, or 0.
pub fn futex_wait(word: &AtomicU32, value: u32, timeout: u64, private: bool) -> Reply {
    let flag = if private { FUTEX_PRIVATE_FLAG } else { 0 };
    let operation = (FUTEX_WAIT | flag) as u64;
    // SAFETY: the kernel only reads the word and the timespec.
    unsafe { sys::call(__NR_futex, [word.as_ptr() as u64, operation, value as u64, timeout]) }
}

/// futex(2) FUTEX_WAKE of at most `count` waiters.
pub fn futex_wake(word: &AtomicU32, count: u32) {
    let operation = (FUTEX_WAKE | FUTEX_PRIVATE_FLAG) as u64;
    // SAFETY: a wake-up touches no memory.
    let _ = unsafe { sys::call(__NR_futex, [word.as_ptr() as u64, operation, count as u64]) };
}

/// The lock itself: 0 free, 1 held, 2 held and waited for.
pub struct RawMutex(AtomicU32);

// SAFETY: `lock` returns only after this thread changed the word from 0, and only the holder sets it to 0.
unsafe impl lock_api::RawMutex for RawMutex {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: RawMutex = RawMutex(AtomicU32::new(0));
    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        if !self.try_lock() {
            while self.0.swap(2, Acquire) != 0 {
                let _ = futex_wait(&self.0, 2, 0, true);
            }
        }
    }

    fn try_lock(&self) -> bool {
        self.0.compare_exchange(0, 1, Acquire, Relaxed).is_ok()
    }

    unsafe fn unlock(&self) {
        if self.0.swap(0, Release) == 2 {
            futex_wake(&self.0, 1);
        }
    }
}

/// A lock around a value.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;
/// The right to use the value; gives the lock back when dropped.
pub type Guard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_thread_at_a_time_holds_it() {
        static TOTAL: Mutex<u64> = Mutex::new(0);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..20_000 {
                        let mut total = TOTAL.lock();
                        let seen = *total;
                        std::hint::black_box(&total);
                        *total = seen + 1;
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*TOTAL.lock(), 80_000);
    }
}
