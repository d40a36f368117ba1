//! /proc/sys: the settings that programs look up.

use alloc::format;
use alloc::vec::Vec;

use casemate_platform::sync::Mutex;
use casemate_platform::{pages, random};

use crate::errno::{Errno, Result};
use crate::fs::generated::{Fixed, Item, Object, Text};
use crate::fs::notify;
use crate::stat::FileType::{Directory, Regular};
use crate::syscall::system;

/// /proc/sys.
pub(super) fn directory() -> Object {
    fixed(ROOT)
}

fn fixed(items: &'static [Item<()>]) -> Object {
    Object::directory(0o555, Fixed { items, of: () })
}

/// A setting that nobody can change.
fn value(text: &'static str) -> Object {
    Object::text(0o444, move || Ok(format!("{text}\n").into_bytes()))
}

fn number(value: usize) -> Object {
    Object::text(0o444, move || Ok(format!("{value}\n").into_bytes()))
}

const ROOT: &[Item<()>] = &[
    Item { name: "fs", kind: Directory, make: |()| fixed(FS) },
    Item { name: "kernel", kind: Directory, make: |()| fixed(KERNEL) },
    Item { name: "net", kind: Directory, make: |()| fixed(NET) },
    Item { name: "vm", kind: Directory, make: |()| fixed(VM) },
];

const FS: &[Item<()>] = &[
    Item { name: "file-max", kind: Regular, make: |()| value("9223372036854775807") },
    Item { name: "inotify", kind: Directory, make: |()| fixed(INOTIFY) },
    Item { name: "nr_open", kind: Regular, make: |()| value("1048576") },
    Item { name: "pipe-max-size", kind: Regular, make: |()| value("1048576") },
];

const INOTIFY: &[Item<()>] = &[
    Item { name: "max_queued_events", kind: Regular, make: |()| number(notify::LIMITS.queued) },
    Item { name: "max_user_instances", kind: Regular, make: |()| number(notify::LIMITS.instances) },
    Item { name: "max_user_watches", kind: Regular, make: |()| number(notify::LIMITS.watches) },
];

const KERNEL: &[Item<()>] = &[
    Item { name: "cap_last_cap", kind: Regular, make: |()| value("40") },
    Item { name: "hostname", kind: Regular, make: |()| Object::text(0o644, HostName) },
    Item { name: "ngroups_max", kind: Regular, make: |()| value("65536") },
    Item { name: "osrelease", kind: Regular, make: |()| value(system::RELEASE) },
    Item { name: "ostype", kind: Regular, make: |()| value("Linux") },
    Item { name: "overflowgid", kind: Regular, make: |()| value("65534") },
    Item { name: "overflowuid", kind: Regular, make: |()| value("65534") },
    Item { name: "pid_max", kind: Regular, make: |()| value("4194304") },
    Item { name: "random", kind: Directory, make: |()| fixed(RANDOM) },
    Item { name: "threads-max", kind: Regular, make: |()| value("65536") },
    Item { name: "version", kind: Regular, make: |()| value(system::VERSION) },
];

const RANDOM: &[Item<()>] = &[
    Item { name: "boot_id", kind: Regular, make: |()| Object::text(0o444, || Ok(boot_id())) },
    Item { name: "entropy_avail", kind: Regular, make: |()| value("256") },
    Item { name: "poolsize", kind: Regular, make: |()| value("256") },
    Item { name: "uuid", kind: Regular, make: |()| Object::text(0o444, || Ok(new_uuid())) },
];

const NET: &[Item<()>] = &[Item { name: "core", kind: Directory, make: |()| fixed(NET_CORE) }];
const NET_CORE: &[Item<()>] = &[Item { name: "somaxconn", kind: Regular, make: |()| value("4096") }];

const VM: &[Item<()>] = &[
    Item { name: "max_map_count", kind: Regular, make: |()| Object::text(0o444, || Ok(most_mappings())) },
    Item { name: "mmap_min_addr", kind: Regular, make: |()| value("65536") },
    Item { name: "overcommit_memory", kind: Regular, make: |()| value("0") },
    Item { name: "overcommit_ratio", kind: Regular, make: |()| value("50") },
    Item { name: "swappiness", kind: Regular, make: |()| value("60") },
];

fn most_mappings() -> Vec<u8> {
    format!("{}\n", pages::host_mappings()).into_bytes()
}

/// /proc/sys/kernel/hostname.
struct HostName;

impl Text for HostName {
    fn text(&self) -> Result<Vec<u8>> {
        let mut name = system::host_name();
        name.push(b'\n');
        Ok(name)
    }

    fn write(&self, text: &[u8]) -> Result<()> {
        let end = text.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(text.len());
        if end > 64 {
            return Err(Errno::EINVAL);
        }
        system::set_host_name(&text[..end]);
        Ok(())
    }
}

/// A random UUID (version 4) and a newline.
fn new_uuid() -> Vec<u8> {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = Vec::new();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push(b'-');
        }
        text.extend_from_slice(format!("{byte:02x}").as_bytes());
    }
    text.push(b'\n');
    text
}

/// The same for the whole run; never the host's.
fn boot_id() -> Vec<u8> {
    static BOOT_ID: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let mut id = BOOT_ID.lock();
    if id.is_empty() {
        *id = new_uuid();
    }
    id.clone()
}
