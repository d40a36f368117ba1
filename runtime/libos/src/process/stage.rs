//! A thread's part in a [`Stage`](crate::mm::Stage): it is inside while it runs or may touch its program's memory, and
//! outside while it sleeps. Threads of programs that can be loaded anywhere have no part in any.

use casemate_platform::thread;

use super::Thread;
use crate::mm::AddressSpace;

impl Thread {
    /// Waits until the process's memory is there and its turn has come. Call when the thread is outside.
    pub fn enter_stage(&self) {
        self.enter_stage_of(&self.process().address_space());
    }

    /// As [`Self::enter_stage`] for a program that the thread is about to load.
    pub fn enter_stage_of(&self, space: &AddressSpace) {
        if let Some(stage) = space.stage() {
            stage.enter(space, &self.handle());
            *self.stage.lock() = Some(stage.clone());
        }
    }

    /// From now on the thread sleeps, or has no memory; whether it was inside.
    pub fn leave_stage(&self) -> bool {
        let Some(stage) = self.stage.lock().take() else { return false };
        stage.leave(&self.handle());
        true
    }

    /// Lets others have their turn if they wait for one.
    pub fn offer_stage(&self) {
        if self.leave_stage() {
            self.enter_stage();
        }
    }
}

/// As [`Thread::enter_stage_of`] for the calling thread; before there are threads nobody else can be there.
pub fn enter_stage_of(space: &AddressSpace) {
    if let Some(thread) = thread::with_local::<alloc::sync::Arc<Thread>, _>(Clone::clone) {
        thread.enter_stage_of(space);
    }
}
