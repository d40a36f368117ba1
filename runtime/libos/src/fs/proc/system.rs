//! /proc/meminfo, stat, uptime, version, loadavg, filesystems.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_platform::clock;

use crate::fs::page;
use crate::mm::AddressSpace;
use crate::process::all_processes;
use crate::syscall::{scheduling, system};

const NS: u64 = 1_000_000_000;

/// Bytes of program memory that exist, each address space once.
fn used_memory() -> u64 {
    let mut counted: Vec<Arc<AddressSpace>> = Vec::new();
    for process in all_processes() {
        let space = process.address_space();
        if !counted.iter().any(|other| Arc::ptr_eq(other, &space)) {
            counted.push(space);
        }
    }
    counted.iter().map(|space| space.totals().present).sum()
}

/// /proc/meminfo: the machine is the enclave's program range.
pub(super) fn meminfo() -> Vec<u8> {
    let total = system::total_memory();
    let free = total.saturating_sub(used_memory());
    let (budget, left) = page::budget();
    let in_files = (budget.saturating_sub(left) * page::PAGE_SIZE) as u64;
    let lines = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", in_files),
        ("SwapCached", 0),
        ("Active", total - free),
        ("Inactive", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", total - free),
        ("Mapped", 0),
        ("Shmem", in_files),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
        ("CommitLimit", total),
        ("Committed_AS", total - free),
    ];
    let mut text = String::new();
    for (key, bytes) in lines {
        text += &format!("{:<16}{:>8} kB\n", format!("{key}:"), bytes / 1024);
    }
    text += "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n";
    text += "HugePages_Surp:        0\nHugepagesize:       2048 kB\n";
    text.into_bytes()
}

/// /proc/stat: scheduling is the host's business, so what the threads did not use counts as idle.
pub(super) fn stat() -> Vec<u8> {
    const NS_PER_TICK: u64 = 10_000_000;
    let now = clock::now();
    let count = u64::from(scheduling::processors());
    let processes = all_processes();
    let used: u64 = processes.iter().map(|process| process.cpu_ns(now.monotonic_ns)).sum();
    // Nobody knows which processor it was: each gets its part.
    let user = used / NS_PER_TICK / count;
    let idle = (now.boottime_ns / NS_PER_TICK).saturating_sub(user);
    let mut text = format!("cpu  {} 0 0 {} 0 0 0 0 0 0\n", user * count, idle * count);
    for number in 0..count {
        text += &format!("cpu{number} {user} 0 0 {idle} 0 0 0 0 0 0\n");
    }
    let boot = now.realtime_ns.saturating_sub(now.boottime_ns) / NS;
    let made = processes.iter().map(|process| process.pid).max().unwrap_or(1);
    text += &format!("intr 0\nctxt 0\nbtime {boot}\nprocesses {made}\nprocs_running 1\nprocs_blocked 0\n");
    text.into_bytes()
}

/// /proc/uptime.
pub(super) fn uptime() -> Vec<u8> {
    let up = clock::now().boottime_ns / 10_000_000;
    let idle = up * u64::from(scheduling::processors());
    format!("{}.{:02} {}.{:02}\n", up / 100, up % 100, idle / 100, idle % 100).into_bytes()
}

/// /proc/version.
pub(super) fn version() -> Vec<u8> {
    format!("Linux version {} (casemate) {}\n", system::RELEASE, system::VERSION).into_bytes()
}

/// /proc/loadavg: no averages are kept.
pub(super) fn loadavg() -> Vec<u8> {
    let threads: Vec<u32> = all_processes()
        .iter()
        .flat_map(|process| process.threads.lock().iter().map(|thread| thread.tid()).collect::<Vec<_>>())
        .collect();
    let last = threads.iter().max().copied().unwrap_or(1);
    format!("0.00 0.00 0.00 1/{} {last}\n", threads.len()).into_bytes()
}

/// /proc/filesystems.
pub(super) fn filesystems() -> Vec<u8> {
    ["sysfs", "tmpfs", "proc", "overlay"]
        .iter()
        .flat_map(|kind| format!("nodev\t{kind}\n").into_bytes())
        .collect()
}
