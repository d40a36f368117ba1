//! Resource limits (getrlimit(2)).

use core::sync::atomic::{AtomicU64, Ordering::*};

use crate::errno::{Errno, Result};

/// RLIM_INFINITY.
pub const UNLIMITED: u64 = u64::MAX;

/// A resource, by its x86-64 number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[allow(missing_docs)]
pub enum Resource {
    CpuTime = 0,
    FileSize = 1,
    Data = 2,
    Stack = 3,
    Core = 4,
    ResidentSet = 5,
    Processes = 6,
    OpenFiles = 7,
    LockedMemory = 8,
    AddressSpace = 9,
    Locks = 10,
    PendingSignals = 11,
    MessageQueues = 12,
    Nice = 13,
    RealTimePriority = 14,
    RealTimeTime = 15,
}

const COUNT: usize = 16;
/// Not even a privileged process may have more descriptors (fs.nr_open).
const FILES_LIMIT: u64 = casemate_manifest::FDS_HARD_LIMIT as u64;

impl Resource {
    /// The resource with this number; `EINVAL`.
    pub fn from_number(number: u32) -> Result<Resource> {
        use Resource::*;
        const ALL: [Resource; COUNT] = [
            CpuTime,
            FileSize,
            Data,
            Stack,
            Core,
            ResidentSet,
            Processes,
            OpenFiles,
            LockedMemory,
            AddressSpace,
            Locks,
            PendingSignals,
            MessageQueues,
            Nice,
            RealTimePriority,
            RealTimeTime,
        ];
        ALL.get(number as usize).copied().ok_or(Errno::EINVAL)
    }
}

/// The limits of a process: soft and hard for each resource.
#[derive(Debug)]
pub struct Limits([[AtomicU64; 2]; COUNT]);

impl Limits {
    /// What a container's first process has, with this stack size and number of descriptors.
    pub fn new(stack: u64, files: u64, files_hard: u64) -> Limits {
        let limits = Limits([const { [const { AtomicU64::new(UNLIMITED) }; 2] }; COUNT]);
        let values = [
            (Resource::Stack, stack, UNLIMITED),
            (Resource::Core, 0, UNLIMITED),
            (Resource::OpenFiles, files, files_hard.max(files)),
            (Resource::LockedMemory, 8 << 20, 8 << 20),
            (Resource::MessageQueues, 819_200, 819_200),
            (Resource::Nice, 0, 0),
            (Resource::RealTimePriority, 0, 0),
        ];
        for (resource, soft, hard) in values {
            limits.store(resource, soft, hard);
        }
        limits
    }

    fn store(&self, resource: Resource, soft: u64, hard: u64) {
        let [soft_cell, hard_cell] = &self.0[resource as usize];
        soft_cell.store(soft, Relaxed);
        hard_cell.store(hard, Relaxed);
    }

    /// Soft and hard limit.
    pub fn get(&self, resource: Resource) -> (u64, u64) {
        let [soft, hard] = &self.0[resource as usize];
        (soft.load(Relaxed), hard.load(Relaxed))
    }

    /// Sets both; `EINVAL` when soft exceeds hard, `EPERM` when an unprivileged process raises the hard one, or
    /// any process that of descriptors beyond what there can be.
    pub fn set(&self, resource: Resource, soft: u64, hard: u64, privileged: bool) -> Result<()> {
        if soft > hard {
            return Err(Errno::EINVAL);
        }
        if hard > self.get(resource).1 && !privileged || resource == Resource::OpenFiles && hard > FILES_LIMIT
        {
            return Err(Errno::EPERM);
        }
        self.store(resource, soft, hard);
        Ok(())
    }

    /// A copy for a new process.
    pub fn duplicate(&self) -> Limits {
        let copy = Limits([const { [const { AtomicU64::new(0) }; 2] }; COUNT]);
        for (from, to) in self.0.iter().zip(&copy.0) {
            to[0].store(from[0].load(Relaxed), Relaxed);
            to[1].store(from[1].load(Relaxed), Relaxed);
        }
        copy
    }
}
