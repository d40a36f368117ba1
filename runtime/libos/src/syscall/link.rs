//! Names: mkdir, mknod, rmdir, unlink, link, symlink, rename. Errors come in the order in which Linux finds them.

use linux_raw_sys::general as raw;

use super::PathAddr;
use crate::errno::{Errno, Result};
use crate::fs::Location;
use crate::fs::access::{self, EXECUTE, READ, WRITE};
use crate::fs::inode::{NewInode, NewKind};
use crate::fs::node::RenameHow;
use crate::fs::resolve::{self, WORKING_DIRECTORY, credentials};
use crate::fs::walk::{End, Last};
use crate::process::{Capability, Context, Credentials, Fd};
use crate::stat::FileType;
use crate::user_space::read_path;

/// The place for a new name: `EEXIST`, `EROFS`, `EACCES`. `directory`: slashes behind the name are allowed.
fn new_place(ctx: &Context, dirfd: Fd, path: &[u8], directory: bool) -> Result<End> {
    let end = resolve::parent(ctx, dirfd, path)?;
    let name = end.name(Errno::EEXIST)?;
    match end.directory.child(name) {
        Ok(_) => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    if end.trailing_slash && !directory {
        return Err(Errno::ENOENT);
    }
    end.directory.check_writable()?;
    Ok(end)
}

/// Makes an object at `path`.
fn make(ctx: &Context, dirfd: Fd, path: &[u8], kind: NewKind, permissions: u32) -> Result<usize> {
    let end = new_place(ctx, dirfd, path, matches!(kind, NewKind::Directory))?;
    let ids = credentials(ctx);
    access::check_change(&end.directory, &ids)?;
    if matches!(kind, NewKind::CharacterDevice(_) | NewKind::BlockDevice(_)) && !ids.may(Capability::MakeNode)
    {
        return Err(Errno::EPERM);
    }
    let new = NewInode { kind, permissions, uid: ids.fsuid, gid: ids.fsgid };
    end.directory.create(end.name(Errno::EEXIST)?, &new)?;
    Ok(0)
}

fn without_umask(ctx: &Context, mode: u32) -> u32 {
    mode & !ctx.process().fs.umask()
}

/// mkdir(2).
pub fn sys_mkdir(ctx: &Context, path: PathAddr, mode: u32) -> Result<usize> {
    sys_mkdirat(ctx, WORKING_DIRECTORY, path, mode)
}

/// mkdirat(2).
pub fn sys_mkdirat(ctx: &Context, dirfd: Fd, path: PathAddr, mode: u32) -> Result<usize> {
    let path = read_path(path.0)?;
    make(ctx, dirfd, &path, NewKind::Directory, without_umask(ctx, mode) & 0o1777)
}

/// mknod(2).
pub fn sys_mknod(ctx: &Context, path: PathAddr, mode: u32, device: u32) -> Result<usize> {
    sys_mknodat(ctx, WORKING_DIRECTORY, path, mode, device)
}

/// mknodat(2). The device number is packed as in st_rdev.
pub fn sys_mknodat(ctx: &Context, dirfd: Fd, path: PathAddr, mode: u32, device: u32) -> Result<usize> {
    let kind = match (mode & raw::S_IFMT, FileType::from_mode(mode)) {
        (0, _) | (_, Some(FileType::Regular)) => NewKind::Regular,
        (_, Some(FileType::CharacterDevice)) => NewKind::CharacterDevice(device.into()),
        (_, Some(FileType::BlockDevice)) => NewKind::BlockDevice(device.into()),
        (_, Some(FileType::Fifo)) => NewKind::Fifo,
        (_, Some(FileType::Socket)) => NewKind::Socket,
        (_, Some(FileType::Directory)) => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let path = read_path(path.0)?;
    make(ctx, dirfd, &path, kind, without_umask(ctx, mode) & 0o7777)
}

/// symlink(2).
pub fn sys_symlink(ctx: &Context, target: PathAddr, path: PathAddr) -> Result<usize> {
    sys_symlinkat(ctx, target, WORKING_DIRECTORY, path)
}

/// symlinkat(2).
pub fn sys_symlinkat(ctx: &Context, target: PathAddr, dirfd: Fd, path: PathAddr) -> Result<usize> {
    let target = read_path(target.0)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path = read_path(path.0)?;
    make(ctx, dirfd, &path, NewKind::Symlink(&target), 0o777)
}

/// link(2).
pub fn sys_link(ctx: &Context, old: PathAddr, new: PathAddr) -> Result<usize> {
    sys_linkat(ctx, WORKING_DIRECTORY, old, WORKING_DIRECTORY, new, 0)
}

/// linkat(2).
pub fn sys_linkat(
    ctx: &Context,
    old_dirfd: Fd,
    old: PathAddr,
    new_dirfd: Fd,
    new: PathAddr,
    flags: u32,
) -> Result<usize> {
    if flags & !(raw::AT_SYMLINK_FOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let ids = credentials(ctx);
    // An empty path needs a right (CAP_DAC_READ_SEARCH on Linux): a descriptor may have come from somebody who could open more.
    let empty = if ids.may(Capability::DacOverride) { flags & raw::AT_EMPTY_PATH } else { 0 };
    let old = read_path(old.0)?;
    let target = resolve::at_with(ctx, old_dirfd, &old, flags & raw::AT_SYMLINK_FOLLOW | empty, false)?;
    let new = read_path(new.0)?;
    let end = new_place(ctx, new_dirfd, &new, false)?;
    if end.directory.mount().id != target.mount().id {
        return Err(Errno::EXDEV);
    }
    check_source(&target, &ids)?;
    access::check_change(&end.directory, &ids)?;
    if target.kind() == FileType::Directory {
        return Err(Errno::EPERM);
    }
    // A file whose names are all gone stays without; one that never had a name (O_TMPFILE) may get one.
    if target.parent().is_some() && target.stat()?.links == 0 {
        return Err(Errno::ENOENT);
    }
    end.directory.link(end.name(Errno::EEXIST)?, &target)?;
    Ok(0)
}

/// protected_hardlinks: of others' files, only those may be linked that could be read and written and that run as nobody else.
fn check_source(target: &Location, ids: &Credentials) -> Result<()> {
    if access::check_owner(target, ids).is_ok() {
        return Ok(());
    }
    let (permissions, ..) = target.inode().ownership()?;
    let runs_as_group = permissions & 0o2010 == 0o2010;
    if target.kind() != FileType::Regular || permissions & 0o4000 != 0 || runs_as_group {
        return Err(Errno::EPERM);
    }
    access::check(target, ids, READ | WRITE).map_err(|_| Errno::EPERM)
}

/// rmdir(2).
pub fn sys_rmdir(ctx: &Context, path: PathAddr) -> Result<usize> {
    sys_unlinkat(ctx, WORKING_DIRECTORY, path, raw::AT_REMOVEDIR)
}

/// unlink(2).
pub fn sys_unlink(ctx: &Context, path: PathAddr) -> Result<usize> {
    sys_unlinkat(ctx, WORKING_DIRECTORY, path, 0)
}

/// unlinkat(2).
pub fn sys_unlinkat(ctx: &Context, dirfd: Fd, path: PathAddr, flags: u32) -> Result<usize> {
    if flags & !raw::AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    let path = read_path(path.0)?;
    let end = resolve::parent(ctx, dirfd, &path)?;
    if flags & raw::AT_REMOVEDIR != 0 { remove_directory(ctx, &path, &end) } else { unlink(ctx, &end) }
}

fn unlink(ctx: &Context, end: &End) -> Result<usize> {
    let name = end.name(Errno::EISDIR)?;
    end.directory.check_writable()?;
    let ids = credentials(ctx);
    end.directory.remove(name, false, |victim| {
        if end.trailing_slash {
            let directory = victim.kind() == FileType::Directory;
            return Err(if directory { Errno::EISDIR } else { Errno::ENOTDIR });
        }
        access::check_delete(&end.directory, victim, &ids)
    })?;
    Ok(0)
}

fn remove_directory(ctx: &Context, path: &[u8], end: &End) -> Result<usize> {
    let name = end.name(match end.last {
        Last::DotDot => Errno::ENOTEMPTY,
        _ if path.iter().all(|&byte| byte == b'/') => Errno::EBUSY,
        _ => Errno::EINVAL,
    })?;
    end.directory.check_writable()?;
    let ids = credentials(ctx);
    end.directory.remove(name, true, |victim| access::check_delete(&end.directory, victim, &ids))?;
    Ok(0)
}

/// rename(2).
pub fn sys_rename(ctx: &Context, old: PathAddr, new: PathAddr) -> Result<usize> {
    sys_renameat2(ctx, WORKING_DIRECTORY, old, WORKING_DIRECTORY, new, 0)
}

/// renameat(2).
pub fn sys_renameat(
    ctx: &Context,
    old_dirfd: Fd,
    old: PathAddr,
    new_dirfd: Fd,
    new: PathAddr,
) -> Result<usize> {
    sys_renameat2(ctx, old_dirfd, old, new_dirfd, new, 0)
}

/// renameat2(2), without RENAME_WHITEOUT.
pub fn sys_renameat2(
    ctx: &Context,
    old_dirfd: Fd,
    old: PathAddr,
    new_dirfd: Fd,
    new: PathAddr,
    flags: u32,
) -> Result<usize> {
    let how = match flags {
        0 => RenameHow::Replace,
        raw::RENAME_NOREPLACE => RenameHow::NoReplace,
        raw::RENAME_EXCHANGE => RenameHow::Exchange,
        _ => return Err(Errno::EINVAL),
    };
    let (old, new) = (read_path(old.0)?, read_path(new.0)?);
    let from = resolve::parent(ctx, old_dirfd, &old)?;
    let to = resolve::parent(ctx, new_dirfd, &new)?;
    if from.directory.mount().id != to.directory.mount().id {
        return Err(Errno::EXDEV);
    }
    let name = from.name(Errno::EBUSY)?;
    let taken = if how == RenameHow::NoReplace { Errno::EEXIST } else { Errno::EBUSY };
    let to_name = to.name(taken)?;
    from.directory.check_writable()?;
    check_slashes(&from, name, &to, to_name, how)?;
    let ids = credentials(ctx);
    from.directory.rename(name, &to.directory, to_name, how, |source, target| {
        check_rename(&ids, &from.directory, &to.directory, source, target)
    })?;
    Ok(0)
}

/// Slashes behind a name ask for a directory.
fn check_slashes(from: &End, name: &[u8], to: &End, to_name: &[u8], how: RenameHow) -> Result<()> {
    if !from.trailing_slash && !to.trailing_slash {
        return Ok(());
    }
    let source = from.directory.child(name)?;
    let is_directory = source.kind() == FileType::Directory;
    let target_is_no_directory = match to.directory.child(to_name) {
        Ok(_) if how == RenameHow::NoReplace => return Err(Errno::EEXIST),
        Ok(target) => target.kind() != FileType::Directory,
        Err(Errno::ENOENT) if how != RenameHow::Exchange => false,
        Err(error) => return Err(error),
    };
    let wrong_source =
        !is_directory && (from.trailing_slash || to.trailing_slash && how != RenameHow::Exchange);
    let wrong_target = how == RenameHow::Exchange && to.trailing_slash && target_is_no_directory;
    if wrong_source || wrong_target { Err(Errno::ENOTDIR) } else { Ok(()) }
}

fn check_rename(
    ids: &Credentials,
    from: &Location,
    to: &Location,
    source: &Location,
    target: Option<&Location>,
) -> Result<()> {
    access::check_delete(from, source, ids)?;
    match target {
        Some(target) => access::check_delete(to, target, ids)?,
        None => access::check_change(to, ids)?,
    }
    // A directory that moves gets another `..`.
    for moved in [Some(source), target].into_iter().flatten() {
        if from != to && moved.kind() == FileType::Directory {
            access::check(moved, ids, WRITE)?;
        }
    }
    Ok(())
}

/// chroot(2).
pub fn sys_chroot(ctx: &Context, path: PathAddr) -> Result<usize> {
    let place = resolve::at(ctx, WORKING_DIRECTORY, &read_path(path.0)?, true)?;
    if place.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    let ids = credentials(ctx);
    access::check(&place, &ids, EXECUTE)?;
    if !ids.may(Capability::SysChroot) {
        return Err(Errno::EPERM);
    }
    ctx.process().fs.set_root(place);
    Ok(0)
}

/// mount(2): what is mounted is the manifest's business.
pub fn sys_mount(
    _ctx: &Context,
    _source: PathAddr,
    _target: PathAddr,
    _kind: PathAddr,
    _flags: u64,
) -> Result<usize> {
    Err(Errno::EPERM)
}

/// umount2(2).
pub fn sys_umount2(_ctx: &Context, _target: PathAddr, _flags: u32) -> Result<usize> {
    Err(Errno::EPERM)
}
