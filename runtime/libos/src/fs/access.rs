//! Who may do what: permission bits against credentials.

use super::node::{Location, Node};
use crate::errno::{Errno, Result};
use crate::process::{Capability, Credentials};
use crate::stat::FileType;

/// Execute or search.
pub const EXECUTE: u32 = 1;
/// Write.
pub const WRITE: u32 = 2;
/// Read.
pub const READ: u32 = 4;

/// Checks `wanted` (bits of READ, WRITE, EXECUTE) on an inode; `EACCES`.
pub fn check(node: &Node, credentials: &Credentials, wanted: u32) -> Result<()> {
    let overrides = credentials.may(Capability::DacOverride);
    if overrides && (node.kind() == FileType::Directory || wanted & EXECUTE == 0) {
        return Ok(());
    }
    let reading = if node.kind() == FileType::Directory { READ | EXECUTE } else { READ };
    if wanted & !reading == 0 && credentials.may(Capability::DacReadSearch) {
        return Ok(());
    }
    let (permissions, uid, gid) = node.inode().ownership()?;
    if overrides {
        // Even root executes only what somebody may execute.
        return if permissions & 0o111 != 0 { Ok(()) } else { Err(Errno::EACCES) };
    }
    let granted = if credentials.fsuid == uid {
        permissions >> 6
    } else if credentials.in_group(gid) {
        permissions >> 3
    } else {
        permissions
    };
    if granted & wanted == wanted { Ok(()) } else { Err(Errno::EACCES) }
}

/// Whether the caller owns the inode or may act as its owner; `EPERM`.
pub fn check_owner(node: &Node, credentials: &Credentials) -> Result<()> {
    let (_, uid, _) = node.inode().ownership()?;
    if credentials.fsuid == uid || credentials.may(Capability::FileOwner) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// Checks that names of `directory` may be changed.
pub fn check_change(directory: &Location, credentials: &Credentials) -> Result<()> {
    directory.check_writable()?;
    check(directory, credentials, WRITE | EXECUTE)
}

/// Checks that `victim` may be deleted from `directory` or renamed: as [`check_change`], and the sticky bit.
pub fn check_delete(directory: &Location, victim: &Location, credentials: &Credentials) -> Result<()> {
    check_change(directory, credentials)?;
    if credentials.may(Capability::FileOwner) {
        return Ok(());
    }
    let (permissions, owner, _) = directory.inode().ownership()?;
    if permissions & 0o1000 != 0 && credentials.fsuid != owner {
        let (_, uid, _) = victim.inode().ownership()?;
        if credentials.fsuid != uid {
            return Err(Errno::EPERM);
        }
    }
    Ok(())
}
