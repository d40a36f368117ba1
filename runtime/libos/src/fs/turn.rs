//! [`Turn`]: a lock that may be held while its holder sleeps, makes host calls or touches program memory: file positions and
//! writers of a file take turns. Uncontended it costs one exchange; contended, waiters sleep and signals end the wait.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};

use casemate_platform::sync::Once;

use crate::errno::Result;
use crate::events::{Deadline, Events, Pollee, wait_until};

/// A lock for long sections.
#[derive(Default)]
pub struct Turn {
    taken: AtomicBool,
    waiters: AtomicU32,
    pollee: Once<Pollee>,
}

/// Holds a [`Turn`].
pub struct TurnGuard<'a>(&'a Turn);

impl Turn {
    /// Nobody's turn.
    pub const fn new() -> Turn {
        Turn { taken: AtomicBool::new(false), waiters: AtomicU32::new(0), pollee: Once::new() }
    }

    /// Waits for the turn; `ERESTARTSYS` when a signal comes first.
    #[inline]
    pub fn take(&self) -> Result<TurnGuard<'_>> {
        if self.try_take() { Ok(TurnGuard(self)) } else { self.wait() }
    }

    fn try_take(&self) -> bool {
        self.taken.compare_exchange(false, true, SeqCst, SeqCst).is_ok()
    }

    #[cold]
    fn wait(&self) -> Result<TurnGuard<'_>> {
        let pollee = loop {
            match self.pollee.get() {
                Some(pollee) => break pollee,
                // Another thread may be setting it at this moment; then the next look finds it.
                None => drop(self.pollee.set(Pollee::new())),
            }
        };
        self.waiters.fetch_add(1, SeqCst);
        let outcome = wait_until(pollee, Events::IN, Deadline::NEVER, || self.try_take().then_some(()));
        self.waiters.fetch_sub(1, SeqCst);
        outcome.map(|()| TurnGuard(self))
    }
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, SeqCst);
        if self.0.waiters.load(SeqCst) != 0
            && let Some(pollee) = self.0.pollee.get()
        {
            pollee.notify(Events::IN);
        }
    }
}
