//! Data between files without the program's memory, sizes, and what brings data to storage.

use alloc::sync::Arc;
use alloc::vec;

use linux_raw_sys::general as raw;

use super::PathAddr;
use crate::errno::{Errno, Result};
use crate::file::{File, OpenFlags, Whence};
use crate::fs::access::{self, WRITE};
use crate::fs::caller;
use crate::fs::inode::AttributeChange;
use crate::fs::notify;
use crate::fs::resolve::{self, WORKING_DIRECTORY, credentials};

use crate::io::{Sink, Source, TRANSFER_MAXIMUM};
use crate::process::{Context, Fd};
use crate::stat::FileType;
use crate::user_space::{self, Addr, read_path};

/// Bytes moved in one step.
const STEP: usize = 64 * 1024;

fn open_file(ctx: &Context, fd: Fd) -> Result<Arc<dyn File>> {
    let file = ctx.process().file(fd)?;
    if file.status().get().contains(OpenFlags::PATH) { Err(Errno::EBADF) } else { Ok(file) }
}

/// One side of a transfer: a file and where in it.
struct End<'a> {
    file: &'a dyn File,
    /// Where the offset is to be written back; the file's own position counts when this is null.
    given: Addr,
    offset: u64,
}

impl<'a> End<'a> {
    fn new(file: &'a dyn File, given: Addr) -> Result<End<'a>> {
        let offset = if given.is_null() {
            file.seek(0, Whence::Current)?
        } else {
            let offset = user_space::read::<i64>(given)?;
            file.seek(0, Whence::Current)?;
            u64::try_from(offset).map_err(|_| Errno::EINVAL)?
        };
        Ok(End { file, given, offset })
    }

    /// After `count` bytes.
    fn advance(&self, count: usize) -> Result<()> {
        let offset = self.offset + count as u64;
        if self.given.is_null() {
            self.file.seek(offset as i64, Whence::Start).map(drop)
        } else {
            user_space::write(self.given, &offset)
        }
    }
}

/// What pipes and the like answer where data has to come from somewhere.
fn no_positions(error: Errno) -> Errno {
    if error == Errno::ESPIPE { Errno::EINVAL } else { error }
}

/// Moves up to `length` bytes from `from` to wherever `put` puts them; `put` says how many it took.
fn pump(from: &End, length: usize, mut put: impl FnMut(usize, &[u8]) -> Result<usize>) -> Result<usize> {
    let mut buffer = vec![0; STEP.min(length)];
    let mut done = 0;
    while done < length {
        let step = buffer.len().min(length - done);
        let outcome = from
            .file
            .read_at(&mut Sink::kernel(&mut buffer[..step]), from.offset + done as u64)
            .and_then(|read| Ok((read, put(done, &buffer[..read])?)));
        match outcome {
            Ok((read, taken)) => {
                done += taken;
                if read == 0 || taken < read {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// sendfile(2).
pub fn sys_sendfile(ctx: &Context, out: Fd, input: Fd, offset: Addr, count: usize) -> Result<usize> {
    let files = ctx.process().files();
    let from = files.get(input)?;
    if !from.status().get().readable() {
        return Err(Errno::EBADF);
    }
    let from = End::new(&*from, offset);
    // Without an offset of the call's own, what has no positions is found only after the other side.
    if let (Err(error), false) = (&from, offset.is_null()) {
        return Err(*error);
    }
    let to = files.get(out)?;
    if !to.status().get().writable() {
        return Err(Errno::EBADF);
    }
    let to_pipe = to.stat()?.kind == FileType::Fifo;
    if to_pipe && count == 0 {
        return Ok(0);
    }
    let from = from.map_err(no_positions)?;
    let directory = from.file.stat()?.kind == FileType::Directory;
    if directory && count != 0 || !to_pipe && to.status().get().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL);
    }
    let count = count.min(TRANSFER_MAXIMUM);
    let done = pump(&from, count, |_, bytes| write_all(&*to, bytes))?;
    from.advance(done)?;
    tell(done, from.file, &*to);
    Ok(done)
}

/// Tells those who watch the files that so many bytes went from one to the other.
fn tell(moved: usize, from: &dyn File, to: &dyn File) {
    if moved > 0 {
        notify::accessed(from);
        notify::modified(to);
    }
}

/// Writes until everything is taken or the file takes no more; an error counts only when nothing was taken.
fn write_all(file: &dyn File, bytes: &[u8]) -> Result<usize> {
    let mut source = Source::kernel(bytes);
    let mut done = 0;
    while done < bytes.len() {
        match file.write(&mut source) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// copy_file_range(2).
pub fn sys_copy_file_range(
    ctx: &Context,
    input: Fd,
    in_offset: Addr,
    out: Fd,
    out_offset: Addr,
    length: usize,
    flags: u32,
) -> Result<usize> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let (from, to) = (open_file(ctx, input)?, open_file(ctx, out)?);
    check_copied(&*from, &*to)?;
    let (from, to) = (End::new(&*from, in_offset)?, End::new(&*to, out_offset)?);
    let length = length_to_copy(&from, &to, length)?.min(TRANSFER_MAXIMUM);
    let done = pump(&from, length, |done, bytes| {
        to.file.write_at(&mut Source::kernel(bytes), to.offset + done as u64)
    })?;
    from.advance(done)?;
    to.advance(done)?;
    tell(done, from.file, to.file);
    Ok(done)
}

/// Regular files, opened for what happens to them.
fn check_copied(from: &dyn File, to: &dyn File) -> Result<()> {
    let kinds = [from.stat()?.kind, to.stat()?.kind];
    if kinds.contains(&FileType::Directory) {
        return Err(Errno::EISDIR);
    }
    if kinds != [FileType::Regular; 2] {
        return Err(Errno::EINVAL);
    }
    let (from, to) = (from.status().get(), to.status().get());
    let allowed = from.readable() && to.writable() && !to.contains(OpenFlags::APPEND);
    if allowed { Ok(()) } else { Err(Errno::EBADF) }
}

/// How much there is to copy: what the file holds now, not what the copy itself puts behind it.
fn length_to_copy(from: &End, to: &End, length: usize) -> Result<usize> {
    let stats = [from.file.stat()?, to.file.stat()?];
    let ends = [from, to].map(|end| end.offset.checked_add(length as u64));
    let [Some(from_end), Some(to_end)] = ends else { return Err(Errno::EOVERFLOW) };
    let from_end = from_end.min(stats[0].size);
    let length = from_end.saturating_sub(from.offset);
    let to_end = to_end.min(to.offset + length);
    let same = (stats[0].device, stats[0].inode) == (stats[1].device, stats[1].inode);
    if same && from.offset < to_end && to.offset < from_end {
        Err(Errno::EINVAL)
    } else {
        Ok(length as usize)
    }
}

/// truncate(2).
pub fn sys_truncate(ctx: &Context, path: PathAddr, size: i64) -> Result<usize> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let place = resolve::at(ctx, WORKING_DIRECTORY, &read_path(path.0)?, true)?;
    match place.kind() {
        FileType::Regular => {}
        FileType::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    place.check_writable()?;
    access::check(&place, &credentials(ctx), WRITE)?;
    caller::check_size(place.stat()?.size, size)?;
    place.set(&AttributeChange { size: Some(size), ..Default::default() })?;
    Ok(0)
}

/// ftruncate(2).
pub fn sys_ftruncate(ctx: &Context, fd: Fd, size: i64) -> Result<usize> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let file = open_file(ctx, fd)?;
    if !file.status().get().writable() {
        return Err(Errno::EINVAL);
    }
    if file.location().is_some() {
        caller::check_size(file.stat()?.size, size)?;
    }
    file.truncate(size)?;
    notify::modified(&*file);
    Ok(0)
}

/// fallocate(2).
pub fn sys_fallocate(ctx: &Context, fd: Fd, mode: u32, offset: i64, length: i64) -> Result<usize> {
    let file = open_file(ctx, fd)?;
    if offset < 0 || length <= 0 {
        return Err(Errno::EINVAL);
    }
    check_mode(mode)?;
    if !file.status().get().writable() {
        return Err(Errno::EBADF);
    }
    match file.stat()?.kind {
        FileType::Fifo => return Err(Errno::ESPIPE),
        FileType::Directory => return Err(Errno::EISDIR),
        FileType::Regular => {}
        _ => return Err(Errno::ENODEV),
    }
    let end = offset.checked_add(length).ok_or(Errno::EFBIG)?;
    if mode & raw::FALLOC_FL_KEEP_SIZE == 0 {
        caller::check_size(file.stat()?.size, end as u64)?;
    }
    file.allocate(mode, offset as u64, length as u64)?;
    notify::modified(&*file);
    Ok(0)
}

fn check_mode(mode: u32) -> Result<()> {
    let keep_size = mode & raw::FALLOC_FL_KEEP_SIZE != 0;
    match mode & !raw::FALLOC_FL_KEEP_SIZE {
        0 | raw::FALLOC_FL_ZERO_RANGE => Ok(()),
        raw::FALLOC_FL_PUNCH_HOLE if keep_size => Ok(()),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// fsync(2).
pub fn sys_fsync(ctx: &Context, fd: Fd) -> Result<usize> {
    open_file(ctx, fd)?.sync(false)?;
    Ok(0)
}

/// fdatasync(2).
pub fn sys_fdatasync(ctx: &Context, fd: Fd) -> Result<usize> {
    open_file(ctx, fd)?.sync(true)?;
    Ok(0)
}

/// sync(2): files that reach storage do so by the time their write returns.
pub fn sys_sync(_ctx: &Context) -> Result<usize> {
    Ok(0)
}

/// syncfs(2).
pub fn sys_syncfs(ctx: &Context, fd: Fd) -> Result<usize> {
    open_file(ctx, fd)?;
    Ok(0)
}

/// sync_file_range(2).
pub fn sys_sync_file_range(ctx: &Context, fd: Fd, offset: i64, length: i64, flags: u32) -> Result<usize> {
    let file = open_file(ctx, fd)?;
    if flags > 7 || offset < 0 || length < 0 || offset.checked_add(length).is_none() {
        return Err(Errno::EINVAL);
    }
    match file.stat()?.kind {
        FileType::Regular | FileType::BlockDevice | FileType::Directory | FileType::Symlink => {}
        _ => return Err(Errno::ESPIPE),
    }
    if flags != 0 && file.stat()?.kind == FileType::Regular {
        file.sync(true)?;
    }
    Ok(0)
}

/// readahead(2): data comes in when it is read.
pub fn sys_readahead(ctx: &Context, fd: Fd, _offset: i64, _count: usize) -> Result<usize> {
    let file = open_file(ctx, fd)?;
    if !file.status().get().readable() {
        return Err(Errno::EBADF);
    }
    match file.stat()?.kind {
        FileType::Regular | FileType::BlockDevice => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// fadvise64(2): advice has no effect.
pub fn sys_fadvise64(ctx: &Context, fd: Fd, _offset: i64, length: i64, advice: u32) -> Result<usize> {
    const LAST_ADVICE: u32 = 5;
    let file = open_file(ctx, fd)?;
    if file.stat()?.kind == FileType::Fifo {
        Err(Errno::ESPIPE)
    } else if length < 0 || advice > LAST_ADVICE {
        Err(Errno::EINVAL)
    } else {
        Ok(0)
    }
}
