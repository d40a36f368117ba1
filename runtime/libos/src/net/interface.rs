//! ioctl(2) on sockets about the host's network interfaces (netdevice(7)). They are looked at, never changed.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use casemate_platform::host::{Interface, InterfaceAddress, network_addresses, network_interfaces};

use super::INET;
use crate::errno::{Errno, Result};
use crate::user_space::{self, Addr};

const NAME_OF: u32 = 0x8910;
const LIST: u32 = 0x8912;
const FLAGS: u32 = 0x8913;
const ADDRESS: u32 = 0x8915;
const OTHER_END: u32 = 0x8917;
const BROADCAST: u32 = 0x8919;
const NETMASK: u32 = 0x891b;
const MTU: u32 = 0x8921;
const HARDWARE: u32 = 0x8927;
const INDEX_OF: u32 = 0x8933;
const QUEUE: u32 = 0x8942;
/// SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFDSTADDR, SIOCSIFBRDADDR, SIOCSIFNETMASK, SIOCSIFMTU, SIOCSIFHWADDR, SIOCSIFTXQLEN.
const CHANGES: [u32; 8] = [0x8914, 0x8916, 0x8918, 0x891a, 0x891c, 0x8922, 0x8924, 0x8943];

/// sizeof(struct ifreq), and of the name at its start.
const REQUEST: usize = 40;
const NAME: usize = 16;

type Request = [u8; REQUEST];

/// Serves a request on a socket of a family; `ENOTTY` for others.
pub fn ioctl(domain: u32, request: u32, argument: u64) -> Result<usize> {
    let serve: fn(u32, &mut Request) -> Result<()> = match request {
        LIST => return list(Addr(argument)),
        NAME_OF => |_, it| {
            let index = u32::from_le_bytes([it[16], it[17], it[18], it[19]]);
            let found = network_interfaces()?.into_iter().find(|each| each.index == index);
            put_name(it, &found.ok_or(Errno::ENODEV)?.name);
            Ok(())
        },
        FLAGS | MTU | HARDWARE | INDEX_OF | QUEUE => of_interface,
        ADDRESS | OTHER_END | BROADCAST | NETMASK if domain == INET => of_address,
        _ if CHANGES.contains(&request) => |_, _| Err(Errno::EPERM),
        // As Linux: requests about sockets are read before they are known to be none.
        _ if request >> 8 & 0xff == 0x89 => |_, _| Err(Errno::ENOTTY),
        _ => return Err(Errno::ENOTTY),
    };
    let mut it: Request = [0; REQUEST];
    user_space::copy_in(&mut it, Addr(argument))?;
    it[NAME - 1] = 0;
    serve(request, &mut it)?;
    user_space::copy_out(Addr(argument), &it)?;
    Ok(0)
}

fn put_name(it: &mut Request, name: &[u8]) {
    it[..NAME].fill(0);
    it[..name.len()].copy_from_slice(name);
}

/// The name that is asked about, and what of it names the interface: a colon begins the rest of an address's label.
fn names(it: &Request) -> (&[u8], &[u8]) {
    let until = |end: &[u8]| it[..NAME].iter().position(|byte| end.contains(byte)).unwrap_or(NAME);
    (&it[..until(b"\0")], &it[..until(b"\0:")])
}

fn named(it: &Request) -> Result<Interface> {
    let (_, name) = names(it);
    network_interfaces()?.into_iter().find(|each| each.name == name).ok_or(Errno::ENODEV)
}

fn of_interface(request: u32, it: &mut Request) -> Result<()> {
    let found = named(it)?;
    match request {
        FLAGS => it[16..18].copy_from_slice(&(found.flags as u16).to_le_bytes()),
        HARDWARE => {
            it[16..18].copy_from_slice(&found.kind.to_le_bytes());
            it[18..18 + found.hardware.len()].copy_from_slice(&found.hardware);
            if found.hardware.is_empty() {
                it[18..32].fill(0);
            }
        }
        MTU => it[16..20].copy_from_slice(&found.mtu.to_le_bytes()),
        QUEUE => it[16..20].copy_from_slice(&found.queue.to_le_bytes()),
        _ => it[16..20].copy_from_slice(&found.index.to_le_bytes()),
    }
    Ok(())
}

fn of_address(request: u32, it: &mut Request) -> Result<()> {
    let wanted = u16::from_le_bytes([it[16], it[17]]) == INET as u16;
    let wanted = wanted.then(|| Ipv4Addr::new(it[20], it[21], it[22], it[23]));
    let found = named(it)?;
    let (label, name) = names(it);
    let mut addresses = network_addresses()?;
    addresses.retain(|each| each.interface == found.index && each.address.is_ipv4() && label == name);
    // As Linux: the address that the program gives is the one that it asks about, if the interface has it.
    let matching = addresses.iter().find(|each| wanted.is_some_and(|wanted| each.address == wanted));
    let address = matching.or(addresses.first()).ok_or(Errno::EADDRNOTAVAIL)?;
    let own = address.address;
    let told = match request {
        ADDRESS => own,
        OTHER_END => address.other.filter(|_| !found.has_broadcast()).unwrap_or(own),
        BROADCAST => address.other.filter(|_| found.has_broadcast()).unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
        _ => netmask(address),
    };
    put_address(it, told);
    Ok(())
}

fn netmask(address: &InterfaceAddress) -> IpAddr {
    Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(address.prefix)).unwrap_or(0)).into()
}

/// Puts a struct sockaddr_in.
fn put_address(it: &mut Request, address: IpAddr) {
    it[16..32].fill(0);
    if let IpAddr::V4(address) = address {
        it[16..18].copy_from_slice(&(INET as u16).to_le_bytes());
        it[20..24].copy_from_slice(&address.octets());
    }
}

/// SIOCGIFCONF: each IPv4 address with its interface's name, as many as there is room for; without a place, how much room.
fn list(argument: Addr) -> Result<usize> {
    let [length, place]: [u64; 2] = user_space::read(argument)?;
    let addresses = network_addresses()?;
    let mut entries = Vec::new();
    for interface in network_interfaces()? {
        for each in addresses.iter().filter(|it| it.interface == interface.index && it.address.is_ipv4()) {
            let mut entry: Request = [0; REQUEST];
            put_name(&mut entry, &interface.name);
            put_address(&mut entry, each.address);
            entries.extend_from_slice(&entry);
        }
    }
    if place != 0 {
        let room = usize::try_from(length as i32).unwrap_or(0);
        entries.truncate(room / REQUEST * REQUEST);
        user_space::copy_out(Addr(place), &entries)?;
    }
    user_space::write_u32(argument, entries.len() as u32)?;
    Ok(0)
}
