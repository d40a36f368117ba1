//! Extended attributes: set, get, list, remove, by path, by path without following a link, and by descriptor.

use alloc::vec::Vec;

use linux_raw_sys::general as raw;

use super::PathAddr;
use crate::errno::{Errno, Result};
use crate::file::OpenFlags;
use crate::fs::Location;
use crate::fs::inode::XattrMode;
use crate::fs::notify::{self, Mask};
use crate::fs::resolve::{self, WORKING_DIRECTORY, credentials};
use crate::fs::xattr::{self, NAME_LIMIT, VALUE_LIMIT};
use crate::process::{Context, Fd};
use crate::room;
use crate::user_space::{self, Addr, read_path, read_string};

/// What a call names: a path or a descriptor.
#[derive(Clone, Copy)]
enum Object {
    Path(PathAddr),
    Link(PathAddr),
    Descriptor(Fd),
}

impl Object {
    fn place(self, ctx: &Context) -> Result<Location> {
        match self {
            Object::Path(path) => resolve::at(ctx, WORKING_DIRECTORY, &read_path(path.0)?, true),
            Object::Link(path) => resolve::at(ctx, WORKING_DIRECTORY, &read_path(path.0)?, false),
            Object::Descriptor(fd) => {
                let file = ctx.process().file(fd)?;
                if file.status().get().contains(OpenFlags::PATH) {
                    return Err(Errno::EBADF);
                }
                file.location().cloned().ok_or(Errno::EOPNOTSUPP)
            }
        }
    }
}

fn read_name(at: Addr) -> Result<Vec<u8>> {
    let name = read_string(at, NAME_LIMIT)?.ok_or(Errno::ERANGE)?;
    if name.is_empty() { Err(Errno::ERANGE) } else { Ok(name) }
}

fn set(ctx: &Context, object: Object, name: Addr, value: Addr, size: usize, flags: u32) -> Result<usize> {
    if flags & !(raw::XATTR_CREATE | raw::XATTR_REPLACE) != 0 {
        return Err(Errno::EINVAL);
    }
    let name = read_name(name)?;
    if size > VALUE_LIMIT {
        return Err(Errno::E2BIG);
    }
    let mut bytes = room::buffer(size)?;
    user_space::copy_in(&mut bytes, value)?;
    let place = object.place(ctx)?;
    xattr::check(&place, &credentials(ctx), &name, true)?;
    let mode = match (flags & raw::XATTR_CREATE != 0, flags & raw::XATTR_REPLACE != 0) {
        (false, false) => XattrMode::Any,
        (true, false) => XattrMode::Create,
        (false, true) => XattrMode::Replace,
        // Neither an existing nor a missing attribute will do.
        (true, true) => return Err(place.inode().xattr(&name).err().unwrap_or(Errno::EEXIST)),
    };
    place.inode().set_xattr(&name, &bytes, mode)?;
    notify::happened(&place, Mask::ATTRIB);
    Ok(0)
}

/// Writes a result of which the caller may want only the size.
fn give(bytes: &[u8], to: Addr, size: usize) -> Result<usize> {
    if size != 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE);
        }
        user_space::copy_out(to, bytes)?;
    }
    Ok(bytes.len())
}

fn get(ctx: &Context, object: Object, name: Addr, to: Addr, size: usize) -> Result<usize> {
    let name = read_name(name)?;
    let place = object.place(ctx)?;
    xattr::check(&place, &credentials(ctx), &name, false)?;
    give(&place.inode().xattr(&name)?, to, size)
}

fn list(ctx: &Context, object: Object, to: Addr, size: usize) -> Result<usize> {
    let place = object.place(ctx)?;
    let ids = credentials(ctx);
    let mut names = Vec::new();
    for name in place.inode().xattr_names()? {
        if xattr::is_listed(&ids, &name) {
            names.extend_from_slice(&name);
            names.push(0);
        }
    }
    give(&names, to, size)
}

fn remove(ctx: &Context, object: Object, name: Addr) -> Result<usize> {
    let name = read_name(name)?;
    let place = object.place(ctx)?;
    xattr::check(&place, &credentials(ctx), &name, true)?;
    place.inode().remove_xattr(&name)?;
    notify::happened(&place, Mask::ATTRIB);
    Ok(0)
}

/// setxattr(2).
pub fn sys_setxattr(
    ctx: &Context,
    path: PathAddr,
    name: Addr,
    value: Addr,
    size: usize,
    flags: u32,
) -> Result<usize> {
    set(ctx, Object::Path(path), name, value, size, flags)
}

/// lsetxattr(2).
pub fn sys_lsetxattr(
    ctx: &Context,
    path: PathAddr,
    name: Addr,
    value: Addr,
    size: usize,
    flags: u32,
) -> Result<usize> {
    set(ctx, Object::Link(path), name, value, size, flags)
}

/// fsetxattr(2).
pub fn sys_fsetxattr(
    ctx: &Context,
    fd: Fd,
    name: Addr,
    value: Addr,
    size: usize,
    flags: u32,
) -> Result<usize> {
    set(ctx, Object::Descriptor(fd), name, value, size, flags)
}

/// getxattr(2).
pub fn sys_getxattr(ctx: &Context, path: PathAddr, name: Addr, to: Addr, size: usize) -> Result<usize> {
    get(ctx, Object::Path(path), name, to, size)
}

/// lgetxattr(2).
pub fn sys_lgetxattr(ctx: &Context, path: PathAddr, name: Addr, to: Addr, size: usize) -> Result<usize> {
    get(ctx, Object::Link(path), name, to, size)
}

/// fgetxattr(2).
pub fn sys_fgetxattr(ctx: &Context, fd: Fd, name: Addr, to: Addr, size: usize) -> Result<usize> {
    get(ctx, Object::Descriptor(fd), name, to, size)
}

/// listxattr(2).
pub fn sys_listxattr(ctx: &Context, path: PathAddr, to: Addr, size: usize) -> Result<usize> {
    list(ctx, Object::Path(path), to, size)
}

/// llistxattr(2).
pub fn sys_llistxattr(ctx: &Context, path: PathAddr, to: Addr, size: usize) -> Result<usize> {
    list(ctx, Object::Link(path), to, size)
}

/// flistxattr(2).
pub fn sys_flistxattr(ctx: &Context, fd: Fd, to: Addr, size: usize) -> Result<usize> {
    list(ctx, Object::Descriptor(fd), to, size)
}

/// removexattr(2).
pub fn sys_removexattr(ctx: &Context, path: PathAddr, name: Addr) -> Result<usize> {
    remove(ctx, Object::Path(path), name)
}

/// lremovexattr(2).
pub fn sys_lremovexattr(ctx: &Context, path: PathAddr, name: Addr) -> Result<usize> {
    remove(ctx, Object::Link(path), name)
}

/// fremovexattr(2).
pub fn sys_fremovexattr(ctx: &Context, fd: Fd, name: Addr) -> Result<usize> {
    remove(ctx, Object::Descriptor(fd), name)
}
