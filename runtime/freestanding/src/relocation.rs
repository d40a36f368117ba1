//! Self-relocation of a static PIE: the image adds its load address to its own pointers.
//!
//! Only `R_X86_64_RELATIVE` occurs in such an image (`DT_RELA`, and `DT_RELR` when the linker packed them). Called first of all,
//! from the entry point, so the code must not use a static that holds a pointer.

/// One entry of the dynamic section (System V gABI, "Dynamic Section").
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Dynamic {
    /// DT_* tag.
    pub tag: u64,
    /// Value or address.
    pub value: u64,
}

#[repr(C)]
struct Rela {
    offset: u64,
    info: u64,
    addend: u64,
}

const DT_NULL: u64 = 0;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_RELRSZ: u64 = 35;
const DT_RELR: u64 = 36;
const R_X86_64_RELATIVE: u64 = 8;

/// Applies the image's relocations; false when one of another type is met (the image is then unusable).
///
/// # Safety
/// `base` is where the image is loaded, `dynamic` its dynamic section as the linker wrote it, and all that it relocates is writable.
#[inline]
pub unsafe fn relocate(base: u64, mut dynamic: *const Dynamic) -> bool {
    let (mut rela, mut rela_size, mut relr, mut relr_size) = (0, 0, 0, 0);
    // SAFETY: the caller vouches for the dynamic section, which ends with DT_NULL, and for the tables that it names.
    unsafe {
        while (*dynamic).tag != DT_NULL {
            let value = (*dynamic).value;
            match (*dynamic).tag {
                DT_RELA => rela = value,
                DT_RELASZ => rela_size = value,
                DT_RELR => relr = value,
                DT_RELRSZ => relr_size = value,
                _ => {}
            }
            dynamic = dynamic.add(1);
        }
        let mut entry = base.wrapping_add(rela) as *const Rela;
        let end = base.wrapping_add(rela).wrapping_add(rela_size) as *const Rela;
        while entry < end {
            if (*entry).info & 0xffff_ffff != R_X86_64_RELATIVE {
                return false;
            }
            *(base.wrapping_add((*entry).offset) as *mut u64) = base.wrapping_add((*entry).addend);
            entry = entry.add(1);
        }
        relocate_packed(base, base.wrapping_add(relr) as *const u64, relr_size / 8);
    }
    true
}

/// `DT_RELR`: an even word is an address to relocate; an odd one is a bitmap of the 63 words after the last address.
///
/// # Safety
/// As [`relocate`]; `words` points to `count` words.
unsafe fn relocate_packed(base: u64, words: *const u64, count: u64) {
    let mut place = core::ptr::null_mut::<u64>();
    for position in 0..count as usize {
        // SAFETY: the caller vouches for the table and for every place it names.
        unsafe {
            let word = *words.add(position);
            if word & 1 == 0 {
                place = base.wrapping_add(word) as *mut u64;
                *place = (*place).wrapping_add(base);
                place = place.add(1);
                continue;
            }
            let mut bits = word >> 1;
            let mut at = place;
            while bits != 0 {
                if bits & 1 != 0 {
                    *at = (*at).wrapping_add(base);
                }
                bits >>= 1;
                at = at.wrapping_add(1);
            }
            place = place.wrapping_add(63);
        }
    }
}
