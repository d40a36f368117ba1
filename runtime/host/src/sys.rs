//! System calls, raw: the loader has no C library and must not touch the thread register (fs belongs to the program).

use core::ffi::CStr;
use core::fmt;

use linux_raw_sys::{errno, general};

/// A positive Linux error number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

macro_rules! errors {
    ($($name:ident $text:literal,)*) => {
        impl Errno {
            $(#[allow(missing_docs)] pub const $name: Errno = Errno(errno::$name as i32);)*

            /// What went wrong, in words, for messages.
            pub fn text(self) -> &'static str {
                match self { $(Errno::$name => $text,)* _ => "system error" }
            }
        }
    };
}

errors! {
    ENOENT "no such file or directory",
    EACCES "permission denied",
    EPERM "operation not permitted",
    EEXIST "already in use",
    ENOTDIR "not a directory",
    EISDIR "is a directory",
    ELOOP "too many symbolic links",
    ENOMEM "out of memory",
    EMFILE "too many open files",
    EINVAL "invalid argument",
    ENOSYS "not supported by this kernel",
    EIO "input/output error",
    EROFS "read-only file system",
    ENAMETOOLONG "name too long",
    EBADF "bad file descriptor",
    EFAULT "bad address",
    EXDEV "outside the directory",
    EAFNOSUPPORT "address family not supported",
    ESOCKTNOSUPPORT "socket type not supported",
    ENOTTY "not a terminal",
    EAGAIN "resource temporarily unavailable",
    EINTR "interrupted",
    ENODEV "no such device",
    EFBIG "file too large",
    EOPNOTSUPP "operation not supported",
    ETIMEDOUT "timed out",
    ECONNREFUSED "connection refused",
    EREMOTEIO "remote input/output error",
}

/// Lets other threads run.
pub fn yield_processor() {
    // SAFETY: touches no memory.
    let _ = unsafe { call(general::__NR_sched_yield, []) };
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} (errno {})", self.text(), self.0)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A system call's outcome.
pub type Reply = Result<i64, Errno>;

/// The kernel's raw result as a [`Reply`].
#[inline]
pub fn reply(result: i64) -> Reply {
    if (-4095..0).contains(&result) { Err(Errno(-result as i32)) } else { Ok(result) }
}

/// A system call.
///
/// # Safety
/// The call must not break what Rust assumes: the memory that it writes is the caller's to be written.
#[inline(always)]
pub unsafe fn call<const N: usize>(number: u32, args: [u64; N]) -> Reply {
    const { assert!(N <= 6) };
    let at = |index: usize| if index < N { args[index] } else { 0 };
    let result: i64;
    // SAFETY: the kernel changes rax, rcx, r11 and what the caller vouches for.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as u64 => result,
            in("rdi") at(0), in("rsi") at(1), in("rdx") at(2), in("r10") at(3), in("r8") at(4), in("r9") at(5),
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    reply(result)
}

/// Descriptor argument "relative to the working directory".
pub const AT_FDCWD: i32 = general::AT_FDCWD;

/// openat(2).
pub fn open(directory: i32, path: &CStr, flags: u32, mode: u32) -> Result<i32, Errno> {
    let args = [directory as u64, path.as_ptr() as u64, flags as u64, mode as u64];
    // SAFETY: the kernel only reads the path.
    unsafe { call(general::__NR_openat, args) }.map(|fd| fd as i32)
}

/// close(2).
pub fn close(fd: i32) {
    // SAFETY: closing a descriptor touches no memory.
    let _ = unsafe { call(general::__NR_close, [fd as u64]) };
}

/// write(2) of everything; errors end it silently (there is nobody to tell).
pub fn write_all(fd: i32, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the kernel only reads the bytes.
        match unsafe { call(general::__NR_write, [fd as u64, bytes.as_ptr() as u64, bytes.len() as u64]) } {
            Ok(count) if count > 0 => bytes = &bytes[(count as usize).min(bytes.len())..],
            Err(Errno::EINTR) => {}
            _ => return,
        }
    }
}

/// read(2).
pub fn read(fd: i32, into: &mut [u8]) -> Result<usize, Errno> {
    let args = [fd as u64, into.as_mut_ptr() as u64, into.len() as u64];
    // SAFETY: the kernel writes into the exclusively borrowed slice.
    unsafe { call(general::__NR_read, args) }.map(|count| count as usize)
}

/// A zeroed `struct stat`.
pub fn empty_stat() -> general::stat {
    // SAFETY: the structure holds integers only.
    unsafe { core::mem::zeroed() }
}

/// fstat(2).
pub fn stat(fd: i32) -> Result<general::stat, Errno> {
    let mut stat = empty_stat();
    // SAFETY: the kernel fills the local structure.
    unsafe { call(general::__NR_fstat, [fd as u64, &raw mut stat as u64]) }?;
    Ok(stat)
}

/// Page size of the architecture.
pub const PAGE: u64 = 4096;
/// PROT_READ and PROT_WRITE.
pub const READ_WRITE: u32 = general::PROT_READ | general::PROT_WRITE;

/// mmap(2).
///
/// # Safety
/// With MAP_FIXED the range must be the caller's to be replaced.
pub unsafe fn map(
    address: u64,
    length: u64,
    protection: u32,
    flags: u32,
    fd: i32,
    offset: u64,
) -> Result<u64, Errno> {
    let args = [address, length, protection as u64, flags as u64, fd as u64, offset];
    // SAFETY: the caller vouches for what a fixed mapping replaces; otherwise the kernel picks free addresses.
    unsafe { call(general::__NR_mmap, args) }.map(|address| address as u64)
}

/// New private zero pages, committed when touched.
pub fn map_anonymous(length: u64, protection: u32) -> Result<u64, Errno> {
    let flags = general::MAP_PRIVATE | general::MAP_ANONYMOUS | general::MAP_NORESERVE;
    // SAFETY: not fixed: nothing is replaced.
    unsafe { map(0, length.max(1), protection, flags, -1, 0) }
}

/// mprotect(2).
///
/// # Safety
/// Nobody relies on the rights that are taken away.
pub unsafe fn protect(address: u64, length: u64, protection: u32) -> Result<(), Errno> {
    // SAFETY: the caller vouches for the range.
    unsafe { call(general::__NR_mprotect, [address, length, protection as u64]) }.map(drop)
}

/// munmap(2).
///
/// # Safety
/// Nobody uses the range any more.
pub unsafe fn unmap(address: u64, length: u64) {
    // SAFETY: the caller vouches for the range.
    let _ = unsafe { call(general::__NR_munmap, [address, length]) };
}

/// exit_group(2).
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: ends the process.
        let _ = unsafe { call(general::__NR_exit_group, [status as u64]) };
    }
}
