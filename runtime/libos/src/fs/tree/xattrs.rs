//! [`Xattrs`]: the extended attributes of an object of the tree, read from the image when they are first wanted.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use casemate_index::InodeNumber;
use casemate_platform::sync::Mutex;

use crate::errno::{Errno, Result};
use crate::fs::image::{Image, index_error};
use crate::fs::inode::XattrMode;
use crate::fs::xattr;

type Values = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// `below` of its functions is the image and the number there; without one there are none but those that were set.
pub struct Xattrs(Mutex<Option<Values>>);

impl Xattrs {
    /// There are none yet.
    pub fn none() -> Xattrs {
        Xattrs(Mutex::new(Some(Values::new())))
    }

    /// There are some in the image.
    pub fn in_image() -> Xattrs {
        Xattrs(Mutex::new(None))
    }

    /// The value of one; `ENODATA`.
    pub fn get(&self, below: Option<(&Image, InodeNumber)>, name: &[u8]) -> Result<Vec<u8>> {
        self.with(below, |values| values.get(name).map(|value| value.to_vec()).ok_or(Errno::ENODATA))
    }

    /// All names, in order.
    pub fn names(&self, below: Option<(&Image, InodeNumber)>) -> Result<Vec<Vec<u8>>> {
        self.with(below, |values| Ok(values.keys().map(|name| name.to_vec()).collect()))
    }

    /// Sets one; `EEXIST` and `ENODATA` as `mode` has it, `ENOSPC` beyond [`xattr::INODE_LIMIT`].
    pub fn set(
        &self,
        below: Option<(&Image, InodeNumber)>,
        name: &[u8],
        value: &[u8],
        mode: XattrMode,
    ) -> Result<()> {
        self.with(below, |values| {
            match (mode, values.contains_key(name)) {
                (XattrMode::Create, true) => return Err(Errno::EEXIST),
                (XattrMode::Replace, false) => return Err(Errno::ENODATA),
                _ => {}
            }
            let used: usize = values.iter().map(|(name, value)| name.len() + value.len()).sum();
            if used + name.len() + value.len() > xattr::INODE_LIMIT {
                return Err(Errno::ENOSPC);
            }
            values.insert(name.into(), value.into());
            Ok(())
        })
    }

    /// Takes one away; `ENODATA`.
    pub fn remove(&self, below: Option<(&Image, InodeNumber)>, name: &[u8]) -> Result<()> {
        self.with(below, |values| values.remove(name).map(drop).ok_or(Errno::ENODATA))
    }

    fn with<T>(
        &self,
        below: Option<(&Image, InodeNumber)>,
        use_them: impl FnOnce(&mut Values) -> Result<T>,
    ) -> Result<T> {
        let mut slot = self.0.lock();
        if slot.is_none() {
            let (image, number) = below.ok_or(Errno::EIO)?;
            let found = image.index.xattrs(number).map_err(index_error)?;
            *slot = Some(found.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
        }
        use_them(slot.as_mut().ok_or(Errno::EIO)?)
    }
}
