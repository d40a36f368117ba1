//! [`SleepMutex`]: a lock that may be held across host calls; who waits for it sleeps.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use casemate_platform::sync::Mutex;
use casemate_platform::thread::{self, ThreadHandle};

use crate::process::Thread;

#[derive(Default)]
struct State {
    held: bool,
    waiting: VecDeque<Arc<ThreadHandle>>,
}

/// Mutual exclusion without data of its own. Not fair, not recursive, not ended by signals.
#[derive(Default)]
pub struct SleepMutex {
    state: Mutex<State>,
}

/// The right to be inside; gives it back when dropped.
#[must_use]
pub struct SleepGuard<'a> {
    mutex: &'a SleepMutex,
}

impl SleepMutex {
    /// A free one.
    pub fn new() -> SleepMutex {
        SleepMutex::default()
    }

    /// Enters, sleeping until whoever is inside has left.
    pub fn lock(&self) -> SleepGuard<'_> {
        if self.try_enter() {
            return SleepGuard { mutex: self };
        }
        match thread::with_local::<Arc<Thread>, _>(Arc::clone) {
            Some(thread) => self.sleep(&thread),
            // Before there are threads (and in unit tests) there is nothing to sleep on.
            None => {
                while !self.try_enter() {
                    casemate_platform::host::yield_now();
                }
            }
        }
        SleepGuard { mutex: self }
    }

    fn try_enter(&self) -> bool {
        let mut state = self.state.lock();
        !core::mem::replace(&mut state.held, true)
    }

    fn sleep(&self, thread: &Thread) {
        let handle = &thread.handle();
        loop {
            thread::clear_wake();
            {
                let mut state = self.state.lock();
                if !core::mem::replace(&mut state.held, true) {
                    break;
                }
                if !state.waiting.iter().any(|other| Arc::ptr_eq(other, handle)) {
                    state.waiting.push_back(handle.clone());
                }
            }
            let inside = thread.leave_stage();
            if !thread::look_for_wake() {
                thread::park(None);
            }
            if inside {
                thread.enter_stage();
            }
        }
        self.state.lock().waiting.retain(|other| !Arc::ptr_eq(other, handle));
        // A wake-up for something that the caller waits for may have been forgotten here: let its next sleep end at once.
        handle.unpark();
    }

    fn leave(&self) {
        let next = {
            let mut state = self.state.lock();
            state.held = false;
            state.waiting.pop_front()
        };
        if let Some(handle) = next {
            handle.unpark();
        }
    }
}

impl Drop for SleepGuard<'_> {
    fn drop(&mut self) {
        self.mutex.leave();
    }
}
