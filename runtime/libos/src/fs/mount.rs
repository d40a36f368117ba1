//! [`Mount`]: what the nodes of one mounted file system share.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::*};

use casemate_platform::sync::{Mutex, RwLock};

use super::node::Location;

/// A mounted file system.
pub struct Mount {
    /// Number in /proc/self/mountinfo.
    pub id: u32,
    /// st_dev of its files.
    pub device: u64,
    /// File system type as /proc/mounts shows it.
    pub kind: &'static str,
    /// Source as /proc/mounts shows it.
    pub source: Vec<u8>,
    read_only: bool,
    /// Held by moves between directories.
    pub(super) rename_lock: Mutex<()>,
}

static NEXT_DEVICE: AtomicU32 = AtomicU32::new(0x20);
static NEXT_ID: AtomicU32 = AtomicU32::new(20);

/// A device number for a file system without a device.
pub fn new_device() -> u64 {
    make_device(0, NEXT_DEVICE.fetch_add(1, Relaxed))
}

/// dev_t as the kernel's interface packs it (new_encode_dev).
pub const fn make_device(major: u32, minor: u32) -> u64 {
    (minor as u64 & 0xff)
        | (major as u64 & 0xfff) << 8
        | (minor as u64 & !0xff) << 12
        | (major as u64 & !0xfff) << 32
}

/// Major and minor of a dev_t.
pub const fn split_device(device: u64) -> (u32, u32) {
    let major = device >> 8 & 0xfff | device >> 32 & !0xfff;
    let minor = device & 0xff | device >> 12 & !0xff;
    (major as u32, minor as u32)
}

impl Mount {
    /// A mount of a file system with this device number.
    pub fn new(device: u64, kind: &'static str, source: &[u8], read_only: bool) -> Arc<Mount> {
        let id = NEXT_ID.fetch_add(1, Relaxed);
        Arc::new(Mount { id, device, kind, source: source.into(), read_only, rename_lock: Mutex::new(()) })
    }

    /// Whether changes are refused.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
}

/// All mounts in the order in which they were made, for /proc/mounts. Mounts are made at start and stay.
static TABLE: RwLock<Vec<Location>> = RwLock::new(Vec::new());

/// Enters the root of a mount into the table.
pub fn register(root: &Location) {
    TABLE.write().push(root.clone());
}

/// The roots of all mounts.
pub fn all() -> Vec<Location> {
    TABLE.read().clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_packed_as_the_kernel_does() {
        assert_eq!(make_device(1, 3), 0x103);
        assert_eq!(make_device(0xabc, 0x12345), 0x123abc45);
        for (major, minor) in [(0, 0), (1, 3), (136, 300), (0xfff, 0xfffff)] {
            assert_eq!(split_device(make_device(major, minor)), (major, minor));
        }
    }
}
