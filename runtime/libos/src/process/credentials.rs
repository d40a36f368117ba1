//! User and group ids of a process.

use alloc::vec::Vec;

use super::Capabilities;

/// Ids as the program sees them. They protect nothing from the host; inside, the file tree honours them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Credentials {
    pub uid: u32,
    pub euid: u32,
    pub suid: u32,
    pub fsuid: u32,
    pub gid: u32,
    pub egid: u32,
    pub sgid: u32,
    pub fsgid: u32,
    pub groups: Vec<u32>,
    pub capabilities: Capabilities,
}

impl Credentials {
    /// All user ids `uid`, all group ids `gid`.
    pub fn new(uid: u32, gid: u32, groups: Vec<u32>) -> Credentials {
        let capabilities = Capabilities::first(uid);
        Credentials {
            uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups,
            capabilities,
        }
    }

    /// Whether `gid` is the file-system group or a supplementary one.
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.contains(&gid)
    }
}
