//! What the kernel puts on the initial stack: arguments, environment, auxiliary vector (System V x86-64 ABI, "Initial Stack").

use core::ffi::{CStr, c_char};

use linux_raw_sys::auxvec::{AT_HWCAP2, AT_MINSIGSTKSZ, AT_NULL, AT_PHDR, AT_PHNUM, AT_SYSINFO_EHDR};

use crate::sys::{self, Errno};

/// The initial stack, understood.
pub struct Boot {
    /// Arguments, the program's own name first.
    pub arguments: &'static [&'static [u8]],
    /// Environment, `NAME=VALUE`.
    pub environment: &'static [&'static [u8]],
    /// Address of the vDSO, or 0.
    pub vdso: u64,
    /// HWCAP2 bits.
    pub hwcap2: u64,
    /// Smallest signal stack in bytes.
    pub minimal_signal_stack: u64,
    /// Address of the loader's own program headers.
    pub headers: u64,
    /// How many they are.
    pub header_count: u64,
}

impl Boot {
    /// Reads the stack.
    ///
    /// # Safety
    /// `stack` is the stack pointer as the kernel set it at the program's start; its contents are never changed.
    pub unsafe fn read(stack: *const u64) -> Result<Boot, Errno> {
        // SAFETY: the kernel lays the stack out as described: a count, two lists that end with 0, and pairs that end with AT_NULL.
        unsafe {
            let arguments = stack.add(1);
            let argument_count = *stack as usize;
            let environment = arguments.add(argument_count + 1);
            let mut environment_count = 0;
            while *environment.add(environment_count) != 0 {
                environment_count += 1;
            }
            let mut boot = Boot {
                arguments: strings(arguments, argument_count)?,
                environment: strings(environment, environment_count)?,
                vdso: 0,
                hwcap2: 0,
                minimal_signal_stack: 2048,
                headers: 0,
                header_count: 0,
            };
            let mut entry = environment.add(environment_count + 1);
            while *entry != AT_NULL as u64 {
                let value = *entry.add(1);
                match *entry as u32 {
                    AT_SYSINFO_EHDR => boot.vdso = value,
                    AT_HWCAP2 => boot.hwcap2 = value,
                    AT_MINSIGSTKSZ => boot.minimal_signal_stack = value,
                    AT_PHDR => boot.headers = value,
                    AT_PHNUM => boot.header_count = value,
                    _ => {}
                }
                entry = entry.add(2);
            }
            Ok(boot)
        }
    }
}

/// A list of C strings as slices.
///
/// # Safety
/// `list` points to `count` addresses of strings that stay for good.
unsafe fn strings(list: *const u64, count: usize) -> Result<&'static [&'static [u8]], Errno> {
    let slices =
        sys::map_anonymous((count * size_of::<&[u8]>()) as u64, sys::READ_WRITE)? as *mut &'static [u8];
    // SAFETY: the mapping is new, large enough, aligned to pages, and never unmapped; the caller vouches for the list.
    unsafe {
        for index in 0..count {
            let text = CStr::from_ptr(*list.add(index) as *const c_char);
            slices.add(index).write(text.to_bytes());
        }
        Ok(core::slice::from_raw_parts(slices, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_environment_and_auxiliary_values_are_found() {
        let texts = [c"prog", c"a b", c"X=1"].map(|text| text.as_ptr() as u64);
        let stack = [
            2, texts[0], texts[1], 0, texts[2], 0, 33, 0x7000, 26, 3, 51, 4000, 3, 0x40, 5, 9, 6, 4096, 0, 0,
        ];
        // SAFETY: the array is laid out as the kernel does.
        let boot = unsafe { Boot::read(stack.as_ptr()) }.unwrap();
        assert_eq!(boot.arguments, [b"prog".as_slice(), b"a b"]);
        assert_eq!(boot.environment, [b"X=1".as_slice()]);
        assert_eq!((boot.vdso, boot.hwcap2, boot.minimal_signal_stack), (0x7000, 3, 4000));
        assert_eq!((boot.headers, boot.header_count), (0x40, 9));
    }
}
