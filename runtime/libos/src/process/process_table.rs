//! [`Process`] and the table of all of them.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::*};

use casemate_platform::sync::{Mutex, RwLock};

use super::{Credentials, FileTable, Thread};
use crate::events::{Events, Pollee};
use crate::fs::FsView;
use crate::mm::AddressSpace;
use crate::signal::ProcessSignals;

/// Exit state of a process as wait(2) encodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitState {
    /// exit(2) with this status.
    Exited(u8),
    /// Ended by this signal.
    Killed(u8),
}

/// A process: everything its threads share. Nothing of it is global, so one library OS holds several.
pub struct Process {
    /// Process id, the tid of its first thread.
    pub pid: u32,
    /// Who waits for it.
    pub parent: Mutex<Weak<Process>>,
    /// Children, living and not yet waited for.
    pub children: Mutex<Vec<Arc<Process>>>,
    /// Living threads.
    pub threads: Mutex<Vec<Arc<Thread>>>,
    address_space: RwLock<Arc<AddressSpace>>,
    files: RwLock<Arc<FileTable>>,
    /// Root, working directory, umask.
    pub fs: RwLock<Arc<FsView>>,
    /// Ids.
    pub credentials: RwLock<Arc<Credentials>>,
    /// Handlers and pending signals.
    pub signals: ProcessSignals,
    /// Set once, when the last thread is gone or exit_group began.
    pub exit_state: Mutex<Option<ExitState>>,
    /// Notified when a child changes state.
    pub child_events: Pollee,
    /// Process group and session.
    pub group: AtomicU32,
    /// Session id.
    pub session: AtomicU32,
}

impl Process {
    /// A process with no threads yet; enters the table.
    pub fn new(pid: u32, parent: Weak<Process>, parts: ProcessParts) -> Arc<Process> {
        let process = Arc::new(Process {
            pid,
            parent: Mutex::new(parent),
            children: Mutex::new(Vec::new()),
            threads: Mutex::new(Vec::new()),
            address_space: RwLock::new(parts.address_space),
            files: RwLock::new(parts.files),
            fs: RwLock::new(parts.fs),
            credentials: RwLock::new(parts.credentials),
            signals: parts.signals,
            exit_state: Mutex::new(None),
            child_events: Pollee::new(),
            group: AtomicU32::new(pid),
            session: AtomicU32::new(pid),
        });
        PROCESSES.lock().insert(pid, Arc::downgrade(&process));
        process
    }

    /// The address space; execve replaces it.
    pub fn address_space(&self) -> Arc<AddressSpace> {
        self.address_space.read().clone()
    }

    /// Sets the address space; returns the old one.
    pub fn set_address_space(&self, new: Arc<AddressSpace>) -> Arc<AddressSpace> {
        core::mem::replace(&mut *self.address_space.write(), new)
    }

    /// The descriptor table.
    pub fn files(&self) -> Arc<FileTable> {
        self.files.read().clone()
    }

    /// Tells the parent that this process changed state.
    pub fn notify_parent(&self) {
        if let Some(parent) = self.parent.lock().upgrade() {
            parent.child_events.notify(Events::IN);
        }
    }
}

/// What a new process starts with.
pub struct ProcessParts {
    /// Its memory.
    pub address_space: Arc<AddressSpace>,
    /// Its descriptors.
    pub files: Arc<FileTable>,
    /// Its view of the file tree.
    pub fs: Arc<FsView>,
    /// Its ids.
    pub credentials: Arc<Credentials>,
    /// Its handlers.
    pub signals: ProcessSignals,
}

impl Drop for Process {
    fn drop(&mut self) {
        PROCESSES.lock().remove(&self.pid);
    }
}

static PROCESSES: Mutex<BTreeMap<u32, Weak<Process>>> = Mutex::new(BTreeMap::new());
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// A new process or thread id.
pub fn new_id() -> u32 {
    NEXT_ID.fetch_add(1, Relaxed)
}

/// The process with this id, if it exists (a zombie does).
pub fn find_process(pid: u32) -> Option<Arc<Process>> {
    let found = PROCESSES.lock().get(&pid).cloned();
    found?.upgrade()
}

/// All processes, in order of their ids.
pub fn all_processes() -> Vec<Arc<Process>> {
    let all: Vec<Weak<Process>> = PROCESSES.lock().values().cloned().collect();
    all.iter().filter_map(Weak::upgrade).collect()
}
