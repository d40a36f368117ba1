//! Advisory locks of a file: record locks of processes and of open descriptions (fcntl(2)), and whole-file locks (flock(2)).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::*};

use casemate_platform::sync::Mutex;
use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Pollee, wait_until};
use crate::file::{File, OpenFlags, Whence};
use crate::process::Context;
use crate::room;
use crate::user_space::{self, Addr};

/// Who holds a record lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A process, by its id.
    Process(u32),
    /// An open description, by its address.
    Description(usize),
}

/// A locked range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// First byte.
    pub start: u64,
    /// Last byte; `u64::MAX` reaches to the end, wherever it will be.
    pub last: u64,
    /// Exclusive.
    pub exclusive: bool,
    /// Holder.
    pub owner: Owner,
}

impl Record {
    fn overlaps(&self, other: &Record) -> bool {
        self.start <= other.last && other.start <= self.last
    }

    fn conflicts(&self, other: &Record) -> bool {
        self.owner != other.owner && self.overlaps(other) && (self.exclusive || other.exclusive)
    }
}

/// Locks of one file. Costs a flag while nobody locks.
pub struct FileLocks {
    used: AtomicBool,
    state: Mutex<Option<Box<State>>>,
}

struct State {
    records: Vec<Record>,
    /// Holders of flock(2): description and whether exclusive.
    whole: Vec<(usize, bool)>,
    changed: Arc<Pollee>,
}

/// Processes that wait for a record lock, and for whom: two that wait for each other would never wake.
static WAITING: Mutex<Vec<(u32, u32)>> = Mutex::new(Vec::new());

impl FileLocks {
    /// No locks.
    pub const fn new() -> FileLocks {
        FileLocks { used: AtomicBool::new(false), state: Mutex::new(None) }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        self.used.store(true, SeqCst);
        let mut slot = self.state.lock();
        use_it(slot.get_or_insert_with(|| {
            Box::new(State { records: Vec::new(), whole: Vec::new(), changed: Arc::new(Pollee::new()) })
        }))
    }

    fn notify(&self) {
        let changed = self.with(|state| state.changed.clone());
        changed.notify(Events::IN);
    }

    /// F_GETLK: the first lock that stands in the way of `wanted`.
    pub fn conflict(&self, wanted: &Record) -> Option<Record> {
        if !self.used.load(SeqCst) {
            return None;
        }
        self.with(|state| state.records.iter().find(|held| wanted.conflicts(held)).copied())
    }

    fn try_record(&self, wanted: &Record) -> Result<(), Record> {
        self.with(|state| match state.records.iter().find(|held| wanted.conflicts(held)) {
            Some(held) => Err(*held),
            None => {
                cut(&mut state.records, wanted);
                join(&mut state.records, *wanted);
                Ok(())
            }
        })
    }

    /// F_SETLK, or with `wait` F_SETLKW: `EAGAIN`, `EDEADLK`, `ERESTARTSYS`.
    pub fn lock_record(&self, wanted: &Record, wait: bool) -> Result<()> {
        room::check().map_err(|_| Errno::ENOLCK)?;
        let blocker = match self.try_record(wanted) {
            Ok(()) => {
                // A shared lock where an exclusive one was may let others in.
                self.notify();
                return Ok(());
            }
            Err(blocker) => blocker,
        };
        if !wait {
            return Err(Errno::EAGAIN);
        }
        let _edge = WaitEdge::enter(wanted.owner, blocker.owner)?;
        let changed = self.with(|state| state.changed.clone());
        let locked = wait_until(&changed, Events::IN, Deadline::NEVER, || self.try_record(wanted).ok());
        if locked.is_ok() {
            self.notify();
        }
        locked
    }

    /// F_SETLK with F_UNLCK.
    pub fn unlock_record(&self, range: &Record) {
        if self.used.load(SeqCst) {
            self.with(|state| cut(&mut state.records, range));
            self.notify();
        }
    }

    /// A process closed a descriptor of the file: its record locks go, whichever descriptor took them.
    pub fn release_process(&self, pid: u32) {
        let everything = Record { start: 0, last: u64::MAX, exclusive: false, owner: Owner::Process(pid) };
        self.unlock_record(&everything);
    }

    /// An open description ended: its locks go.
    pub fn release_description(&self, description: usize) {
        if self.used.load(SeqCst) {
            self.with(|state| {
                state.records.retain(|held| held.owner != Owner::Description(description));
                state.whole.retain(|held| held.0 != description);
            });
            self.notify();
        }
    }

    fn try_whole(&self, description: usize, exclusive: bool) -> Result<()> {
        self.with(|state| {
            let in_the_way = |held: &&(usize, bool)| held.0 != description && (exclusive || held.1);
            if state.whole.iter().any(|held| in_the_way(&held)) {
                return Err(Errno::EAGAIN);
            }
            state.whole.retain(|held| held.0 != description);
            state.whole.push((description, exclusive));
            Ok(())
        })
    }

    /// flock(2) with LOCK_SH or LOCK_EX; without `wait`, `EAGAIN`.
    pub fn lock_whole(&self, description: usize, exclusive: bool, wait: bool) -> Result<()> {
        room::check().map_err(|_| Errno::ENOLCK)?;
        if self.try_whole(description, exclusive).is_ok() {
            self.notify();
            return Ok(());
        }
        // A change of kind that has to wait gives the old lock up first, as on Linux.
        self.unlock_whole(description);
        if !wait {
            return Err(Errno::EAGAIN);
        }
        let changed = self.with(|state| state.changed.clone());
        let try_it = || self.try_whole(description, exclusive).ok();
        wait_until(&changed, Events::IN, Deadline::NEVER, try_it)
    }

    /// flock(2) with LOCK_UN.
    pub fn unlock_whole(&self, description: usize) {
        if self.used.load(SeqCst) {
            self.with(|state| state.whole.retain(|held| held.0 != description));
            self.notify();
        }
    }
}

impl Default for FileLocks {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes `range` out of its owner's locks.
fn cut(records: &mut Vec<Record>, range: &Record) {
    let mut pieces = Vec::new();
    records.retain(|held| {
        if held.owner != range.owner || !held.overlaps(range) {
            return true;
        }
        if held.start < range.start {
            pieces.push(Record { last: range.start - 1, ..*held });
        }
        if held.last > range.last {
            pieces.push(Record { start: range.last + 1, ..*held });
        }
        false
    });
    records.append(&mut pieces);
    records.sort_by_key(|held| held.start);
}

/// Adds a lock, joined with the owner's adjoining ones of its kind.
fn join(records: &mut Vec<Record>, mut new: Record) {
    records.retain(|held| {
        let touches = held.owner == new.owner
            && held.exclusive == new.exclusive
            && held.start <= new.last.saturating_add(1)
            && new.start <= held.last.saturating_add(1);
        if touches {
            new.start = new.start.min(held.start);
            new.last = new.last.max(held.last);
        }
        !touches
    });
    records.push(new);
    records.sort_by_key(|held| held.start);
}

/// struct flock of fcntl(2).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct UserLock {
    kind: i16,
    whence: i16,
    padding: u32,
    start: i64,
    length: i64,
    pid: i32,
    padding_at_end: u32,
}

const READ_LOCK: i16 = raw::F_RDLCK as i16;
const WRITE_LOCK: i16 = raw::F_WRLCK as i16;
const UNLOCK: i16 = raw::F_UNLCK as i16;

impl UserLock {
    /// First and last byte: `EINVAL`, `EOVERFLOW`.
    fn range(&self, file: &dyn File) -> Result<(u64, u64)> {
        let base = match u32::try_from(self.whence) {
            Ok(raw::SEEK_SET) => 0,
            Ok(raw::SEEK_CUR) => file.seek(0, Whence::Current)? as i64,
            Ok(raw::SEEK_END) => file.stat()?.size as i64,
            _ => return Err(Errno::EINVAL),
        };
        let start = base.checked_add(self.start).ok_or(Errno::EOVERFLOW)?;
        // A negative length means the bytes before the start.
        let (first, last) = match self.length {
            0 => (start, None),
            1.. => (start, Some(start.checked_add(self.length - 1).ok_or(Errno::EOVERFLOW)?)),
            ..0 => (start.checked_add(self.length).ok_or(Errno::EINVAL)?, Some(start - 1)),
        };
        let first = u64::try_from(first).map_err(|_| Errno::EINVAL)?;
        Ok((first, last.map_or(u64::MAX, |last| last as u64)))
    }

    /// What F_GETLK answers about a lock in the way.
    fn of(held: &Record) -> UserLock {
        let to_end = held.last >= i64::MAX as u64;
        UserLock {
            kind: if held.exclusive { WRITE_LOCK } else { READ_LOCK },
            whence: raw::SEEK_SET as i16,
            padding: 0,
            start: held.start as i64,
            length: if to_end { 0 } else { (held.last - held.start + 1) as i64 },
            pid: if let Owner::Process(pid) = held.owner { pid as i32 } else { -1 },
            padding_at_end: 0,
        }
    }
}

/// F_GETLK, F_SETLK, F_SETLKW and their F_OFD_* forms; `argument` is where struct flock lies.
pub fn fcntl(ctx: &Context, file: &Arc<dyn File>, command: u32, argument: Addr) -> Result<usize> {
    let of_description = matches!(command, raw::F_OFD_GETLK | raw::F_OFD_SETLK | raw::F_OFD_SETLKW);
    let query = matches!(command, raw::F_GETLK | raw::F_OFD_GETLK);
    let wait = matches!(command, raw::F_SETLKW | raw::F_OFD_SETLKW);
    let flags = file.status().get();
    if flags.contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    let mut wanted: UserLock = user_space::read(argument)?;
    if query && !matches!(wanted.kind, READ_LOCK | WRITE_LOCK) {
        return Err(Errno::EINVAL);
    }
    let (start, last) = wanted.range(&**file)?;
    if of_description && wanted.pid != 0 {
        return Err(Errno::EINVAL);
    }
    let owner = if of_description {
        Owner::Description(Arc::as_ptr(file).cast::<()>() as usize)
    } else {
        Owner::Process(ctx.process().pid)
    };
    let record = Record { start, last, exclusive: wanted.kind == WRITE_LOCK, owner };
    let locks = file.locks().ok_or(Errno::EINVAL)?;
    if query {
        match locks.conflict(&record) {
            Some(held) => wanted = UserLock::of(&held),
            None => wanted.kind = UNLOCK,
        }
        user_space::write(argument, &wanted)?;
        return Ok(0);
    }
    match wanted.kind {
        READ_LOCK if !flags.readable() => return Err(Errno::EBADF),
        WRITE_LOCK if !flags.writable() => return Err(Errno::EBADF),
        READ_LOCK | WRITE_LOCK => locks.lock_record(&record, wait)?,
        UNLOCK => locks.unlock_record(&record),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

struct WaitEdge(Option<(u32, u32)>);

impl WaitEdge {
    fn enter(waiter: Owner, blocker: Owner) -> Result<WaitEdge> {
        let (Owner::Process(waiter), Owner::Process(blocker)) = (waiter, blocker) else {
            return Ok(WaitEdge(None));
        };
        let mut waiting = WAITING.lock();
        let mut at = blocker;
        for _ in 0..waiting.len() {
            match waiting.iter().find(|edge| edge.0 == at) {
                Some(edge) => at = edge.1,
                None => break,
            }
            if at == waiter {
                return Err(Errno::EDEADLK);
            }
        }
        waiting.push((waiter, blocker));
        Ok(WaitEdge(Some((waiter, blocker))))
    }
}

impl Drop for WaitEdge {
    fn drop(&mut self) {
        let mut waiting = WAITING.lock();
        if let Some(position) = self.0.and_then(|own| waiting.iter().position(|edge| *edge == own)) {
            waiting.swap_remove(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(start: u64, last: u64, exclusive: bool, pid: u32) -> Record {
        Record { start, last, exclusive, owner: Owner::Process(pid) }
    }

    #[test]
    fn locks_split_and_join_as_posix_says() {
        let locks = FileLocks::new();
        locks.lock_record(&record(0, 99, true, 1), false).unwrap();
        locks.unlock_record(&record(40, 59, false, 1));
        assert_eq!(locks.conflict(&record(45, 50, true, 2)), None);
        assert_eq!(locks.conflict(&record(50, 70, false, 2)), Some(record(60, 99, true, 1)));
        locks.lock_record(&record(40, 59, true, 1), false).unwrap();
        assert_eq!(locks.conflict(&record(50, 50, false, 2)), Some(record(0, 99, true, 1)));
        // Turning the middle into a shared lock lets readers in there only.
        locks.lock_record(&record(10, 19, false, 1), false).unwrap();
        locks.lock_record(&record(10, 19, false, 2), false).unwrap();
        assert_eq!(locks.lock_record(&record(9, 19, false, 2), false), Err(Errno::EAGAIN));
    }

    #[test]
    fn closing_releases_a_process_but_not_others() {
        let locks = FileLocks::new();
        locks.lock_record(&record(0, 9, false, 1), false).unwrap();
        locks.lock_record(&record(0, 9, false, 2), false).unwrap();
        locks.release_process(1);
        assert_eq!(locks.conflict(&record(0, 9, true, 3)), Some(record(0, 9, false, 2)));
    }

    #[test]
    fn whole_file_locks_belong_to_descriptions() {
        let locks = FileLocks::new();
        locks.lock_whole(1, false, false).unwrap();
        locks.lock_whole(2, false, false).unwrap();
        assert_eq!(locks.lock_whole(1, true, false), Err(Errno::EAGAIN));
        locks.release_description(2);
        locks.lock_whole(1, true, false).unwrap();
        assert_eq!(locks.lock_whole(3, false, false), Err(Errno::EAGAIN));
    }
}
