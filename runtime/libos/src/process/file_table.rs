//! The descriptor table of a process.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_platform::sync::RwLock;

use crate::errno::{Errno, Result};
use crate::file::File;

/// A descriptor number as a call argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fd(pub i32);

#[derive(Clone)]
struct Entry {
    file: Arc<dyn File>,
    close_on_exec: bool,
}

struct Table {
    /// As many slots as Linux would have allocated: programs see that number in select.
    entries: Vec<Option<Entry>>,
    /// No descriptor below this is free.
    first_free: usize,
}

/// Slots of Linux's smallest table (NR_OPEN_DEFAULT).
const FEWEST_SLOTS: usize = 64;

/// Slots that Linux allocates for a table which has to hold this descriptor (kernel/fs/file.c, alloc_fdtable).
fn slots_for(index: usize) -> usize {
    if index < FEWEST_SLOTS { FEWEST_SLOTS } else { (index + 1).next_power_of_two() }
}

impl Table {
    fn new() -> Table {
        Table { entries: alloc::vec![None; FEWEST_SLOTS], first_free: 0 }
    }

    /// Makes room for a descriptor. A table never shrinks.
    fn hold(&mut self, index: usize) {
        if index >= self.entries.len() {
            self.entries.resize(slots_for(index), None);
        }
    }

    /// A copy has only the slots that its open descriptors need.
    fn duplicate(&self) -> Table {
        let last = self.entries.iter().rposition(Option::is_some).unwrap_or(0);
        let mut entries = self.entries[..=last].to_vec();
        entries.resize(slots_for(last), None);
        Table { entries, first_free: self.first_free.min(last + 1) }
    }
}

/// Descriptors of a process; threads share it.
pub struct FileTable {
    table: RwLock<Table>,
    limit: AtomicU64,
}

impl FileTable {
    /// An empty table with at most `limit` descriptors (RLIMIT_NOFILE).
    pub fn new(limit: u64) -> FileTable {
        FileTable { table: RwLock::new(Table::new()), limit: AtomicU64::new(limit) }
    }

    /// A copy with the same open descriptions (fork, unshare).
    pub fn duplicate(&self) -> FileTable {
        FileTable {
            table: RwLock::new(self.table.read().duplicate()),
            limit: AtomicU64::new(self.limit.load(Relaxed)),
        }
    }

    /// Changes RLIMIT_NOFILE's soft value.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Relaxed);
    }

    /// The file behind a descriptor; `EBADF`.
    pub fn get(&self, fd: Fd) -> Result<Arc<dyn File>> {
        let table = self.table.read();
        let entry = usize::try_from(fd.0).ok().and_then(|index| table.entries.get(index)?.as_ref());
        entry.map(|entry| entry.file.clone()).ok_or(Errno::EBADF)
    }

    /// Adds a file at the lowest free descriptor; `EMFILE`.
    pub fn add(&self, file: Arc<dyn File>, close_on_exec: bool) -> Result<Fd> {
        self.add_from(0, file, close_on_exec)
    }

    /// Adds a file at the lowest free descriptor not below `minimum`; `EMFILE`.
    pub fn add_from(&self, minimum: usize, file: Arc<dyn File>, close_on_exec: bool) -> Result<Fd> {
        let mut table = self.table.write();
        let mut index = minimum.max(table.first_free);
        while table.entries.get(index).is_some_and(Option::is_some) {
            index += 1;
        }
        if index as u64 >= self.limit.load(Relaxed) {
            return Err(Errno::EMFILE);
        }
        table.hold(index);
        table.entries[index] = Some(Entry { file, close_on_exec });
        if minimum <= table.first_free {
            table.first_free = index + 1;
        }
        Ok(Fd(index as i32))
    }

    /// Puts a file at `fd`, closing what was there (dup2); returns the old file. `EBADF` beyond the limit.
    pub fn replace(&self, fd: Fd, file: Arc<dyn File>, close_on_exec: bool) -> Result<Option<Arc<dyn File>>> {
        let index = usize::try_from(fd.0).map_err(|_| Errno::EBADF)?;
        if index as u64 >= self.limit.load(Relaxed) {
            return Err(Errno::EBADF);
        }
        let mut table = self.table.write();
        table.hold(index);
        let old = table.entries[index].replace(Entry { file, close_on_exec });
        if index == table.first_free {
            table.first_free += 1;
        }
        Ok(old.map(|entry| entry.file))
    }

    /// Takes a descriptor out; the caller runs `File::closing` and drops the file outside any lock. `EBADF`.
    pub fn remove(&self, fd: Fd) -> Result<Arc<dyn File>> {
        let index = usize::try_from(fd.0).map_err(|_| Errno::EBADF)?;
        let mut table = self.table.write();
        let entry = table.entries.get_mut(index).and_then(Option::take).ok_or(Errno::EBADF)?;
        table.first_free = table.first_free.min(index);
        Ok(entry.file)
    }

    /// FD_CLOEXEC of a descriptor.
    pub fn close_on_exec(&self, fd: Fd) -> Result<bool> {
        let table = self.table.read();
        let entry = usize::try_from(fd.0).ok().and_then(|index| table.entries.get(index)?.as_ref());
        entry.map(|entry| entry.close_on_exec).ok_or(Errno::EBADF)
    }

    /// Sets FD_CLOEXEC.
    pub fn set_close_on_exec(&self, fd: Fd, close_on_exec: bool) -> Result<()> {
        let mut table = self.table.write();
        let entry = usize::try_from(fd.0).ok().and_then(|index| table.entries.get_mut(index)?.as_mut());
        entry.map(|entry| entry.close_on_exec = close_on_exec).ok_or(Errno::EBADF)
    }

    /// How many descriptors the table has room for now; select looks at no number beyond it.
    pub fn slots(&self) -> usize {
        self.table.read().entries.len()
    }

    /// Takes out every descriptor for which `which` says so (given number and close-on-exec).
    pub fn remove_where(&self, which: impl Fn(i32, bool) -> bool) -> Vec<Arc<dyn File>> {
        let mut table = self.table.write();
        let mut gone = Vec::new();
        for (index, slot) in table.entries.iter_mut().enumerate() {
            if slot.as_ref().is_some_and(|entry| which(index as i32, entry.close_on_exec)) {
                gone.extend(slot.take().map(|entry| entry.file));
            }
        }
        table.first_free = 0;
        gone
    }

    /// The open descriptors in ascending order, for /proc/self/fd.
    pub fn list(&self) -> Vec<(Fd, Arc<dyn File>)> {
        let table = self.table.read();
        let open = table.entries.iter().enumerate();
        open.filter_map(|(index, entry)| Some((Fd(index as i32), entry.as_ref()?.file.clone()))).collect()
    }
}
