//! open(2) in all its forms: from a path to an open description.

use alloc::sync::Arc;

use super::access;
use super::directory_file::{DirectoryFile, PathFile};
use super::inode::{AttributeChange, NewInode, NewKind};
use super::node::Location;
use super::walk::{End, Last, Walk};
use crate::errno::{Errno, Result};
use crate::file::{File, OpenFlags};
use crate::process::Credentials;
use crate::stat::FileType;

/// What open(2) was asked for.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Flags.
    pub flags: OpenFlags,
    /// Permission bits for a new file, the umask already applied.
    pub permissions: u32,
}

impl How {
    /// Whether it is a plain open of something that exists.
    pub fn opens_what_is_there(&self) -> bool {
        !self.flags.intersects(OpenFlags::CREATE | OpenFlags::PATH | OpenFlags::TEMPORARY_BIT)
    }
}

/// Opens `path`, from `start` if it is relative.
pub fn open(walk: &mut Walk, start: &Location, path: &[u8], how: How) -> Result<Arc<dyn File>> {
    let flags = how.flags;
    let credentials = walk.credentials();
    if flags.contains(OpenFlags::PATH) {
        return open_path(walk, start, path, flags);
    }
    if flags.contains(OpenFlags::TEMPORARY_BIT) {
        return open_temporary(walk, start, path, how);
    }
    if how.opens_what_is_there() {
        let found = walk.find(start, path, !flags.contains(OpenFlags::NO_FOLLOW))?;
        return open_found(&found, how, credentials);
    }
    let exclusive = flags.contains(OpenFlags::EXCLUSIVE);
    let (end, found) = if exclusive || flags.contains(OpenFlags::NO_FOLLOW) {
        let end = walk.find_end(start, path)?;
        let found = match &end.last {
            Last::Name(_) if end.trailing_slash => return Err(Errno::EISDIR),
            Last::Name(name) => match end.directory.child(name) {
                Ok(found) => Some(found),
                Err(Errno::ENOENT) => None,
                Err(error) => return Err(error),
            },
            _ => Some(end.directory.clone()),
        };
        (end, found)
    } else {
        walk.find_creatable(start, path)?
    };
    match found {
        Some(_) if exclusive => Err(Errno::EEXIST),
        Some(found) if found.kind() == FileType::Directory => Err(Errno::EISDIR),
        Some(found) => open_found(&found, how, credentials),
        None => create(&end, how, credentials),
    }
}

fn create(end: &End, how: How, credentials: &Credentials) -> Result<Arc<dyn File>> {
    let name = end.name(Errno::EISDIR)?;
    if how.flags.contains(OpenFlags::DIRECTORY) {
        return Err(Errno::EINVAL);
    }
    access::check_change(&end.directory, credentials)?;
    let new = NewInode {
        kind: NewKind::Regular,
        permissions: how.permissions & 0o7777,
        uid: credentials.fsuid,
        gid: credentials.fsgid,
    };
    match end.directory.create(name, &new) {
        // A new file may be opened as asked whatever its permissions say.
        Ok(made) => made.inode().open(&made, how.flags),
        // Another thread was faster; without O_EXCL its file is as good.
        Err(Errno::EEXIST) if !how.flags.contains(OpenFlags::EXCLUSIVE) => {
            open_found(&end.directory.child(name)?, how, credentials)
        }
        Err(error) => Err(error),
    }
}

fn open_path(walk: &mut Walk, start: &Location, path: &[u8], flags: OpenFlags) -> Result<Arc<dyn File>> {
    let found = walk.find(start, path, !flags.contains(OpenFlags::NO_FOLLOW))?;
    if flags.contains(OpenFlags::DIRECTORY) && found.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    Ok(PathFile::new(found, flags & (OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NO_FOLLOW)))
}

fn open_temporary(walk: &mut Walk, start: &Location, path: &[u8], how: How) -> Result<Arc<dyn File>> {
    if !how.flags.contains(OpenFlags::DIRECTORY) || !how.flags.writable() {
        return Err(Errno::EINVAL);
    }
    let directory = walk.find(start, path, true)?;
    if directory.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    let credentials = walk.credentials();
    access::check_change(&directory, credentials)?;
    let new = NewInode {
        kind: NewKind::Regular,
        permissions: how.permissions & 0o7777,
        uid: credentials.fsuid,
        gid: credentials.fsgid,
    };
    let inode = directory.inode().create_unnamed(&new)?;
    let name = alloc::format!("#{}", inode.stat()?.inode);
    let place = if how.flags.contains(OpenFlags::EXCLUSIVE) {
        // As if its name had been removed: linkat(2) gives it no other.
        Location::removed(inode.clone(), &directory, name.as_bytes())
    } else {
        let text = [&directory.path_text()[..], b"/", name.as_bytes()].concat();
        Location::unnamed(inode.clone(), directory.mount().clone(), &text, false)
    };
    inode.open(&place, how.flags)
}

/// Opens what was found: access, kind, O_TRUNC.
pub fn open_found(found: &Location, how: How, credentials: &Credentials) -> Result<Arc<dyn File>> {
    let flags = how.flags;
    let writes = flags.writable() || flags.contains(OpenFlags::TRUNCATE);
    match found.kind() {
        kind if flags.contains(OpenFlags::DIRECTORY) && kind != FileType::Directory => {
            return Err(Errno::ENOTDIR);
        }
        FileType::Symlink => return Err(Errno::ELOOP),
        FileType::Directory if writes || flags.contains(OpenFlags::CREATE) => return Err(Errno::EISDIR),
        FileType::Directory => {}
        FileType::Socket => return Err(Errno::ENXIO),
        FileType::Regular if writes => found.check_writable()?,
        _ => {}
    }
    let wanted = if flags.readable() { access::READ } else { 0 } | if writes { access::WRITE } else { 0 };
    access::check(found, credentials, wanted)?;
    if flags.contains(OpenFlags::NO_ATIME) {
        access::check_owner(found, credentials)?;
    }
    if found.kind() == FileType::Directory {
        return Ok(DirectoryFile::new(found.clone(), flags));
    }
    // A FIFO without a place for its pipe is something open that is opened again (/proc/self/fd/1).
    if found.kind() == FileType::Fifo && found.inode().attachment().is_some() {
        return crate::ipc::pipe::open_fifo(found, flags);
    }
    let file = found.inode().open(found, flags)?;
    if flags.contains(OpenFlags::TRUNCATE) && found.kind() == FileType::Regular {
        found.set(&AttributeChange { size: Some(0), ..AttributeChange::default() })?;
    }
    Ok(file)
}
