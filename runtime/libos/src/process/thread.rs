//! [`Thread`]: one thread of a process, and who the calling one is.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

use casemate_platform::sync::Mutex;
use casemate_platform::thread::{self, ThreadHandle};

use super::Process;
use super::barrier::Barrier;
use crate::events::Deadline;
use crate::mm::Stage;
use crate::signal::ThreadSignals;
use crate::time::CpuTime;

/// One thread.
pub struct Thread {
    tid: AtomicU32,
    process: Arc<Process>,
    handle: casemate_platform::sync::Once<Arc<ThreadHandle>>,
    /// Mask, pending signals, alternate stack.
    pub signals: ThreadSignals,
    /// Something asks for attention before the thread may sleep or run on: an unblocked signal, or the end of its process.
    attention: AtomicBool,
    /// set_tid_address(2), CLONE_CHILD_CLEARTID: zeroed and woken at the end.
    pub clear_tid: AtomicU64,
    /// set_robust_list(2): head of the list.
    pub robust_list: AtomicU64,
    /// comm, at most 15 bytes.
    pub name: Mutex<Vec<u8>>,
    /// The thread must end as soon as it can (exit_group, execve of another thread).
    pub must_end: AtomicBool,
    /// Its processor time.
    pub cpu: CpuTime,
    /// Mask of processors set by sched_setaffinity(2); empty for all. Inherited, remembered, without effect.
    pub affinity: Mutex<Vec<u8>>,
    /// The stage that it is inside of.
    pub(super) stage: Mutex<Option<Arc<Stage>>>,
    /// Where it stands towards the memory barriers of others.
    pub barrier: Barrier,
    /// Until when the nanosleep sleeps that a signal without a handler cut short and that is now made again.
    pub sleep_until: Mutex<Option<Deadline>>,
}

impl Thread {
    /// A thread of `process`, not yet running.
    pub fn new(tid: u32, process: Arc<Process>, name: Vec<u8>, signals: ThreadSignals) -> Arc<Thread> {
        Arc::new(Thread {
            tid: AtomicU32::new(tid),
            process,
            handle: Default::default(),
            signals,
            attention: AtomicBool::new(false),
            clear_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            name: Mutex::new(name),
            must_end: AtomicBool::new(false),
            cpu: CpuTime::default(),
            affinity: Mutex::new(Vec::new()),
            stage: Mutex::new(None),
            barrier: Barrier::default(),
            sleep_until: Mutex::new(None),
        })
    }

    /// Thread id.
    #[inline]
    pub fn tid(&self) -> u32 {
        self.tid.load(Relaxed)
    }

    /// After execve(2) the one thread left has its process's id.
    pub fn become_first(&self) {
        self.tid.store(self.process.pid, Relaxed);
        thread::set_id(self.process.pid);
    }

    /// Its process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Tells which enclave thread runs it; set once, before it becomes current.
    pub fn set_handle(&self, handle: Arc<ThreadHandle>) {
        let _ = self.handle.set(handle);
    }

    /// The enclave thread that runs it, for wake-ups. Only a running thread has one.
    pub fn handle(&self) -> Arc<ThreadHandle> {
        self.handle
            .get()
            .cloned()
            .unwrap_or_else(|| casemate_platform::console::fatal("a thread without a handle sleeps"))
    }

    /// Whether a signal (or the end) waits that a sleep must make way for.
    #[inline]
    pub fn has_signal(&self) -> bool {
        self.attention.load(SeqCst) || thread::is_interrupted()
    }

    /// Sets or clears what [`Self::has_signal`] tells. The signal code owns it.
    pub fn set_attention(&self, on: bool) {
        self.attention.store(on, SeqCst);
    }

    /// Whether it must end.
    #[inline]
    pub fn must_end(&self) -> bool {
        self.must_end.load(Relaxed)
    }

    /// Asks the thread to look at its signals: it leaves its sleep or the program's code.
    pub fn interrupt(&self) {
        self.attention.store(true, SeqCst);
        self.disturb();
    }

    /// Makes the thread come by the library OS before it goes on.
    pub fn disturb(&self) {
        if let Some(handle) = self.handle.get() {
            handle.interrupt();
        }
    }
}

/// The calling thread. Only threads of the library OS ask.
pub fn current_thread() -> Arc<Thread> {
    with_current_thread(Arc::clone)
}

/// Lends the calling thread.
pub fn with_current_thread<R>(use_it: impl FnOnce(&Arc<Thread>) -> R) -> R {
    thread::with_local::<Arc<Thread>, _>(use_it)
        .unwrap_or_else(|| casemate_platform::console::fatal("no current thread"))
}

/// Makes `thread` the calling thread.
pub fn set_current_thread(thread: Arc<Thread>) {
    thread::set_local(thread);
}
