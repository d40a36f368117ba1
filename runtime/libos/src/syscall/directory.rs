//! getdents, getdents64, lseek.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};
use crate::file::{DirectorySink, Whence};
use crate::fs::notify;
use crate::process::{Context, Fd};
use crate::user_space::{self, Addr};

/// Entries in the form of a system call, as many as fit.
struct Entries {
    bytes: Vec<u8>,
    room: usize,
    /// struct linux_dirent64, or the old struct linux_dirent with the type in the last byte.
    wide: bool,
    refused: bool,
}

impl DirectorySink for Entries {
    fn add(&mut self, inode: u64, next: u64, kind: u8, name: &[u8]) -> bool {
        let head = if self.wide { 19 } else { 18 };
        let tail = if self.wide { 1 } else { 2 };
        let length = (head + name.len() + tail).next_multiple_of(8);
        if self.bytes.len() + length > self.room {
            self.refused = true;
            return false;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&inode.to_le_bytes());
        self.bytes.extend_from_slice(&next.to_le_bytes());
        self.bytes.extend_from_slice(&(length as u16).to_le_bytes());
        if self.wide {
            self.bytes.push(kind);
        }
        self.bytes.extend_from_slice(name);
        self.bytes.resize(start + length, 0);
        if !self.wide {
            self.bytes[start + length - 1] = kind;
        }
        true
    }
}

/// Most bytes gathered in one call.
const GATHER_LIMIT: usize = 64 * 1024;

fn read_entries(ctx: &Context, fd: Fd, at: Addr, size: u32, wide: bool) -> Result<usize> {
    let file = ctx.process().file(fd)?;
    let mut entries =
        Entries { bytes: Vec::new(), room: (size as usize).min(GATHER_LIMIT), wide, refused: false };
    file.read_directory(&mut entries)?;
    notify::accessed(&*file);
    if entries.bytes.is_empty() && entries.refused {
        return Err(Errno::EINVAL);
    }
    user_space::copy_out(at, &entries.bytes)?;
    Ok(entries.bytes.len())
}

/// getdents64(2).
pub fn sys_getdents64(ctx: &Context, fd: Fd, at: Addr, size: u32) -> Result<usize> {
    read_entries(ctx, fd, at, size, true)
}

/// getdents(2), the old form.
pub fn sys_getdents(ctx: &Context, fd: Fd, at: Addr, size: u32) -> Result<usize> {
    read_entries(ctx, fd, at, size, false)
}

/// lseek(2).
pub fn sys_lseek(ctx: &Context, fd: Fd, offset: i64, whence: u32) -> Result<usize> {
    let file = ctx.process().file(fd)?;
    let whence = match whence {
        0 => Whence::Start,
        1 => Whence::Current,
        2 => Whence::End,
        3 => Whence::Data,
        4 => Whence::Hole,
        _ => return Err(Errno::EINVAL),
    };
    Ok(file.seek(offset, whence)? as usize)
}
