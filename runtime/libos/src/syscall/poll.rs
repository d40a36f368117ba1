//! poll, ppoll, select, pselect6.

use alloc::vec::Vec;

use super::signal::{end_loan, lend_mask};
use super::thread::read_timespec;
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Watched, wait_for_any};
use crate::file::OpenFlags;
use crate::process::{Context, Fd, Resource};
use crate::room;
use crate::user_space::{self, Addr};

/// A time-out argument: how long, and where what is left of it goes.
struct TimeOut {
    deadline: Deadline,
    at: Addr,
    /// The fraction is in microseconds (timeval), not in nanoseconds.
    micro: bool,
}

impl TimeOut {
    fn from_timespec(at: Addr) -> Result<TimeOut> {
        let deadline = if at.is_null() { Deadline::NEVER } else { Deadline::after(read_timespec(at)?) };
        Ok(TimeOut { deadline, at, micro: false })
    }

    fn from_timeval(at: Addr) -> Result<TimeOut> {
        let mut deadline = Deadline::NEVER;
        if !at.is_null() {
            let [seconds, micro]: [i64; 2] = user_space::read(at)?;
            let seconds = seconds.saturating_add(micro / 1_000_000);
            if seconds < 0 || micro % 1_000_000 < 0 {
                return Err(Errno::EINVAL);
            }
            let ns = (seconds as u64).saturating_mul(1_000_000_000);
            deadline = Deadline::after(ns.saturating_add((micro % 1_000_000) as u64 * 1000));
        }
        Ok(TimeOut { deadline, at, micro: true })
    }

    /// Tells the program how much time was left. Memory that cannot be written does not change the result, as on Linux.
    fn report(&self) {
        if let (false, Some(left)) = (self.at.is_null(), self.deadline.left()) {
            let fraction = left % 1_000_000_000 / if self.micro { 1000 } else { 1 };
            let _ = user_space::write(self.at, &[left / 1_000_000_000, fraction]);
        }
    }
}

fn lend(ctx: &Context, mask: Addr, size: usize) -> Result<()> {
    if !mask.is_null() {
        if size != 8 {
            return Err(Errno::EINVAL);
        }
        lend_mask(ctx.thread, user_space::read_u64(mask)?);
    }
    Ok(())
}

/// poll(2).
pub fn sys_poll(ctx: &Context, entries: Addr, count: u32, timeout_ms: i32) -> Result<usize> {
    let deadline = match u64::try_from(timeout_ms) {
        Ok(ms) => Deadline::after(ms * 1_000_000),
        Err(_) => Deadline::NEVER,
    };
    poll(ctx, entries, count, deadline)
}

/// ppoll(2).
pub fn sys_ppoll(
    ctx: &Context,
    entries: Addr,
    count: u32,
    timeout: Addr,
    mask: Addr,
    size: usize,
) -> Result<usize> {
    let timeout = TimeOut::from_timespec(timeout)?;
    lend(ctx, mask, size)?;
    let result = end_loan(ctx, poll(ctx, entries, count, timeout.deadline));
    timeout.report();
    result
}

fn poll(ctx: &Context, entries: Addr, count: u32, deadline: Deadline) -> Result<usize> {
    if count as u64 > ctx.process().limits.get(Resource::OpenFiles).0 {
        return Err(Errno::EINVAL);
    }
    let mut bytes = room::buffer(count as usize * 8)?;
    user_space::copy_in(&mut bytes, entries)?;
    let files = ctx.process().files();
    let mut invalid = 0;
    let watch = |entry: &[u8]| {
        let fd = i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let wanted = Events::from_bits_truncate(u16::from_le_bytes([entry[4], entry[5]]) as u32);
        let found = files.get(Fd(fd)).ok().filter(|file| !file.status().get().contains(OpenFlags::PATH));
        let missing = fd >= 0 && found.is_none();
        invalid += missing as usize;
        Watched { file: found, wanted, found: if missing { Events::INVALID } else { Events::empty() } }
    };
    let mut watched: Vec<Watched> = Vec::new();
    watched.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
    watched.extend(bytes.chunks_exact(8).map(watch));
    let deadline = if invalid > 0 { Deadline(Some(0)) } else { deadline };
    let ready = match wait_for_any(&mut watched, deadline) {
        Ok(ready) => ready,
        Err(Errno::ERESTARTNOHAND) if invalid > 0 => 0,
        Err(error) => return Err(error),
    };
    for (one, entry) in watched.iter().zip(bytes.chunks_exact_mut(8)) {
        entry[6..8].copy_from_slice(&(one.found.bits() as u16).to_le_bytes());
    }
    user_space::copy_out(entries, &bytes)?;
    Ok(ready + invalid)
}

/// select(2).
pub fn sys_select(
    ctx: &Context,
    count: i32,
    read: Addr,
    write: Addr,
    except: Addr,
    timeout: Addr,
) -> Result<usize> {
    let timeout = TimeOut::from_timeval(timeout)?;
    let result = select(ctx, count, [read, write, except], timeout.deadline);
    timeout.report();
    result
}

/// pselect6(2).
pub fn sys_pselect6(
    ctx: &Context,
    count: i32,
    read: Addr,
    write: Addr,
    except: Addr,
    timeout: Addr,
    mask: Addr,
) -> Result<usize> {
    let [mask, size]: [u64; 2] = if mask.is_null() { [0; 2] } else { user_space::read(mask)? };
    let timeout = TimeOut::from_timespec(timeout)?;
    lend(ctx, Addr(mask), size as usize)?;
    let result = end_loan(ctx, select(ctx, count, [read, write, except], timeout.deadline));
    timeout.report();
    result
}

/// What makes a descriptor count in the read, write and exception sets.
const SET_EVENTS: [Events; 3] = [
    Events::READABLE.union(Events::READ_BAND).union(Events::HANG_UP).union(Events::ERROR),
    Events::WRITABLE.union(Events::WRITE_BAND).union(Events::ERROR),
    Events::PRIORITY,
];

fn select(ctx: &Context, count: i32, sets: [Addr; 3], deadline: Deadline) -> Result<usize> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let files = ctx.process().files();
    // Numbers beyond the table are not looked at, not even to say that they are not open.
    let count = count.min(files.slots());
    let bytes = count.div_ceil(64) * 8;
    let mut asked: [Vec<u8>; 3] = Default::default();
    for (set, &at) in asked.iter_mut().zip(&sets) {
        set.resize(bytes, 0);
        if !at.is_null() {
            user_space::copy_in(set, at)?;
        }
    }
    let (mut watched, mut numbers) = (Vec::new(), Vec::new());
    for fd in 0..count {
        let mut wanted = Events::empty();
        for (set, events) in asked.iter().zip(SET_EVENTS) {
            if set[fd / 8] >> (fd % 8) & 1 != 0 {
                wanted |= events;
            }
        }
        if !wanted.is_empty() {
            let file = files.get(Fd(fd as i32))?;
            watched.push(Watched { file: Some(file), wanted, found: Events::empty() });
            numbers.push(fd);
        }
    }
    wait_for_sets(&mut watched, deadline)?;
    let mut total = 0;
    for ((set, &at), events) in asked.iter_mut().zip(&sets).zip(SET_EVENTS) {
        let mut answer = alloc::vec![0; bytes];
        for (one, &fd) in watched.iter().zip(&numbers) {
            let bit = 1 << (fd % 8);
            if one.found.intersects(events) && set[fd / 8] & bit != 0 {
                answer[fd / 8] |= bit;
                total += 1;
            }
        }
        if !at.is_null() {
            user_space::copy_out(at, &answer)?;
        }
    }
    Ok(total)
}

/// As [`wait_for_any`], but a hang-up or error counts only for the sets that say so.
fn wait_for_sets(watched: &mut [Watched], deadline: Deadline) -> Result<()> {
    loop {
        let ready = wait_for_any(watched, deadline)?;
        if ready == 0 || watched.iter().any(|one| one.found.intersects(one.wanted)) {
            return Ok(());
        }
        // Ready in a way that nobody asked for (a hang-up of one that is only in the write set): it cannot be waited for.
        for one in watched.iter_mut().filter(|one| !one.found.is_empty()) {
            (one.file, one.found) = (None, Events::empty());
        }
    }
}
