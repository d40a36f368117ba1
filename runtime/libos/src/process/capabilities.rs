//! Capabilities (capabilities(7)), as the kernel keeps them for each thread; here, like all ids, for each process.
//!
//! They protect nothing from the host. Programs look at them, drop them when they become another user, and expect that what they
//! dropped is refused and what they kept is not. What is checked with them is what files, ids and signals need. Capabilities in
//! files (`security.capability`) are not looked at.

use super::Credentials;

/// One capability, by the kernel's number; those that something here asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Capability {
    Chown = 0,
    DacOverride = 1,
    DacReadSearch = 2,
    FileOwner = 3,
    FileSetId = 4,
    Kill = 5,
    SetGid = 6,
    SetUid = 7,
    SetCapabilities = 8,
    SysChroot = 18,
    MakeNode = 27,
}

impl Capability {
    const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// Those that Linux 6.1 knows: 0 to 40.
pub const KNOWN: u64 = (1 << (LAST + 1)) - 1;
/// CAP_LAST_CAP.
pub const LAST: u64 = 40;
/// What container engines leave to root.
const CONTAINER: u64 = 0xa804_25fb;
/// Those that come and go with the file-system user id: CHOWN, the DAC ones, FOWNER, FSETID, LINUX_IMMUTABLE, MKNOD, MAC_OVERRIDE.
const OF_FILES: u64 = 0b1_1111 | 1 << 9 | 1 << 27 | 1 << 32;

// linux/securebits.h
const NO_ROOT: u32 = 1;
const NO_SETUID_FIXUP: u32 = 1 << 2;
/// Capabilities stay when all user ids become others than 0 (PR_SET_KEEPCAPS).
pub const KEEP: u32 = 1 << 4;
const KEEP_LOCKED: u32 = KEEP << 1;
const NO_AMBIENT_RAISE: u32 = 1 << 6;
const SECURE_LOCKS: u32 = 0xaa;
const SECURE_ALL: u32 = 0xff;

/// The sets, a bit for each capability, and the securebits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Capabilities {
    pub permitted: u64,
    pub effective: u64,
    pub inheritable: u64,
    pub bounding: u64,
    pub ambient: u64,
    pub secure_bits: u32,
}

impl Capabilities {
    /// Of a container's first process.
    pub fn first(uid: u32) -> Capabilities {
        let held = if uid == 0 { CONTAINER } else { 0 };
        Capabilities { permitted: held, effective: held, bounding: CONTAINER, ..Capabilities::default() }
    }

    /// Whether it is in force.
    pub fn has(&self, capability: Capability) -> bool {
        self.effective & capability.bit() != 0
    }

    /// capset(2): the new effective, permitted and inheritable sets; `None` (`EPERM`) when they are more than there may be.
    pub fn set(&self, effective: u64, permitted: u64, inheritable: u64) -> Option<Capabilities> {
        let [effective, permitted, inheritable] = [effective, permitted, inheritable].map(|set| set & KNOWN);
        let within = |set: u64, limit: u64| set & !limit == 0;
        let allowed = (self.has(Capability::SetCapabilities)
            || within(inheritable, self.inheritable | self.permitted))
            && within(inheritable, self.inheritable | self.bounding)
            && within(permitted, self.permitted)
            && within(effective, permitted);
        let ambient = self.ambient & permitted & inheritable;
        allowed.then_some(Capabilities { effective, permitted, inheritable, ambient, ..*self })
    }

    /// PR_CAP_AMBIENT_RAISE; `None` (`EPERM`) unless it is permitted and inheritable.
    pub fn raise_ambient(&self, bit: u64) -> Option<Capabilities> {
        let may = self.permitted & self.inheritable & bit != 0 && self.secure_bits & NO_AMBIENT_RAISE == 0;
        may.then_some(Capabilities { ambient: self.ambient | bit, ..*self })
    }

    /// PR_SET_SECUREBITS; `None` is `EPERM`.
    pub fn set_secure_bits(&self, bits: u32) -> Option<Capabilities> {
        let old = self.secure_bits;
        let locked = (old & SECURE_LOCKS) >> 1 & (old ^ bits) | old & SECURE_LOCKS & !bits;
        let may = locked == 0 && bits & !SECURE_ALL == 0 && self.has(Capability::SetCapabilities);
        may.then_some(Capabilities { secure_bits: bits, ..*self })
    }

    /// PR_SET_KEEPCAPS; `None` is `EPERM`.
    pub fn set_keep(&self, keep: bool) -> Option<Capabilities> {
        let bits = if keep { self.secure_bits | KEEP } else { self.secure_bits & !KEEP };
        (self.secure_bits & KEEP_LOCKED == 0).then_some(Capabilities { secure_bits: bits, ..*self })
    }
}

impl Credentials {
    /// Whether the capability is in force.
    pub fn may(&self, capability: Capability) -> bool {
        self.capabilities.has(capability)
    }

    /// After a change of user ids other than the file-system one, which `old` does not have yet.
    pub fn follow_user_ids(&mut self, old: &Credentials) {
        let sets = &mut self.capabilities;
        if sets.secure_bits & NO_SETUID_FIXUP != 0 {
            return;
        }
        let root = |ids: &Credentials| [ids.uid, ids.euid, ids.suid].contains(&0);
        let (was, is) = (root(old), [self.uid, self.euid, self.suid].contains(&0));
        if was && !is {
            if sets.secure_bits & KEEP == 0 {
                (sets.permitted, sets.effective) = (0, 0);
            }
            sets.ambient = 0;
        }
        match (old.euid, self.euid) {
            (0, 0) => {}
            (0, _) => sets.effective = 0,
            (_, 0) => sets.effective = sets.permitted,
            _ => {}
        }
    }

    /// After a change of the file-system user id alone.
    pub fn follow_file_id(&mut self, old: &Credentials) {
        let sets = &mut self.capabilities;
        if sets.secure_bits & NO_SETUID_FIXUP != 0 {
            return;
        }
        match (old.fsuid, self.fsuid) {
            (0, 0) => {}
            (0, _) => sets.effective &= !OF_FILES,
            (_, 0) => sets.effective |= sets.permitted & OF_FILES,
            _ => {}
        }
    }

    /// Whose rights access(2) asks about: the real ids, with what root among them is permitted.
    pub fn real(&self) -> Credentials {
        let mut real = Credentials { fsuid: self.uid, fsgid: self.gid, ..self.clone() };
        if real.capabilities.secure_bits & NO_SETUID_FIXUP == 0 {
            let permitted = real.capabilities.permitted;
            real.capabilities.effective = if self.uid == 0 { permitted } else { 0 };
        }
        real
    }

    /// After execve(2) of a program that runs as `user` or `group` (set-user-id, set-group-id), and whether the program has
    /// more rights than who started it (AT_SECURE).
    pub fn executing(
        &self,
        user: Option<u32>,
        group: Option<u32>,
        no_new_privileges: bool,
    ) -> (Credentials, bool) {
        let mut new = self.clone();
        if !no_new_privileges {
            (new.euid, new.egid) = (user.unwrap_or(self.euid), group.unwrap_or(self.egid));
        }
        let other = new.euid != self.uid || new.egid != self.gid;
        let old = &self.capabilities;
        let root = old.secure_bits & NO_ROOT == 0;
        let all = root && new.euid == 0;
        let mut permitted = if all || root && new.uid == 0 { old.bounding | old.inheritable } else { 0 };
        if no_new_privileges && (other || permitted & !old.permitted != 0) {
            (new.euid, new.egid) = (new.uid, new.gid);
            permitted &= old.permitted;
        }
        (new.suid, new.fsuid, new.sgid, new.fsgid) = (new.euid, new.euid, new.egid, new.egid);
        let sets = &mut new.capabilities;
        if other {
            sets.ambient = 0;
        }
        sets.permitted = permitted | sets.ambient;
        sets.effective = if all { sets.permitted } else { sets.ambient };
        sets.secure_bits &= !KEEP;
        let gained = all || sets.permitted & !sets.ambient != 0;
        (new, other || self.uid != 0 && gained)
    }
}
