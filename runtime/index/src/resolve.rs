//! Paths over [`Index::lookup`]: a convenience for tools and tests. The library OS walks paths itself, through its mounts.

use alloc::vec::Vec;

use crate::error::Error;
use crate::inode::{FileKind, InodeNumber};
use crate::reader::Index;

/// Whether a symbolic link in the last component is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Yes, as `stat(2)` does.
    Last,
    /// No, as `lstat(2)` does.
    NotLast,
}

/// Most symbolic links followed in one resolution, as in Linux.
const MAX_LINKS: usize = 40;

impl Index {
    /// The inode at `path`, which starts at the root with or without a leading slash. Symbolic links and `..` stay
    /// inside the root. `None` when a component is missing or is no directory, or when links loop.
    pub fn resolve(&self, path: &[u8], follow: Follow) -> Result<Option<InodeNumber>, Error> {
        let mut rest = path.to_vec();
        let mut current = self.root();
        let mut links = 0;
        loop {
            let start = rest.iter().position(|&byte| byte != b'/').unwrap_or(rest.len());
            let end =
                start + rest[start..].iter().position(|&byte| byte == b'/').unwrap_or(rest.len() - start);
            let (name, tail) = (&rest[start..end], &rest[end..]);
            if name.is_empty() {
                return Ok(Some(current));
            }
            if self.inode(current)?.kind != FileKind::Directory {
                return Ok(None);
            }
            let next = match name {
                b"." => current,
                b".." => self.parent(current)?,
                _ => match self.lookup(current, name)? {
                    Some(found) => found,
                    None => return Ok(None),
                },
            };
            let kind = self.inode(next)?.kind;
            if kind == FileKind::Symlink && (follow == Follow::Last || !tail.is_empty()) {
                links += 1;
                if links > MAX_LINKS {
                    return Ok(None);
                }
                let mut target = self.symlink_target(next)?;
                if target.starts_with(b"/") {
                    current = self.root();
                }
                target.extend_from_slice(tail);
                rest = target;
                continue;
            }
            if kind != FileKind::Directory && !tail.is_empty() {
                return Ok(None);
            }
            current = next;
            rest = Vec::from(tail);
        }
    }
}
