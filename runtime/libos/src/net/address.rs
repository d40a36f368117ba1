//! Socket addresses as the call layer and the host give them.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};

/// sizeof(struct sockaddr_storage).
pub const ADDRESS_LIMIT: usize = 128;
/// AF_UNSPEC.
pub const UNSPECIFIED: u32 = 0;
/// AF_UNIX.
pub const UNIX: u32 = 1;
/// AF_INET.
pub const INET: u32 = 2;
/// AF_INET6.
pub const INET6: u32 = 10;
/// AF_NETLINK.
pub const NETLINK: u32 = 16;

/// The family of an address; `EINVAL` when it is too short to have one.
pub fn family(address: &[u8]) -> Result<u32> {
    match address {
        [low, high, ..] => Ok(u16::from_le_bytes([*low, *high]) as u32),
        _ => Err(Errno::EINVAL),
    }
}

/// Size of an address of an Internet family.
fn size_of_family(family: u32) -> Option<usize> {
    match family {
        INET => Some(16),
        INET6 => Some(28),
        _ => None,
    }
}

/// An address that the host gave for a socket of `domain`: nothing, or exactly one address of that family. `EIO`.
pub fn admit(address: Vec<u8>, domain: u32) -> Result<Vec<u8>> {
    if address.is_empty() {
        return Ok(address);
    }
    let admitted = family(&address) == Ok(domain) && size_of_family(domain) == Some(address.len());
    if admitted { Ok(address) } else { Err(Errno::EIO) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_gives_whole_addresses_of_the_right_family_or_none() {
        assert_eq!(admit(Vec::new(), INET), Ok(Vec::new()));
        let mut good = alloc::vec![0; 16];
        good[0] = INET as u8;
        assert_eq!(admit(good.clone(), INET), Ok(good.clone()));
        assert_eq!(admit(good.clone(), INET6), Err(Errno::EIO));
        good.push(0);
        assert_eq!(admit(good, INET), Err(Errno::EIO));
        assert_eq!(admit(alloc::vec![2], INET), Err(Errno::EIO));
    }
}
