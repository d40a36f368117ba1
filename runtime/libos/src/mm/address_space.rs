//! A process's address space.

use crate::user_space::Access;

/// A process's mappings.
pub struct AddressSpace {}

impl AddressSpace {
    /// No mappings.
    pub fn new() -> AddressSpace {
        AddressSpace {}
    }

    /// Makes the page at `address` present if it is mapped with that right; false when it is not the process's to access so.
    pub fn make_present(&self, _address: u64, _access: Access) -> bool {
        false
    }

    /// Whether the page at `address` can be written now; makes it present if it is only not loaded yet.
    pub fn is_present_for_write(&self, _address: u64) -> bool {
        false
    }
}

impl Default for AddressSpace {
    fn default() -> Self {
        Self::new()
    }
}
