//! From the path arguments of a call (`dirfd`, path) to a place in the tree, with the caller's root, working directory and rights.

use alloc::sync::Arc;

use linux_raw_sys::general as raw;

use super::Location;
use super::walk::{End, Walk};
use crate::errno::{Errno, Result};
use crate::process::{Context, Credentials, Fd};

/// AT_FDCWD: relative paths begin at the working directory.
pub const WORKING_DIRECTORY: Fd = Fd(raw::AT_FDCWD);

/// The caller's ids.
pub fn credentials(ctx: &Context) -> Arc<Credentials> {
    ctx.process().credentials.read().clone()
}

/// Where relative paths of this `dirfd` begin: `EBADF`; `ENOTDIR` for a descriptor that has no place in the tree.
pub fn base(ctx: &Context, dirfd: Fd) -> Result<Location> {
    if dirfd == WORKING_DIRECTORY {
        return Ok(ctx.process().fs.read().cwd());
    }
    let file = ctx.process().files().get(dirfd)?;
    file.location().cloned().ok_or(Errno::ENOTDIR)
}

/// Where the walk of `path` begins: an absolute path does not look at `dirfd`.
fn start(ctx: &Context, dirfd: Fd, path: &[u8]) -> Result<Location> {
    match path.first() {
        Some(b'/') => Ok(ctx.process().fs.read().root()),
        Some(_) => base(ctx, dirfd),
        None => Err(Errno::ENOENT),
    }
}

/// The place that `path` names; `follow`: a link at its end is followed. An empty path is `ENOENT`.
pub fn at(ctx: &Context, dirfd: Fd, path: &[u8], follow: bool) -> Result<Location> {
    let start = start(ctx, dirfd, path)?;
    let root = ctx.process().fs.read().root();
    Walk::new(root, &credentials(ctx)).find(start, path, follow)
}

/// As [`at`], with the AT_* flags of a call: AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW where `follow` says nothing else, and
/// AT_EMPTY_PATH, with which an empty path means what `dirfd` refers to.
pub fn at_with(ctx: &Context, dirfd: Fd, path: &[u8], flags: u32, follow: bool) -> Result<Location> {
    if path.is_empty() && flags & raw::AT_EMPTY_PATH != 0 {
        return base(ctx, dirfd);
    }
    let follow = flags & raw::AT_SYMLINK_FOLLOW != 0 || follow && flags & raw::AT_SYMLINK_NOFOLLOW == 0;
    at(ctx, dirfd, path, follow)
}

/// The directory that the last component of `path` lies in, and that component.
pub fn parent(ctx: &Context, dirfd: Fd, path: &[u8]) -> Result<End> {
    let start = start(ctx, dirfd, path)?;
    let root = ctx.process().fs.read().root();
    Walk::new(root, &credentials(ctx)).find_end(start, path)
}
