//! File systems whose contents are made when they are asked for: what /proc and /sys are built from. A directory is a
//! [`Folder`], a file a [`Text`], a symbolic link a [`Link`]; [`Object`] adds who may use it.

mod file;
mod inode;

pub use inode::{FileSystem, GeneratedInode};

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::inode::LinkTarget;
use crate::errno::{Errno, Result};
use crate::stat::FileType;

/// A directory.
pub trait Folder: Send + Sync {
    /// The object with this name; `ENOENT`.
    fn find(&self, name: &[u8]) -> Result<Object>;

    /// The first entry at `position` or after it; positions of entries do not change while they exist.
    fn next(&self, position: u64) -> Option<Entry>;
}

/// An entry of a directory.
pub struct Entry {
    /// Where it stands; below 2⁶³.
    pub position: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// Its type.
    pub kind: FileType,
}

/// A regular file.
pub trait Text: Send + Sync {
    /// What it says now.
    fn text(&self) -> Result<Vec<u8>>;

    /// Takes what was written in one call.
    fn write(&self, _text: &[u8]) -> Result<()> {
        Err(Errno::EIO)
    }
}

impl<F: Fn() -> Result<Vec<u8>> + Send + Sync> Text for F {
    fn text(&self) -> Result<Vec<u8>> {
        self()
    }
}

/// A symbolic link.
pub trait Link: Send + Sync {
    /// What readlink(2) gives.
    fn text(&self) -> Result<Vec<u8>>;

    /// Where it leads.
    fn target(&self) -> Result<LinkTarget> {
        self.text().map(|path| LinkTarget::Path(path.into()))
    }
}

impl<F: Fn() -> Result<Vec<u8>> + Send + Sync> Link for F {
    fn text(&self) -> Result<Vec<u8>> {
        self()
    }
}

enum Body {
    Directory(Box<dyn Folder>),
    Text(Arc<dyn Text>),
    Link(Box<dyn Link>),
}

/// Something with a name in such a file system.
pub struct Object {
    permissions: u32,
    owner: (u32, u32),
    body: Body,
}

impl Object {
    /// A directory.
    pub fn directory(permissions: u32, folder: impl Folder + 'static) -> Object {
        Object { permissions, owner: (0, 0), body: Body::Directory(Box::new(folder)) }
    }

    /// A regular file.
    pub fn text(permissions: u32, text: impl Text + 'static) -> Object {
        Object { permissions, owner: (0, 0), body: Body::Text(Arc::new(text)) }
    }

    /// A symbolic link.
    pub fn link(permissions: u32, link: impl Link + 'static) -> Object {
        Object { permissions, owner: (0, 0), body: Body::Link(Box::new(link)) }
    }

    /// Gives it to a user and group.
    pub fn owned_by(self, uid: u32, gid: u32) -> Object {
        Object { owner: (uid, gid), ..self }
    }

    fn kind(&self) -> FileType {
        match self.body {
            Body::Directory(_) => FileType::Directory,
            Body::Text(_) => FileType::Regular,
            Body::Link(_) => FileType::Symlink,
        }
    }
}

/// A name of a [`Fixed`] directory.
pub struct Item<T: 'static> {
    /// The name.
    pub name: &'static str,
    /// Its type.
    pub kind: FileType,
    /// What it stands for.
    pub make: fn(&T) -> Object,
}

/// A directory whose names do not change; `of` is what its contents speak of.
pub struct Fixed<T: 'static> {
    /// The names.
    pub items: &'static [Item<T>],
    /// Given to whatever is made.
    pub of: T,
}

impl<T: Send + Sync> Folder for Fixed<T> {
    fn find(&self, name: &[u8]) -> Result<Object> {
        let item = self.items.iter().find(|item| item.name.as_bytes() == name).ok_or(Errno::ENOENT)?;
        Ok((item.make)(&self.of))
    }

    fn next(&self, position: u64) -> Option<Entry> {
        let item = self.items.get(usize::try_from(position).ok()?)?;
        Some(Entry { position, name: item.name.into(), kind: item.kind })
    }
}

/// A name that is a number without leading zeros.
pub fn parse_number(name: &[u8]) -> Option<u32> {
    let canonical = name == b"0" || name.first().is_some_and(|digit| (b'1'..=b'9').contains(digit));
    if !canonical || !name.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(name).ok()?.parse().ok()
}
