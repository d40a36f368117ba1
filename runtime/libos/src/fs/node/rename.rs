//! renameat2(2) in the tree of names: which locks it takes, what it refuses, and what the caches hold afterwards.

use alloc::sync::Arc;

use super::{Entry, Location, Names, NamesGuard, Place};
use crate::errno::{Errno, Result};
use crate::fs::notify::Notices;
use crate::fs::{cache, recent};
use crate::stat::FileType;

/// What renameat2(2) does about an existing target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameHow {
    /// Replace it.
    Replace,
    /// RENAME_NOREPLACE.
    NoReplace,
    /// RENAME_EXCHANGE.
    Exchange,
}

impl Location {
    /// renameat2(2). `check` is asked about the source and the target, if there is one.
    pub fn rename(
        &self,
        name: &[u8],
        to: &Location,
        to_name: &[u8],
        how: RenameHow,
        check: impl FnOnce(&Location, Option<&Location>) -> Result<()>,
    ) -> Result<()> {
        if !Arc::ptr_eq(&self.mount, &to.mount) {
            return Err(Errno::EXDEV);
        }
        // Only moves between directories can make a cycle; they come one at a time, as on Linux.
        let mount = self.mount.clone();
        let _one_at_a_time = (self != to).then(|| mount.rename_lock.lock());
        let mut notices = Notices::default();
        let mut guards = TwoNames::lock(self, to);
        let (source, target) = guards.look_up(self, name, to, to_name)?;
        match how {
            RenameHow::NoReplace if target.is_some() => return Err(Errno::EEXIST),
            RenameHow::Exchange if target.is_none() => return Err(Errno::ENOENT),
            _ => {}
        }
        if source.contains(to) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = &target {
            if target.contains(self) {
                return Err(if how == RenameHow::Exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
            }
            if Arc::ptr_eq(&source.inode, &target.inode) {
                return Ok(());
            }
        } else if !to.is_attached() {
            return Err(Errno::ENOENT);
        }
        check(&source, target.as_ref())?;
        if how != RenameHow::Exchange
            && let Some(target) = &target
        {
            match (source.kind == FileType::Directory, target.kind == FileType::Directory) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                _ => {}
            }
        }
        let covered = |node: &Location| node.is_mount_root || node.has_mounts();
        if covered(&source) || target.as_ref().is_some_and(covered) {
            return Err(Errno::EBUSY);
        }
        self.inode.rename(name, &to.inode, to_name, how == RenameHow::Exchange)?;
        let gone = guards.moved(self, name, to, to_name, &source, target.as_ref(), how);
        let exchanged = target.as_ref().filter(|_| how == RenameHow::Exchange);
        let replaced = target.as_ref().filter(|_| how != RenameHow::Exchange).map(|target| &target.inode);
        notices.moved((self, name), (to, to_name), &source.inode, replaced);
        if let Some(exchanged) = exchanged {
            notices.moved((to, to_name), (self, name), &exchanged.inode, None);
        }
        drop(guards);
        drop(gone);
        Ok(())
    }

    fn settle(&self, parent: &Location, name: &[u8]) {
        let name: Arc<[u8]> = name.into();
        let mut place = self.place.lock();
        let old =
            core::mem::replace(&mut *place, Place { parent: Some(parent.clone()), name, attached: true });
        drop(place);
        drop(old);
    }
}

/// The name caches of a rename: of one directory or of two.
struct TwoNames<'a> {
    from: NamesGuard<'a>,
    /// None when both names lie in one directory.
    to: Option<NamesGuard<'a>>,
}

impl<'a> TwoNames<'a> {
    fn lock(from: &'a Location, to: &'a Location) -> TwoNames<'a> {
        if from == to {
            TwoNames { from: from.lock_names(), to: None }
        } else if Arc::as_ptr(&from.0) < Arc::as_ptr(&to.0) {
            let from = from.lock_names();
            TwoNames { from, to: Some(to.lock_names()) }
        } else {
            let to = to.lock_names();
            TwoNames { from: from.lock_names(), to: Some(to) }
        }
    }

    fn to(&mut self) -> &mut Names {
        self.to.as_mut().unwrap_or(&mut self.from)
    }

    fn look_up(
        &mut self,
        from: &Location,
        name: &[u8],
        to: &Location,
        to_name: &[u8],
    ) -> Result<(Location, Option<Location>)> {
        if from.names_mounted(&self.from, name) || to.names_mounted(self.to(), to_name) {
            return Err(Errno::EBUSY);
        }
        let source = from.load(&mut self.from, name)?;
        match to.load(self.to(), to_name) {
            Ok(target) => Ok((source, Some(target))),
            Err(Errno::ENOENT) => Ok((source, None)),
            Err(error) => Err(error),
        }
    }

    /// Brings caches and places up to date after the inodes were renamed; what comes back is dropped without locks.
    #[allow(clippy::too_many_arguments)]
    fn moved(
        &mut self,
        from: &Location,
        name: &[u8],
        to: &Location,
        to_name: &[u8],
        source: &Location,
        target: Option<&Location>,
        how: RenameHow,
    ) -> [Option<Entry>; 2] {
        let mut gone = [None, None];
        if !from.caches_names {
            return gone;
        }
        gone[0] = from.forget(&mut self.from, name);
        gone[1] = self.to().insert(to_name.into(), Entry::Present(source.clone()));
        cache::list(to);
        source.settle(to, to_name);
        match target {
            Some(target) if how == RenameHow::Exchange => {
                self.from.insert(name.into(), Entry::Present(target.clone()));
                target.settle(from, name);
            }
            Some(target) => target.place.lock().attached = false,
            None => {}
        }
        recent::changed();
        gone
    }
}
