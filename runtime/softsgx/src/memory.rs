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

    /// Sets a page that is being added to these contents.
    fn fill(&mut self, page: u64, contents: &[u8; PAGE_SIZE]);

    /// Sets pages that are being added to zeros.
    fn zero(&mut self, page: u64, length: u64);

    /// Reads inside one page.
    fn read(&self, address: u64, buffer: &mut [u8]);

    /// Reads a whole page that nobody has access to: one on its way to become a TCS.
    fn read_closed(&mut self, page: u64, buffer: &mut [u8; PAGE_SIZE]) {
        self.read(page, buffer);
    }

    /// Writes inside one page.
    fn write(&mut self, address: u64, data: &[u8]);

    /// Copies whole pages into others to which nobody has access yet, and then gives access: whoever touches one of them
    /// meanwhile finds nothing, or the page whole.
    fn copy(&mut self, from: u64, to: u64, length: u64, access: SecInfoFlags) {
        let mut contents = [0; PAGE_SIZE];
        for done in (0..length).step_by(PAGE_SIZE) {
            self.read(from + done, &mut contents);
            self.write(to + done, &contents);
        }
        self.protect(to, length, access);
    }

    /// From now on code inside may access these pages so (R, W, X; empty: not at all, not even read).
    fn protect(&mut self, page: u64, length: u64, access: SecInfoFlags);

    /// The pages are no longer part of any enclave: nobody may access them, and their contents are gone.
    fn release(&mut self, page: u64, length: u64);
}
