//! /sys: the few files that run-time systems look up about processors and memory.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::generated::{Entry, FileSystem, Fixed, Folder, GeneratedInode, Item, Object, parse_number};
use super::inode::Inode;
use super::mount::new_device;
use super::statfs;
use crate::errno::Result;
use crate::stat::FileType::{Directory, Regular};
use crate::syscall::scheduling::processors;

/// The root directory of a new /sys, and its device.
pub fn new() -> (Arc<dyn Inode>, u64) {
    let device = new_device();
    let system = FileSystem { device, magic: statfs::SYSFS, file_size: 4096 };
    (GeneratedInode::root(system, fixed(ROOT)), device)
}

fn fixed(items: &'static [Item<()>]) -> Object {
    Object::directory(0o555, Fixed { items, of: () })
}

fn text(make: fn() -> String) -> Object {
    Object::text(0o444, move || Ok(make().into_bytes()))
}

const ROOT: &[Item<()>] = &[
    Item { name: "devices", kind: Directory, make: |()| fixed(DEVICES) },
    Item { name: "fs", kind: Directory, make: |()| fixed(FS) },
    Item { name: "kernel", kind: Directory, make: |()| fixed(KERNEL) },
];

const DEVICES: &[Item<()>] = &[Item { name: "system", kind: Directory, make: |()| fixed(SYSTEM) }];
const SYSTEM: &[Item<()>] =
    &[Item { name: "cpu", kind: Directory, make: |()| Object::directory(0o555, Processors) }];
const FS: &[Item<()>] = &[Item { name: "cgroup", kind: Directory, make: |()| fixed(&[]) }];
const KERNEL: &[Item<()>] = &[Item { name: "mm", kind: Directory, make: |()| fixed(MEMORY) }];
const MEMORY: &[Item<()>] =
    &[Item { name: "transparent_hugepage", kind: Directory, make: |()| fixed(HUGE_PAGES) }];
const HUGE_PAGES: &[Item<()>] = &[
    Item {
        name: "defrag",
        kind: Regular,
        make: |()| text(|| String::from("always defer madvise [never]\n")),
    },
    Item { name: "enabled", kind: Regular, make: |()| text(|| String::from("always madvise [never]\n")) },
];

/// /sys/devices/system/cpu: some files, then a directory for each processor.
struct Processors;

const SETS: &[Item<()>] = &[
    Item { name: "kernel_max", kind: Regular, make: |()| text(|| String::from("8191\n")) },
    Item { name: "online", kind: Regular, make: |()| text(all) },
    Item { name: "possible", kind: Regular, make: |()| text(all) },
    Item { name: "present", kind: Regular, make: |()| text(all) },
];

/// Position of processor 0.
const FIRST: u64 = 64;

/// All processors as a list.
fn all() -> String {
    match processors() {
        0 | 1 => String::from("0\n"),
        count => format!("0-{}\n", count - 1),
    }
}

impl Folder for Processors {
    fn find(&self, name: &[u8]) -> Result<Object> {
        match name.strip_prefix(b"cpu").and_then(parse_number) {
            Some(number) if number < processors() => Ok(fixed(&[])),
            _ => Fixed { items: SETS, of: () }.find(name),
        }
    }

    fn next(&self, position: u64) -> Option<Entry> {
        if let Some(entry) = (Fixed { items: SETS, of: () }).next(position) {
            return Some(entry);
        }
        let number = position.saturating_sub(FIRST);
        let name: Vec<u8> = format!("cpu{number}").into_bytes();
        (number < u64::from(processors())).then_some(Entry {
            position: FIRST + number,
            name,
            kind: Directory,
        })
    }
}
