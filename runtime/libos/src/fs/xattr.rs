//! Extended attributes: names, and who may use which name space (xattr(7)).

use super::access;
use super::node::Location;
use crate::errno::{Errno, Result};
use crate::process::{Capability, Credentials};
use crate::stat::FileType;

/// Longest name, XATTR_NAME_MAX.
pub const NAME_LIMIT: usize = 255;
/// Longest value, XATTR_SIZE_MAX.
pub const VALUE_LIMIT: usize = 65536;
/// Names and values of one inode together.
pub const INODE_LIMIT: usize = 64 * 1024;

/// Checks an attribute's name space for a read or a change: `EOPNOTSUPP`, `EPERM`, `ENODATA`, `EACCES`.
pub fn check(place: &Location, credentials: &Credentials, name: &[u8], change: bool) -> Result<()> {
    if change {
        place.check_writable()?;
    }
    let missing = if change { Errno::EPERM } else { Errno::ENODATA };
    if let Some(rest) = name.strip_prefix(b"user.") {
        if rest.is_empty() {
            return Err(Errno::EINVAL);
        }
        // Only regular files and directories have user attributes: the mode of others means something else.
        if !matches!(place.kind(), FileType::Regular | FileType::Directory) {
            return Err(missing);
        }
        if change && place.kind() == FileType::Directory {
            let (permissions, ..) = place.inode().ownership()?;
            if permissions & 0o1000 != 0 {
                access::check_owner(place, credentials)?;
            }
        }
        access::check(place, credentials, if change { access::WRITE } else { access::READ })
    } else if name.starts_with(b"trusted.") {
        if credentials.may(Capability::DacOverride) { Ok(()) } else { Err(missing) }
    } else if name.starts_with(b"security.") {
        if change && !credentials.may(Capability::DacOverride) { Err(Errno::EPERM) } else { Ok(()) }
    } else {
        Err(Errno::EOPNOTSUPP)
    }
}

/// Whether listxattr(2) shows the name to this caller.
pub fn is_listed(credentials: &Credentials, name: &[u8]) -> bool {
    !name.starts_with(b"trusted.") || credentials.may(Capability::DacOverride)
}
