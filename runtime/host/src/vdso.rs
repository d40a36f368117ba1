//! `clock_gettime` of the kernel's vDSO: 25 ns instead of a system call.
//!
//! Where the kernel's clock source cannot be read from user mode, the vDSO makes a system call of its own. Syscall User Dispatch
//! turns that into SIGSYS, since the vDSO is not the loader's code; the signal handler then makes the call and [`retire`]s the vDSO.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::*};

use linux_raw_sys::general::{__NR_clock_gettime, __kernel_timespec};

use crate::sys;

static FUNCTION: AtomicU64 = AtomicU64::new(0);
static START: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);

/// Starts to use the vDSO at `base` (AT_SYSINFO_EHDR; 0 for none).
///
/// # Safety
/// `base` is the auxiliary vector's value.
pub unsafe fn adopt(base: u64) {
    if base == 0 {
        return;
    }
    // SAFETY: the kernel maps a complete ELF image there.
    if let Some((function, size)) = unsafe { find(base, b"__vdso_clock_gettime\0") } {
        START.store(base, Relaxed);
        END.store(base + size, Relaxed);
        FUNCTION.store(function.start, Relaxed);
    }
}

/// Where a function of the vDSO begins and ends; `name` ends with NUL. After [`adopt`].
pub fn function(name: &[u8]) -> Option<Range<u64>> {
    let base = START.load(Relaxed);
    // SAFETY: `adopt` found the kernel's complete image there.
    if base == 0 { None } else { unsafe { find(base, name) }.map(|(function, _)| function) }
}

/// Stops using the vDSO.
pub fn retire() {
    FUNCTION.store(0, Relaxed);
}

/// Whether the address lies in the vDSO's code.
pub fn contains(address: u64) -> bool {
    (START.load(Relaxed)..END.load(Relaxed)).contains(&address)
}

/// A clock's value in ns.
pub fn clock_ns(clock: u32) -> u64 {
    let mut time = __kernel_timespec { tv_sec: 0, tv_nsec: 0 };
    let function = FUNCTION.load(Relaxed);
    let mut result = -1;
    if function != 0 {
        // SAFETY: the address is the vDSO's clock_gettime, of this signature; it fills the local structure.
        result = unsafe {
            let function: extern "C" fn(u32, *mut __kernel_timespec) -> i32 = core::mem::transmute(function);
            function(clock, &mut time)
        };
    }
    if result != 0 {
        // SAFETY: the kernel fills the local structure.
        let _ = unsafe { sys::call(__NR_clock_gettime, [clock as u64, &raw mut time as u64]) };
    }
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;

/// The range of a symbol of the ELF image at `base`, and the image's size.
///
/// # Safety
/// `base` points to an ELF image that is mapped as a whole, with a DT_HASH table if it has symbols.
unsafe fn find(base: u64, name: &[u8]) -> Option<(Range<u64>, u64)> {
    // SAFETY: the caller vouches for the image; its own tables say where things are.
    unsafe {
        let read = |address: u64| (address as *const u64).read_unaligned();
        let half = |address: u64| (address as *const u16).read_unaligned();
        let word = |address: u64| (address as *const u32).read_unaligned();
        let headers = base + read(base + 32);
        let (mut dynamic, mut size, mut bias) = (0, 0, None);
        for index in 0..half(base + 56) as u64 {
            let header = headers + index * half(base + 54) as u64;
            let (offset, address, length) = (read(header + 8), read(header + 16), read(header + 40));
            match word(header) {
                PT_LOAD => {
                    size = size.max(offset + length);
                    bias = bias.or(Some(base.wrapping_add(offset).wrapping_sub(address)));
                }
                PT_DYNAMIC => dynamic = base + offset,
                _ => {}
            }
        }
        let bias = bias?;
        let (mut hash, mut strings, mut symbols) = (0, 0, 0);
        while dynamic != 0 && read(dynamic) != 0 {
            let value = bias.wrapping_add(read(dynamic + 8));
            match read(dynamic) {
                DT_HASH => hash = value,
                DT_STRTAB => strings = value,
                DT_SYMTAB => symbols = value,
                _ => {}
            }
            dynamic += 16;
        }
        if hash == 0 || strings == 0 || symbols == 0 {
            return None;
        }
        for index in 0..word(hash + 4) as u64 {
            let symbol = symbols + index * 24;
            let at = strings + word(symbol) as u64;
            let same = name.iter().enumerate().all(|(i, byte)| *((at + i as u64) as *const u8) == *byte);
            if same && half(symbol + 6) != 0 {
                let start = bias.wrapping_add(read(symbol + 8));
                return Some((start..start.wrapping_add(read(symbol + 16)), size));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_vdso_tells_the_time() {
        let auxv = std::fs::read("/proc/self/auxv").unwrap();
        let base = auxv
            .chunks_exact(16)
            .find(|entry| entry[0] == 33)
            .map(|entry| u64::from_le_bytes(entry[8..].try_into().unwrap()));
        // SAFETY: the value comes from the auxiliary vector.
        unsafe { adopt(base.unwrap_or(0)) };
        assert!(base.is_none() || FUNCTION.load(Relaxed) != 0, "no __vdso_clock_gettime found");
        let function = function(b"__vdso_clock_gettime\0").unwrap_or_default();
        assert!(base.is_none() || contains(function.start) && !function.is_empty());
        assert_eq!(super::function(b"__vdso_of_no_kernel\0"), None);
        let by_vdso = clock_ns(1);
        retire();
        let by_call = clock_ns(1);
        assert!(by_call >= by_vdso && by_call - by_vdso < 1_000_000_000, "{by_vdso} {by_call}");
    }
}
