//! [`Node`]: a cached name in the tree, with its inode. Nodes know their parent and name, so `..`, getcwd and the links of
//! /proc are answered from them. [`Location`] is a reference to one.
//!
//! A directory's node caches the names below it, also those that are missing. The lock around that cache is also what makes
//! changes of the directory come one at a time. File systems whose names change behind our back (host directories, /proc)
//! are not cached and not locked: their nodes are made at each look-up.
//!
//! Lock order: a mount's rename lock; then name caches (two of them only under the rename lock or in address order); then
//! a node's place.

mod path;
mod rename;

pub use rename::RenameHow;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

use casemate_platform::sync::{Mutex, RwLock, RwLockWriteGuard};
use hashbrown::HashMap;

use super::inode::{AttributeChange, Inode, NewInode};
use super::mount::Mount;
use super::notify::{self, Notices};
use super::{access, cache, recent, walk};
use crate::errno::{Errno, Result};
use crate::process::Credentials;
use crate::stat::{FileType, Stat};

/// A reference to a place in the tree; cheap to clone.
#[derive(Clone)]
pub struct Location(Arc<Node>);

impl Deref for Location {
    type Target = Node;
    fn deref(&self) -> &Node {
        &self.0
    }
}

impl core::fmt::Debug for Location {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        write!(f, "{:?}", alloc::string::String::from_utf8_lossy(&self.path_text()))
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Location) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A name in the tree.
pub struct Node {
    inode: Arc<dyn Inode>,
    mount: Arc<Mount>,
    kind: FileType,
    caches_names: bool,
    is_mount_root: bool,
    place: Mutex<Place>,
    names: RwLock<Names>,
    /// Mounts directly below; never goes down.
    mounts: AtomicUsize,
    /// The shrinker knows this directory.
    pub(super) listed: AtomicBool,
}

struct Place {
    parent: Option<Location>,
    name: Arc<[u8]>,
    attached: bool,
}

enum Entry {
    Present(Location),
    Missing,
}

type Names = HashMap<Box<[u8]>, Entry>;

/// Missing names are remembered up to this many names of a directory.
const MISSING_LIMIT: usize = 4096;

impl Node {
    /// Drops the cached names that nobody uses; called by the shrinker. Returns how many names stay.
    pub(super) fn shrink(&self) -> usize {
        let Some(mut names) = self.names.try_write() else { return 1 };
        // What threads remember is void before it is asked who uses a name: see [`recent::Recent::find`].
        recent::changed();
        // Nobody can take a new reference while the cache is locked, so a count of one is the cache's own.
        let mut gone = Vec::new();
        names.retain(|_, entry| match entry {
            Entry::Missing => false,
            Entry::Present(child) if child.is_mount_root || Arc::strong_count(&child.0) > 1 => true,
            Entry::Present(child) => {
                gone.push(child.clone());
                false
            }
        });
        let left = names.len();
        drop(names);
        drop(gone);
        left
    }

    /// What it stands for.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    /// The mount it belongs to.
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// Type of the inode.
    pub fn kind(&self) -> FileType {
        self.kind
    }

    /// Whether names in it stay what they are until they are changed through here.
    pub fn caches_names(&self) -> bool {
        self.caches_names
    }

    /// Whether it is the root of a mount.
    pub fn is_mount_root(&self) -> bool {
        self.is_mount_root
    }

    /// Whether it still has its name.
    pub fn is_attached(&self) -> bool {
        self.place.lock().attached
    }

    /// Its last name; empty for the root.
    pub fn name(&self) -> Arc<[u8]> {
        self.place.lock().name.clone()
    }

    /// The directory it lies in; `None` for the root of the whole tree.
    pub fn parent(&self) -> Option<Location> {
        self.place.lock().parent.clone()
    }

    /// The directory it lies in, its last name, and whether it still has it.
    pub(super) fn whereabouts(&self) -> (Option<Location>, Arc<[u8]>, bool) {
        let place = self.place.lock();
        (place.parent.clone(), place.name.clone(), place.attached)
    }

    /// Status.
    pub fn stat(&self) -> Result<Stat> {
        self.inode.stat()
    }

    pub(super) fn take_parent(&mut self) -> Option<Location> {
        self.place.get_mut().parent.take()
    }

    /// `EROFS` on a read-only mount.
    pub fn check_writable(&self) -> Result<()> {
        if self.mount.is_read_only() { Err(Errno::EROFS) } else { Ok(()) }
    }
}

impl Location {
    fn new(inode: Arc<dyn Inode>, mount: Arc<Mount>, parent: Option<Location>, name: &[u8]) -> Location {
        Self::build(inode, mount, parent, name, true, false)
    }

    fn build(
        inode: Arc<dyn Inode>,
        mount: Arc<Mount>,
        parent: Option<Location>,
        name: &[u8],
        attached: bool,
        is_mount_root: bool,
    ) -> Location {
        cache::count_new();
        Location(Arc::new(Node {
            kind: inode.kind(),
            caches_names: inode.caches_names(),
            is_mount_root,
            inode,
            mount,
            place: Mutex::new(Place { parent, name: name.into(), attached }),
            names: RwLock::new(Names::new()),
            mounts: AtomicUsize::new(0),
            listed: AtomicBool::new(false),
        }))
    }

    /// The root of a tree.
    pub fn root(inode: Arc<dyn Inode>, mount: Arc<Mount>) -> Location {
        Self::build(inode, mount, None, b"", true, true)
    }

    /// A place without a name of its own: what /proc/self/fd shows is `text`.
    pub fn unnamed(inode: Arc<dyn Inode>, mount: Arc<Mount>, text: &[u8], attached: bool) -> Location {
        Self::build(inode, mount, None, text, attached, false)
    }

    /// A place in `directory` whose name is gone already.
    pub fn removed(inode: Arc<dyn Inode>, directory: &Location, name: &[u8]) -> Location {
        Self::build(inode, directory.mount.clone(), Some(directory.clone()), name, false, false)
    }

    /// Puts the root of another file system over `name` in this directory, whether or not there is such a name below.
    pub fn mount_at(&self, name: &[u8], inode: Arc<dyn Inode>, mount: Arc<Mount>) -> Location {
        let root = Self::build(inode, mount, Some(self.clone()), name, true, true);
        self.mounts.fetch_add(1, SeqCst);
        let mut names = self.names.write();
        names.insert(name.into(), Entry::Present(root.clone()));
        recent::changed();
        drop(names);
        root
    }

    /// The node, if this is the last reference to it.
    pub(super) fn into_last(self) -> Option<Node> {
        Arc::into_inner(self.0)
    }

    /// A reference that does not keep the node.
    pub(super) fn downgrade(&self) -> Weak<Node> {
        Arc::downgrade(&self.0)
    }

    /// The node, if it is still there.
    pub(super) fn revive(node: &Weak<Node>) -> Option<Location> {
        node.upgrade().map(Location)
    }

    /// The node, for identity.
    pub(super) fn arc(&self) -> &Arc<Node> {
        &self.0
    }

    /// The name `name` in this directory. The caller has checked that this is a directory that may be searched.
    pub fn child(&self, name: &[u8]) -> Result<Location> {
        match self.names.read().get(name) {
            Some(Entry::Present(child)) => return Ok(child.clone()),
            Some(Entry::Missing) => return Err(Errno::ENOENT),
            None => {}
        }
        if !self.caches_names {
            let inode = self.inode.lookup(name)?;
            return Ok(Location::new(inode, self.mount.clone(), Some(self.clone()), name));
        }
        let found = self.load(&mut self.names.write(), name);
        cache::shrink_if_full();
        found
    }

    /// Goes down `path` as far as cached names lead: where that is, and what is left of the path; `None` if it leads nowhere.
    /// At most `depth` names. Nothing here waits or asks an inode for a name: what is not known, a link, `..`, a directory that
    /// must not be searched and one that is being changed all end the descent before them. `ENOENT` for a name known to be missing.
    ///
    /// Each directory stays locked until the end, which keeps the nodes below it alive without counting references. That cannot
    /// lock up: a lock that somebody has is not waited for.
    pub(super) fn descend<'p>(
        &self,
        path: &'p [u8],
        credentials: &Credentials,
        depth: usize,
    ) -> Result<Option<(Location, &'p [u8])>> {
        let (name, rest) = walk::split(path);
        let leads_on = !name.is_empty() && depth > 0 && self.caches_names && self.kind == FileType::Directory;
        if !leads_on || access::check(self, credentials, access::EXECUTE).is_err() {
            return Ok(None);
        }
        let Some(names) = self.names.try_read() else { return Ok(None) };
        let child = match names.get(name) {
            Some(Entry::Present(child)) if child.kind != FileType::Symlink => child,
            Some(Entry::Missing) => return Err(Errno::ENOENT),
            _ => return Ok(None),
        };
        let further = child.descend(rest, credentials, depth - 1)?;
        Ok(Some(further.unwrap_or_else(|| (child.clone(), rest))))
    }

    /// Looks a name up in the locked cache, then in the inode.
    fn load(&self, names: &mut Names, name: &[u8]) -> Result<Location> {
        match names.get(name) {
            Some(Entry::Present(child)) => return Ok(child.clone()),
            Some(Entry::Missing) => return Err(Errno::ENOENT),
            None => {}
        }
        // Before anything is done for which the name has to be kept: a table that grows may be large.
        names.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        match self.inode.lookup(name) {
            Ok(inode) => Ok(self.insert(names, name, inode)),
            Err(Errno::ENOENT) => {
                if names.len() < MISSING_LIMIT && self.caches_names {
                    names.insert(name.into(), Entry::Missing);
                    cache::list(self);
                }
                Err(Errno::ENOENT)
            }
            Err(error) => Err(error),
        }
    }

    fn insert(&self, names: &mut Names, name: &[u8], inode: Arc<dyn Inode>) -> Location {
        let child = Location::new(inode, self.mount.clone(), Some(self.clone()), name);
        if self.caches_names {
            names.insert(name.into(), Entry::Present(child.clone()));
            cache::list(self);
        }
        child
    }

    /// Locks the directory for a change, or pretends to where names are not cached.
    fn lock_names(&self) -> NamesGuard<'_> {
        if self.caches_names {
            NamesGuard::Locked(self.names.write())
        } else {
            NamesGuard::Free(Names::new())
        }
    }

    /// Changes attributes, and tells those who watch.
    pub fn set(&self, change: &AttributeChange) -> Result<()> {
        self.inode.set(change)?;
        notify::happened(self, notify::of_change(change));
        Ok(())
    }

    /// Makes a new object; `EEXIST`.
    pub fn create(&self, name: &[u8], new: &NewInode) -> Result<Location> {
        let mut notices = Notices::default();
        let mut names = self.lock_names();
        self.check_absent(&mut names, name)?;
        let inode = self.inode.create(name, new)?;
        notices.created(self, name, &inode);
        Ok(self.insert(&mut names, name, inode))
    }

    /// Gives `target` another name here; `EEXIST`, `EXDEV`.
    pub fn link(&self, name: &[u8], target: &Location) -> Result<Location> {
        let mut notices = Notices::default();
        let mut names = self.lock_names();
        self.check_absent(&mut names, name)?;
        if !Arc::ptr_eq(&self.mount, &target.mount) {
            return Err(Errno::EXDEV);
        }
        self.inode.link(name, &target.inode)?;
        notices.relinked(&target.inode);
        notices.created(self, name, &target.inode);
        Ok(self.insert(&mut names, name, target.inode.clone()))
    }

    fn check_absent(&self, names: &mut Names, name: &[u8]) -> Result<()> {
        if self.names_mounted(names, name) {
            return Err(Errno::EEXIST);
        }
        match self.load(names, name) {
            Ok(_) => Err(Errno::EEXIST),
            Err(Errno::ENOENT) if !self.is_attached() => Err(Errno::ENOENT),
            Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether a mount covers the name: the cache of an uncached directory holds nothing else.
    fn names_mounted(&self, names: &Names, name: &[u8]) -> bool {
        if self.caches_names {
            matches!(names.get(name), Some(Entry::Present(child)) if child.is_mount_root)
        } else {
            self.names.read().contains_key(name)
        }
    }

    /// unlink(2) or, with `directory`, rmdir(2). `may_delete` is asked about the victim first.
    pub fn remove(
        &self,
        name: &[u8],
        directory: bool,
        may_delete: impl FnOnce(&Location) -> Result<()>,
    ) -> Result<()> {
        let mut notices = Notices::default();
        let mut names = self.lock_names();
        let mounted = self.names_mounted(&names, name);
        let victim = if mounted && !self.caches_names {
            return Err(Errno::EBUSY);
        } else {
            self.load(&mut names, name)?
        };
        may_delete(&victim)?;
        match (directory, victim.kind == FileType::Directory) {
            (true, false) => return Err(Errno::ENOTDIR),
            (false, true) => return Err(Errno::EISDIR),
            _ => {}
        }
        if mounted || victim.has_mounts() {
            return Err(Errno::EBUSY);
        }
        let last_name = notify::is_watching() && !self.caches_names && victim.has_one_name();
        if directory {
            self.inode.remove_directory(name)?;
        } else {
            self.inode.unlink(name)?;
            notices.relinked(&victim.inode);
        }
        let old = self.forget(&mut names, name);
        victim.place.lock().attached = false;
        recent::changed();
        // Nobody but the cache and this function refers to it.
        let unused = Arc::strong_count(&victim.0) <= 1 + usize::from(self.caches_names);
        if unused && (last_name || victim.inode.is_unlinked()) {
            notices.gone(&victim.inode);
        }
        notices.removed(self, name, &victim.inode);
        drop(names);
        drop(old);
        Ok(())
    }

    /// Whether the host says that there is but this name; a directory has no other.
    fn has_one_name(&self) -> bool {
        self.kind == FileType::Directory || self.stat().is_ok_and(|stat| stat.links == 1)
    }

    /// After a name went away.
    fn forget(&self, names: &mut Names, name: &[u8]) -> Option<Entry> {
        if !self.caches_names {
            None
        } else if names.len() < MISSING_LIMIT {
            names.insert(name.into(), Entry::Missing)
        } else {
            names.remove(name)
        }
    }

    /// The root of what is mounted over `name` here.
    pub fn mounted_child(&self, name: &[u8]) -> Option<Location> {
        if !self.has_mounts() {
            return None;
        }
        match self.names.read().get(name) {
            Some(Entry::Present(child)) if child.is_mount_root => Some(child.clone()),
            _ => None,
        }
    }

    fn has_mounts(&self) -> bool {
        self.mounts.load(SeqCst) != 0
    }
}

enum NamesGuard<'a> {
    Locked(RwLockWriteGuard<'a, Names>),
    Free(Names),
}

impl Deref for NamesGuard<'_> {
    type Target = Names;
    fn deref(&self) -> &Names {
        match self {
            NamesGuard::Locked(names) => names,
            NamesGuard::Free(names) => names,
        }
    }
}

impl DerefMut for NamesGuard<'_> {
    fn deref_mut(&mut self) -> &mut Names {
        match self {
            NamesGuard::Locked(names) => names,
            NamesGuard::Free(names) => names,
        }
    }
}
