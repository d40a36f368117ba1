//! Where everything lies in the enclave's range `[0, size)`: program memory low, then the library OS's heap, then the enclave image.

use crate::sys::PAGE;

/// Bases are multiples of this, so that huge pages can serve the range.
const STEP: u64 = 2 << 20;
/// Largest heap of the library OS.
const HEAP_LIMIT: u64 = 64 << 30;

/// Addresses in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Size of the enclave's range.
    pub enclave_size: u64,
    /// One past the last address for program memory; the heap begins there.
    pub user_top: u64,
    /// Size of the heap.
    pub heap_size: u64,
    /// Where the image lies.
    pub image_base: u64,
    /// Its size, in whole pages.
    pub image_size: u64,
}

impl Layout {
    /// Lays out an enclave of `enclave_size` bytes (a power of two) around an image of `image_size` bytes; `None` when it does not fit.
    pub fn new(enclave_size: u64, image_size: u64) -> Option<Layout> {
        let image_size = image_size.checked_next_multiple_of(PAGE)?;
        let image_base = enclave_size.checked_sub(image_size)? / STEP * STEP;
        let heap_size = (enclave_size / 4).min(HEAP_LIMIT);
        let user_top = image_base.checked_sub(heap_size)? / STEP * STEP;
        (user_top >= STEP).then_some(Layout {
            enclave_size,
            user_top,
            heap_size: image_base - user_top,
            image_base,
            image_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_fit() {
        for shift in 24..=46 {
            for image_size in [1, 4096, 1_234_567, 3 << 20] {
                let layout = Layout::new(1 << shift, image_size).unwrap();
                assert_eq!(layout.user_top + layout.heap_size, layout.image_base);
                assert!(layout.image_base + layout.image_size <= layout.enclave_size);
                assert!(layout.image_size >= image_size && layout.image_size % PAGE == 0);
                assert!(layout.image_base % STEP == 0 && layout.user_top % STEP == 0);
                assert!(layout.heap_size >= (layout.enclave_size / 4).min(HEAP_LIMIT));
            }
        }
    }

    #[test]
    fn an_image_that_leaves_no_room_is_refused() {
        assert_eq!(Layout::new(1 << 24, 15 << 20), None);
        assert_eq!(Layout::new(1 << 24, u64::MAX), None);
    }
}
