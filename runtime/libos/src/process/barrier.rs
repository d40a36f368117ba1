//! Memory barriers on other running threads (membarrier(2)), without a word of the host believed.
//!
//! A thread passes a barrier where it acknowledges it itself, inside: before it returns to the program after an interrupt, and when it
//! goes to sleep. A thread that sleeps need not be waited for: its stores were out before it said that it sleeps, and its next
//! load comes after it said that it is awake, which whoever saw it asleep comes before. The host may keep an interrupt back,
//! and the caller waits; what it cannot do is to make the barrier seem passed.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*, fence};

use casemate_platform::sync::Mutex;
use casemate_platform::thread::{self, ThreadHandle};

use super::{Thread, with_current_thread};
use crate::events::asleep;

/// Where a thread stands towards the barriers of others.
pub struct Barrier {
    /// It runs no code of the program, nor stores to its memory, until it says otherwise.
    asleep: AtomicBool,
    asked: AtomicU64,
    passed: AtomicU64,
    /// Who waits for it to pass, and which barrier: each stays until that one is passed, not only one of before.
    askers: Mutex<Vec<(u64, Arc<ThreadHandle>)>>,
}

impl Default for Barrier {
    fn default() -> Self {
        // A thread that has not started yet sleeps.
        let (asked, passed) = (AtomicU64::new(0), AtomicU64::new(0));
        Barrier { asleep: AtomicBool::new(true), asked, passed, askers: Mutex::new(Vec::new()) }
    }
}

impl Barrier {
    /// The thread sleeps from now on, or has ended.
    pub fn sleep(&self) {
        self.asleep.swap(true, SeqCst);
        if self.asked.load(SeqCst) != self.passed.load(SeqCst) {
            self.pass();
        }
    }

    /// The thread runs from now on.
    pub fn wake(&self) {
        self.asleep.swap(false, SeqCst);
    }

    /// Acknowledges all barriers so far. The thread comes here before it goes on after an interrupt, once it has taken its mark.
    pub fn pass(&self) {
        fence(SeqCst);
        let asked = self.asked.load(SeqCst);
        if self.passed.swap(asked, SeqCst) == asked {
            return;
        }
        let due = take_due(&mut self.askers.lock(), asked);
        due.iter().for_each(|asker| asker.unpark());
    }

    /// A barrier to wait for; `None` when the thread sleeps.
    fn ask(&self, asker: &Arc<ThreadHandle>) -> Option<u64> {
        if self.asleep.load(SeqCst) {
            return None;
        }
        // Under the lock, so that who passes this barrier finds the entry.
        let mut askers = self.askers.lock();
        let ticket = self.asked.fetch_add(1, SeqCst) + 1;
        askers.push((ticket, asker.clone()));
        Some(ticket)
    }

    fn has_passed(&self, ticket: u64) -> bool {
        self.passed.load(SeqCst) >= ticket || self.asleep.load(SeqCst)
    }
}

/// Takes out those who wait for a barrier up to `passed`.
fn take_due<T>(askers: &mut Vec<(u64, T)>, passed: u64) -> Vec<T> {
    askers.extract_if(.., |(ticket, _)| *ticket <= passed).map(|(_, asker)| asker).collect()
}

/// Returns when each of `threads` has passed a full memory barrier since the call. The calling thread may be among them.
pub fn wait_for_barriers(threads: impl Iterator<Item = Arc<Thread>>) {
    fence(SeqCst);
    let current = with_current_thread(Arc::clone);
    let handle = current.handle();
    let mut waiting = Vec::new();
    for thread in threads.filter(|thread| !Arc::ptr_eq(thread, &current)) {
        if let Some(ticket) = thread.barrier.ask(&handle) {
            thread.disturb();
            waiting.push((thread, ticket));
        }
    }
    loop {
        thread::clear_wake();
        waiting.retain(|(thread, ticket)| !thread.barrier.has_passed(*ticket));
        if waiting.is_empty() || current.must_end() {
            break;
        }
        asleep(&current, || thread::park(None));
    }
    fence(SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeping_thread_is_not_waited_for() {
        let barrier = Barrier::default();
        assert!(barrier.has_passed(1));
        barrier.wake();
        assert!(!barrier.has_passed(1));
        barrier.sleep();
        assert!(barrier.has_passed(1));
    }

    #[test]
    fn who_asked_for_a_later_barrier_is_woken_by_that_one() {
        let mut askers = vec![(3, 'a'), (5, 'b'), (4, 'c')];
        assert_eq!(take_due(&mut askers, 4), ['a', 'c']);
        assert_eq!(take_due(&mut askers, 4), []);
        assert_eq!(take_due(&mut askers, 5), ['b']);
    }

    #[test]
    fn a_barrier_is_passed_only_after_it_was_asked_for() {
        let barrier = Barrier::default();
        barrier.wake();
        barrier.pass();
        let first = barrier.asked.fetch_add(1, SeqCst) + 1;
        assert!(!barrier.has_passed(first));
        barrier.pass();
        let second = barrier.asked.fetch_add(1, SeqCst) + 1;
        assert!(barrier.has_passed(first) && !barrier.has_passed(second));
    }
}
