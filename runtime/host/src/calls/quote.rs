//! Quotes, by the machine's quoting service (AESM) over its UNIX socket.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use casemate_aesm::{ClientError, MAX_MESSAGE, Transport, get_quote, init_quote};
use linux_raw_sys::general::{
    __NR_connect, __NR_recvfrom, __NR_sendto, __NR_setsockopt, __NR_socket, O_CLOEXEC, timeval,
};
use linux_raw_sys::net::{
    AF_UNIX, MSG_NOSIGNAL, SO_RCVTIMEO, SO_SNDTIMEO, SOCK_STREAM, SOL_SOCKET, sockaddr_un,
};

use crate::arena::Thread;
use crate::blocking;
use crate::descriptors::for_a_moment;
use crate::report::{Text, print};
use crate::sys::{self, Errno, Reply};

const TARGET_INFO: usize = 512;
const REPORT: usize = 432;
/// More than the service is given for its work.
const TIMEOUT_S: i64 = 40;

/// Where the service listens: address and length of a name that outlives the run.
static SERVICE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Notes where the service listens, if not at Intel's place for it.
pub fn set_service(name: &'static [u8]) {
    SERVICE[0].store(name.as_ptr() as u64, Relaxed);
    SERVICE[1].store(name.len() as u64, Relaxed);
}

fn service() -> &'static [u8] {
    match SERVICE[0].load(Relaxed) {
        0 => casemate_aesm::SOCKET.as_bytes(),
        // SAFETY: a slice with static lifetime was stored, before the first thread.
        address => unsafe {
            core::slice::from_raw_parts(address as *const u8, SERVICE[1].load(Relaxed) as usize)
        },
    }
}

pub(super) fn target(caller: &Thread, to: u64) -> Reply {
    if !caller.owns(to, TARGET_INFO as u64) {
        return Err(Errno::EFAULT);
    }
    let found = init_quote(&mut Service { caller }).map_err(explain)?;
    put_bytes(to, &found.target_info);
    Ok(0)
}

pub(super) fn make(caller: &Thread, at: u64, capacity: u64) -> Reply {
    if !caller.owns(at, capacity.max(REPORT as u64)) {
        return Err(Errno::EFAULT);
    }
    let mut report = [0; REPORT];
    // SAFETY: the range lies in the caller's host buffer, which stays mapped.
    unsafe { core::ptr::copy_nonoverlapping(at as *const u8, report.as_mut_ptr(), REPORT) };
    let quote = get_quote(&mut Service { caller }, &report).map_err(explain)?;
    if quote.len() as u64 > capacity {
        return Err(Errno::EIO);
    }
    put_bytes(at, &quote);
    Ok(quote.len() as i64)
}

/// Writes to a place that the caller's buffer is known to hold.
fn put_bytes(to: u64, bytes: &[u8]) {
    // SAFETY: the callers checked that the range lies in the host buffer; the bytes are the loader's own.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
}

/// Says why there is no quote where the run is looked after; the enclave learns an errno.
fn explain(error: ClientError<Errno>) -> Errno {
    let (errno, remedy) = match error {
        ClientError::Transport(Errno::EINTR) => return Errno::EINTR,
        ClientError::Transport(errno) => (
            errno,
            "; is it running, and is its socket there (--aesm SOCKET; in a container, mount the socket's directory)?",
        ),
        ClientError::Refused(_) => (Errno::EREMOTEIO, "; it says why where it runs"),
        ClientError::Malformed => (Errno::EIO, ""),
    };
    print(format_args!("casemate-host: no quote: {}: {error}{remedy}", Text(service())));
    match errno {
        Errno::ENOENT | Errno::EACCES | Errno::ECONNREFUSED | Errno::ETIMEDOUT | Errno::EREMOTEIO => errno,
        _ => Errno::EIO,
    }
}

/// One connection an exchange, as the service expects it.
struct Service<'a> {
    caller: &'a Thread,
}

impl Transport for Service<'_> {
    type Error = Errno;

    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Errno> {
        let connection = Connection::open(self.caller, service())?;
        connection.send(&(request.len() as u32).to_le_bytes())?;
        connection.send(request)?;
        let mut length = [0; 4];
        connection.receive(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_MESSAGE {
            return Err(Errno::EIO);
        }
        let mut response = vec![0; length];
        connection.receive(&mut response)?;
        Ok(response)
    }
}

struct Connection<'a> {
    fd: u64,
    caller: &'a Thread,
}

impl<'a> Connection<'a> {
    fn open(caller: &'a Thread, name: &[u8]) -> Result<Self, Errno> {
        let mut address = sockaddr_un { sun_family: AF_UNIX as _, sun_path: [0; 108] };
        // A NUL ends the name.
        if name.len() >= address.sun_path.len() {
            return Err(Errno::ENAMETOOLONG);
        }
        for (to, byte) in address.sun_path.iter_mut().zip(name) {
            *to = *byte as _;
        }
        let fd = for_a_moment(|| {
            // SAFETY: touches no memory.
            unsafe { sys::call(__NR_socket, [AF_UNIX.into(), (SOCK_STREAM | O_CLOEXEC).into(), 0]) }
        })?;
        let connection = Connection { fd: fd as u64, caller };
        let limit = timeval { tv_sec: TIMEOUT_S, tv_usec: 0 };
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            let args = [
                connection.fd,
                SOL_SOCKET.into(),
                option.into(),
                &raw const limit as u64,
                size_of_val(&limit) as u64,
            ];
            // SAFETY: the kernel reads the local structure.
            unsafe { sys::call(__NR_setsockopt, args) }?;
        }
        let args = [connection.fd, &raw const address as u64, size_of_val(&address) as u64];
        // SAFETY: the kernel reads the local address.
        unsafe { blocking::call(caller, __NR_connect, args) }.map_err(timed_out)?;
        Ok(connection)
    }

    fn send(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let args = [self.fd, bytes.as_ptr() as u64, bytes.len() as u64, MSG_NOSIGNAL.into(), 0, 0];
            // SAFETY: the kernel reads the bytes.
            let count = unsafe { blocking::call(self.caller, __NR_sendto, args) }.map_err(timed_out)?;
            bytes = &bytes[(count as usize).min(bytes.len())..];
        }
        Ok(())
    }

    fn receive(&self, mut into: &mut [u8]) -> Result<(), Errno> {
        while !into.is_empty() {
            let args = [self.fd, into.as_mut_ptr() as u64, into.len() as u64, 0, 0, 0];
            // SAFETY: the kernel writes into the exclusively borrowed slice.
            match unsafe { blocking::call(self.caller, __NR_recvfrom, args) }.map_err(timed_out)? {
                0 => return Err(Errno::EIO),
                count => into = &mut into[(count as usize)..],
            }
        }
        Ok(())
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        sys::close(self.fd as i32);
    }
}

fn timed_out(error: Errno) -> Errno {
    if error == Errno::EAGAIN { Errno::ETIMEDOUT } else { error }
}
