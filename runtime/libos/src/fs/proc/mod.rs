//! /proc: what programs and run-time systems look up about themselves. One file an area; nothing here is remembered, every
//! text is made from the objects when it is read.

mod cpuinfo;
mod descriptors;
mod mappings;
mod mounts;
mod status;
mod sysctl;
mod system;
mod task;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::generated::{Entry, FileSystem, Fixed, Folder, GeneratedInode, Item, Object, parse_number};
use super::inode::Inode;
use super::mount::new_device;
use super::statfs;
use crate::errno::{Errno, Result};
use crate::process::{all_processes, current_thread, find_process};
use crate::stat::FileType::{self, Directory, Regular, Symlink};
pub use status::note_start;
use task::Task;

/// The root directory of a new /proc, and its device.
pub fn new() -> (Arc<dyn Inode>, u64) {
    let device = new_device();
    let system = FileSystem { device, magic: statfs::PROC, file_size: 0 };
    let names = Fixed { items: NAMES, of: () };
    (GeneratedInode::root(system, Object::directory(0o555, Root(names))), device)
}

/// A readable file of the whole system.
fn text(make: fn() -> Vec<u8>) -> Object {
    Object::text(0o444, move || Ok(make()))
}

const NAMES: &[Item<()>] = &[
    Item { name: "self", kind: Symlink, make: |()| Object::link(0o777, own_process) },
    Item { name: "thread-self", kind: Symlink, make: |()| Object::link(0o777, own_thread) },
    Item { name: "cpuinfo", kind: Regular, make: |()| text(cpuinfo::text) },
    Item { name: "filesystems", kind: Regular, make: |()| text(system::filesystems) },
    Item { name: "loadavg", kind: Regular, make: |()| text(system::loadavg) },
    Item { name: "meminfo", kind: Regular, make: |()| text(system::meminfo) },
    Item { name: "mounts", kind: Symlink, make: |()| Object::link(0o777, || Ok(b"self/mounts".to_vec())) },
    Item { name: "stat", kind: Regular, make: |()| text(system::stat) },
    Item { name: "sys", kind: Directory, make: |()| sysctl::directory() },
    Item { name: "uptime", kind: Regular, make: |()| text(system::uptime) },
    Item { name: "version", kind: Regular, make: |()| text(system::version) },
];

fn own_process() -> Result<Vec<u8>> {
    Ok(format!("{}", current_thread().process().pid).into_bytes())
}

fn own_thread() -> Result<Vec<u8>> {
    let thread = current_thread();
    Ok(format!("{}/task/{}", thread.process().pid, thread.tid()).into_bytes())
}

/// The fixed names, then the processes.
struct Root(Fixed<()>);

/// Position of process 0.
const FIRST_PROCESS: u64 = 256;

impl Folder for Root {
    fn find(&self, name: &[u8]) -> Result<Object> {
        let Some(id) = parse_number(name) else { return self.0.find(name) };
        // A thread's id names its process's directory too, as on Linux, though it is not listed.
        let by_thread =
            || all_processes().into_iter().find(|p| p.threads.lock().iter().any(|t| t.tid() == id));
        let process = find_process(id).or_else(by_thread).ok_or(Errno::ENOENT)?;
        Ok(Task::of_process(&process).directory())
    }

    fn next(&self, position: u64) -> Option<Entry> {
        if let Some(entry) = self.0.next(position) {
            return Some(entry);
        }
        let first = position.saturating_sub(FIRST_PROCESS);
        let next = all_processes().iter().map(|process| process.pid).find(|&pid| u64::from(pid) >= first)?;
        Some(numbered(next, FIRST_PROCESS, FileType::Directory))
    }
}

/// The entry whose name is a number, in a directory of such.
fn numbered(number: u32, first: u64, kind: FileType) -> Entry {
    Entry { position: first + u64::from(number), name: format!("{number}").into_bytes(), kind }
}
