//! memfd_create, and the seals of its files.

use alloc::sync::Arc;

use casemate_platform::sync::Once;
use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::file::{File, OpenFlags};
use crate::fs::Location;
use crate::fs::inode::{NewInode, NewKind};
use crate::fs::mount::Mount;
use crate::fs::resolve::credentials;
use crate::fs::tree::{RegularFile, Tree, TreeInode, seal};
use crate::process::{Context, all_processes};
use crate::user_space::{Addr, read_string};

/// F_ADD_SEALS.
pub const F_ADD_SEALS: u32 = raw::F_LINUX_SPECIFIC_BASE + 9;
/// F_GET_SEALS.
pub const F_GET_SEALS: u32 = raw::F_LINUX_SPECIFIC_BASE + 10;

const CLOSE_ON_EXEC: u32 = 1;
const ALLOW_SEALING: u32 = 2;
const NO_EXEC_SEAL: u32 = 8;
const EXECUTABLE: u32 = 16;
/// NAME_MAX less "memfd:".
const NAME_LIMIT: usize = 249;

/// The file system of all memfds; it is mounted nowhere.
static MEMORY: Once<Location> = Once::new();

fn memory() -> Result<Location> {
    if MEMORY.get().is_none() {
        let tree = Tree::new(None);
        let mount = Mount::new(tree.device(), "tmpfs", b"tmpfs", false);
        // Another thread may have come first; then its tree is the one.
        let _ = MEMORY.set(Location::root(tree.root(0o777)?, mount));
    }
    MEMORY.get().cloned().ok_or(Errno::ENOMEM)
}

/// memfd_create(2), without huge pages.
pub fn sys_memfd_create(ctx: &Context, name: Addr, flags: u32) -> Result<usize> {
    if flags & !(CLOSE_ON_EXEC | ALLOW_SEALING | NO_EXEC_SEAL | EXECUTABLE) != 0
        || flags & (NO_EXEC_SEAL | EXECUTABLE) == NO_EXEC_SEAL | EXECUTABLE
    {
        return Err(Errno::EINVAL);
    }
    let name = read_string(name, NAME_LIMIT)?.ok_or(Errno::EINVAL)?;
    let ids = credentials(ctx);
    let permissions = if flags & NO_EXEC_SEAL != 0 { 0o666 } else { 0o777 };
    let new = NewInode { kind: NewKind::Regular, permissions, uid: ids.fsuid, gid: ids.fsgid };
    let memory = memory()?;
    let inode = memory.inode().create_unnamed(&new)?;
    let content =
        inode.as_any().downcast_ref::<TreeInode>().and_then(TreeInode::content).ok_or(Errno::EIO)?;
    if flags & (ALLOW_SEALING | NO_EXEC_SEAL) != 0 {
        content.allow_sealing();
    }
    if flags & NO_EXEC_SEAL != 0 {
        content.add_seals(seal::EXEC)?;
    }
    let place =
        Location::unnamed(inode.clone(), memory.mount().clone(), &[b"/memfd:", &name[..]].concat(), false);
    let file = inode.open(&place, OpenFlags::READ_WRITE | OpenFlags::LARGE_FILE)?;
    let fd = ctx.process().files().add(file, flags & CLOSE_ON_EXEC != 0)?;
    Ok(fd.0 as usize)
}

/// F_ADD_SEALS and F_GET_SEALS of fcntl(2).
pub fn fcntl(file: &Arc<dyn File>, command: u32, argument: u64) -> Result<usize> {
    let regular = file.as_any().downcast_ref::<RegularFile>();
    let content = regular.and_then(RegularFile::seals).ok_or(Errno::EINVAL)?;
    if command == F_GET_SEALS {
        return Ok(content.seals() as usize);
    }
    if !file.status().get().writable() {
        return Err(Errno::EPERM);
    }
    let stat = file.stat()?;
    let identity = (stat.device, stat.inode);
    let is_mapped = || all_processes().iter().any(|each| each.address_space().may_write_shared(identity));
    if argument as u32 & seal::WRITE & !content.seals() != 0 && is_mapped() {
        return Err(Errno::EBUSY);
    }
    content.add_seals(argument as u32)?;
    Ok(0)
}
