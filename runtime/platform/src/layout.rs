//! Where things lie in the enclave: read from the measured page, which the host cannot have changed.
//!
//! The page lies right below the image, so its address is the processor's word (RIP), not the host's. On `direct` the loader made
//! it, as it made everything there.

use casemate_sgx::layout::{BLOCK_OFFSET, LayoutBlock, LayoutFlags};

use crate::PAGE_SIZE;
use crate::sync::Once;

unsafe extern "C" {
    /// The image's first byte (defined by the linker).
    static __ehdr_start: u8;
}

static BLOCK: Once<LayoutBlock> = Once::new();

/// Where the enclave image is mapped.
pub(crate) fn image_base() -> u64 {
    &raw const __ehdr_start as u64
}

/// The layout that a test runs under: outside an enclave image there is no measured page.
#[cfg(not(freestanding))]
static PROVIDED: Once<LayoutBlock> = Once::new();

/// Gives a test's layout, before the first entry.
#[cfg(not(freestanding))]
pub fn provide(block: LayoutBlock) {
    let _ = PROVIDED.set(block);
}

#[cfg(not(freestanding))]
fn read() -> Option<LayoutBlock> {
    PROVIDED.get().copied()
}

#[cfg(freestanding)]
fn read() -> Option<LayoutBlock> {
    LayoutBlock::read(&measured_page()).filter(|block| block.image_base == image_base())
}

fn measured_page() -> [u8; PAGE_SIZE] {
    if cfg!(not(freestanding)) {
        return [0; PAGE_SIZE];
    }

    // SAFETY: the page below the image is the measured page: readable, plain bytes, never written to.
    unsafe { *((image_base() - PAGE_SIZE as u64) as *const [u8; PAGE_SIZE]) }
}

/// Reads the layout and fixes every range by it; false when the page holds none that can be right.
pub(crate) fn adopt() -> bool {
    let Some(block) = read() else { return false };
    let page = |value: u64| value.is_multiple_of(PAGE_SIZE as u64);
    let image_end = block.image_base.checked_add(block.image_size);
    let heap_end = block.heap_base.checked_add(block.heap_size);
    let threads_end = u64::from(block.max_threads)
        .checked_mul(block.thread_stride)
        .and_then(|all| all.checked_add(block.threads_base));
    let good = block.enclave_size.is_power_of_two()
        && (1 << 24..=1 << 46).contains(&block.enclave_size)
        && [block.user_base, block.user_top, block.heap_base, block.heap_size, block.heap_added]
            .into_iter()
            .all(page)
        && 0x10000 <= block.user_base
        && block.user_base < block.user_top
        && block.user_top <= block.heap_base
        && block.heap_added <= block.heap_size
        && heap_end.is_some_and(|end| end <= block.threads_base)
        && threads_end.is_some_and(|end| end <= block.image_base)
        && image_end.is_some_and(|end| end <= block.enclave_size);
    if !good || BLOCK.set(block).is_err() {
        return false;
    }
    crate::boundary::set_enclave_size(block.enclave_size);
    crate::user::set_range(block.user_base, block.user_top);
    true
}

/// The layout, once it is read.
pub(crate) fn adopted() -> Option<&'static LayoutBlock> {
    BLOCK.get()
}

/// The layout.
pub(crate) fn block() -> &'static LayoutBlock {
    match adopted() {
        Some(block) => block,
        None => crate::console::fatal("the layout is not read yet"),
    }
}

/// Whether the measured layout has memory and threads added on demand.
pub(crate) fn has_edmm() -> bool {
    block().flags().contains(LayoutFlags::EDMM)
}

/// The measured block: the digest of the manifest, by which everything else is vouched for.
pub(crate) fn measured_block() -> [u8; BLOCK_OFFSET] {
    let mut bytes = [0; BLOCK_OFFSET];
    bytes.copy_from_slice(&measured_page()[..BLOCK_OFFSET]);
    bytes
}
