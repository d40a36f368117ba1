//! Self-relocation over a made-up image.

use casemate_freestanding::relocation::{Dynamic, relocate};

const END: Dynamic = Dynamic { tag: 0, value: 0 };

#[test]
fn applies_relative_and_packed_relocations() {
    let mut image = vec![0u64; 512];
    let base = image.as_mut_ptr() as u64;
    // RELA at word 100: place word 3, addend 0x40.
    image[100..103].copy_from_slice(&[24, 8, 0x40]);
    // RELR at word 200: word 10; then a bitmap of words 11, 13 and 73; then words 74 and 136.
    image[200] = 80;
    image[201] = ((1 | 1 << 2 | 1 << 62) << 1) | 1;
    image[202] = ((1 | 1 << 62) << 1) | 1;
    for word in [10, 11, 13, 73, 74, 136] {
        image[word] = word as u64;
    }
    let dynamic = [
        Dynamic { tag: 7, value: 800 },
        Dynamic { tag: 8, value: 24 },
        Dynamic { tag: 36, value: 1600 },
        Dynamic { tag: 35, value: 24 },
        END,
    ];
    // SAFETY: every place that the tables name lies inside `image`.
    assert!(unsafe { relocate(base, dynamic.as_ptr()) });
    assert_eq!(image[3], base + 0x40);
    for word in [10, 11, 13, 73, 74, 136] {
        assert_eq!(image[word], base + word as u64, "word {word}");
    }
    assert_eq!(image[12], 0);
    assert_eq!(image[135], 0);
}

#[test]
fn refuses_other_relocations() {
    let mut image = [0u64; 16];
    image[4..7].copy_from_slice(&[0, 6, 0]);
    let dynamic = [Dynamic { tag: 7, value: 32 }, Dynamic { tag: 8, value: 24 }, END];
    // SAFETY: the table lies inside `image`; nothing is written.
    assert!(!unsafe { relocate(image.as_ptr() as u64, dynamic.as_ptr()) });
}
