//! socket, bind, listen, accept, connect and what one asks of a socket; sends and receives are in `message`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as raw;

use super::pipe::install;
use crate::errno::{Errno, Result};
use crate::file::{File, OpenFlags};
use crate::net::{self, ADDRESS_LIMIT, HostSocket, NetlinkSocket, UnixSocket, as_socket};
use crate::process::{Context, Fd};
use crate::user_space::{self, Addr};

/// The bits of a type argument that are the type.
const TYPE_MASK: u32 = 0xf;
/// Highest type, SOCK_PACKET.
const LAST_TYPE: u32 = 10;

/// Flags beside the type: non-blocking, close-on-exec; `EINVAL` for others.
fn split_flags(flags: u32) -> Result<(bool, bool)> {
    if flags & !(raw::O_NONBLOCK | raw::O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok((flags & raw::O_NONBLOCK != 0, flags & raw::O_CLOEXEC != 0))
}

fn split_type(kind: u32) -> Result<(u32, bool, bool)> {
    let (nonblocking, close_on_exec) = split_flags(kind & !TYPE_MASK)?;
    match kind & TYPE_MASK {
        kind if kind > LAST_TYPE => Err(Errno::EINVAL),
        kind => Ok((kind, nonblocking, close_on_exec)),
    }
}

/// socket(2).
pub fn sys_socket(ctx: &Context, domain: u32, kind: u32, protocol: u32) -> Result<usize> {
    let (kind, nonblocking, close_on_exec) = split_type(kind)?;
    let file: Arc<dyn File> = match domain {
        net::INET | net::INET6 if matches!(kind, net::STREAM | net::DATAGRAM) => {
            HostSocket::open(domain, kind, protocol, nonblocking)?
        }
        net::INET | net::INET6 => return Err(Errno::ESOCKTNOSUPPORT),
        net::UNIX => UnixSocket::new(unix_kind(kind, protocol)?, nonblocking),
        net::NETLINK => NetlinkSocket::open(kind, protocol, nonblocking)?,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    Ok(ctx.process().files().add(file, close_on_exec)?.0 as usize)
}

/// The type of a UNIX socket: raw ones are datagram sockets.
fn unix_kind(kind: u32, protocol: u32) -> Result<u32> {
    const RAW: u32 = 3;
    match kind {
        _ if protocol != 0 && protocol != net::UNIX => Err(Errno::EPROTONOSUPPORT),
        RAW => Ok(net::DATAGRAM),
        net::STREAM | net::DATAGRAM | net::SEQUENCED => Ok(kind),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

/// socketpair(2).
pub fn sys_socketpair(ctx: &Context, domain: u32, kind: u32, protocol: u32, at: Addr) -> Result<usize> {
    let (kind, nonblocking, close_on_exec) = split_type(kind)?;
    match domain {
        net::UNIX => {
            let [first, second] = UnixSocket::pair(unix_kind(kind, protocol)?, nonblocking);
            install(ctx, at, [first, second], close_on_exec)
        }
        net::INET | net::INET6 | net::NETLINK => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// The file behind a socket's descriptor; whether it is a socket is asked where it is used.
pub(super) fn get(ctx: &Context, fd: Fd) -> Result<Arc<dyn File>> {
    let file = ctx.process().file(fd)?;
    if file.status().get().contains(OpenFlags::PATH) { Err(Errno::EBADF) } else { Ok(file) }
}

/// Reads an address argument.
pub(super) fn read_address(at: Addr, length: i32) -> Result<Vec<u8>> {
    let length = usize::try_from(length).ok().filter(|&length| length <= ADDRESS_LIMIT);
    let mut address = alloc::vec![0; length.ok_or(Errno::EINVAL)?];
    user_space::copy_in(&mut address, at)?;
    Ok(address)
}

/// Writes an address where there is room for `*length_at` bytes of it, then its true length there.
pub(super) fn write_address(address: &[u8], at: Addr, length_at: Addr) -> Result<()> {
    if at.is_null() {
        return Ok(());
    }
    let room = user_space::read_u32(length_at)? as i32;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    user_space::copy_out(at, &address[..room.min(address.len())])?;
    user_space::copy_out(length_at, &(address.len() as u32).to_le_bytes())
}

/// bind(2).
pub fn sys_bind(ctx: &Context, fd: Fd, at: Addr, length: i32) -> Result<usize> {
    let file = get(ctx, fd)?;
    let socket = as_socket(&file)?;
    socket.bind(&read_address(at, length)?).map(|()| 0)
}

/// listen(2).
pub fn sys_listen(ctx: &Context, fd: Fd, backlog: i32) -> Result<usize> {
    as_socket(&get(ctx, fd)?)?.listen(backlog).map(|()| 0)
}

/// accept(2).
pub fn sys_accept(ctx: &Context, fd: Fd, at: Addr, length_at: Addr) -> Result<usize> {
    sys_accept4(ctx, fd, at, length_at, 0)
}

/// accept4(2).
pub fn sys_accept4(ctx: &Context, fd: Fd, at: Addr, length_at: Addr, flags: u32) -> Result<usize> {
    let (nonblocking, close_on_exec) = split_flags(flags)?;
    let file = get(ctx, fd)?;
    // The connection stays in the queue when there is no descriptor for it.
    let files = ctx.process().files();
    let place = files.reserve()?;
    let (accepted, peer) = as_socket(&file)?.accept(nonblocking)?;
    write_address(&peer, at, length_at)?;
    Ok(place.fill(accepted, close_on_exec).0 as usize)
}

/// connect(2).
pub fn sys_connect(ctx: &Context, fd: Fd, at: Addr, length: i32) -> Result<usize> {
    let file = get(ctx, fd)?;
    let socket = as_socket(&file)?;
    socket.connect(&read_address(at, length)?).map(|()| 0)
}

fn name(ctx: &Context, fd: Fd, at: Addr, length_at: Addr, peer: bool) -> Result<usize> {
    let file = get(ctx, fd)?;
    let address = as_socket(&file)?.name(peer)?;
    let room = user_space::read_u32(length_at)? as i32;
    if room < 0 {
        return Err(Errno::EINVAL);
    }
    user_space::copy_out(at, &address[..address.len().min(room as usize)])?;
    user_space::copy_out(length_at, &(address.len() as u32).to_le_bytes())?;
    Ok(0)
}

/// getsockname(2).
pub fn sys_getsockname(ctx: &Context, fd: Fd, at: Addr, length_at: Addr) -> Result<usize> {
    name(ctx, fd, at, length_at, false)
}

/// getpeername(2).
pub fn sys_getpeername(ctx: &Context, fd: Fd, at: Addr, length_at: Addr) -> Result<usize> {
    name(ctx, fd, at, length_at, true)
}

/// shutdown(2).
pub fn sys_shutdown(ctx: &Context, fd: Fd, how: u32) -> Result<usize> {
    let file = get(ctx, fd)?;
    let socket = as_socket(&file)?;
    if how > 2 { Err(Errno::EINVAL) } else { socket.shutdown(how).map(|()| 0) }
}

/// Longest option value.
const OPTION_LIMIT: usize = 256;

/// setsockopt(2).
pub fn sys_setsockopt(ctx: &Context, fd: Fd, level: u32, name: u32, at: Addr, length: i32) -> Result<usize> {
    let file = get(ctx, fd)?;
    let socket = as_socket(&file)?;
    let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
    let mut value = alloc::vec![0; length.min(OPTION_LIMIT)];
    user_space::copy_in(&mut value, at)?;
    socket.set_option(level, name, &value).map(|()| 0)
}

/// getsockopt(2).
pub fn sys_getsockopt(
    ctx: &Context,
    fd: Fd,
    level: u32,
    name: u32,
    at: Addr,
    length_at: Addr,
) -> Result<usize> {
    let file = get(ctx, fd)?;
    let socket = as_socket(&file)?;
    let room = user_space::read_u32(length_at)? as i32;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let value = socket.option(level, name, room.min(OPTION_LIMIT))?;
    user_space::copy_out(at, &value[..value.len().min(room)])?;
    user_space::copy_out(length_at, &(value.len() as u32).to_le_bytes())?;
    Ok(0)
}
