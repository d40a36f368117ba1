//! The memory functions against plain loops, over every small size, alignment and overlap.

use casemate_freestanding::memory::*;

const SIZES: [usize; 12] = [127, 128, 129, 191, 192, 255, 1000, 2047, 2048, 2049, 4096, 9001];

fn sizes() -> impl Iterator<Item = usize> {
    (0..=140).chain(SIZES)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2654435761) >> 24) as u8).collect()
}

#[test]
fn copies_between_separate_ranges() {
    for size in sizes() {
        for (from, to) in [(0, 0), (1, 0), (0, 1), (7, 3), (15, 16)] {
            let source = pattern(size + 64);
            let mut target = vec![0xa5u8; size + 64];
            // SAFETY: both offsets plus the size lie inside the vectors.
            let result = unsafe {
                casemate_memmove(target.as_mut_ptr().add(to).cast(), source.as_ptr().add(from).cast(), size)
            };
            assert_eq!(result as usize, target.as_ptr() as usize + to);
            assert_eq!(&target[to..to + size], &source[from..from + size], "size {size}");
            assert!(target[..to].iter().chain(&target[to + size..]).all(|b| *b == 0xa5), "size {size}");
        }
    }
}

#[test]
fn moves_inside_one_range_in_both_directions() {
    for size in sizes() {
        for distance in [0usize, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 500, 3000] {
            for forward in [false, true] {
                let mut memory = pattern(size + distance + 16);
                let (from, to) = if forward { (8 + distance, 8) } else { (8, 8 + distance) };
                let mut expected = memory.clone();
                expected.copy_within(from..from + size, to);
                let start = memory.as_mut_ptr();
                // SAFETY: both ranges lie inside the vector.
                unsafe { casemate_memmove(start.add(to).cast(), start.add(from).cast(), size) };
                assert!(memory == expected, "size {size}, distance {distance}, forward {forward}");
            }
        }
    }
}

#[test]
fn sets_exactly_the_range() {
    for size in sizes() {
        for offset in [0, 1, 7, 13] {
            let mut memory = pattern(size + 32);
            let mut expected = memory.clone();
            expected[offset..offset + size].fill(0x5a);
            // SAFETY: the range lies inside the vector.
            unsafe { casemate_memset(memory.as_mut_ptr().add(offset).cast(), 0x7f5a, size) };
            assert!(memory == expected, "size {size}, offset {offset}");
        }
    }
}

#[test]
fn compares_as_unsigned_bytes_at_every_position() {
    for size in sizes() {
        let left = pattern(size);
        let mut right = left.clone();
        let compare = |a: &[u8], b: &[u8]| {
            // SAFETY: both slices are `size` bytes long.
            unsafe { casemate_memcmp(a.as_ptr().cast(), b.as_ptr().cast(), size) }
        };
        assert_eq!(compare(&left, &right), 0);
        for position in 0..size {
            right[position] ^= 0x80;
            let expected = left[position].cmp(&right[position]);
            assert_eq!(compare(&left, &right).cmp(&0), expected, "size {size}, position {position}");
            if position + 1 < size {
                // A later difference does not matter.
                right[position + 1] ^= 0xff;
                assert_eq!(compare(&left, &right).cmp(&0), expected);
                right[position + 1] ^= 0xff;
            }
            right[position] ^= 0x80;
        }
    }
}

#[test]
fn measures_strings() {
    for length in 0..100 {
        let mut text = vec![b'x'; length];
        text.extend_from_slice(b"\0yz");
        // SAFETY: the text ends with NUL.
        assert_eq!(unsafe { casemate_strlen(text.as_ptr()) }, length);
    }
}
