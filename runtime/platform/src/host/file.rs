//! Image files, host descriptors and host directories.

use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_abi::{HostCall, HostStat, PathOperation, PollEntry};

use super::{HostError, SIDE, TRANSFER_LIMIT, buffer, call_done, call_raw, put, read_u64};
use crate::boundary::HostRange;
use crate::user;

/// An open host descriptor; closed when dropped.
#[derive(Debug)]
pub struct HostFd {
    fd: i32,
    owned: bool,
}

impl HostFd {
    /// One of the three standard streams, which the loader keeps open.
    pub const fn standard_stream(number: i32) -> HostFd {
        HostFd { fd: number, owned: false }
    }

    /// Admits a descriptor number from the host.
    pub(super) fn admit(value: u64) -> Result<HostFd, HostError> {
        match i32::try_from(value) {
            Ok(fd) if fd > 2 => Ok(HostFd { fd, owned: true }),
            _ => Err(HostError::IO),
        }
    }

    /// The number, for poll and epoll entries.
    pub fn number(&self) -> i32 {
        self.fd
    }

    pub(super) fn arg(&self) -> u64 {
        self.fd as u64
    }
}

impl Drop for HostFd {
    fn drop(&mut self) {
        if self.owned {
            let _ = call_raw(HostCall::FdClose, [self.arg(), 0, 0, 0, 0, 0]);
        }
    }
}

/// Where the bytes of a transfer are: in the enclave, or in program memory.
#[derive(Clone, Copy, Debug)]
pub enum Bytes<'a> {
    /// Enclave memory.
    Kernel(&'a [u8]),
    /// Program memory: address and length.
    User(u64, usize),
}

/// Why a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// From the host.
    Host(HostError),
    /// The program's memory was not there.
    Fault,
}

impl From<HostError> for TransferError {
    fn from(error: HostError) -> Self {
        TransferError::Host(error)
    }
}

impl From<user::Fault> for TransferError {
    fn from(_: user::Fault) -> Self {
        TransferError::Fault
    }
}

/// A count that the host returned: never more than was asked for.
pub(super) fn admit_count(count: u64, asked: usize) -> Result<usize, HostError> {
    if count <= asked as u64 { Ok(count as usize) } else { Err(HostError::IO) }
}

/// Copies a transfer's bytes into the buffer; returns how many (at most [`TRANSFER_LIMIT`]).
pub(super) fn stage(range: HostRange, bytes: Bytes) -> Result<usize, TransferError> {
    match bytes {
        Bytes::Kernel(bytes) => {
            let length = bytes.len().min(TRANSFER_LIMIT);
            put(range, 0, &bytes[..length])?;
            Ok(length)
        }
        Bytes::User(address, length) => {
            let length = length.min(TRANSFER_LIMIT);
            range.write_from_user(0, address, length)?;
            Ok(length)
        }
    }
}

/// The calling thread's host buffer right after a read: `length` bytes that were received.
#[derive(Debug)]
pub struct Received {
    range: HostRange,
    length: usize,
}

impl Received {
    pub(super) fn new(range: HostRange, length: usize) -> Received {
        Received { range, length }
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was received.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies bytes from `offset` on to the enclave.
    pub fn copy_to(&self, offset: usize, to: &mut [u8]) -> Result<(), TransferError> {
        if offset.checked_add(to.len()).is_none_or(|end| end > self.length) {
            return Err(TransferError::Host(HostError::IO));
        }
        if self.range.read(offset as u64, to) { Ok(()) } else { Err(TransferError::Host(HostError::IO)) }
    }

    /// Copies bytes from `offset` on to program memory.
    pub fn copy_to_user(&self, offset: usize, to: u64, length: usize) -> Result<(), TransferError> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(TransferError::Host(HostError::IO));
        }
        let mut chunk = [0u8; 4096];
        let mut done = 0;
        while done < length {
            let step = (length - done).min(chunk.len());
            self.copy_to(offset + done, &mut chunk[..step])?;
            user::copy_out(to + done as u64, &chunk[..step])?;
            done += step;
        }
        Ok(())
    }
}

/// read(2) of at most `length` bytes; the bytes wait in the thread's buffer until its next host call.
pub fn fd_read(fd: &HostFd, length: usize) -> Result<Received, HostError> {
    let range = buffer();
    let length = length.min(TRANSFER_LIMIT);
    let count = call_raw(HostCall::FdRead, [fd.arg(), range.address(), length as u64, 0, 0, 0])?;
    Ok(Received::new(range, admit_count(count, length)?))
}

/// pread(2).
pub fn fd_read_at(fd: &HostFd, length: usize, offset: u64) -> Result<Received, HostError> {
    let range = buffer();
    let length = length.min(TRANSFER_LIMIT);
    let count = call_raw(HostCall::FdReadAt, [fd.arg(), range.address(), length as u64, offset, 0, 0])?;
    Ok(Received::new(range, admit_count(count, length)?))
}

/// write(2); returns how many bytes of the (possibly cut) transfer the host took.
pub fn fd_write(fd: &HostFd, bytes: Bytes) -> Result<usize, TransferError> {
    let range = buffer();
    let length = stage(range, bytes)?;
    let count = call_raw(HostCall::FdWrite, [fd.arg(), range.address(), length as u64, 0, 0, 0])?;
    Ok(admit_count(count, length)?)
}

/// pwrite(2).
pub fn fd_write_at(fd: &HostFd, bytes: Bytes, offset: u64) -> Result<usize, TransferError> {
    let range = buffer();
    let length = stage(range, bytes)?;
    let count = call_raw(HostCall::FdWriteAt, [fd.arg(), range.address(), length as u64, offset, 0, 0])?;
    Ok(admit_count(count, length)?)
}

/// ppoll(2); `None` waits without end. Returns how many entries have events; unknown bits in `revents` are dropped.
pub fn fd_poll(entries: &mut [PollEntry], timeout_ns: Option<u64>) -> Result<usize, HostError> {
    const ERROR_BITS: i16 = 0x8 | 0x10 | 0x20; // POLLERR POLLHUP POLLNVAL
    let range = buffer();
    if entries.len() * 8 > TRANSFER_LIMIT {
        return Err(HostError(linux_raw_sys::errno::EINVAL as i32));
    }
    for (position, entry) in entries.iter().enumerate() {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&entry.fd.to_le_bytes());
        bytes[4..6].copy_from_slice(&entry.events.to_le_bytes());
        put(range, position as u64 * 8, &bytes)?;
    }
    let args = [range.address(), entries.len() as u64, timeout_ns.unwrap_or(u64::MAX), 0, 0, 0];
    admit_count(call_raw(HostCall::FdPoll, args)?, entries.len())?;
    let mut ready = 0;
    for (position, entry) in entries.iter_mut().enumerate() {
        let word = read_u64(range, position as u64 * 8)?;
        entry.revents = (word >> 48) as i16 & (entry.events | ERROR_BITS);
        ready += (entry.revents != 0) as usize;
    }
    Ok(ready)
}

/// ioctl(2) with an in-and-out argument of at most 64 bytes.
pub fn fd_ioctl(fd: &HostFd, request: u32, argument: &mut [u8]) -> Result<(), HostError> {
    let range = buffer();
    put(range, SIDE, argument)?;
    call_done(
        HostCall::FdIoctl,
        [fd.arg(), request as u64, range.address() + SIDE, argument.len() as u64, 0, 0],
    )?;
    if range.read(SIDE, argument) { Ok(()) } else { Err(HostError::IO) }
}

/// ioctl(2) whose argument is a number.
pub fn fd_ioctl_value(fd: &HostFd, request: u32, value: u32) -> Result<(), HostError> {
    call_done(HostCall::FdIoctl, [fd.arg(), request as u64, value as u64, 0, 0, 0])
}

/// Sets or clears O_NONBLOCK on the host's open description; returns whether it was set before.
pub fn fd_set_nonblocking(fd: &HostFd, nonblocking: bool) -> Result<bool, HostError> {
    let before = call_raw(HostCall::FdSetNonblocking, [fd.arg(), nonblocking as u64, 0, 0, 0, 0])?;
    Ok(admit_count(before, 1)? == 1)
}

/// Reads a file status and checks its form: one of the seven types, permission bits and no others, a size that a file may have.
/// What it says of the file stays the host's word.
fn read_stat(range: HostRange, offset: u64) -> Result<HostStat, HostError> {
    /// S_IFIFO S_IFCHR S_IFDIR S_IFBLK S_IFREG S_IFLNK S_IFSOCK, shifted down.
    const TYPES: [u32; 7] = [1, 2, 4, 6, 8, 10, 12];
    let word = |index: u64| read_u64(range, offset + index * 8);
    let (mode_nlink, uid_gid) = (word(2)?, word(3)?);
    let stat = HostStat {
        dev: word(0)?,
        ino: word(1)?,
        mode: mode_nlink as u32,
        nlink: (mode_nlink >> 32) as u32,
        uid: uid_gid as u32,
        gid: (uid_gid >> 32) as u32,
        rdev: word(4)?,
        size: word(5)?,
        blocks: word(6)?,
        atime_ns: word(7)? as i64,
        mtime_ns: word(8)? as i64,
        ctime_ns: word(9)? as i64,
    };
    let good =
        TYPES.contains(&(stat.mode >> 12)) && stat.size <= i64::MAX as u64 && stat.blocks <= i64::MAX as u64;
    if good { Ok(stat) } else { Err(HostError::IO) }
}

/// fstat(2). The values are the host's word.
pub fn fd_stat(fd: &HostFd) -> Result<HostStat, HostError> {
    let range = buffer();
    call_done(HostCall::FdStat, [fd.arg(), range.address() + SIDE, 0, 0, 0, 0])?;
    read_stat(range, SIDE)
}

/// ftruncate(2).
pub fn fd_truncate(fd: &HostFd, size: u64) -> Result<(), HostError> {
    call_done(HostCall::FdTruncate, [fd.arg(), size, 0, 0, 0, 0])
}

/// lseek(2); `whence` is SEEK_SET, SEEK_CUR or SEEK_END. With the last two the position is the host's word.
pub fn fd_seek(fd: &HostFd, offset: i64, whence: u32) -> Result<u64, HostError> {
    // A result is never negative, so it is a position that a file may have.
    let position = call_raw(HostCall::FdSeek, [fd.arg(), offset as u64, u64::from(whence), 0, 0, 0])?;
    let wrong = whence == linux_raw_sys::general::SEEK_SET && position != offset as u64;
    if wrong { Err(HostError::IO) } else { Ok(position) }
}

/// fsync(2), or fdatasync(2).
pub fn fd_sync(fd: &HostFd, data_only: bool) -> Result<(), HostError> {
    call_done(HostCall::FdSync, [fd.arg(), data_only as u64, 0, 0, 0, 0])
}

/// getdents64(2): raw entries as the host gives them, not yet checked; parse with care.
pub fn fd_read_directory(fd: &HostFd) -> Result<Vec<u8>, HostError> {
    let range = buffer();
    let length = 32768;
    let count = call_raw(HostCall::FdReadDirectory, [fd.arg(), range.address(), length as u64, 0, 0, 0])?;
    let mut entries = alloc::vec![0; admit_count(count, length)?];
    if range.read(0, &mut entries) { Ok(entries) } else { Err(HostError::IO) }
}

/// Largest path handed to the host.
const PATH_LIMIT: usize = 4095;

fn stage_path(range: HostRange, offset: u64, path: &[u8]) -> Result<(), HostError> {
    if path.len() > PATH_LIMIT {
        return Err(HostError(linux_raw_sys::errno::ENAMETOOLONG as i32));
    }
    put(range, offset, path)
}

/// Opens a path (relative, no leading slash; empty for the directory itself) in host directory `volume`.
pub fn path_open(volume: u32, path: &[u8], flags: u32, mode: u32) -> Result<HostFd, HostError> {
    let range = buffer();
    stage_path(range, 0, path)?;
    let args = [volume as u64, range.address(), path.len() as u64, flags as u64, mode as u64, 0];
    HostFd::admit(call_raw(HostCall::PathOpen, args)?)
}

/// lstat(2) in a host directory.
pub fn path_stat(volume: u32, path: &[u8]) -> Result<HostStat, HostError> {
    let range = buffer();
    stage_path(range, 0, path)?;
    call_done(
        HostCall::PathStat,
        [volume as u64, range.address(), path.len() as u64, range.address() + SIDE, 0, 0],
    )?;
    read_stat(range, SIDE)
}

/// readlink(2) in a host directory.
pub fn path_read_link(volume: u32, path: &[u8]) -> Result<Vec<u8>, HostError> {
    let range = buffer();
    stage_path(range, 0, path)?;
    let args =
        [volume as u64, range.address(), path.len() as u64, range.address() + SIDE, PATH_LIMIT as u64, 0];
    let count = call_raw(HostCall::PathReadLink, args)?;
    let mut target = alloc::vec![0; admit_count(count, PATH_LIMIT)?];
    // No link is empty, none holds NUL.
    let good = range.read(SIDE, &mut target) && !target.is_empty() && !target.contains(&0);
    if good { Ok(target) } else { Err(HostError::IO) }
}

/// An operation on one name of a host directory; `a` and `b` as [`PathOperation`] says.
pub fn path_change(
    operation: PathOperation,
    volume: u32,
    path: &[u8],
    a: u64,
    b: u64,
) -> Result<(), HostError> {
    let range = buffer();
    stage_path(range, 0, path)?;
    let args = [operation as u64, volume as u64, range.address(), path.len() as u64, a, b];
    call_done(HostCall::PathChange, args)
}

/// An operation with two names: rename, link, or symlink (`second` is then the target text).
pub fn path_change_two(
    operation: PathOperation,
    volume: u32,
    path: &[u8],
    second: &[u8],
    flags: u64,
) -> Result<(), HostError> {
    let range = buffer();
    stage_path(range, 0, path)?;
    stage_path(range, path.len() as u64, second)?;
    let args =
        [operation as u64, volume as u64, range.address(), path.len() as u64, second.len() as u64, flags];
    call_done(HostCall::PathChange, args)
}

/// statfs(2) of a host directory: block size, blocks, free, available, files, free files.
pub fn volume_stat(volume: u32) -> Result<[u64; 6], HostError> {
    let range = buffer();
    call_done(HostCall::VolumeStat, [volume as u64, range.address() + SIDE, 0, 0, 0, 0])?;
    let mut values = [0; 6];
    for (index, value) in values.iter_mut().enumerate() {
        *value = read_u64(range, SIDE + index as u64 * 8)?;
    }
    Ok(values)
}

/// An open image file: a mapping of host memory whose bytes are believed only after they match the index.
#[derive(Debug)]
pub struct ImageMapping {
    handle: u64,
    range: HostRange,
}

impl ImageMapping {
    /// Opens the file of the image with this fs-verity digest, whose path in the image is `path`.
    pub fn open(path: &[u8], digest: &[u8; 32]) -> Result<Arc<ImageMapping>, HostError> {
        let range = buffer();
        put(range, 0, digest)?;
        stage_path(range, 32, path)?;
        call_done(
            HostCall::ImageOpen,
            [range.address(), path.len() as u64, range.address() + SIDE, 0, 0, 0],
        )?;
        let handle = read_u64(range, SIDE)?;
        let (size, address) = (read_u64(range, SIDE + 8)?, read_u64(range, SIDE + 16)?);
        match HostRange::new(address, size) {
            Some(range) => Ok(Arc::new(ImageMapping { handle, range })),
            None => {
                let _ = call_raw(HostCall::ImageClose, [handle, 0, 0, 0, 0, 0]);
                Err(HostError::IO)
            }
        }
    }

    /// Size in bytes as the host says.
    pub fn size(&self) -> u64 {
        self.range.len()
    }

    /// Copies bytes in; false when the host's file is shorter or has gone.
    #[must_use]
    pub fn read(&self, offset: u64, to: &mut [u8]) -> bool {
        self.range.read(offset, to)
    }
}

impl Drop for ImageMapping {
    fn drop(&mut self) {
        let _ = call_raw(HostCall::ImageClose, [self.handle, 0, 0, 0, 0, 0]);
    }
}

/// A zeroed poll entry for `fd`.
pub fn poll_entry(fd: &HostFd, events: i16) -> PollEntry {
    PollEntry { fd: fd.number(), events, revents: 0 }
}
