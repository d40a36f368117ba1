//! Evidence extensions: what is written is read again, and what differs in any way is not taken for it.

use casemate_ratls::{Error, Evidence, HashAlgorithm, MAX_QUOTE_BYTES, claims, extension};
use proptest::prelude::*;

const KEY: &[u8] = b"a SubjectPublicKeyInfo";

#[test]
fn the_bytes_are_those_of_the_specification() {
    // Tag 60000 (d9 ea60), array of 2, a byte string of 3, and the claims' byte string.
    let claims = claims(KEY, None);
    let bytes = extension(b"abc", &claims);
    assert_eq!(bytes[..8], [0xd9, 0xea, 0x60, 0x82, 0x43, b'a', b'b', b'c']);
    assert_eq!(bytes[8..10], [0x58, claims.len() as u8]);
    // A map of one: text of 11, a byte string of 36, which is an array of 1 (sha-256) and 32 bytes.
    assert_eq!(claims[..2], [0xa1, 0x6b]);
    assert_eq!(&claims[2..13], b"pubkey-hash");
    assert_eq!(claims[13..19], [0x58, 36, 0x82, 0x01, 0x58, 32]);
    assert_eq!(claims.len(), 19 + 32);
}

#[test]
fn what_is_written_is_read() {
    let claims = claims(KEY, Some(b"fresh"));
    let bytes = extension(&[7; 5000], &claims);
    let evidence = Evidence::parse(&bytes).unwrap();
    assert_eq!(evidence.quote, [7; 5000]);
    assert_eq!(evidence.nonce, Some(&b"fresh"[..]));
    assert_eq!(evidence.public_key.algorithm, HashAlgorithm::Sha256);
    assert!(evidence.binds(KEY));
    assert!(!evidence.binds(b"another key"));
}

#[test]
fn claims_are_known_and_there_once() {
    let parse = |claims: &[u8]| Evidence::parse(&extension(b"q", claims)).map(|_| ()).unwrap_err();
    let good = claims(KEY, None);
    let entry = &good[1..];
    assert!(matches!(parse(&[&[0xa2], entry, entry].concat()), Error::Claim("one is there twice")));
    assert!(matches!(parse(&[&[0xa2], entry, b"\x64what\x40"].concat()), Error::Claim(_)));
    assert!(matches!(parse(b"\xa1\x65nonce\x41x"), Error::Claim("'pubkey-hash' is missing")));
    assert!(matches!(parse(b"\xa0"), Error::Claim(_)));
    assert!(matches!(parse(&[&good[..], &[0]].concat()), Error::Malformed("bytes follow the claims")));
    // Indefinite lengths are not of the specification.
    assert!(matches!(parse(&[&[0xbf], entry, &[0xff]].concat()), Error::Claim(_)));
}

#[test]
fn other_hashes_and_tags_are_named() {
    let mut good = claims(KEY, None);
    good[16] = 2;
    assert_eq!(Evidence::parse(&extension(b"q", &good)).unwrap_err(), Error::UnknownHash(2));
    assert_eq!(Evidence::parse(&[0xd9, 0xea, 0x61, 0x80]).unwrap_err(), Error::UnknownEvidence(60001));
}

#[test]
fn no_quote_is_longer_than_quotes_are() {
    let bytes = extension(&vec![0; MAX_QUOTE_BYTES + 1], &claims(KEY, None));
    assert_eq!(Evidence::parse(&bytes).unwrap_err(), Error::TooLong);
}

#[test]
fn every_prefix_is_refused_and_so_is_what_is_appended() {
    let bytes = extension(&[1; 300], &claims(KEY, Some(b"n")));
    for end in 0..bytes.len() {
        assert!(Evidence::parse(&bytes[..end]).is_err(), "{end}");
    }
    assert!(Evidence::parse(&[&bytes[..], &[0]].concat()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Evidence::parse(&bytes);
    }

    #[test]
    fn a_changed_byte_is_never_the_same_evidence(at in 0usize..400, flip in 1u8..=255) {
        let claims = claims(KEY, Some(b"n"));
        let bytes = extension(&[1; 300], &claims);
        let mut changed = bytes.clone();
        let at = at % changed.len();
        changed[at] ^= flip;
        let original = Evidence::parse(&bytes).unwrap();
        prop_assert!(Evidence::parse(&changed) != Ok(original));
    }
}
