//! Image files, host directories, descriptors.

use casemate_abi::{HostCall, HostStat, PathOperation};
use linux_raw_sys::errno::*;
use linux_raw_sys::general::*;

use super::argument;
use crate::enclave::{buffer, get, host, last_fault, put, seen, try_read};

/// Offset in the host buffer of results.
const OUT: u64 = 16 * 1024;

fn open_image(digest: [u8; 32], path: &[u8]) -> Result<[u64; 3], i64> {
    put(0, &digest);
    put(32, path);
    match host(HostCall::ImageOpen, [buffer(), path.len() as u64, buffer() + OUT, 0, 0, 0]) {
        0 => Ok(get(OUT)),
        error => Err(error),
    }
}

fn close_image(handle: u64) -> i64 {
    host(HostCall::ImageClose, [handle, 0, 0, 0, 0, 0])
}

/// Opens `/dir/file` ("contents\n"), `/empty`, and what must fail; the second argument says whether by digest.
pub fn images() {
    let by_digest = argument(1) == b"digest";
    let name = |first| if by_digest { [first; 32] } else { [0; 32] };
    let [handle, size, address] = open_image(name(0xab), b"/dir/file").unwrap_or_default();
    same!(size, 9);
    for (offset, byte) in b"contents\n".iter().enumerate() {
        same!(try_read(address + offset as u64), Some(*byte));
    }
    let [empty, size, address_of_empty] = open_image(name(0xcd), b"/empty").unwrap_or([9; 3]);
    check!(size == 0 && address_of_empty == 0 && empty != handle);
    same!(close_image(empty), 0);
    same!(close_image(handle), 0);
    check!(try_read(address).is_none());
    same!(close_image(handle), -(EBADF as i64));
    same!(open_image(name(0x11), b"/none"), Err(-(ENOENT as i64)));
    if !by_digest {
        same!(open_image([0; 32], b"/link"), Err(-(ELOOP as i64)));
        check!(matches!(open_image([0; 32], b"/dirlink/file"), Err(error) if error == -(ELOOP as i64)));
        same!(open_image([0; 32], b"/dir"), Err(-(EINVAL as i64)));
        same!(open_image([0; 32], b"/dir/../dir/file"), Err(-(EXDEV as i64)));
        same!(open_image([0; 32], b"/fifo"), Err(-(EINVAL as i64)));
    }
    for _ in 0..20_000 {
        let [handle, ..] = open_image(name(0xab), b"/dir/file").unwrap_or([u64::MAX; 3]);
        same!(close_image(handle), 0);
    }
}

/// The host cuts a mapped file: reading it is a fault that the enclave can recover from. `/big` is also `big` in volume 0.
pub fn truncated_image() {
    let [_, size, address] = open_image([0; 32], b"/big").unwrap_or_default();
    same!((size, try_read(address + 8192)), (16384, Some(b'x')));
    let fd = open(b"big", O_RDWR, 0);
    check!(fd > 2);
    same!(host(HostCall::FdTruncate, [fd as u64, 4096, 0, 0, 0, 0]), 0);
    same!((try_read(address + 8192), last_fault()), (None, (14, address + 8192, 7)));
    same!(try_read(address), Some(b'x'));
}

fn open(path: &[u8], flags: u32, mode: u32) -> i64 {
    let at = put(0, path);
    host(HostCall::PathOpen, [0, at, path.len() as u64, flags as u64, mode as u64, 0])
}

fn stat(path: &[u8]) -> Result<HostStat, i64> {
    let at = put(0, path);
    match host(HostCall::PathStat, [0, at, path.len() as u64, buffer() + OUT, 0, 0]) {
        0 => Ok(get(OUT)),
        error => Err(error),
    }
}

fn change(operation: PathOperation, path: &[u8], a: u64, b: u64) -> i64 {
    let at = put(0, path);
    host(HostCall::PathChange, [operation as u64, 0, at, path.len() as u64, a, b])
}

fn change_two(operation: PathOperation, path: &[u8], second: &[u8], flags: u64) -> i64 {
    put(path.len() as u64, second);
    change(operation, path, second.len() as u64, flags)
}

fn error(number: u32) -> i64 {
    -(number as i64)
}

/// All operations on a writable host directory, and every way out of it.
pub fn paths() {
    use PathOperation::*;
    same!(change(MakeDirectory, b"d", 0o750, 0), 0);
    same!(change(MakeDirectory, b"d", 0o750, 0), error(EEXIST));
    same!(stat(b"d").map(|stat| stat.mode), Ok(S_IFDIR | 0o750));
    let fd = open(b"d/f", O_RDWR | O_CREAT | O_EXCL, 0o666);
    check!(fd > 2);
    let fd = fd as u64;
    same!(open(b"d/f", O_RDWR | O_CREAT | O_EXCL, 0o666), error(EEXIST));
    put(0, b"hello world");
    same!(host(HostCall::FdWrite, [fd, buffer(), 11, 0, 0, 0]), 11);
    same!(host(HostCall::FdWriteAt, [fd, buffer(), 5, 100, 0, 0]), 5);
    same!(host(HostCall::FdReadAt, [fd, buffer() + OUT, 64, 6, 0, 0]), 64);
    same!(seen(OUT, 5), b"world");
    let seek = |offset: i64, whence| host(HostCall::FdSeek, [fd, offset as u64, whence, 0, 0, 0]);
    same!((seek(0, 1), seek(-5, 2), seek(11, 0)), (11, 100, 11));
    same!(seek(-1, 0), error(EINVAL));
    same!(host(HostCall::FdRead, [fd, buffer() + OUT, 64, 0, 0, 0]), 64);
    same!(host(HostCall::FdSync, [fd, 0, 0, 0, 0, 0]), 0);
    same!(host(HostCall::FdSync, [fd, 1, 0, 0, 0, 0]), 0);
    same!(host(HostCall::FdStat, [fd, buffer() + OUT, 0, 0, 0, 0]), 0);
    let found: HostStat = get(OUT);
    // Created 0666 with no umask of the host's.
    same!((found.size, found.mode, found.nlink), (105, S_IFREG | 0o666, 1));
    same!(host(HostCall::FdClose, [fd, 0, 0, 0, 0, 0]), 0);
    same!(host(HostCall::FdStat, [fd, buffer(), 0, 0, 0, 0]), error(EBADF));

    same!(change(SetMode, b"d/f", 0o640, 0), 0);
    same!(change(SetTimes, b"d/f", 1_000_000_007, u64::MAX), 0);
    let found = stat(b"/d/f").unwrap_or_default();
    same!((found.mode & 0o7777, found.atime_ns), (0o640, 1_000_000_007));
    same!(change(SetOwner, b"d/f", u32::MAX as u64, u32::MAX as u64), 0);
    same!(change_two(Link, b"d/f", b"g", 0), 0);
    same!(stat(b"g").map(|stat| stat.nlink), Ok(2));
    same!(change_two(Rename, b"g", b"d/h", 0), 0);
    same!(change_two(Rename, b"d/h", b"d/f", 1), error(EEXIST)); // RENAME_NOREPLACE
    same!(change_two(Symlink, b"d/s", b"../../outside", 0), 0);
    same!(stat(b"d/s").map(|stat| stat.mode & S_IFMT), Ok(S_IFLNK));
    let at = put(0, b"d/s");
    same!(host(HostCall::PathReadLink, [0, at, 3, buffer() + OUT, 100, 0]), 13);
    same!(seen(OUT, 13), b"../../outside");
    same!(open(b"d/s", O_RDONLY, 0), error(ELOOP));
    same!(change(SetMode, b"d/s", 0o777, 0), error(EOPNOTSUPP));
    same!(change_two(Symlink, b"up", b"..", 0), 0);
    check!(
        matches!(open(b"up/d/f", O_RDONLY, 0), error if error == -(ELOOP as i64) || error == -(ENOTDIR as i64))
    );
    check!(stat(b"up/d").is_err());
    for path in [b"..".as_slice(), b"d/../../x", b"/../x", b"d/.."] {
        same!(open(path, O_RDONLY, 0), error(EXDEV));
        same!(stat(path).map(|_| ()), Err(error(EXDEV)));
        same!(change(Unlink, path, 0, 0), error(EXDEV));
    }
    same!(change(MakeNode, b"fifo", (S_IFIFO | 0o600) as u64, 0), 0);
    same!(change(MakeNode, b"dev", (S_IFCHR | 0o600) as u64, 0), error(EPERM));
    check!(stat(b"").map(|stat| stat.mode & S_IFMT) == Ok(S_IFDIR));
    list();
    same!(host(HostCall::VolumeStat, [0, buffer() + OUT, 0, 0, 0, 0]), 0);
    let values: [u64; 6] = get(OUT);
    check!(values[0] >= 512 && values[1] >= values[2]);
    for (operation, path) in
        [(Unlink, b"d/f".as_slice()), (Unlink, b"d/h"), (Unlink, b"d/s"), (Unlink, b"up"), (Unlink, b"fifo")]
    {
        same!(change(operation, path, 0, 0), 0);
    }
    same!(change(RemoveDirectory, b"d", 0, 0), 0);
    same!(stat(b"d").map(|_| ()), Err(error(ENOENT)));
}

/// Reads the volume's top directory and counts its entries.
fn list() {
    let fd = open(b"", O_RDONLY | O_DIRECTORY, 0);
    check!(fd > 2);
    let length = host(HostCall::FdReadDirectory, [fd as u64, buffer(), 4096, 0, 0, 0]);
    let (mut at, mut names) = (0, 0);
    while at < length as u64 {
        let record: u16 = get(at + 16);
        names += 1;
        at += record as u64;
    }
    same!((names, at), (5, length as u64)); // . .. d up fifo
    same!(host(HostCall::FdClose, [fd as u64, 0, 0, 0, 0, 0]), 0);
}

/// A volume given with `:ro` is not written to, whatever is asked. It holds `file`.
pub fn read_only() {
    use PathOperation::*;
    let fd = open(b"file", O_RDONLY, 0);
    check!(fd > 2);
    for flags in [O_RDWR, O_WRONLY, O_RDONLY | O_TRUNC, O_RDONLY | O_CREAT] {
        same!(open(b"file", flags, 0o600), error(EROFS));
    }
    for operation in
        [MakeDirectory, RemoveDirectory, Unlink, Rename, Link, Symlink, SetMode, SetOwner, SetTimes, MakeNode]
    {
        same!(change(operation, b"file", 1, 1), error(EROFS));
    }
}

/// Blocking mode, the standard streams, a closed pipe's reader (standard output has none).
pub fn descriptors() {
    let nonblocking = |fd, on| host(HostCall::FdSetNonblocking, [fd, on, 0, 0, 0, 0]);
    let (socket, _) = super::network::udp_socket();
    same!(
        (nonblocking(socket, 1), nonblocking(socket, 1), nonblocking(socket, 0), nonblocking(socket, 0)),
        (0, 1, 1, 0)
    );
    same!(nonblocking(socket, 1), 0);
    same!(host(HostCall::FdRead, [socket, buffer(), 16, 0, 0, 0]), error(EAGAIN));
    same!(host(HostCall::FdIoctl, [socket, 0x541b, buffer(), 4, 0, 0]), 0); // FIONREAD
    same!(get::<u32>(0), 0);
    same!(host(HostCall::FdIoctl, [socket, 0x5401, buffer(), 36, 0, 0]), error(ENOTTY)); // TCGETS
    same!(host(HostCall::FdIoctl, [socket, 0x541b, buffer(), 3, 0, 0]), error(EINVAL));
    same!(host(HostCall::FdClose, [1, 0, 0, 0, 0, 0]), 0);
    // The reader of standard output goes away: an error, not SIGPIPE.
    put(0, b"x");
    let mut result = 1;
    for _ in 0..1000 {
        result = host(HostCall::FdWrite, [1, buffer(), 1, 0, 0, 0]);
        if result != 1 {
            break;
        }
        host(HostCall::Park, [10_000_000, 0, 0, 0, 0, 0]);
    }
    same!(result, error(EPIPE));
    same!(host(HostCall::FdRead, [99, buffer(), 1, 0, 0, 0]), error(EBADF));
}
