//! /proc/PID and /proc/PID/task/TID.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{descriptors, mappings, mounts, numbered, status};
use crate::errno::{Errno, Result};
use crate::fs::Location;
use crate::fs::generated::{Entry, Fixed, Folder, Item, Link, Object, Text, parse_number};
use crate::fs::inode::LinkTarget;
use crate::process::{Process, Resource, Thread, find_process};
use crate::stat::FileType::{self, Directory, Regular, Symlink};

/// A process or one of its threads, by number: nothing here keeps a process alive.
#[derive(Clone, Copy)]
pub(super) struct Task {
    pid: u32,
    tid: u32,
}

impl Task {
    pub(super) fn of_process(process: &Process) -> Task {
        Task { pid: process.pid, tid: process.pid }
    }

    /// The number that the directory is named by.
    pub(super) fn tid(self) -> u32 {
        self.tid
    }

    pub(super) fn process(self) -> Result<Arc<Process>> {
        find_process(self.pid).ok_or(Errno::ESRCH)
    }

    /// The thread; `None` when it ended (its process may be a zombie).
    pub(super) fn thread(self) -> Result<Option<Arc<Thread>>> {
        Ok(self.process()?.threads.lock().iter().find(|thread| thread.tid() == self.tid).cloned())
    }

    /// /proc/PID.
    pub(super) fn directory(self) -> Object {
        self.give(Object::directory(0o555, Fixed { items: PROCESS, of: self }))
    }

    /// Gives an object to the process's user.
    fn give(self, object: Object) -> Object {
        match self.process() {
            Ok(process) => {
                let credentials = process.credentials.read().clone();
                object.owned_by(credentials.euid, credentials.egid)
            }
            Err(_) => object,
        }
    }

    fn text(self, permissions: u32, make: fn(Task) -> Result<Vec<u8>>) -> Object {
        self.give(Object::text(permissions, move || make(self)))
    }

    fn link(self, place: fn(&Process) -> Result<Location>) -> Object {
        self.give(Object::link(0o777, PlaceLink { task: self, place }))
    }
}

const PROCESS: &[Item<Task>] = &[
    Item { name: "auxv", kind: Regular, make: |task| task.text(0o400, auxiliary) },
    Item { name: "cgroup", kind: Regular, make: |task| task.text(0o444, |_| Ok(b"0::/\n".to_vec())) },
    Item { name: "cmdline", kind: Regular, make: |task| task.text(0o444, command_line) },
    Item { name: "comm", kind: Regular, make: |task| task.give(Object::text(0o644, Name(*task))) },
    Item { name: "cwd", kind: Symlink, make: |task| task.link(|process| Ok(process.fs.cwd())) },
    Item { name: "environ", kind: Regular, make: |task| task.text(0o400, environment) },
    Item { name: "exe", kind: Symlink, make: |task| task.link(executable) },
    Item { name: "fd", kind: Directory, make: |task| task.give(descriptors::links(*task)) },
    Item { name: "fdinfo", kind: Directory, make: |task| task.give(descriptors::positions(*task)) },
    Item { name: "gid_map", kind: Regular, make: |task| task.text(0o644, id_map) },
    Item { name: "limits", kind: Regular, make: |task| task.text(0o444, limits) },
    Item { name: "maps", kind: Regular, make: |task| task.text(0o444, mappings::maps) },
    Item { name: "mountinfo", kind: Regular, make: |task| task.text(0o444, mounts::mountinfo) },
    Item { name: "mounts", kind: Regular, make: |task| task.text(0o444, mounts::mounts) },
    Item {
        name: "oom_score_adj",
        kind: Regular,
        make: |task| task.give(Object::text(0o644, OutOfMemory(*task))),
    },
    Item { name: "root", kind: Symlink, make: |task| task.link(|process| Ok(process.fs.root())) },
    Item { name: "stat", kind: Regular, make: |task| task.text(0o444, status::stat_of_process) },
    Item { name: "statm", kind: Regular, make: |task| task.text(0o444, mappings::statm) },
    Item { name: "status", kind: Regular, make: |task| task.text(0o444, status::status) },
    Item { name: "task", kind: Directory, make: |task| task.give(Object::directory(0o555, Threads(*task))) },
    Item { name: "uid_map", kind: Regular, make: |task| task.text(0o644, id_map) },
];

const THREAD: &[Item<Task>] = &[
    Item { name: "cmdline", kind: Regular, make: |task| task.text(0o444, command_line) },
    Item { name: "comm", kind: Regular, make: |task| task.give(Object::text(0o644, Name(*task))) },
    Item { name: "fd", kind: Directory, make: |task| task.give(descriptors::links(*task)) },
    Item { name: "maps", kind: Regular, make: |task| task.text(0o444, mappings::maps) },
    Item { name: "stat", kind: Regular, make: |task| task.text(0o444, status::stat_of_thread) },
    Item { name: "status", kind: Regular, make: |task| task.text(0o444, status::status) },
];

/// /proc/PID/task.
struct Threads(Task);

impl Folder for Threads {
    fn find(&self, name: &[u8]) -> Result<Object> {
        let tid = parse_number(name).ok_or(Errno::ENOENT)?;
        let task = Task { tid, ..self.0 };
        task.thread()?.ok_or(Errno::ENOENT)?;
        Ok(task.give(Object::directory(0o555, Fixed { items: THREAD, of: task })))
    }

    fn next(&self, position: u64) -> Option<Entry> {
        let process = self.0.process().ok()?;
        let tids = process.threads.lock().iter().map(|thread| thread.tid()).collect::<Vec<_>>();
        let next = tids.into_iter().filter(|&tid| u64::from(tid) >= position).min()?;
        Some(numbered(next, 0, FileType::Directory))
    }
}

/// A link to a place that the process holds, whatever its path.
struct PlaceLink {
    task: Task,
    place: fn(&Process) -> Result<Location>,
}

impl PlaceLink {
    fn place(&self) -> Result<Location> {
        (self.place)(&*self.task.process().map_err(|_| Errno::ENOENT)?)
    }
}

impl Link for PlaceLink {
    fn text(&self) -> Result<Vec<u8>> {
        Ok(self.place()?.path_text())
    }

    fn target(&self) -> Result<LinkTarget> {
        self.place().map(LinkTarget::Place)
    }
}

fn executable(process: &Process) -> Result<Location> {
    process.image.read().location.clone().ok_or(Errno::ENOENT)
}

/// Strings, each ended by NUL.
fn strings(list: &[Vec<u8>]) -> Vec<u8> {
    list.iter().flat_map(|text| text.iter().copied().chain([0])).collect()
}

fn command_line(task: Task) -> Result<Vec<u8>> {
    Ok(strings(&task.process()?.image.read().arguments))
}

fn environment(task: Task) -> Result<Vec<u8>> {
    Ok(strings(&task.process()?.image.read().environment))
}

fn auxiliary(task: Task) -> Result<Vec<u8>> {
    let image = task.process()?.image.read().clone();
    Ok(image.auxiliary.iter().flatten().flat_map(|word| word.to_le_bytes()).collect())
}

fn id_map(_task: Task) -> Result<Vec<u8>> {
    Ok(format!("{:>10} {:>10} {:>10}\n", 0, 0, u32::MAX).into_bytes())
}

/// The lines of /proc/PID/limits in their order: name, resource, unit.
const LIMITS: [(&str, Resource, &str); 16] = [
    ("Max cpu time", Resource::CpuTime, "seconds"),
    ("Max file size", Resource::FileSize, "bytes"),
    ("Max data size", Resource::Data, "bytes"),
    ("Max stack size", Resource::Stack, "bytes"),
    ("Max core file size", Resource::Core, "bytes"),
    ("Max resident set", Resource::ResidentSet, "bytes"),
    ("Max processes", Resource::Processes, "processes"),
    ("Max open files", Resource::OpenFiles, "files"),
    ("Max locked memory", Resource::LockedMemory, "bytes"),
    ("Max address space", Resource::AddressSpace, "bytes"),
    ("Max file locks", Resource::Locks, "locks"),
    ("Max pending signals", Resource::PendingSignals, "signals"),
    ("Max msgqueue size", Resource::MessageQueues, "bytes"),
    ("Max nice priority", Resource::Nice, ""),
    ("Max realtime priority", Resource::RealTimePriority, ""),
    ("Max realtime timeout", Resource::RealTimeTime, "us"),
];

fn limits(task: Task) -> Result<Vec<u8>> {
    let process = task.process()?;
    let mut text = format!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    let show = |value| if value == u64::MAX { "unlimited".into() } else { format!("{value}") };
    for (name, resource, unit) in LIMITS {
        let (soft, hard) = process.limits.get(resource);
        text += &format!("{name:<25} {:<20} {:<20} {unit:<10}\n", show(soft), show(hard));
    }
    Ok(text.into_bytes())
}

/// /proc/PID/comm.
struct Name(Task);

/// Longest name of a thread.
const NAME_LIMIT: usize = 15;

impl Text for Name {
    fn text(&self) -> Result<Vec<u8>> {
        let mut name = status::name(self.0)?;
        name.push(b'\n');
        Ok(name)
    }

    fn write(&self, text: &[u8]) -> Result<()> {
        let thread = self.0.thread()?.ok_or(Errno::ESRCH)?;
        let text = &text[..text.len().min(NAME_LIMIT)];
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        *thread.name.lock() = text[..end].to_vec();
        Ok(())
    }
}

/// /proc/PID/oom_score_adj: remembered, without effect.
struct OutOfMemory(Task);

impl Text for OutOfMemory {
    fn text(&self) -> Result<Vec<u8>> {
        let process = self.0.process()?;
        let value = process.attributes.oom_score_adjustment.load(core::sync::atomic::Ordering::Relaxed);
        Ok(format!("{value}\n").into_bytes())
    }

    fn write(&self, text: &[u8]) -> Result<()> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let value: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
        if !(-1000..=1000).contains(&value) {
            return Err(Errno::EINVAL);
        }
        let process = self.0.process()?;
        process.attributes.oom_score_adjustment.store(value, core::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}
