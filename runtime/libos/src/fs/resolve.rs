//! From the path arguments of a call (`dirfd`, path) to a place in the tree, with the caller's root, working directory and rights.

use alloc::sync::Arc;

use linux_raw_sys::general as raw;

use super::Location;
use super::recent::Moment;
use super::walk::{DESCENT_LIMIT, End, Walk};
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
        return Ok(ctx.process().fs.cwd());
    }
    let file = ctx.process().file(dirfd)?;
    file.location().cloned().ok_or(Errno::ENOTDIR)
}

/// How far a look-up came without anything but caches.
struct Progress<'p> {
    at: Location,
    rest: &'p [u8],
}

/// The part of the way that cached names lead, with nothing on it but the last place referred to.
fn descend<'p>(ctx: &Context, dirfd: Fd, path: &'p [u8]) -> Result<Progress<'p>> {
    let absolute = *path.first().ok_or(Errno::ENOENT)? == b'/';
    if !absolute && dirfd != WORKING_DIRECTORY {
        return Ok(Progress { at: base(ctx, dirfd)?, rest: path });
    }
    let view = &ctx.process().fs;
    let start = if absolute { view.locked_root() } else { view.locked_cwd() };
    let credentials = ctx.process().credentials.read();
    let (at, rest) =
        start.descend(path, &credentials, DESCENT_LIMIT)?.unwrap_or_else(|| (start.clone(), path));
    Ok(Progress { at, rest })
}

/// The place that `path` names; `follow`: a link at its end is followed. An empty path is `ENOENT`.
pub fn at(ctx: &Context, dirfd: Fd, path: &[u8], follow: bool) -> Result<Location> {
    let by_process = dirfd == WORKING_DIRECTORY || path.first() == Some(&b'/');
    if by_process && let Some(place) = ctx.recent.borrow().find(path, follow) {
        return Ok(place);
    }
    let begun = Moment::now();
    let Progress { at, rest } = descend(ctx, dirfd, path)?;
    let (place, lasting) = if rest.is_empty() {
        (at, true)
    } else {
        let root = ctx.process().fs.root();
        let credentials = credentials(ctx);
        let mut walk = Walk::new(&root, &credentials);
        (walk.find_from(at, rest, follow)?, walk.is_lasting())
    };
    if by_process && lasting {
        ctx.recent.borrow_mut().note(begun, path, follow, &place);
    }
    Ok(place)
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
    let root = ctx.process().fs.root();
    // An absolute path does not look at `dirfd`.
    let start = match path.first() {
        Some(b'/') => None,
        Some(_) => Some(base(ctx, dirfd)?),
        None => return Err(Errno::ENOENT),
    };
    Walk::new(&root, &credentials(ctx)).find_end(start.as_ref().unwrap_or(&root), path)
}
