//! The interfaces of the host's network and their addresses.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use casemate_abi::{HostAddress, HostCall, HostInterface};

use super::{HostError, TRANSFER_LIMIT, buffer, call_raw};

/// Most interfaces, and most addresses.
const RECORD_LIMIT: usize = 1024;
/// IFF_*: those that there are.
const KNOWN_FLAGS: u32 = 0x7_ffff;
/// IFNAMSIZ, less the NUL.
const NAME_LIMIT: usize = 15;
/// Longest hardware address that fits into struct sockaddr.
const HARDWARE_LIMIT: usize = 8;
/// Largest number of an interface, largest packet and longest queue.
const NUMBER_LIMIT: u32 = i32::MAX as u32;
/// AF_INET, AF_INET6.
const FAMILIES: [u8; 2] = [2, 10];

/// An interface of the host's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number, from 1; no other has it.
    pub index: u32,
    /// Its name: 1 to 15 printing characters, no slash or colon; no other has it.
    pub name: Vec<u8>,
    /// IFF_*.
    pub flags: u32,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Most packets that wait to be sent.
    pub queue: u32,
    /// ARPHRD_*.
    pub kind: u16,
    /// Hardware address, at most 8 bytes.
    pub hardware: Vec<u8>,
    /// Hardware address of everybody, as long as `hardware`.
    pub broadcast: Vec<u8>,
}

impl Interface {
    /// IFF_BROADCAST: its addresses have one for everybody; else the other end's, if any.
    pub fn has_broadcast(&self) -> bool {
        self.flags & 0x2 != 0
    }
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface's number.
    pub interface: u32,
    /// The interface's own address.
    pub address: IpAddr,
    /// The other end's, or everybody's; of the same family.
    pub other: Option<IpAddr>,
    /// Length of the network's part in bits.
    pub prefix: u8,
    /// RT_SCOPE_*.
    pub scope: u8,
    /// IFA_F_*, the lower eight.
    pub flags: u8,
}

/// Asks for records of `SIZE` bytes.
fn records<const SIZE: usize>(what: u64) -> Result<Vec<[u8; SIZE]>, HostError> {
    let range = buffer();
    let capacity = TRANSFER_LIMIT & !15;
    let count = call_raw(HostCall::NetworkRead, [what, range.address(), capacity as u64, 0, 0, 0])? as usize;
    if count > RECORD_LIMIT || count > capacity / 2 / SIZE {
        return Err(HostError::IO);
    }
    let mut found = alloc::vec![[0; SIZE]; count];
    let all = range.read(0, found.as_flattened_mut());
    if all { Ok(found) } else { Err(HostError::IO) }
}

/// Where a field of a record is.
macro_rules! field {
    ($bytes:expr, $record:ty, $name:ident, $length:expr) => {{
        let mut part = [0u8; $length];
        let at = core::mem::offset_of!($record, $name);
        part.copy_from_slice(&$bytes[at..at + $length]);
        part
    }};
}

fn admit_interface(bytes: &[u8; size_of::<HostInterface>()]) -> Option<Interface> {
    let word = |part: [u8; 4]| u32::from_le_bytes(part);
    let index = word(field!(bytes, HostInterface, index, 4));
    let mtu = word(field!(bytes, HostInterface, mtu, 4));
    let queue = word(field!(bytes, HostInterface, queue, 4));
    let [name_length] = field!(bytes, HostInterface, name_length, 1).map(usize::from);
    let [hardware_length] = field!(bytes, HostInterface, hardware_length, 1).map(usize::from);
    if name_length > NAME_LIMIT || hardware_length > HARDWARE_LIMIT {
        return None;
    }
    let name = field!(bytes, HostInterface, name, 16)[..name_length].to_vec();
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':');
    let named = !name.is_empty() && name.iter().all(plain) && name != b"." && name != b"..";
    let numbered = (1..=NUMBER_LIMIT).contains(&index) && mtu.max(queue) <= NUMBER_LIMIT;
    (named && numbered).then(|| Interface {
        index,
        name,
        flags: word(field!(bytes, HostInterface, flags, 4)) & KNOWN_FLAGS,
        mtu,
        queue,
        kind: u16::from_le_bytes(field!(bytes, HostInterface, kind, 2)),
        hardware: field!(bytes, HostInterface, hardware, 8)[..hardware_length].to_vec(),
        broadcast: field!(bytes, HostInterface, broadcast, 8)[..hardware_length].to_vec(),
    })
}

/// The interfaces; `EIO` when one of them cannot be, or two have the same number or name.
pub fn network_interfaces() -> Result<Vec<Interface>, HostError> {
    let found = records::<{ size_of::<HostInterface>() }>(0)?;
    let found: Option<Vec<Interface>> = found.iter().map(admit_interface).collect();
    let found = found.ok_or(HostError::IO)?;
    let mut numbers: Vec<u32> = found.iter().map(|each| each.index).collect();
    let mut names: Vec<&[u8]> = found.iter().map(|each| &each.name[..]).collect();
    numbers.sort_unstable();
    names.sort_unstable();
    numbers.dedup();
    names.dedup();
    if numbers.len() == found.len() && names.len() == found.len() { Ok(found) } else { Err(HostError::IO) }
}

fn ip(family: u8, bytes: [u8; 16]) -> IpAddr {
    let [a, b, c, d, ..] = bytes;
    if family == FAMILIES[0] { Ipv4Addr::new(a, b, c, d).into() } else { Ipv6Addr::from(bytes).into() }
}

fn admit_address(bytes: &[u8; size_of::<HostAddress>()]) -> Option<InterfaceAddress> {
    let interface = u32::from_le_bytes(field!(bytes, HostAddress, interface, 4));
    let [family] = field!(bytes, HostAddress, family, 1);
    let [prefix] = field!(bytes, HostAddress, prefix, 1);
    let [scope] = field!(bytes, HostAddress, scope, 1);
    let [flags] = field!(bytes, HostAddress, flags, 1);
    let bits = if family == FAMILIES[0] { 32 } else { 128 };
    let good = (1..=NUMBER_LIMIT).contains(&interface) && FAMILIES.contains(&family) && prefix <= bits;
    let other = ip(family, field!(bytes, HostAddress, other, 16));
    good.then(|| InterfaceAddress {
        interface,
        address: ip(family, field!(bytes, HostAddress, address, 16)),
        other: (!other.is_unspecified()).then_some(other),
        prefix,
        scope,
        flags,
    })
}

/// Their addresses; `EIO` when one of them cannot be.
pub fn network_addresses() -> Result<Vec<InterfaceAddress>, HostError> {
    let found = records::<{ size_of::<HostAddress>() }>(1)?;
    found.iter().map(admit_address).collect::<Option<_>>().ok_or(HostError::IO)
}
