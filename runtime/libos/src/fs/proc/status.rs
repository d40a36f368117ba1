//! /proc/PID/status, stat and the name in comm.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_platform::clock;

use super::task::Task;
use crate::errno::{Errno, Result};
use crate::process::{Process, Resource, Thread};
use crate::signal::{Handler, LAST, Signal};
use crate::syscall::scheduling;

const NS_PER_TICK: u64 = 10_000_000;

/// When the run started, in ticks since boot: every process has it as its start, always the same.
static START_TICKS: AtomicU64 = AtomicU64::new(0);

/// Notes when the run started.
pub fn note_start() {
    START_TICKS.store(clock::now().boottime_ns / NS_PER_TICK, Relaxed);
}

/// The name that comm shows; a zombie has its program's.
pub(super) fn name(task: Task) -> Result<Vec<u8>> {
    if let Some(thread) = task.thread()? {
        return Ok(thread.name.lock().clone());
    }
    let image = task.process()?.image.read().clone();
    let name = image.executable.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    Ok(name[..name.len().min(15)].to_vec())
}

fn state(thread: Option<&Thread>) -> (char, &'static str) {
    match thread {
        None => ('Z', "zombie"),
        // Whoever asks runs; of the others only the host knows.
        Some(thread) if current_tid() == Some(thread.tid()) => ('R', "running"),
        Some(_) => ('S', "sleeping"),
    }
}

fn current_tid() -> Option<u32> {
    casemate_platform::thread::with_local::<Arc<Thread>, _>(|thread| thread.tid())
}

fn parent(process: &Process) -> u32 {
    let parent = process.parent.lock().upgrade();
    parent.map_or(0, |parent| parent.pid)
}

/// Signals ignored and signals caught.
fn handled(process: &Process) -> (u64, u64) {
    let (mut ignored, mut caught) = (0, 0);
    for signal in (1..=LAST).filter_map(|number| Signal::new(number).ok()) {
        match process.signals.action(signal).handler {
            Handler::Ignore => ignored |= signal.bit(),
            Handler::Function(_) => caught |= signal.bit(),
            Handler::Default => {}
        }
    }
    (ignored, caught)
}

/// Names of processes as status shows them: white space and backslashes escaped.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.replace('\\', "\\\\").replace('\n', "\\n")
}

/// /proc/PID/status.
pub(super) fn status(task: Task) -> Result<Vec<u8>> {
    let process = task.process()?;
    let thread = task.thread()?;
    let (letter, word) = state(thread.as_deref());
    let pid = process.pid;
    let mut text = format!(
        "Name:\t{}\nUmask:\t{:04o}\nState:\t{letter} ({word})\nTgid:\t{pid}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n",
        shown(&name(task)?),
        process.fs.umask(),
        task.tid(),
        parent(&process),
    );
    add_ids(&mut text, &process);
    for key in ["NStgid", "NSpid", "NSpgid", "NSsid"] {
        let value = match key {
            "NSpid" => task.tid(),
            "NSpgid" => process.group.load(Relaxed),
            "NSsid" => process.session.load(Relaxed),
            _ => pid,
        };
        text += &format!("{key}:\t{value}\n");
    }
    if thread.is_some() {
        add_memory(&mut text, &process);
    }
    text += &format!("Threads:\t{}\n", process.threads.lock().len().max(1));
    add_signals(&mut text, &process, thread.as_ref());
    add_rest(&mut text, &process);
    Ok(text.into_bytes())
}

fn add_ids(text: &mut String, process: &Process) {
    let ids = process.credentials.read().clone();
    *text += &format!("Uid:\t{}\t{}\t{}\t{}\n", ids.uid, ids.euid, ids.suid, ids.fsuid);
    *text += &format!("Gid:\t{}\t{}\t{}\t{}\n", ids.gid, ids.egid, ids.sgid, ids.fsgid);
    *text += &format!("FDSize:\t{}\nGroups:\t", process.files().slots());
    for group in &ids.groups {
        *text += &format!("{group} ");
    }
    text.push('\n');
}

fn add_memory(text: &mut String, process: &Process) {
    let totals = process.address_space().totals();
    let lines = [
        ("VmPeak", totals.mapped),
        ("VmSize", totals.mapped),
        ("VmLck", totals.locked),
        ("VmPin", 0),
        ("VmHWM", totals.present),
        ("VmRSS", totals.present),
        ("RssAnon", totals.present_anonymous),
        ("RssFile", totals.present - totals.present_anonymous),
        ("RssShmem", 0),
        ("VmData", totals.data),
        ("VmStk", totals.stack),
        ("VmExe", totals.text),
        ("VmLib", 0),
        ("VmPTE", 0),
        ("VmSwap", 0),
    ];
    for (key, bytes) in lines {
        *text += &format!("{key}:\t{:>8} kB\n", bytes / 1024);
    }
}

fn add_signals(text: &mut String, process: &Process, thread: Option<&Arc<Thread>>) {
    let (own, mask) =
        thread.map_or((0, 0), |thread| (thread.signals.pending.lock().set(), thread.signals.mask()));
    let shared = process.signals.pending.lock().set();
    let (ignored, caught) = handled(process);
    let (_, limit) = process.limits.get(Resource::PendingSignals);
    let limit = limit.min(1 << 20);
    *text += &format!("SigQ:\t0/{limit}\n");
    let sets =
        [("SigPnd", own), ("ShdPnd", shared), ("SigBlk", mask), ("SigIgn", ignored), ("SigCgt", caught)];
    for (key, set) in sets {
        *text += &format!("{key}:\t{set:016x}\n");
    }
}

fn add_rest(text: &mut String, process: &Process) {
    let held = process.credentials.read().capabilities;
    let sets = [
        ("CapInh", held.inheritable),
        ("CapPrm", held.permitted),
        ("CapEff", held.effective),
        ("CapBnd", held.bounding),
        ("CapAmb", held.ambient),
    ];
    for (key, set) in sets {
        *text += &format!("{key}:\t{set:016x}\n");
    }
    let (mask, list) = processors();
    *text += &format!(
        "NoNewPrivs:\t{}\nSeccomp:\t0\nCpus_allowed:\t{mask}\nCpus_allowed_list:\t{list}\nMems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n",
        process.attributes.no_new_privileges.load(Relaxed),
    );
}

/// All processors, as a mask in words of 32 bits and as a list.
fn processors() -> (String, String) {
    let count = scheduling::processors();
    let mut words = Vec::new();
    for word in 0..count.div_ceil(32) {
        let left = count - word * 32;
        words.push(if left >= 32 { u32::MAX } else { (1 << left) - 1 });
    }
    let mut mask = String::new();
    for word in words.iter().rev() {
        if mask.is_empty() {
            mask = format!("{word:x}");
        } else {
            mask += &format!(",{word:08x}");
        }
    }
    (mask, if count == 1 { "0".into() } else { format!("0-{}", count - 1) })
}

/// /proc/PID/stat.
pub(super) fn stat_of_process(task: Task) -> Result<Vec<u8>> {
    let used = |process: &Process, now| process.cpu_ns(now);
    stat(task, task.thread()?, used)
}

/// /proc/PID/task/TID/stat.
pub(super) fn stat_of_thread(task: Task) -> Result<Vec<u8>> {
    let thread = task.thread()?.ok_or(Errno::ESRCH)?;
    stat(task, Some(thread.clone()), |_, now| thread.cpu.used_ns(now))
}

/// The 52 fields of proc_pid_stat(5); what the library OS does not count is 0.
fn stat(task: Task, thread: Option<Arc<Thread>>, used_ns: impl Fn(&Process, u64) -> u64) -> Result<Vec<u8>> {
    let process = task.process()?;
    let totals = process.address_space().totals();
    let (ignored, caught) = handled(&process);
    let low = |set: u64| set & 0x7fff_ffff;
    let (own, mask) =
        thread.as_ref().map_or((0, 0), |thread| (thread.signals.pending.lock().set(), thread.signals.mask()));
    let (_, rss_limit) = process.limits.get(Resource::ResidentSet);
    let mut text = Vec::new();
    text.extend_from_slice(format!("{} (", task.tid()).as_bytes());
    text.extend_from_slice(&name(task)?);
    let (terminal, foreground) = crate::tty::shown(process.session.load(Relaxed));
    let head = format!(
        ") {} {} {} {} {terminal} {foreground} 4194304",
        state(thread.as_deref()).0,
        parent(&process),
        process.group.load(Relaxed),
        process.session.load(Relaxed),
    );
    text.extend_from_slice(head.as_bytes());
    let threads = process.threads.lock().len().max(1) as u64;
    let user = used_ns(&process, clock::now().monotonic_ns) / NS_PER_TICK;
    let exit_signal = u64::from(process.exit_signal.load(Relaxed));
    // From minflt (10) to starttime (22), then vsize (23) to exit_code (52).
    let fields: [u64; 43] = [
        0,
        0,
        0,
        0,
        user,
        0,
        0,
        0,
        20,
        0,
        threads,
        0,
        START_TICKS.load(Relaxed),
        totals.mapped,
        totals.present / 4096,
        rss_limit,
        0,
        0,
        0,
        0,
        0,
        low(own),
        low(mask),
        low(ignored),
        low(caught),
        0,
        0,
        0,
        exit_signal,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    for field in fields {
        text.extend_from_slice(format!(" {field}").as_bytes());
    }
    text.push(b'\n');
    Ok(text)
}
