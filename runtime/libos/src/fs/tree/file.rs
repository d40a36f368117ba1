//! [`RegularFile`]: an open regular file of the tree.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_index::Site;
use linux_raw_sys::ioctl::FIONREAD;

use super::content::{Content, SIZE_LIMIT, WriteAt, seal};
use super::inode::TreeInode;
use super::running::Writer;
use crate::errno::{Errno, Result};
use crate::file::{File, Mappable, OpenFlags, SiteTable, StatusFlags, Whence};
use crate::fs::Location;
use crate::fs::caller;
use crate::fs::image::ImageFile;
use crate::fs::inode::Inode;
use crate::fs::notify::{Opened, StillOpen};
use crate::fs::turn::Turn;
use crate::io::{Sink, Source};
use crate::mm::Coherence;
use crate::process::Process;
use crate::stat::Stat;
use crate::user_space::{self, Addr};

/// An open regular file; its position is shared by all who share the description.
pub struct RegularFile {
    at: Opened,
    inode: Arc<TreeInode>,
    _writer: Option<Writer>,
    status: StatusFlags,
    position: AtomicU64,
    /// Calls that move the position come one at a time.
    turn: Turn,
}

impl RegularFile {
    /// Opens `inode`, found at `at`.
    pub(super) fn open(
        at: Location,
        inode: Arc<TreeInode>,
        flags: OpenFlags,
        writer: Option<Writer>,
    ) -> Arc<dyn File> {
        Arc::new(RegularFile {
            at: Opened::now(at, flags),
            inode,
            _writer: writer,
            status: StatusFlags::new(flags),
            position: AtomicU64::new(0),
            turn: Turn::new(),
        })
    }

    fn content(&self) -> Result<&Content> {
        self.inode.content().ok_or(Errno::EIO)
    }

    fn write_to(&self, source: &mut Source, at: WriteAt) -> Result<(usize, u64)> {
        let content = self.content()?;
        let begin = if let WriteAt::Offset(offset) = at { offset } else { content.size() };
        check_offset(begin, source.remaining())?;
        if source.remaining() > 0 {
            source.limit(caller::room(begin)?.min(usize::MAX as u64) as usize);
        }
        let done = content.write_at(source, at)?;
        if done.0 > 0 {
            self.inode.contents_changed(caller::keeps_set_id());
        }
        Ok(done)
    }

    /// Writes at the end, whatever O_APPEND says; `moves` takes the position along (RWF_APPEND).
    pub fn append(&self, source: &mut Source, moves: bool) -> Result<usize> {
        let _turn = if moves { Some(self.turn.take()?) } else { None };
        let (count, end) = self.write_to(source, WriteAt::End)?;
        if moves && count > 0 {
            self.position.store(end, Relaxed);
        }
        Ok(count)
    }

    /// The seals of a file in memory; files of the image have none.
    pub fn seals(&self) -> Option<&Content> {
        self.inode.content().filter(|_| self.inode.is_in_memory())
    }

    fn no_atime(&self) -> bool {
        self.status.get().contains(OpenFlags::NO_ATIME)
    }

    fn read_from(&self, sink: &mut Sink, offset: u64) -> Result<usize> {
        check_offset(offset, sink.remaining())?;
        let content = self.content()?;
        content.coherence().gather(offset, offset + sink.remaining() as u64)?;
        let count = content.read_at(sink, offset)?;
        if count > 0 && !self.no_atime() {
            self.inode.accessed();
        }
        Ok(count)
    }
}

/// Offsets are signed: a transfer that would pass the last one is refused whole.
fn check_offset(offset: u64, length: usize) -> Result<()> {
    let end = offset.checked_add(length as u64).filter(|&end| end <= SIZE_LIMIT);
    end.map(drop).ok_or(Errno::EINVAL)
}

impl File for RegularFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        self.inode.stat()
    }

    fn path_text(&self) -> Vec<u8> {
        self.at.place().path_text()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        let _turn = self.turn.take()?;
        let offset = self.position.load(Relaxed);
        let count = self.read_from(sink, offset)?;
        self.position.store(offset + count as u64, Relaxed);
        Ok(count)
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        let _turn = self.turn.take()?;
        let append = self.status.get().contains(OpenFlags::APPEND);
        let at = if append { WriteAt::End } else { WriteAt::Offset(self.position.load(Relaxed)) };
        let (count, end) = self.write_to(source, at)?;
        // An empty write does not even go to the end.
        if count > 0 {
            self.position.store(end, Relaxed);
        }
        Ok(count)
    }

    fn read_at(&self, sink: &mut Sink, offset: u64) -> Result<usize> {
        self.read_from(sink, offset)
    }

    fn write_at(&self, source: &mut Source, offset: u64) -> Result<usize> {
        // Linux appends even here when O_APPEND is set (pwrite(2), BUGS).
        let append = self.status.get().contains(OpenFlags::APPEND);
        self.write_to(source, if append { WriteAt::End } else { WriteAt::Offset(offset) })
            .map(|(count, _)| count)
    }

    fn seek(&self, offset: i64, whence: Whence) -> Result<u64> {
        let _turn = self.turn.take()?;
        let content = self.content()?;
        let base = match whence {
            Whence::Start => 0,
            Whence::Current => self.position.load(Relaxed),
            Whence::End => content.size(),
            Whence::Data | Whence::Hole => {
                let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                let found = content.seek(from, whence == Whence::Hole)?;
                self.position.store(found, Relaxed);
                return Ok(found);
            }
        };
        let target = base.checked_add_signed(offset).filter(|target| *target <= i64::MAX as u64);
        let target = target.ok_or(Errno::EINVAL)?;
        self.position.store(target, Relaxed);
        Ok(target)
    }

    fn can_epoll(&self) -> bool {
        false
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let left = self.content()?.size() as i64 - self.position.load(Relaxed) as i64;
        user_space::write(Addr(argument), &(left as i32))?;
        Ok(0)
    }

    fn truncate(&self, size: u64) -> Result<()> {
        if self.content()?.set_size(size)? {
            self.inode.contents_changed(caller::keeps_set_id());
        }
        Ok(())
    }

    fn allocate(&self, mode: u32, offset: u64, length: u64) -> Result<()> {
        use linux_raw_sys::general::*;
        let end = offset.checked_add(length).filter(|&end| end <= SIZE_LIMIT).ok_or(Errno::EFBIG)?;
        let content = self.content()?;
        let keep_size = mode & FALLOC_FL_KEEP_SIZE != 0;
        match mode & !FALLOC_FL_KEEP_SIZE {
            0 if keep_size => {}
            0 => drop(content.extend(end)?),
            FALLOC_FL_PUNCH_HOLE if keep_size => content.punch(offset, end)?,
            FALLOC_FL_ZERO_RANGE => {
                content.punch(offset, end)?;
                if !keep_size {
                    content.extend(end)?;
                }
            }
            _ => return Err(Errno::EOPNOTSUPP),
        }
        self.inode.contents_changed(caller::keeps_set_id());
        Ok(())
    }

    fn sync(&self, _data_only: bool) -> Result<()> {
        Ok(())
    }

    fn location(&self) -> Option<&Location> {
        Some(self.at.place())
    }

    fn closing(&self, process: &Process) {
        if let Some(locks) = self.locks() {
            locks.release_process(process.pid);
        }
    }

    fn mapping(&self, shared: bool) -> Result<Arc<dyn Mappable>> {
        let path = self.at.place().path_text();
        Ok(FileMapping::open(self.inode.clone(), path, shared, self.at.keep()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for RegularFile {
    fn drop(&mut self) {
        if let Some(locks) = self.locks() {
            locks.release_description(core::ptr::from_ref(self) as usize);
        }
    }
}

/// A regular file as memory maps it.
struct FileMapping {
    inode: Arc<TreeInode>,
    path: Vec<u8>,
    shared: bool,
    open: Arc<StillOpen>,
}

impl FileMapping {
    fn open(inode: Arc<TreeInode>, path: Vec<u8>, shared: bool, open: Arc<StillOpen>) -> Arc<FileMapping> {
        if let Some(content) = inode.content() {
            content.add_mapping((inode.device(), inode.number()), shared);
        }
        Arc::new(FileMapping { inode, path, shared, open })
    }
}

impl Drop for FileMapping {
    fn drop(&mut self) {
        if let Some(content) = self.inode.content() {
            content.coherence().remove(self.shared);
        }
    }
}

impl Mappable for FileMapping {
    fn size(&self) -> u64 {
        self.inode.content().map_or(0, Content::size)
    }

    fn read_pages(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.inode.content().ok_or(Errno::EIO)?.copy_out(offset, buffer)
    }

    fn write_pages(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let content = self.inode.content().ok_or(Errno::EIO)?;
        if content.seals() & seal::WRITE != 0 {
            return Err(Errno::EPERM);
        }
        content.write_back(offset, bytes)?;
        self.inode.contents_changed(true);
        Ok(())
    }

    fn promise(&self, offset: u64) -> Result<()> {
        self.inode.content().ok_or(Errno::EIO)?.promise(offset)
    }

    fn another(&self) -> Option<Arc<dyn Mappable>> {
        Some(FileMapping::open(self.inode.clone(), self.path.clone(), self.shared, self.open.clone()))
    }

    fn coherence(&self) -> Option<&Coherence> {
        self.inode.content().map(Content::coherence)
    }

    fn punch(&self, start: u64, end: u64) -> Result<()> {
        self.inode.content().ok_or(Errno::EIO)?.punch(start, end)?;
        self.inode.contents_changed(true);
        Ok(())
    }

    fn may_write_shared(&self) -> bool {
        let seals = self.inode.content().map_or(0, Content::seals);
        seals & (seal::WRITE | seal::FUTURE_WRITE) == 0
    }

    fn sites(&self) -> Option<Arc<dyn SiteTable>> {
        let content = self.inode.content()?;
        // What was written since is not what the index describes.
        let image = content.image().filter(|_| content.is_unchanged())?;
        // A table without sites counts, too: the survey decoded the file, a search would only guess.
        Some(Arc::new(ImageSites(image.clone())))
    }

    fn identity(&self) -> (u64, u64) {
        (self.inode.device(), self.inode.number())
    }

    fn path_text(&self) -> Vec<u8> {
        self.path.clone()
    }
}

struct ImageSites(Arc<ImageFile>);

impl SiteTable for ImageSites {
    fn in_range(&self, start: u64, end: u64) -> Result<Vec<Site>> {
        self.0.sites_in(start, end)
    }

    fn count(&self) -> usize {
        self.0.site_count()
    }
}
