//! How objects of the tree come to be: made by a program, or out of the image's index.

use alloc::sync::Arc;

use casemate_index::FileKind;
use casemate_platform::sync::Once;

use super::Tree;
use super::attributes::Attributes;
use super::content::Content;
use super::directory::Directory;
use super::inode::{Body, TreeInode};
use super::xattrs::Xattrs;
use crate::errno::Result;
use crate::fs::image::{Image, ImageFile};
use crate::fs::inode::{NewInode, NewKind};
use crate::fs::mount::make_device;
use crate::stat::{FileType, Timestamp};

impl TreeInode {
    pub(super) fn make(tree: &Arc<Tree>, number: u64, new: &NewInode) -> Arc<TreeInode> {
        let now = Timestamp::now();
        let body = match new.kind {
            NewKind::Regular => Body::Regular(Content::new(None)),
            NewKind::Directory => {
                Body::Directory { names: Directory::new(None), image_path: Default::default() }
            }
            NewKind::Symlink(target) => {
                let text = Once::new();
                let _ = text.set(Arc::from(target));
                Body::Symlink(text)
            }
            NewKind::CharacterDevice(device) => Body::Special(FileType::CharacterDevice, device),
            NewKind::BlockDevice(device) => Body::Special(FileType::BlockDevice, device),
            NewKind::Fifo => Body::Special(FileType::Fifo, 0),
            NewKind::Socket => Body::Special(FileType::Socket, 0),
        };
        let links = if matches!(new.kind, NewKind::Directory) { 2 } else { 1 };
        let (permissions, uid, gid) = (new.permissions & 0o7777, new.uid, new.gid);
        let attributes = Attributes::new(permissions, uid, gid, links, now);
        Self::build(tree, number, None, body, attributes, Xattrs::none())
    }

    pub(super) fn from_index(
        tree: &Arc<Tree>,
        image: &Arc<Image>,
        below: &casemate_index::Inode,
        path: &[u8],
    ) -> Result<Arc<TreeInode>> {
        let device = make_device(below.device.major, below.device.minor);
        let body = match below.kind {
            FileKind::Regular => {
                Body::Regular(Content::new(Some(ImageFile::new(image, below, path.into())?)))
            }
            FileKind::Directory => {
                Body::Directory { names: Directory::new(Some(below.number)), image_path: path.into() }
            }
            FileKind::Symlink => Body::Symlink(Once::new()),
            FileKind::CharDevice => Body::Special(FileType::CharacterDevice, device),
            FileKind::BlockDevice => Body::Special(FileType::BlockDevice, device),
            FileKind::Fifo => Body::Special(FileType::Fifo, 0),
            FileKind::Socket => Body::Special(FileType::Socket, 0),
        };
        let time = Timestamp { seconds: below.mtime.seconds, nanoseconds: below.mtime.nanoseconds };
        let attributes = Attributes::new(below.permissions.into(), below.uid, below.gid, below.nlink, time);
        let xattrs = if below.has_xattrs { Xattrs::in_image() } else { Xattrs::none() };
        Ok(Self::build(tree, below.number.0.into(), Some(below.number), body, attributes, xattrs))
    }
}
