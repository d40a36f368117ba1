//! Host directories: every path is taken beneath its directory, and no symbolic link is ever followed.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::*};

use casemate_abi::PathOperation;
use linux_raw_sys::general::*;

use super::descriptor::to_host_stat;
use super::{Args, put};
use crate::arena::{PATH_LIMIT, PathBytes, Thread};
use crate::sys::{self, Errno, Reply};

/// Most host directories in one run.
pub const VOLUME_LIMIT: usize = 256;
/// Set when the kernel (before 5.6) or the container's seccomp profile has no openat2.
static NO_OPENAT2: AtomicBool = AtomicBool::new(false);
static VOLUME_COUNT: AtomicU32 = AtomicU32::new(0);
/// Descriptors of the volumes; bit 30 marks read-only ones.
static VOLUMES: [AtomicI32; VOLUME_LIMIT] = [const { AtomicI32::new(-1) }; VOLUME_LIMIT];
const READ_ONLY: i32 = 1 << 30;

/// Opens a directory of the host for use as the root of paths.
pub fn open_directory(path: &CStr) -> Result<i32, Errno> {
    sys::open(sys::AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0)
}

/// Adds the next volume; false when there are too many.
pub fn add_volume(directory: i32, read_only: bool) -> bool {
    let number = VOLUME_COUNT.load(Relaxed) as usize;
    if number >= VOLUME_LIMIT {
        return false;
    }
    VOLUMES[number].store(directory | if read_only { READ_ONLY } else { 0 }, Relaxed);
    VOLUME_COUNT.store(number as u32 + 1, Release);
    true
}

/// Looks whether openat2 works, with a directory that is open.
pub fn detect_openat2(directory: i32) {
    let probe = open_with_openat2(directory, c".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    match probe {
        Ok(fd) => sys::close(fd),
        Err(_) => NO_OPENAT2.store(true, Relaxed),
    }
}

fn volume(number: u64) -> Result<(i32, bool), Errno> {
    if number >= VOLUME_COUNT.load(Acquire) as u64 {
        return Err(Errno::ENODEV);
    }
    let value = VOLUMES[number as usize].load(Relaxed);
    Ok((value & !READ_ONLY, value & READ_ONLY != 0))
}

fn writable_volume(number: u64) -> Result<i32, Errno> {
    match volume(number)? {
        (_, true) => Err(Errno::EROFS),
        (directory, false) => Ok(directory),
    }
}

/// Copies a path out of the host buffer and ends it with NUL. Slashes at both ends go; `..`, NUL and overlong paths are refused.
#[allow(clippy::mut_from_ref, reason = "the path areas belong to the one host call under way on this thread")]
pub(super) fn copy_path(
    caller: &Thread,
    which: usize,
    address: u64,
    length: u64,
) -> Result<&mut [u8], Errno> {
    if length > PATH_LIMIT as u64 {
        return Err(Errno::ENAMETOOLONG);
    }
    if !caller.owns(address, length) {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the range lies in the host buffer; the two path areas belong to the calling thread's one host call, which takes each once.
    let (source, target) = unsafe {
        let paths = caller.paths.get().cast::<PathBytes>().add(which);
        (core::slice::from_raw_parts(address as *const u8, length as usize), &mut *paths)
    };
    clean(source, target)
}

fn clean<'a>(source: &[u8], target: &'a mut PathBytes) -> Result<&'a mut [u8], Errno> {
    let mut path = source;
    while let [b'/', rest @ ..] | [rest @ .., b'/'] = path {
        path = rest;
    }
    if path.contains(&0) {
        return Err(Errno::EINVAL);
    }
    if path.split(|byte| *byte == b'/').any(|part| part == b"..") {
        return Err(Errno::EXDEV);
    }
    target[..path.len()].copy_from_slice(path);
    target[path.len()] = 0;
    Ok(&mut target[..path.len() + 1])
}

fn c_string(path: &[u8]) -> &CStr {
    CStr::from_bytes_until_nul(path).unwrap_or(c"")
}

/// Opens `path` (NUL-ended, cleaned, empty for the directory itself) beneath `directory`, following no symbolic link.
pub(super) fn open_beneath(directory: i32, path: &mut [u8], flags: u32, mode: u32) -> Result<i32, Errno> {
    // openat2 refuses flags that mean nothing with O_PATH.
    let quiet = if flags & O_PATH == 0 { O_NOCTTY } else { 0 };
    let flags = flags | O_NOFOLLOW | O_CLOEXEC | quiet;
    if path.len() == 1 {
        return sys::open(directory, c".", flags, mode);
    }
    if NO_OPENAT2.load(Relaxed) {
        return walk(directory, path, flags, mode);
    }
    open_with_openat2(directory, c_string(path), flags, mode)
}

fn open_with_openat2(directory: i32, path: &CStr, flags: u32, mode: u32) -> Result<i32, Errno> {
    let how = open_how {
        flags: flags as u64,
        mode: if flags & (O_CREAT | __O_TMPFILE) != 0 { mode as u64 } else { 0 },
        resolve: (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS) as u64,
    };
    let args = [directory as u64, path.as_ptr() as u64, &raw const how as u64, size_of::<open_how>() as u64];
    // SAFETY: the kernel only reads the path and the structure.
    unsafe { sys::call(__NR_openat2, args) }.map(|fd| fd as i32)
}

/// `open_beneath` without openat2: one component at a time, each opened without following links.
fn walk(directory: i32, path: &mut [u8], flags: u32, mode: u32) -> Result<i32, Errno> {
    let mut at = Directory::borrowed(directory);
    let mut rest = path;
    while let Some(slash) = rest.iter().position(|byte| *byte == b'/') {
        rest[slash] = 0;
        let (component, after) = rest.split_at_mut(slash + 1);
        if component.len() > 1 {
            at = Directory::owned(sys::open(at.fd, c_string(component), O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)?);
        }
        rest = after;
    }
    sys::open(at.fd, c_string(rest), flags, mode)
}

/// A directory descriptor on the way to a path's end.
struct Directory {
    fd: i32,
    close: bool,
}

impl Directory {
    fn borrowed(fd: i32) -> Directory {
        Directory { fd, close: false }
    }

    fn owned(fd: i32) -> Directory {
        Directory { fd, close: true }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.close {
            sys::close(self.fd);
        }
    }
}

/// The directory that holds the path's last component, and that component; `.` stands for the volume's own directory.
fn parent(directory: i32, path: &mut [u8]) -> Result<(Directory, &CStr), Errno> {
    if path.len() == 1 {
        return Ok((Directory::borrowed(directory), c"."));
    }
    let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else {
        return Ok((Directory::borrowed(directory), c_string(path)));
    };
    path[slash] = 0;
    let (front, last) = path.split_at_mut(slash + 1);
    let holder = open_beneath(directory, front, O_PATH | O_DIRECTORY, 0)?;
    Ok((Directory::owned(holder), c_string(last)))
}

/// Open flags that the enclave may give; others are dropped.
const OPEN_FLAGS: u32 = O_ACCMODE
    | O_CREAT
    | O_EXCL
    | O_TRUNC
    | O_APPEND
    | O_NONBLOCK
    | O_DIRECTORY
    | O_DSYNC
    | __O_SYNC
    | O_NOATIME
    | O_LARGEFILE
    | __O_TMPFILE;

const PERMISSIONS: u32 = 0o7777;

pub(super) fn open(caller: &Thread, [number, address, length, flags, mode, _]: Args) -> Reply {
    let (directory, read_only) = volume(number)?;
    let flags = flags as u32 & OPEN_FLAGS;
    if read_only && (flags & O_ACCMODE != O_RDONLY || flags & (O_CREAT | O_TRUNC | __O_TMPFILE) != 0) {
        return Err(Errno::EROFS);
    }
    let path = copy_path(caller, 0, address, length)?;
    open_beneath(directory, path, flags, mode as u32 & PERMISSIONS).map(i64::from)
}

pub(super) fn stat(caller: &Thread, [number, address, length, out, ..]: Args) -> Reply {
    let (directory, _) = volume(number)?;
    let (holder, name) = parent(directory, copy_path(caller, 0, address, length)?)?;
    let mut stat = sys::empty_stat();
    let args = [holder.fd as u64, name.as_ptr() as u64, &raw mut stat as u64, AT_SYMLINK_NOFOLLOW as u64];
    // SAFETY: the kernel reads the name and fills the local structure.
    unsafe { sys::call(__NR_newfstatat, args) }?;
    put(caller, out, to_host_stat(&stat))
}

pub(super) fn read_link(caller: &Thread, [number, address, length, out, capacity, _]: Args) -> Reply {
    let (directory, _) = volume(number)?;
    let (holder, name) = parent(directory, copy_path(caller, 0, address, length)?)?;
    // SAFETY: the kernel reads the name and checks the enclave's address.
    unsafe { sys::call(__NR_readlinkat, [holder.fd as u64, name.as_ptr() as u64, out, capacity]) }
}

pub(super) fn volume_stat(caller: &Thread, [number, out, ..]: Args) -> Reply {
    let (directory, _) = volume(number)?;
    // SAFETY: the structure holds integers only; the kernel fills it.
    let stat: statfs = unsafe {
        let mut stat = core::mem::zeroed();
        sys::call(__NR_fstatfs, [directory as u64, &raw mut stat as u64])?;
        stat
    };
    let values = [stat.f_bsize, stat.f_blocks, stat.f_bfree, stat.f_bavail, stat.f_files, stat.f_ffree];
    put(caller, out, values)
}

pub(super) fn change(caller: &Thread, [operation, number, address, length, a, b]: Args) -> Reply {
    use PathOperation::*;
    let operation = PathOperation::from_number(operation).ok_or(Errno::EINVAL)?;
    let directory = writable_volume(number)?;
    let (holder, name) = parent(directory, copy_path(caller, 0, address, length)?)?;
    let (fd, path) = (holder.fd as u64, name.as_ptr() as u64);
    let mode = a & PERMISSIONS as u64;
    // SAFETY: all calls below: the kernel only reads the names, which end with NUL.
    unsafe {
        match operation {
            MakeDirectory => sys::call(__NR_mkdirat, [fd, path, mode]),
            RemoveDirectory => sys::call(__NR_unlinkat, [fd, path, AT_REMOVEDIR as u64]),
            Unlink => sys::call(__NR_unlinkat, [fd, path, 0]),
            Rename | Link => {
                let second = copy_path(caller, 1, address.wrapping_add(length), a)?;
                let (to, to_name) = parent(directory, second)?;
                let (to, to_path) = (to.fd as u64, to_name.as_ptr() as u64);
                match operation {
                    Rename => sys::call(__NR_renameat2, [fd, path, to, to_path, b]),
                    _ => sys::call(__NR_linkat, [fd, path, to, to_path, 0]),
                }
            }
            Symlink => {
                let target = copy_target(caller, address.wrapping_add(length), a)?;
                sys::call(__NR_symlinkat, [target.as_ptr() as u64, fd, path])
            }
            SetMode => set_mode(&holder, name, mode),
            SetOwner => sys::call(
                __NR_fchownat,
                [fd, path, a & 0xffff_ffff, b & 0xffff_ffff, AT_SYMLINK_NOFOLLOW as u64],
            ),
            SetTimes => {
                let times = [to_timespec(a), to_timespec(b)];
                sys::call(__NR_utimensat, [fd, path, times.as_ptr() as u64, AT_SYMLINK_NOFOLLOW as u64])
            }
            MakeNode => make_node(fd, path, a),
        }
    }
}

/// The text of a new symbolic link: any bytes, kept as they are.
fn copy_target(caller: &Thread, address: u64, length: u64) -> Result<&CStr, Errno> {
    if length > PATH_LIMIT as u64 {
        return Err(Errno::ENAMETOOLONG);
    }
    if !caller.owns(address, length) {
        return Err(Errno::EFAULT);
    }
    let length = length as usize;
    // SAFETY: as in `copy_path`; the second path area is not used otherwise by this operation.
    unsafe {
        let target = &mut *caller.paths.get().cast::<PathBytes>().add(1);
        target[..length].copy_from_slice(core::slice::from_raw_parts(address as *const u8, length));
        target[length] = 0;
        CStr::from_bytes_with_nul(&target[..length + 1]).map_err(|_| Errno::EINVAL)
    }
}

fn make_node(fd: u64, path: u64, mode: u64) -> Reply {
    if ![0, S_IFREG, S_IFIFO].contains(&(mode as u32 & S_IFMT)) {
        return Err(Errno::EPERM);
    }
    let mode = mode & (S_IFMT | PERMISSIONS) as u64;
    // SAFETY: the kernel only reads the name.
    unsafe { sys::call(__NR_mknodat, [fd, path, mode, 0]) }
}

/// chmod that does not follow a symbolic link: fchmodat2 (Linux 6.6), else through /proc after a look at what it is.
fn set_mode(holder: &Directory, name: &CStr, mode: u64) -> Reply {
    let (fd, path) = (holder.fd as u64, name.as_ptr() as u64);
    // SAFETY: the kernel only reads the name.
    match unsafe { sys::call(__NR_fchmodat2, [fd, path, mode, AT_SYMLINK_NOFOLLOW as u64]) } {
        Err(Errno::ENOSYS | Errno::EPERM) => {}
        reply => return reply,
    }
    let file = Directory::owned(sys::open(holder.fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)?);
    if sys::stat(file.fd)?.st_mode & S_IFMT == S_IFLNK {
        return Err(Errno::EOPNOTSUPP);
    }
    set_mode_of(file.fd, mode)
}

/// chmod of what an O_PATH descriptor stands for.
fn set_mode_of(fd: i32, mode: u64) -> Reply {
    let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut digits = [0u8; 10];
    let (mut at, mut rest) = (digits.len(), fd as u32);
    while at == digits.len() || rest != 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    path[14..14 + digits.len() - at].copy_from_slice(&digits[at..]);
    // SAFETY: the kernel only reads the path.
    unsafe { sys::call(__NR_fchmodat, [sys::AT_FDCWD as u64, path.as_ptr() as u64, mode]) }
}

/// A time in ns since 1970, which may be negative; all ones leaves the file's.
fn to_timespec(ns: u64) -> __kernel_timespec {
    if ns == u64::MAX {
        return __kernel_timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as i64 };
    }
    let ns = ns as i64;
    __kernel_timespec { tv_sec: ns.div_euclid(1_000_000_000), tv_nsec: ns.rem_euclid(1_000_000_000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(path: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut target = [0xff; PATH_LIMIT + 1];
        clean(path, &mut target).map(|path| path.to_vec())
    }

    #[test]
    fn paths_are_cleaned_and_escapes_refused() {
        assert_eq!(cleaned(b"/a/b/"), Ok(b"a/b\0".to_vec()));
        assert_eq!(cleaned(b""), Ok(b"\0".to_vec()));
        assert_eq!(cleaned(b"///"), Ok(b"\0".to_vec()));
        assert_eq!(cleaned(b"a/..b/c"), Ok(b"a/..b/c\0".to_vec()));
        assert_eq!(cleaned(&[b'x'; PATH_LIMIT]).map(|path| path.len()), Ok(PATH_LIMIT + 1));
        for path in [b"..".as_slice(), b"a/../b", b"/..", b"a/.."] {
            assert_eq!(cleaned(path), Err(Errno::EXDEV));
        }
        assert_eq!(cleaned(b"a\0b"), Err(Errno::EINVAL));
    }

    #[test]
    fn both_ways_to_open_stay_beneath_and_follow_no_link() {
        let root = std::env::temp_dir().join(format!("casemate-host-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "x").unwrap();
        let _ = std::os::unix::fs::symlink("a", root.join("link"));
        let _ = std::os::unix::fs::symlink("file", root.join("a/b/last"));
        let name = std::ffi::CString::new(root.to_str().unwrap()).unwrap();
        let directory = open_directory(&name).unwrap();
        type Open = fn(i32, &mut [u8], u32, u32) -> Result<i32, Errno>;
        let by_openat2: Open = |at, path, flags, mode| open_with_openat2(at, c_string(path), flags, mode);
        for open in [walk as Open, by_openat2] {
            let flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
            let try_open = |path: &[u8]| open(directory, &mut path.to_vec(), flags, 0);
            assert!(try_open(b"a/b/file\0").map(sys::close).is_ok());
            assert!(try_open(b"a//b/./file\0").map(sys::close).is_ok());
            assert_eq!(try_open(b"a/b/last\0"), Err(Errno::ELOOP));
            assert!(matches!(try_open(b"link/b/file\0"), Err(Errno::ELOOP | Errno::ENOTDIR)));
            assert_eq!(try_open(b"a/none\0"), Err(Errno::ENOENT));
            assert_eq!(try_open(b"a/b/file/x\0"), Err(Errno::ENOTDIR));
        }
        sys::close(directory);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn times_before_1970_round_down() {
        let time = to_timespec(-1_500_000_000i64 as u64);
        assert_eq!((time.tv_sec, time.tv_nsec), (-2, 500_000_000));
        assert_eq!(to_timespec(u64::MAX).tv_nsec, UTIME_OMIT as i64);
    }
}
