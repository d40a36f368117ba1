//! A small mutual-exclusion lock on a futex. The signal handler takes none.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
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

/// A lock around a value.
pub struct Mutex<T> {
    /// 0 free, 1 held, 2 held and waited for.
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only by the thread that holds the lock.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free lock.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { state: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        if self.state.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            while self.state.swap(2, Acquire) != 0 {
                let _ = futex_wait(&self.state, 2, 0, true);
            }
        }
        Guard { lock: self }
    }
}

/// The right to use the value; gives the lock back when dropped.
pub struct Guard<'a, T> {
    lock: &'a Mutex<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread holds the lock, and the guard is exclusively borrowed.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if self.lock.state.swap(0, Release) == 2 {
            futex_wake(&self.lock.state, 1);
        }
    }
}

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
