//! Chosen lies about the network's interfaces and their addresses.

use casemate_abi::{HostAddress, HostInterface};
use casemate_platform::host::*;

use crate::chosen::reply;
use crate::host::{put, with};

const EIO: HostError = HostError::IO;

pub fn check_all() {
    counts_fit_into_half_of_the_buffer();
    interfaces_have_a_name_and_a_number_of_their_own();
    addresses_have_a_family_and_a_length();
}

fn counts_fit_into_half_of_the_buffer() {
    for count in [1025, 1 << 20, i64::MAX, 1 << 32] {
        assert_eq!(with(reply(count), network_interfaces), Err(EIO));
        assert_eq!(with(reply(count), network_addresses), Err(EIO));
    }
    assert_eq!(with(reply(0), network_interfaces), Ok(Vec::new()));
    assert_eq!(with(reply(-2), network_addresses), Err(EIO));
}

/// What becomes of these records.
fn interfaces(records: &[HostInterface]) -> Result<Vec<Interface>, HostError> {
    let mut bytes = Vec::new();
    for record in records {
        // SAFETY: plain words without padding.
        bytes.extend_from_slice(unsafe {
            std::slice::from_raw_parts((&raw const *record).cast(), size_of::<HostInterface>())
        });
    }
    let count = records.len() as i64;
    with(
        move |_, _| {
            put(0, &bytes);
            count
        },
        network_interfaces,
    )
}

fn interfaces_have_a_name_and_a_number_of_their_own() {
    let named = |name: &[u8]| {
        let mut text = [0; 16];
        text[..name.len()].copy_from_slice(name);
        let hardware = [2, 1, 1, 1, 1, 1, 9, 9];
        HostInterface {
            name: text,
            name_length: name.len() as u8,
            index: 7,
            mtu: 1500,
            hardware,
            ..Default::default()
        }
    };
    let good = HostInterface { hardware_length: 6, flags: u32::MAX, ..named(b"eth0") };
    let found = interfaces(&[good, HostInterface { index: 8, ..named(b"fifteen-letters") }]).unwrap();
    assert_eq!(
        (found[0].name.as_slice(), found[0].hardware.as_slice()),
        (b"eth0".as_slice(), &good.hardware[..6])
    );
    assert_eq!((found[0].broadcast.len(), found[0].flags, found[1].name.len()), (6, 0x7_ffff, 15));
    for bad in [
        HostInterface { index: 0, ..good },
        HostInterface { index: 1 << 31, ..good },
        HostInterface { mtu: 1 << 31, ..good },
        HostInterface { queue: u32::MAX, ..good },
        HostInterface { hardware_length: 9, ..good },
        HostInterface { name_length: 0, ..good },
        HostInterface { name_length: 16, ..named(b"sixteen-letters!") },
        HostInterface { name_length: 255, ..good },
        HostInterface { name_length: 5, ..good },
        named(b"a/b"),
        named(b"a:b"),
        named(b"a b"),
        named(b"a\nb"),
        named(b"a\0b"),
        named(b"\xffb"),
        named(b"."),
        named(b".."),
    ] {
        assert_eq!(interfaces(&[bad]), Err(EIO), "{bad:?}");
    }
    assert_eq!(interfaces(&[good, HostInterface { index: 9, ..good }]), Err(EIO), "one name twice");
    assert_eq!(interfaces(&[good, named(b"eth1")]), Err(EIO), "one number twice");
}

fn addresses_have_a_family_and_a_length() {
    let admitted = |record: HostAddress| {
        with(
            move |_, _| {
                // SAFETY: plain words without padding.
                put(0, unsafe {
                    std::slice::from_raw_parts((&raw const record).cast(), size_of::<HostAddress>())
                });
                1
            },
            || network_addresses().map(|found| found[0]),
        )
    };
    let good = HostAddress { interface: 1, family: 2, prefix: 32, address: [1; 16], ..Default::default() };
    assert_eq!(admitted(good).map(|it| (it.address, it.other)), Ok(([1, 1, 1, 1].into(), None)));
    let six = HostAddress { family: 10, prefix: 128, other: [3; 16], ..good };
    assert_eq!(admitted(six).map(|it| (it.address, it.other)), Ok(([1; 16].into(), Some([3; 16].into()))));
    for bad in [
        HostAddress { interface: 0, ..good },
        HostAddress { interface: u32::MAX, ..good },
        HostAddress { family: 0, ..good },
        HostAddress { family: 17, ..good },
        HostAddress { prefix: 33, ..good },
        HostAddress { prefix: 129, ..six },
    ] {
        assert_eq!(admitted(bad), Err(EIO), "{bad:?}");
    }
}
