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

#[derive(Clone)]
enum Slot {
    Free,
    /// Somebody is about to put a file there ([`FileTable::reserve`]).
    Reserved,
    Open(Entry),
}

impl Slot {
    fn entry(&self) -> Option<&Entry> {
        match self {
            Slot::Open(entry) => Some(entry),
            _ => None,
        }
    }

    fn entry_mut(&mut self) -> Option<&mut Entry> {
        match self {
            Slot::Open(entry) => Some(entry),
            _ => None,
        }
    }

    fn is_free(&self) -> bool {
        matches!(self, Slot::Free)
    }

    /// Takes the file out, if one is there.
    fn take(&mut self) -> Option<Entry> {
        match core::mem::replace(self, Slot::Free) {
            Slot::Open(entry) => Some(entry),
            other => {
                *self = other;
                None
            }
        }
    }
}

struct Table {
    /// As many slots as Linux would have allocated: programs see that number in select.
    entries: Vec<Slot>,
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
        Table { entries: alloc::vec![Slot::Free; FEWEST_SLOTS], first_free: 0 }
    }

    /// Makes room for a descriptor; `ENOMEM`. A table never shrinks.
    fn hold(&mut self, index: usize) -> Result<()> {
        if index >= self.entries.len() {
            let slots = slots_for(index);
            self.entries.try_reserve_exact(slots - self.entries.len()).map_err(|_| Errno::ENOMEM)?;
            self.entries.resize(slots, Slot::Free);
        }
        Ok(())
    }

    fn entry(&self, fd: Fd) -> Option<&Entry> {
        self.entries.get(usize::try_from(fd.0).ok()?)?.entry()
    }

    /// The lowest free descriptor not below `minimum`, which is taken from now on; `EMFILE`.
    fn take_lowest(&mut self, minimum: usize, limit: u64) -> Result<usize> {
        let mut index = minimum.max(self.first_free);
        while self.entries.get(index).is_some_and(|slot| !slot.is_free()) {
            index += 1;
        }
        if index as u64 >= limit {
            return Err(Errno::EMFILE);
        }
        self.hold(index)?;
        self.entries[index] = Slot::Reserved;
        if minimum <= self.first_free {
            self.first_free = index + 1;
        }
        Ok(index)
    }

    /// A copy has only the slots that its open descriptors need.
    fn duplicate(&self) -> Table {
        let last = self.entries.iter().rposition(|slot| slot.entry().is_some()).unwrap_or(0);
        let opened = |slot: &Slot| slot.entry().map_or(Slot::Free, |entry| Slot::Open(entry.clone()));
        let mut entries: Vec<Slot> = self.entries[..=last].iter().map(opened).collect();
        let free = entries.iter().position(Slot::is_free).unwrap_or(last + 1);
        entries.resize(slots_for(last), Slot::Free);
        Table { entries, first_free: free }
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
        self.table.read().entry(fd).map(|entry| entry.file.clone()).ok_or(Errno::EBADF)
    }

    /// Adds a file at the lowest free descriptor; `EMFILE`.
    pub fn add(&self, file: Arc<dyn File>, close_on_exec: bool) -> Result<Fd> {
        self.add_from(0, file, close_on_exec)
    }

    /// Adds a file at the lowest free descriptor not below `minimum`; `EMFILE`.
    pub fn add_from(&self, minimum: usize, file: Arc<dyn File>, close_on_exec: bool) -> Result<Fd> {
        let mut table = self.table.write();
        let index = table.take_lowest(minimum, self.limit.load(Relaxed))?;
        table.entries[index] = Slot::Open(Entry { file, close_on_exec });
        Ok(Fd(index as i32))
    }

    /// Keeps the lowest free descriptor for a file to come, before what cannot be undone is done for it; `EMFILE`.
    pub fn reserve(&self) -> Result<Reservation<'_>> {
        let index = self.table.write().take_lowest(0, self.limit.load(Relaxed))?;
        Ok(Reservation { files: self, index })
    }

    /// Puts a file at `fd`, closing what was there (dup2); returns the old file. `EBADF` beyond the limit, `EBUSY` when somebody
    /// is about to put one there.
    pub fn replace(&self, fd: Fd, file: Arc<dyn File>, close_on_exec: bool) -> Result<Option<Arc<dyn File>>> {
        let index = usize::try_from(fd.0).map_err(|_| Errno::EBADF)?;
        if index as u64 >= self.limit.load(Relaxed) {
            return Err(Errno::EBADF);
        }
        let mut table = self.table.write();
        table.hold(index)?;
        if matches!(table.entries[index], Slot::Reserved) {
            return Err(Errno::EBUSY);
        }
        let old = table.entries[index].take();
        table.entries[index] = Slot::Open(Entry { file, close_on_exec });
        if index == table.first_free {
            table.first_free += 1;
        }
        Ok(old.map(|entry| entry.file))
    }

    /// Takes a descriptor out; the caller runs `File::closing` and drops the file outside any lock. `EBADF`.
    pub fn remove(&self, fd: Fd) -> Result<Arc<dyn File>> {
        let index = usize::try_from(fd.0).map_err(|_| Errno::EBADF)?;
        let mut table = self.table.write();
        let entry = table.entries.get_mut(index).and_then(Slot::take).ok_or(Errno::EBADF)?;
        table.first_free = table.first_free.min(index);
        Ok(entry.file)
    }

    /// FD_CLOEXEC of a descriptor.
    pub fn close_on_exec(&self, fd: Fd) -> Result<bool> {
        self.table.read().entry(fd).map(|entry| entry.close_on_exec).ok_or(Errno::EBADF)
    }

    /// Sets FD_CLOEXEC.
    pub fn set_close_on_exec(&self, fd: Fd, close_on_exec: bool) -> Result<()> {
        let mut table = self.table.write();
        let slot = usize::try_from(fd.0).ok().and_then(|index| table.entries.get_mut(index));
        let entry = slot.and_then(Slot::entry_mut).ok_or(Errno::EBADF)?;
        entry.close_on_exec = close_on_exec;
        Ok(())
    }

    /// How many descriptors the table has room for now; select looks at no number beyond it.
    pub fn slots(&self) -> usize {
        self.table.read().entries.len()
    }

    /// Takes out every descriptor for which `which` says so (given number and close-on-exec), one after the other, and hands its
    /// file to `each` with no lock held.
    pub fn remove_where(&self, which: impl Fn(i32, bool) -> bool, mut each: impl FnMut(Arc<dyn File>)) {
        let mut next = 0;
        loop {
            let mut table = self.table.write();
            let chosen = |slot: &Slot, index: usize| {
                slot.entry().is_some_and(|entry| which(index as i32, entry.close_on_exec))
            };
            let Some(found) = (next..table.entries.len()).find(|&index| chosen(&table.entries[index], index))
            else {
                return;
            };
            let taken = table.entries[found].take();
            table.first_free = table.first_free.min(found);
            drop(table);
            taken.into_iter().for_each(|entry| each(entry.file));
            next = found + 1;
        }
    }

    /// Sets FD_CLOEXEC of every open descriptor from `first` to `last`.
    pub fn set_close_on_exec_within(&self, first: u32, last: u32) {
        let mut table = self.table.write();
        let end = table.entries.len().min((last as usize).saturating_add(1));
        let slots = table.entries.get_mut(first as usize..end).unwrap_or_default();
        slots.iter_mut().filter_map(Slot::entry_mut).for_each(|entry| entry.close_on_exec = true);
    }

    /// The lowest open descriptor not below `from`.
    pub fn next_open(&self, from: usize) -> Option<Fd> {
        let table = self.table.read();
        let open = (from..table.entries.len()).find(|&index| table.entries[index].entry().is_some())?;
        Some(Fd(open as i32))
    }
}

/// A descriptor that is kept for a file to come; it is free again when none came.
pub struct Reservation<'a> {
    files: &'a FileTable,
    index: usize,
}

impl Reservation<'_> {
    /// Puts the file there.
    pub fn fill(self, file: Arc<dyn File>, close_on_exec: bool) -> Fd {
        self.files.table.write().entries[self.index] = Slot::Open(Entry { file, close_on_exec });
        let index = self.index;
        core::mem::forget(self);
        Fd(index as i32)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut table = self.files.table.write();
        table.entries[self.index] = Slot::Free;
        table.first_free = table.first_free.min(self.index);
    }
}
