//! [`File`]: an open file description, whatever is behind it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering::*};

use bitflags::bitflags;
use casemate_index::Site;
use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::events::{Events, Poller};
use crate::io::{Sink, Source};
use crate::mm::Coherence;
use crate::stat::Stat;

bitflags! {
    /// Flags of open(2) with their x86-64 values; unknown bits are kept and ignored, as Linux does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct OpenFlags: u32 {
        const WRITE_ONLY = raw::O_WRONLY;
        const READ_WRITE = raw::O_RDWR;
        const CREATE = raw::O_CREAT;
        const EXCLUSIVE = raw::O_EXCL;
        const NO_CONTROLLING_TTY = raw::O_NOCTTY;
        const TRUNCATE = raw::O_TRUNC;
        const APPEND = raw::O_APPEND;
        const NONBLOCK = raw::O_NONBLOCK;
        const DSYNC = raw::O_DSYNC;
        const ASYNC = raw::FASYNC;
        const DIRECT = raw::O_DIRECT;
        const LARGE_FILE = raw::O_LARGEFILE;
        const DIRECTORY = raw::O_DIRECTORY;
        const NO_FOLLOW = raw::O_NOFOLLOW;
        const NO_ATIME = raw::O_NOATIME;
        const CLOSE_ON_EXEC = raw::O_CLOEXEC;
        const SYNC_BIT = raw::__O_SYNC;
        const PATH = raw::O_PATH;
        const TEMPORARY_BIT = raw::__O_TMPFILE;
        const _ = !0;
    }
}

impl OpenFlags {
    /// Whether reads are allowed.
    pub fn readable(self) -> bool {
        !self.contains(OpenFlags::PATH) && self.bits() & raw::O_ACCMODE != raw::O_WRONLY
    }

    /// Whether writes are allowed.
    pub fn writable(self) -> bool {
        !self.contains(OpenFlags::PATH) && matches!(self.bits() & raw::O_ACCMODE, raw::O_WRONLY | raw::O_RDWR)
    }
}

/// The flags of an open description that F_GETFL shows; F_SETFL changes some.
#[derive(Debug)]
pub struct StatusFlags(AtomicU32);

impl StatusFlags {
    /// What F_SETFL may change.
    const SETTABLE: u32 = raw::O_APPEND | raw::O_NONBLOCK | raw::FASYNC | raw::O_DIRECT | raw::O_NOATIME;
    /// What open(2) consumes and F_GETFL does not show.
    const CONSUMED: u32 = raw::O_CREAT | raw::O_EXCL | raw::O_NOCTTY | raw::O_TRUNC | raw::O_CLOEXEC;

    /// The flags after an open with `flags`.
    pub fn new(flags: OpenFlags) -> StatusFlags {
        StatusFlags(AtomicU32::new(flags.bits() & !Self::CONSUMED))
    }

    /// The flags now.
    pub fn get(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.0.load(Relaxed))
    }

    /// F_SETFL.
    pub fn set(&self, flags: u32) {
        let _ =
            self.0.fetch_update(Relaxed, Relaxed, |old| Some(old & !Self::SETTABLE | flags & Self::SETTABLE));
    }

    /// Whether O_NONBLOCK is set.
    pub fn nonblocking(&self) -> bool {
        self.get().contains(OpenFlags::NONBLOCK)
    }
}

/// Origin of a seek.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// SEEK_SET.
    Start,
    /// SEEK_CUR.
    Current,
    /// SEEK_END.
    End,
    /// SEEK_DATA.
    Data,
    /// SEEK_HOLE.
    Hole,
}

/// Where a directory read puts its entries.
pub trait DirectorySink {
    /// Adds an entry; false when there is no room (the entry is read again next time). `next` is the position after it.
    fn add(&mut self, inode: u64, next: u64, kind: u8, name: &[u8]) -> bool;
}

/// An open file description. Methods not meant for the kind of file keep their default, which is Linux's answer.
///
/// Access mode (readable, writable) is checked by the call layer before `read` and `write` are called.
pub trait File: Send + Sync + Any {
    /// The status flags.
    fn status(&self) -> &StatusFlags;

    /// fstat(2).
    fn stat(&self) -> Result<Stat>;

    /// What /proc/self/fd/N links to.
    fn path_text(&self) -> Vec<u8>;

    /// Reads at the current position; 0 at the end. Blocks unless O_NONBLOCK.
    fn read(&self, _sink: &mut Sink) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// Writes at the current position.
    fn write(&self, _source: &mut Source) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// pread(2).
    fn read_at(&self, _sink: &mut Sink, _offset: u64) -> Result<usize> {
        Err(Errno::ESPIPE)
    }

    /// pwrite(2).
    fn write_at(&self, _source: &mut Source, _offset: u64) -> Result<usize> {
        Err(Errno::ESPIPE)
    }

    /// lseek(2).
    fn seek(&self, _offset: i64, _whence: Whence) -> Result<u64> {
        Err(Errno::ESPIPE)
    }

    /// What is ready now; with a poller, also registers for changes.
    fn poll(&self, _poller: Option<&mut Poller>) -> Events {
        Events::IN | Events::OUT | Events::READ_NORMAL | Events::WRITE_NORMAL
    }

    /// Whether epoll accepts it (`EPERM` for regular files and directories).
    fn can_epoll(&self) -> bool {
        true
    }

    /// ioctl(2); `argument` is the raw third argument.
    fn ioctl(&self, _request: u32, _argument: u64) -> Result<usize> {
        Err(Errno::ENOTTY)
    }

    /// getdents64(2): adds entries from the current position; stops when the sink has no room.
    fn read_directory(&self, _sink: &mut dyn DirectorySink) -> Result<()> {
        Err(Errno::ENOTDIR)
    }

    /// ftruncate(2).
    fn truncate(&self, _size: u64) -> Result<()> {
        Err(Errno::EINVAL)
    }

    /// fallocate(2).
    fn allocate(&self, _mode: u32, _offset: u64, _length: u64) -> Result<()> {
        Err(Errno::ENODEV)
    }

    /// fsync(2), or fdatasync(2).
    fn sync(&self, _data_only: bool) -> Result<()> {
        Err(Errno::EINVAL)
    }

    /// Opens once more what is open here (open of /proc/self/fd/N), where that is no place in the file tree.
    fn reopen(&self, _flags: OpenFlags) -> Result<Arc<dyn File>> {
        Err(Errno::ENXIO)
    }

    /// The place in the file tree, for *at calls, fchdir, fchmod and the like.
    fn location(&self) -> Option<&crate::fs::Location> {
        None
    }

    /// Lines for /proc/PID/fdinfo beyond those of every file.
    fn details(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The advisory locks of what is open here.
    fn locks(&self) -> Option<&crate::fs::lock::FileLocks> {
        self.location()?.inode().locks()
    }

    /// What mmap(2) maps.
    fn mapping(&self, _shared: bool) -> Result<Arc<dyn Mappable>> {
        Err(Errno::ENODEV)
    }

    /// Called at every close of a descriptor of this description by a process (POSIX locks go here).
    fn closing(&self, _process: &crate::process::Process) {}

    /// The host descriptor behind it, if reads and readiness are the host's.
    fn host_fd(&self) -> Option<&casemate_platform::host::HostFd> {
        None
    }

    /// For downcasts to a concrete kind.
    fn as_any(&self) -> &dyn Any;
}

/// What can be mapped into memory: contents by offset.
pub trait Mappable: Send + Sync {
    /// Size in bytes now.
    fn size(&self) -> u64;

    /// Fills `buffer` with the contents from `offset` on, zeros beyond the end; `EIO` when the contents cannot be vouched for.
    fn read_pages(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Writes back bytes of a shared mapping; what lies beyond the end of the file is dropped.
    fn write_pages(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Makes sure that the page at `offset`, which is about to be written to in a shared mapping, can be written back; `ENOSPC`.
    fn promise(&self, _offset: u64) -> Result<()> {
        Ok(())
    }

    /// Whether shared mappings may be writable (a sealed memfd's may not).
    fn may_write_shared(&self) -> bool {
        true
    }

    /// A handle for another mapping of the same contents.
    fn another(&self) -> Option<Arc<dyn Mappable>> {
        None
    }

    /// What keeps all mappings of the contents together.
    fn coherence(&self) -> Option<&Coherence> {
        None
    }

    /// Zeros bytes `[start, end)` (MADV_REMOVE).
    fn punch(&self, _start: u64, _end: u64) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Whether this is shared memory without a file.
    fn is_memory(&self) -> bool {
        false
    }

    /// Whether nothing was ever stored in it.
    fn is_fresh(&self) -> bool {
        false
    }

    /// Whether nobody can see the contents any more when a mapping of so many bytes goes.
    fn vanishes_with(&self, _length: u64) -> bool {
        false
    }

    /// The system-call sites of the file in the index, for an ELF file of the image.
    fn sites(&self) -> Option<Arc<dyn SiteTable>> {
        None
    }

    /// Device and inode number, for /proc/self/maps.
    fn identity(&self) -> (u64, u64);

    /// Path for /proc/self/maps.
    fn path_text(&self) -> Vec<u8>;
}

/// System-call sites of a file, as the index records them.
pub trait SiteTable: Send + Sync {
    /// Sites whose overwritten bytes lie within `[start, end)` of the file, in ascending order.
    fn in_range(&self, start: u64, end: u64) -> Result<Vec<Site>>;
    /// How many sites the whole file has.
    fn count(&self) -> usize;
}
