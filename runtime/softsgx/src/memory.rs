//! What the device needs of the memory that its pages live in.

use casemate_sgx::{PAGE_SIZE, SecInfoFlags};

/// Contents of EPC pages, and the untrusted mapping from linear addresses to them.
///
/// None of these can fail: an implementation that cannot do what it is asked (a refused `mprotect`) must end the process,
/// because going on would leave a page accessible that should not be.
pub trait Memory {
    /// The EPC page that a linear page maps to by the (untrusted) page tables; `None` when it is no EPC page. Where
    /// linear and EPC address are the same, which is so in the loader, there is nothing to do.
    fn resolve(&self, linear_page: u64) -> Option<u64> {
        Some(linear_page)
    }

    /// Sets a page that is being added: to these contents, or to zeros.
    fn fill(&mut self, page: u64, contents: Option<&[u8; PAGE_SIZE]>);

    /// Reads inside one page.
    fn read(&self, address: u64, buffer: &mut [u8]);

    /// Writes inside one page.
    fn write(&mut self, address: u64, data: &[u8]);

    /// From now on code inside may access these pages so (R, W, X; empty: not at all, not even read).
    fn protect(&mut self, page: u64, length: u64, access: SecInfoFlags);

    /// The page is no longer part of any enclave.
    fn release(&mut self, page: u64);
}
