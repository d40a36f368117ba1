//! [`TreeInode`]: an object of the tree.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

use casemate_index::InodeNumber;
use casemate_platform::sync::{Mutex, Once};

use super::Tree;
use super::attributes::Attributes;
use super::content::{Content, seal};
use super::directory::{Directory, Found};
use super::file::RegularFile;
use super::xattrs::Xattrs;
use crate::errno::{Errno, Result};
use crate::file::{DirectorySink, File, OpenFlags};
use crate::fs::image::{Image, index_error};
use crate::fs::inode::{Attachment, AttributeChange, Inode, LinkTarget, NewInode, NewKind, XattrMode};
use crate::fs::lock::FileLocks;
use crate::fs::node::Location;
use crate::fs::notify::Watchers;
use crate::fs::statfs::{self, FsStatistics};
use crate::fs::{devices, page, recent};
use crate::stat::{FileType, Stat, Timestamp};

/// An object of the tree.
pub struct TreeInode {
    tree: Arc<Tree>,
    itself: Weak<TreeInode>,
    number: u64,
    /// Number in the index, if it comes from there.
    index_number: Option<InodeNumber>,
    /// Kept in the tree whether in use or not.
    kept: AtomicBool,
    body: Body,
    attributes: Mutex<Attributes>,
    xattrs: Xattrs,
    locks: FileLocks,
    watchers: Watchers,
    attachment: Attachment,
    /// Open descriptions that may write to it.
    pub(super) writers: AtomicUsize,
    /// Processes that run it.
    pub(super) running: AtomicUsize,
}

pub(super) enum Body {
    Regular(Content),
    Directory { names: Directory, image_path: Box<[u8]> },
    Symlink(Once<Arc<[u8]>>),
    Special(FileType, u64),
}

impl TreeInode {
    pub(super) fn build(
        tree: &Arc<Tree>,
        number: u64,
        index_number: Option<InodeNumber>,
        body: Body,
        attributes: Attributes,
        xattrs: Xattrs,
    ) -> Arc<TreeInode> {
        Arc::new_cyclic(|itself| TreeInode {
            tree: tree.clone(),
            itself: itself.clone(),
            number,
            index_number,
            kept: AtomicBool::new(false),
            body,
            attributes: Mutex::new(attributes),
            xattrs,
            locks: FileLocks::new(),
            watchers: Watchers::default(),
            attachment: Attachment::default(),
            writers: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
        })
    }

    /// Itself, shared.
    pub fn shared(&self) -> Option<Arc<TreeInode>> {
        self.itself.upgrade()
    }

    /// Inode number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Number in the index, if it comes from there.
    pub fn index_number(&self) -> Option<InodeNumber> {
        self.index_number
    }

    /// Type.
    pub fn file_type(&self) -> FileType {
        match &self.body {
            Body::Regular(_) => FileType::Regular,
            Body::Directory { .. } => FileType::Directory,
            Body::Symlink(_) => FileType::Symlink,
            Body::Special(kind, _) => *kind,
        }
    }

    /// The bytes of a regular file.
    pub fn content(&self) -> Option<&Content> {
        match &self.body {
            Body::Regular(content) => Some(content),
            _ => None,
        }
    }

    /// Device of the tree.
    pub fn device(&self) -> u64 {
        self.tree.device
    }

    /// Whether its tree has no image below: a tmpfs, or the file system of memfds.
    pub fn is_in_memory(&self) -> bool {
        self.tree.image.is_none()
    }

    fn image(&self) -> Option<&Image> {
        self.tree.image.as_deref()
    }

    /// What it is in the image below, if it comes from there.
    fn below(&self) -> Option<(&Image, InodeNumber)> {
        Some((self.image()?, self.index_number?))
    }

    fn names(&self) -> Result<&Directory> {
        match &self.body {
            Body::Directory { names, .. } => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// Notes that something was changed that must not be forgotten.
    pub fn keep(&self) {
        if self.index_number.is_some()
            && !self.kept.swap(true, Relaxed)
            && let Some(itself) = self.itself.upgrade()
            && self.attributes.lock().links > 0
        {
            self.tree.keep(&itself);
        }
    }

    /// Changes attributes and keeps them.
    fn edit(&self, change: impl FnOnce(&mut Attributes)) {
        change(&mut self.attributes.lock());
        self.keep();
    }

    /// The contents were written; see [`Attributes::written`].
    pub fn contents_changed(&self, keeps_set_id: bool) {
        self.edit(|attributes| attributes.written(keeps_set_id));
    }

    /// The contents were read; see [`Attributes::read`].
    pub fn accessed(&self) {
        self.attributes.lock().read();
    }

    fn add_name(&self, name: &[u8], inode: Arc<TreeInode>) -> Result<()> {
        let subdirectory = inode.file_type() == FileType::Directory;
        self.names()?.put(name, inode)?;
        self.names_changed(subdirectory as i32);
        Ok(())
    }

    fn names_changed(&self, subdirectories: i32) {
        self.edit(|attributes| attributes.names_changed(subdirectories));
    }

    /// One name fewer; a directory loses all its links.
    fn lost_name(self: &Arc<Self>) {
        let now = Timestamp::now();
        let left = {
            let mut attributes = self.attributes.lock();
            attributes.changed = now;
            attributes.links = match &self.body {
                Body::Directory { .. } => 0,
                _ => attributes.links.saturating_sub(1),
            };
            attributes.links
        };
        if left == 0 { self.tree.let_go(self) } else { self.keep() }
    }

    fn find(&self, name: &[u8]) -> Result<Arc<TreeInode>> {
        let Body::Directory { names, image_path } = &self.body else { return Err(Errno::ENOTDIR) };
        match names.find(self.image(), name)? {
            Found::Added(inode) => Ok(inode),
            Found::Nothing => Err(Errno::ENOENT),
            Found::Below(number) => {
                let mut path = Vec::with_capacity(image_path.len() + 1 + name.len());
                path.extend_from_slice(image_path);
                path.push(b'/');
                path.extend_from_slice(name);
                self.tree.inode(number, &path)
            }
        }
    }

    fn own(inode: &Arc<dyn Inode>) -> Result<&TreeInode> {
        inode.as_any().downcast_ref().ok_or(Errno::EXDEV)
    }

    fn times_after_xattr(&self) {
        let now = Timestamp::now();
        self.edit(|attributes| attributes.changed = now);
    }
}

impl Drop for TreeInode {
    fn drop(&mut self) {
        if let Some(number) = self.index_number {
            self.tree.forget(number);
        }
    }
}

impl Inode for TreeInode {
    fn kind(&self) -> FileType {
        self.file_type()
    }

    fn stat(&self) -> Result<Stat> {
        let attributes = *self.attributes.lock();
        let ((size, blocks), special_device) = match &self.body {
            Body::Regular(content) => (content.extent(), 0),
            Body::Directory { .. } => ((4096, 8), 0),
            Body::Symlink(_) => ((self.target()?.len() as u64, 0), 0),
            Body::Special(_, device) => ((0, 0), *device),
        };
        Ok(Stat {
            device: self.tree.device,
            inode: self.number,
            kind: self.file_type(),
            permissions: attributes.permissions,
            links: attributes.links,
            uid: attributes.uid,
            gid: attributes.gid,
            special_device,
            size,
            blocks,
            block_size: 4096,
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
            created: Some(attributes.created),
        })
    }

    fn ownership(&self) -> Result<(u32, u32, u32)> {
        let attributes = self.attributes.lock();
        Ok((attributes.permissions, attributes.uid, attributes.gid))
    }

    fn caches_names(&self) -> bool {
        true
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        self.find(name).map(|inode| inode as Arc<dyn Inode>)
    }

    fn create(&self, name: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>> {
        let inode = self.tree.make(&self.inherit(new));
        self.add_name(name, inode.clone())?;
        Ok(inode)
    }

    fn create_unnamed(&self, new: &NewInode) -> Result<Arc<dyn Inode>> {
        if self.names()?.is_dead() {
            return Err(Errno::ENOENT);
        }
        let inode = self.tree.make(&self.inherit(new));
        inode.attributes.lock().links = 0;
        Ok(inode)
    }

    fn link(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<()> {
        let target = Self::own(inode)?.itself.upgrade().ok_or(Errno::ENOENT)?;
        self.add_name(name, target.clone())?;
        let now = Timestamp::now();
        target.attributes.lock().changed = now;
        target.edit(|attributes| attributes.links += 1);
        Ok(())
    }

    fn unlink(&self, name: &[u8]) -> Result<()> {
        let victim = self.find(name)?;
        self.names()?.take(self.image(), name)?;
        self.names_changed(0);
        victim.lost_name();
        Ok(())
    }

    fn remove_directory(&self, name: &[u8]) -> Result<()> {
        let victim = self.find(name)?;
        victim.names()?.kill(self.image())?;
        self.names()?.take(self.image(), name)?;
        self.names_changed(-1);
        victim.lost_name();
        Ok(())
    }

    fn rename(&self, name: &[u8], to: &Arc<dyn Inode>, to_name: &[u8], exchange: bool) -> Result<()> {
        let to = Self::own(to)?;
        let source = self.find(name)?;
        let target = match to.find(to_name) {
            Ok(target) => Some(target),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        let is_directory = |inode: &TreeInode| (inode.file_type() == FileType::Directory) as i32;
        match &target {
            Some(target) if !exchange && is_directory(target) == 1 => target.names()?.kill(self.image())?,
            _ => {}
        }
        to.names()?.put(to_name, source.clone())?;
        let (mut from_change, mut to_change) = (-is_directory(&source), is_directory(&source));
        match &target {
            Some(target) if exchange => {
                self.names()?.put(name, target.clone())?;
                from_change += is_directory(target);
                to_change -= is_directory(target);
            }
            Some(target) => {
                self.names()?.take(self.image(), name)?;
                to_change -= is_directory(target);
                target.lost_name();
            }
            None => self.names()?.take(self.image(), name)?,
        }
        self.names_changed(from_change);
        to.names_changed(to_change);
        let now = Timestamp::now();
        source.edit(|attributes| attributes.changed = now);
        if let (true, Some(target)) = (exchange, &target) {
            target.edit(|attributes| attributes.changed = now);
        }
        Ok(())
    }

    fn read_directory(&self, position: u64, parent: u64, sink: &mut dyn DirectorySink) -> Result<u64> {
        let after = self.names()?.list(self.image(), self.number, parent, position, sink)?;
        self.accessed();
        Ok(after)
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        let target = self.target()?.to_vec();
        self.accessed();
        Ok(target)
    }

    fn follow(&self) -> Result<LinkTarget> {
        self.target().map(LinkTarget::Path)
    }

    fn set(&self, change: &AttributeChange) -> Result<()> {
        if let (Some(new), Some(content)) = (change.permissions, self.content())
            && content.seals() & seal::EXEC != 0
            && (new ^ self.attributes.lock().permissions) & 0o111 != 0
        {
            return Err(Errno::EPERM);
        }
        if let Some(size) = change.size {
            self.content().ok_or(Errno::EINVAL)?.set_size(size)?;
        }
        self.edit(|attributes| {
            attributes.apply(change);
            if self.file_type() == FileType::Directory {
                // Others may be allowed to search it now.
                recent::changed();
            }
        });
        Ok(())
    }

    fn xattr(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.xattrs.get(self.below(), name)
    }

    fn xattr_names(&self) -> Result<Vec<Vec<u8>>> {
        self.xattrs.names(self.below())
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        self.xattrs.set(self.below(), name, value, mode)?;
        self.times_after_xattr();
        Ok(())
    }

    fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        self.xattrs.remove(self.below(), name)?;
        self.times_after_xattr();
        Ok(())
    }

    fn open(&self, at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
        let itself = self.itself.upgrade().ok_or(Errno::ENOENT)?;
        match &self.body {
            Body::Regular(_) => {
                let writer = flags.writable().then(|| itself.write()).transpose()?;
                Ok(RegularFile::open(at.clone(), itself, flags, writer))
            }
            Body::Special(FileType::CharacterDevice, device) => devices::open(*device, at, flags),
            _ => Err(Errno::ENXIO),
        }
    }

    fn statistics(&self) -> FsStatistics {
        let (all, left) = page::budget();
        FsStatistics {
            magic: if self.tree.image.is_some() { statfs::OVERLAY } else { statfs::TMPFS },
            block_size: 4096,
            blocks: all as u64,
            free: left as u64,
            available: left as u64,
            files: 1 << 20,
            free_files: 1 << 19,
        }
    }

    fn locks(&self) -> Option<&FileLocks> {
        Some(&self.locks)
    }

    fn watchers(&self) -> Option<&Watchers> {
        Some(&self.watchers)
    }

    fn is_unlinked(&self) -> bool {
        self.attributes.lock().links == 0
    }

    fn attachment(&self) -> Option<&Attachment> {
        Some(&self.attachment)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl TreeInode {
    fn target(&self) -> Result<Arc<[u8]>> {
        let Body::Symlink(text) = &self.body else { return Err(Errno::EINVAL) };
        if let Some(text) = text.get() {
            return Ok(text.clone());
        }
        let Some((image, number)) = self.below() else { return Err(Errno::EIO) };
        let target: Arc<[u8]> = image.index.symlink_target(number).map_err(index_error)?.into();
        let _ = text.set(target.clone());
        Ok(target)
    }

    /// A set-group-id directory passes its group on, and the bit to directories.
    fn inherit<'a>(&self, new: &NewInode<'a>) -> NewInode<'a> {
        let (permissions, _, gid) = {
            let attributes = self.attributes.lock();
            (attributes.permissions, attributes.uid, attributes.gid)
        };
        if permissions & 0o2000 == 0 {
            return *new;
        }
        let passed = if matches!(new.kind, NewKind::Directory) { 0o2000 } else { 0 };
        NewInode { gid, permissions: new.permissions | passed, ..*new }
    }
}
