//! [`Attributes`]: owner, mode, links and times of an object of the tree, and what reads, writes and changes do to them.

use crate::fs::caller;
use crate::fs::inode::AttributeChange;
use crate::stat::Timestamp;

#[derive(Clone, Copy)]
pub struct Attributes {
    pub permissions: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    pub accessed: Timestamp,
    pub modified: Timestamp,
    pub changed: Timestamp,
    pub created: Timestamp,
}

impl Attributes {
    /// All times are `time`.
    pub fn new(permissions: u32, uid: u32, gid: u32, links: u32, time: Timestamp) -> Attributes {
        let (accessed, modified, changed, created) = (time, time, time, time);
        Attributes { permissions, uid, gid, links, accessed, modified, changed, created }
    }

    /// The contents were written: modification and change time move on, set-id bits go where Linux takes them.
    pub fn written(&mut self, keeps_set_id: bool) {
        let now = Timestamp::now();
        self.modified = now;
        self.changed = now;
        if !keeps_set_id {
            self.permissions = without_set_id(self.permissions);
        }
    }

    /// The contents were read: the access time moves on where relatime would have it.
    pub fn read(&mut self) {
        const DAY: i64 = 24 * 60 * 60;
        let stale = self.accessed <= self.modified || self.accessed <= self.changed;
        let now = Timestamp::now();
        if stale || now.seconds - self.accessed.seconds >= DAY {
            self.accessed = now;
        }
    }

    /// Names in a directory were changed, and it has so many subdirectories more.
    pub fn names_changed(&mut self, subdirectories: i32) {
        let now = Timestamp::now();
        self.modified = now;
        self.changed = now;
        self.links = self.links.saturating_add_signed(subdirectories);
    }

    /// chmod, chown, utimes, and what truncate does beside the contents.
    pub fn apply(&mut self, change: &AttributeChange) {
        let now = Timestamp::now();
        self.permissions = change.permissions.map_or(self.permissions, |bits| bits & 0o7777);
        self.uid = change.uid.unwrap_or(self.uid);
        self.gid = change.gid.unwrap_or(self.gid);
        self.accessed = change.accessed.unwrap_or(self.accessed);
        self.modified = change.modified.unwrap_or(self.modified);
        if change.size.is_some() {
            self.modified = now;
            if !caller::keeps_set_id() {
                self.permissions = without_set_id(self.permissions);
            }
        }
        self.changed = now;
    }
}

/// A mode after a write or change of owner by an ordinary user.
fn without_set_id(permissions: u32) -> u32 {
    let group_executes = permissions & 0o010 != 0;
    permissions & !(0o4000 | if group_executes { 0o2000 } else { 0 })
}
