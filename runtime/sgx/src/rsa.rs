//! RSA-3072 with exponent 3 as EINIT verifies it: through the quotients q1 and q2, without a division.
//!
//! Numbers are 384 bytes, little-endian, as in SIGSTRUCT. Everything here is public, so nothing is constant-time.

use crypto_bigint::{CheckedSub, NonZero, U3072, U6144};

/// Bytes of a 3072-bit number.
pub const KEY_SIZE: usize = 384;

/// DER of the SHA-256 DigestInfo up to the hash (RFC 8017, section 9.2, note 1).
const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// The message that is signed, big-endian: EMSA-PKCS1-v1_5 of a SHA-256 hash (RFC 8017, section 9.2).
#[must_use]
pub fn message_representative(hash: &[u8; 32]) -> [u8; KEY_SIZE] {
    let mut message = [0xff; KEY_SIZE];
    message[0] = 0;
    message[1] = 1;
    message[KEY_SIZE - 52] = 0;
    message[KEY_SIZE - 51..KEY_SIZE - 32].copy_from_slice(&DIGEST_INFO);
    message[KEY_SIZE - 32..].copy_from_slice(hash);
    message
}

/// `q1 = floor(s² / n)` and `q2 = floor((s³ − q1·s·n) / n)` (SDM 38.3, EINIT, "Description").
/// `None` when the modulus is not a 3072-bit odd number or the signature is not below it.
#[must_use]
pub fn quotients(
    signature: &[u8; KEY_SIZE],
    modulus: &[u8; KEY_SIZE],
) -> Option<([u8; KEY_SIZE], [u8; KEY_SIZE])> {
    if modulus[KEY_SIZE - 1] & 0x80 == 0 || modulus[0] & 1 == 0 {
        return None;
    }
    let s = U3072::from_le_slice(signature);
    let n = U3072::from_le_slice(modulus);
    if s >= n {
        return None;
    }
    let divisor = Option::<NonZero<U3072>>::from(NonZero::new(n))?;
    let square: U6144 = s.concatenating_square();
    let (q1, r1) = square.div_rem_vartime(&divisor);
    let product: U6144 = r1.concatenating_mul(&s);
    let (q2, _) = product.div_rem_vartime(&divisor);
    // s < n, so both quotients are below n and fit.
    Some((low_half(&q1), low_half(&q2)))
}

/// Whether `signature` is a PKCS #1 v1.5 signature of `hash` under (`modulus`, 3), by the steps of EINIT:
/// `r1 = s² − q1·n`, `m = r1·s − q2·n`, both in `[0, n)`, and `m` is the padded hash.
#[must_use]
pub fn verify(
    modulus: &[u8; KEY_SIZE],
    signature: &[u8; KEY_SIZE],
    q1: &[u8; KEY_SIZE],
    q2: &[u8; KEY_SIZE],
    hash: &[u8; 32],
) -> bool {
    let s = U3072::from_le_slice(signature);
    let n = U3072::from_le_slice(modulus);
    if s >= n {
        return false;
    }
    let Some(r1) = remainder(&s, &s, &U3072::from_le_slice(q1), &n) else { return false };
    let Some(message) = remainder(&r1, &s, &U3072::from_le_slice(q2), &n) else { return false };
    message == U3072::from_be_slice(&message_representative(hash))
}

/// `left · right − quotient · n`, if that is in `[0, n)`.
fn remainder(left: &U3072, right: &U3072, quotient: &U3072, n: &U3072) -> Option<U3072> {
    let product: U6144 = left.concatenating_mul(right);
    let multiple: U6144 = quotient.concatenating_mul(n);
    let rest: U6144 = Option::from(product.checked_sub(&multiple))?;
    let (low, high) = rest.split();
    (high == U3072::ZERO && low < *n).then_some(low)
}

fn low_half(number: &U6144) -> [u8; KEY_SIZE] {
    let mut bytes = [0; KEY_SIZE];
    bytes.copy_from_slice(&number.to_le_bytes().as_ref()[..KEY_SIZE]);
    bytes
}
