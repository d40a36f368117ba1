//! [`Process`] and the table of all of them.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::*};

use casemate_platform::sync::{Mutex, RwLock};

use super::{Credentials, Fd, FileTable, Limits, Thread};
use crate::errno::Result;
use crate::events::{Events, Pollee, Waiter, asleep};
use crate::file::File;
use crate::fs::recent;
use crate::fs::tree::RunningText;
use crate::fs::{FsView, Location};
use crate::mm::AddressSpace;
use crate::signal::ProcessSignals;
use crate::time::ProcessClocks;

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
    pub fs: Arc<FsView>,
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
    /// Notified when a thread is gone.
    pub thread_events: Pollee,
    /// All threads are gone and the process waits to be waited for.
    pub ended: AtomicBool,
    /// Notified when the process has ended; pidfds watch it.
    pub end_events: Arc<Pollee>,
    /// It was waited for: only who still holds it knows of it.
    pub reaped: AtomicBool,
    /// Opened when a vfork child no longer uses its parent's memory.
    vfork_gate: Mutex<Option<Arc<Gate>>>,
    /// What it runs, for /proc.
    pub image: RwLock<Arc<ProgramImage>>,
    /// Resource limits.
    pub limits: Limits,
    /// Signal sent to the parent at the end; 0 for none.
    pub exit_signal: AtomicU32,
    /// What prctl(2) sets.
    pub attributes: Attributes,
    /// Processor time and timers.
    pub clocks: ProcessClocks,
    /// What it wrote to /dev/attestation.
    pub attestation: crate::fs::attestation::State,
}

/// Settings of prctl(2) that are remembered.
#[allow(missing_docs)]
pub struct Attributes {
    pub parent_death_signal: AtomicU32,
    pub dumpable: AtomicU32,
    pub timer_slack: AtomicU32,
    pub subreaper: AtomicU32,
    pub no_new_privileges: AtomicU32,
    /// /proc/PID/oom_score_adj.
    pub oom_score_adjustment: AtomicI32,
    /// Nice value, −20 to 19; remembered, without effect.
    pub nice: AtomicI32,
}

impl Attributes {
    fn new() -> Attributes {
        Attributes {
            parent_death_signal: AtomicU32::new(0),
            dumpable: AtomicU32::new(1),
            timer_slack: AtomicU32::new(50_000),
            subreaper: AtomicU32::new(0),
            no_new_privileges: AtomicU32::new(0),
            oom_score_adjustment: AtomicI32::new(0),
            nice: AtomicI32::new(0),
        }
    }

    /// A child of fork(2) and its like starts with its parent's.
    pub fn inherit(&self, parent: &Attributes) {
        self.dumpable.store(parent.dumpable.load(Relaxed), Relaxed);
        self.timer_slack.store(parent.timer_slack.load(Relaxed), Relaxed);
        self.no_new_privileges.store(parent.no_new_privileges.load(Relaxed), Relaxed);
        self.oom_score_adjustment.store(parent.oom_score_adjustment.load(Relaxed), Relaxed);
        self.nice.store(parent.nice.load(Relaxed), Relaxed);
    }
}

/// Something that opens once.
pub struct Gate {
    open: AtomicBool,
    pollee: Pollee,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Arc<Gate> {
        Arc::new(Gate { open: AtomicBool::new(false), pollee: Pollee::new() })
    }

    /// Opens it for good.
    pub fn open(&self) {
        self.open.store(true, SeqCst);
        self.pollee.notify(Events::IN);
    }

    /// Sleeps until it is open or the thread must end; signals stay pending.
    pub fn wait_through_signals(&self, thread: &Thread) {
        let _registration = self.pollee.register(Waiter::current(), Events::IN);
        loop {
            casemate_platform::thread::clear_wake();
            if self.open.load(SeqCst) || thread.must_end() {
                return;
            }
            asleep(thread, || casemate_platform::thread::park(None));
        }
    }
}

/// What a process runs, as /proc shows it.
#[derive(Clone, Debug, Default)]
pub struct ProgramImage {
    /// Absolute path of the executable.
    pub executable: Vec<u8>,
    /// Where it lies.
    pub location: Option<Location>,
    /// Arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Environment at the start.
    pub environment: Vec<Vec<u8>>,
    /// The auxiliary vector.
    pub auxiliary: Vec<[u64; 2]>,
    /// Keeps the executable from being written to.
    pub text: Option<RunningText>,
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
            fs: parts.fs,
            credentials: RwLock::new(parts.credentials),
            signals: parts.signals,
            exit_state: Mutex::new(None),
            child_events: Pollee::new(),
            group: AtomicU32::new(pid),
            session: AtomicU32::new(pid),
            thread_events: Pollee::new(),
            ended: AtomicBool::new(false),
            end_events: Arc::new(Pollee::new()),
            reaped: AtomicBool::new(false),
            vfork_gate: Mutex::new(parts.vfork_gate),
            image: RwLock::new(parts.image),
            limits: parts.limits,
            exit_signal: AtomicU32::new(parts.exit_signal),
            attributes: Attributes::new(),
            clocks: ProcessClocks::default(),
            attestation: crate::fs::attestation::State::default(),
        });
        PROCESSES.lock().insert(pid, Arc::downgrade(&process));
        process
    }

    /// The process has other rights from now on.
    pub fn set_credentials(&self, new: Credentials) {
        let mut held = self.credentials.write();
        let ids = |of: &Credentials| [of.euid, of.egid, of.fsuid, of.fsgid];
        if ids(&new) != ids(&held) || new.capabilities.permitted & !held.capabilities.permitted != 0 {
            self.attributes.dumpable.store(0, Relaxed);
            self.attributes.parent_death_signal.store(0, Relaxed);
        }
        *held = Arc::new(new);
        // Others may be allowed to search other directories.
        recent::changed();
    }

    /// The address space; execve replaces it.
    pub fn address_space(&self) -> Arc<AddressSpace> {
        self.address_space.read().clone()
    }

    /// Sets the address space; returns the old one.
    pub fn set_address_space(&self, new: Arc<AddressSpace>) -> Arc<AddressSpace> {
        core::mem::replace(&mut *self.address_space.write(), new)
    }

    /// The file behind a descriptor; `EBADF`.
    #[inline]
    pub fn file(&self, fd: Fd) -> Result<Arc<dyn File>> {
        self.files.read().get(fd)
    }

    /// Takes a descriptor out; see [`FileTable::remove`].
    pub fn remove_file(&self, fd: Fd) -> Result<Arc<dyn File>> {
        self.files.read().remove(fd)
    }

    /// The descriptor table.
    pub fn files(&self) -> Arc<FileTable> {
        self.files.read().clone()
    }

    /// Lets the parent of a vfork go on.
    pub fn release_parent(&self) {
        let gate = self.vfork_gate.lock().take();
        if let Some(gate) = gate {
            gate.open();
        }
    }

    /// Takes it off the table: nobody can name it any more, though a thread of it may be about to leave still.
    pub fn forget(&self) {
        self.reaped.store(true, SeqCst);
        PROCESSES.lock().remove(&self.pid);
    }

    /// Gives the memory up (or its share of it).
    pub fn abandon_address_space(&self) {
        drop(self.set_address_space(Arc::new(AddressSpace::new())));
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
    /// Resource limits.
    pub limits: Limits,
    /// What it runs.
    pub image: Arc<ProgramImage>,
    /// The gate to open at exec or exit.
    pub vfork_gate: Option<Arc<Gate>>,
    /// Signal for the parent at the end.
    pub exit_signal: u32,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.forget();
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
