//! The network's interfaces and their addresses, asked of the kernel by netlink(7) and told as plain records.

use casemate_abi::{HostAddress, HostInterface};
use linux_raw_sys::general::{__NR_close, __NR_recvfrom, __NR_sendto, __NR_socket, O_CLOEXEC};
use linux_raw_sys::net::{AF_INET, AF_NETLINK, SOCK_RAW};

use crate::arena::Thread;
use crate::descriptors::for_a_moment;
use crate::sys::{self, Errno, Reply};

// linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h
const NETLINK_ROUTE: u64 = 0;
const REQUEST_DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const LINK_ADDRESS: u16 = 1;
const LINK_BROADCAST: u16 = 2;
const LINK_NAME: u16 = 3;
const LINK_MTU: u16 = 4;
const LINK_QUEUE: u16 = 13;
const OF_BOTH: u16 = 1;
const OWN: u16 = 2;
const BROADCAST: u16 = 4;
/// Sizes of struct nlmsghdr, ifinfomsg and ifaddrmsg.
const HEADER: usize = 16;
const LINK_HEAD: usize = 16;
const ADDRESS_HEAD: usize = 8;

/// Serves `NetworkRead`: records go to the first half of the caller's buffer, the kernel's messages come into the second.
pub(super) fn read(caller: &Thread, what: u64, buffer: u64, capacity: u64) -> Reply {
    let half = capacity / 2;
    if !caller.owns(buffer, capacity) || half < 4096 {
        return Err(Errno::EFAULT);
    }
    // SAFETY: both halves lie in the caller's host buffer, which stays mapped; nobody else uses it during its call.
    let (records, messages) = unsafe {
        let at = |address: u64| core::slice::from_raw_parts_mut(address as *mut u8, half as usize);
        (at(buffer), at(buffer + half))
    };
    let mut table = Table { records, count: 0 };
    match what {
        0 => dump(GET_LINK, messages, |kind, body| {
            if kind == NEW_LINK {
                table.add(interface(body))
            }
        })?,
        1 => dump(GET_ADDRESS, messages, |kind, body| {
            if kind == NEW_ADDRESS {
                table.add(address(body))
            }
        })?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(table.count)
}

/// Records as they are written, one behind the other.
struct Table<'a> {
    records: &'a mut [u8],
    count: i64,
}

impl Table<'_> {
    fn add<T: Copy>(&mut self, record: Option<T>) {
        let at = self.count as usize * size_of::<T>();
        if let Some(record) = record
            && at + size_of::<T>() <= self.records.len()
        {
            // SAFETY: the place is inside the slice; no alignment is assumed.
            unsafe { self.records.as_mut_ptr().add(at).cast::<T>().write_unaligned(record) };
            self.count += 1;
        }
    }
}

/// Asks for all there is and hands each message's type and body on.
fn dump(request: u16, messages: &mut [u8], mut take: impl FnMut(u16, &[u8])) -> Result<(), Errno> {
    let fd = for_a_moment(|| {
        // SAFETY: touches no memory.
        unsafe { sys::call(__NR_socket, [AF_NETLINK as u64, (SOCK_RAW | O_CLOEXEC) as u64, NETLINK_ROUTE]) }
    })? as u64;
    let outcome = exchange(fd, request, messages, &mut take);
    // SAFETY: the descriptor is this function's own.
    let _ = unsafe { sys::call(__NR_close, [fd]) };
    outcome
}

fn exchange(
    fd: u64,
    request: u16,
    messages: &mut [u8],
    take: &mut impl FnMut(u16, &[u8]),
) -> Result<(), Errno> {
    // struct nlmsghdr and a family of 0 behind it: every family.
    const LENGTH: usize = HEADER + LINK_HEAD;
    let mut asked = [0u8; LENGTH];
    asked[..4].copy_from_slice(&(LENGTH as u32).to_le_bytes());
    asked[4..6].copy_from_slice(&request.to_le_bytes());
    asked[6..8].copy_from_slice(&REQUEST_DUMP.to_le_bytes());
    // SAFETY: the kernel reads the local array.
    unsafe { sys::call(__NR_sendto, [fd, asked.as_ptr() as u64, asked.len() as u64, 0, 0, 0]) }?;
    loop {
        let args = [fd, messages.as_mut_ptr() as u64, messages.len() as u64, 0, 0, 0];
        // SAFETY: the kernel writes at most this slice.
        let count = match unsafe { sys::call(__NR_recvfrom, args) } {
            Err(Errno::EINTR) => continue,
            count => count? as usize,
        };
        let mut rest = &messages[..count];
        while let (Some(length), Some(kind)) = (word(rest, 0), half_word(rest, 4)) {
            let length = length as usize;
            if length < HEADER || length > rest.len() {
                return Err(Errno::EIO);
            }
            match kind {
                DONE => return Ok(()),
                ERROR => {
                    return Err(Errno(word(rest, HEADER).map_or(5, |code| (code as i32).saturating_neg())));
                }
                _ => take(kind, &rest[HEADER..length]),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        }
    }
}

fn half_word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Types and values of the attributes in `bytes`.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let (length, kind) = (half_word(bytes, 0)? as usize, half_word(bytes, 2)?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind & 0x3fff, value))
    })
}

/// Copies what fits; how much that is.
fn fill(to: &mut [u8], from: &[u8]) -> u8 {
    let length = from.len().min(to.len());
    to[..length].copy_from_slice(&from[..length]);
    length as u8
}

fn interface(body: &[u8]) -> Option<HostInterface> {
    let mut found = HostInterface {
        kind: half_word(body, 2)?,
        index: word(body, 4)?,
        flags: word(body, 8)?,
        ..HostInterface::default()
    };
    for (kind, value) in attributes(body.get(LINK_HEAD..)?) {
        match kind {
            LINK_ADDRESS if value.len() <= found.hardware.len() => {
                found.hardware_length = fill(&mut found.hardware, value);
            }
            LINK_BROADCAST => drop(fill(&mut found.broadcast, value)),
            LINK_NAME => found.name_length = fill(&mut found.name, value.strip_suffix(&[0]).unwrap_or(value)),
            LINK_MTU => found.mtu = word(value, 0)?,
            LINK_QUEUE => found.queue = word(value, 0)?,
            _ => {}
        }
    }
    Some(found)
}

fn address(body: &[u8]) -> Option<HostAddress> {
    let [family, prefix, flags, scope, ..] = *body.get(..ADDRESS_HEAD)? else { return None };
    let mut found =
        HostAddress { interface: word(body, 4)?, family, prefix, scope, flags, ..Default::default() };
    let (mut own, mut both, mut everybody) = (None, None, None);
    for (kind, value) in attributes(&body[ADDRESS_HEAD..]) {
        match kind {
            OWN => own = Some(value),
            OF_BOTH => both = Some(value),
            BROADCAST => everybody = Some(value),
            _ => {}
        }
    }
    fill(&mut found.address, own.or(both)?);
    let peer = both.filter(|both| family == AF_INET as u8 && Some(*both) != own);
    fill(&mut found.other, peer.or(everybody).unwrap_or(&[]));
    Some(found)
}
