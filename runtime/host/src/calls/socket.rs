//! Sockets of the Internet families.

use casemate_abi::{HostCall, MessageHeader};
use linux_raw_sys::general::{
    __NR_accept4, __NR_bind, __NR_connect, __NR_getpeername, __NR_getsockname, __NR_getsockopt, __NR_listen,
    __NR_recvfrom, __NR_recvmsg, __NR_sendmsg, __NR_sendto, __NR_setsockopt, __NR_shutdown, __NR_socket,
    iovec,
};
use linux_raw_sys::net::*;

use super::{Args, get, put};
use crate::arena::Thread;
use crate::blocking;
use crate::sys::{self, Errno, Reply};

pub(super) fn serve(call: HostCall, caller: &Thread, args: Args) -> Reply {
    use HostCall::*;
    let [fd, a, b, c, d, _] = args;
    // SAFETY: all calls below: the kernel checks every address; the enclave names memory of its host buffer.
    unsafe {
        match call {
            SocketOpen => open(fd, a, b),
            SocketBind => sys::call(__NR_bind, [fd, a, b]),
            SocketListen => sys::call(__NR_listen, [fd, a]),
            SocketAccept => accept(caller, fd, a, b, c),
            SocketConnect => blocking::call(caller, __NR_connect, [fd, a, b]),
            SocketSend => send(caller, fd, a, b),
            SocketReceive => receive(caller, fd, a, b),
            SocketGetOption => with_length(d, |length| sys::call(__NR_getsockopt, [fd, a, b, c, length])),
            SocketSetOption => sys::call(__NR_setsockopt, [fd, a, b, c, d]),
            SocketName if a == 1 => with_length(c, |length| sys::call(__NR_getpeername, [fd, b, length])),
            SocketName => with_length(c, |length| sys::call(__NR_getsockname, [fd, b, length])),
            SocketShutdown => sys::call(__NR_shutdown, [fd, a]),
            _ => Err(Errno::ENOSYS),
        }
    }
}

fn open(domain: u64, kind: u64, protocol: u64) -> Reply {
    if domain != AF_INET as u64 && domain != AF_INET6 as u64 {
        return Err(Errno::EAFNOSUPPORT);
    }
    if kind > 0xf {
        return Err(Errno::EINVAL);
    }
    // SAFETY: touches no memory.
    unsafe { sys::call(__NR_socket, [domain, kind | SOCK_CLOEXEC as u64, protocol]) }
}

const SOCK_CLOEXEC: u32 = linux_raw_sys::general::O_CLOEXEC;

/// A call whose length argument goes in as the capacity and comes out as the length, which is the result.
fn with_length(capacity: u64, call: impl FnOnce(u64) -> Reply) -> Reply {
    let mut length = capacity.min(i32::MAX as u64) as u32;
    call(&raw mut length as u64)?;
    // For an address longer than the capacity the kernel says how long it would be.
    Ok((length as u64).min(capacity) as i64)
}

fn accept(caller: &Thread, fd: u64, address: u64, capacity: u64, out: u64) -> Reply {
    if !caller.owns(out, 8) {
        return Err(Errno::EFAULT);
    }
    let mut length = capacity.min(i32::MAX as u64) as u32;
    let args = [fd, address, &raw mut length as u64, SOCK_CLOEXEC as u64];
    // SAFETY: the kernel checks the enclave's address and writes the local length.
    let accepted = unsafe { blocking::call(caller, __NR_accept4, args) }?;
    put(caller, out, (length as u64).min(capacity))?;
    Ok(accepted)
}

/// A kernel header for the enclave's, which names one range, one address and control data.
fn message(header: &MessageHeader, range: &mut iovec) -> msghdr {
    range.iov_base = header.data as *mut _;
    range.iov_len = header.data_length as _;
    msghdr {
        msg_name: if header.name_length == 0 { core::ptr::null_mut() } else { header.name as *mut _ },
        msg_namelen: header.name_length.min(i32::MAX as u64) as i32,
        msg_iov: (range as *mut iovec).cast(),
        msg_iovlen: 1,
        msg_control: if header.control_length == 0 {
            core::ptr::null_mut()
        } else {
            header.control as *mut _
        },
        msg_controllen: header.control_length as _,
        msg_flags: 0,
    }
}

const EMPTY: iovec = iovec { iov_base: core::ptr::null_mut(), iov_len: 0 };

/// The enclave's header; what it names lies in the host buffer.
fn header(caller: &Thread, at: u64) -> Result<MessageHeader, Errno> {
    let header: MessageHeader = get(caller, at)?;
    let named = header.name_length == 0 || caller.owns(header.name, header.name_length);
    let controlled = header.control_length == 0 || caller.owns(header.control, header.control_length);
    if named && controlled && caller.owns(header.data, header.data_length) {
        Ok(header)
    } else {
        Err(Errno::EFAULT)
    }
}

/// With control data sendmsg(2), else sendto(2), which is faster.
fn send(caller: &Thread, fd: u64, at: u64, flags: u64) -> Reply {
    let header = header(caller, at)?;
    let flags = flags & u32::MAX as u64 | MSG_NOSIGNAL as u64;
    if header.control_length == 0 {
        let name = if header.name_length == 0 { 0 } else { header.name };
        let args = [fd, header.data, header.data_length, flags, name, header.name_length];
        // SAFETY: the kernel reads what lies in the host buffer.
        return unsafe { blocking::call(caller, __NR_sendto, args) };
    }
    let mut range = EMPTY;
    let message = message(&header, &mut range);
    // SAFETY: the kernel reads the local header and checks the addresses in it.
    unsafe { blocking::call(caller, __NR_sendmsg, [fd, &raw const message as u64, flags]) }
}

/// With a place for the sender's address recvmsg(2), which tells of MSG_* flags, too; else recvfrom(2), which is faster.
fn receive(caller: &Thread, fd: u64, at: u64, flags: u64) -> Reply {
    let mut header = header(caller, at)?;
    let flags = flags & u32::MAX as u64;
    if header.name_length == 0 {
        // SAFETY: the kernel writes what lies in the host buffer.
        return unsafe {
            blocking::call(caller, __NR_recvfrom, [fd, header.data, header.data_length, flags, 0, 0])
        };
    }
    let mut range = EMPTY;
    let mut message = message(&header, &mut range);
    let (capacity, control_capacity) = (header.name_length, header.control_length);
    // SAFETY: the kernel fills the local header and checks the addresses in it.
    let count = unsafe { blocking::call(caller, __NR_recvmsg, [fd, &raw mut message as u64, flags]) }?;
    header.name_length = (message.msg_namelen as u64).min(capacity);
    header.control_length = (message.msg_controllen as u64).min(control_capacity);
    header.flags = message.msg_flags as u64;
    put(caller, at, header)?;
    Ok(count)
}
