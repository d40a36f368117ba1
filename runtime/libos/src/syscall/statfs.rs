//! statfs and fstatfs.

use super::PathAddr;
use crate::errno::Result;
use crate::fs::Location;
use crate::fs::resolve::{self, WORKING_DIRECTORY};
use crate::fs::statfs::{ANONYMOUS, FsStatistics, PIPE, SOCKET};
use crate::fs::walk::NAME_LIMIT;
use crate::process::{Context, Fd};
use crate::stat::FileType;
use crate::user_space::{self, Addr, read_path};

/// ST_VALID of f_flags: the flags are filled in.
const VALID: u64 = 0x20;
/// ST_RDONLY.
const READ_ONLY: u64 = 1;
/// ST_RELATIME.
const RELATIVE_ACCESS_TIME: u64 = 0x1000;

/// statfs(2).
pub fn sys_statfs(ctx: &Context, path: PathAddr, at: Addr) -> Result<usize> {
    let place = resolve::at(ctx, WORKING_DIRECTORY, &read_path(path.0)?, true)?;
    write_place(&place, at)
}

/// fstatfs(2).
pub fn sys_fstatfs(ctx: &Context, fd: Fd, at: Addr) -> Result<usize> {
    let file = ctx.process().file(fd)?;
    if let Some(place) = file.location() {
        return write_place(place, at);
    }
    let magic = match file.stat()?.kind {
        FileType::Fifo => PIPE,
        FileType::Socket => SOCKET,
        _ => ANONYMOUS,
    };
    write(&FsStatistics { magic, block_size: 4096, ..Default::default() }, 0, VALID, at)
}

fn write_place(place: &Location, at: Addr) -> Result<usize> {
    let mount = place.mount();
    let read_only = if mount.is_read_only() { READ_ONLY } else { 0 };
    write(&place.inode().statistics(), mount.device, VALID | RELATIVE_ACCESS_TIME | read_only, at)
}

/// Writes struct statfs.
fn write(sizes: &FsStatistics, device: u64, flags: u64, at: Addr) -> Result<usize> {
    // type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize, flags, spare[4]
    let words = [
        sizes.magic,
        sizes.block_size,
        sizes.blocks,
        sizes.free,
        sizes.available,
        sizes.files,
        sizes.free_files,
        device,
        NAME_LIMIT as u64,
        sizes.block_size,
        flags,
        0,
        0,
        0,
        0,
    ];
    user_space::write(at, &words)?;
    Ok(0)
}
