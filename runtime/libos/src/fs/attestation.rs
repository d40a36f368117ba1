//! /dev/attestation: what an enclave shows others and which keys it has, as files that any language can use. Names, sizes and meanings
//! are Gramine's ("Attestation and secret provisioning" in its documentation).
//!
//! `user_report_data` and `target_info` are a process's own; `report` and `quote` are made from them when they are read from
//! the start. Where there is no SGX (platform `direct`) only `attestation_type` and `keys` exist.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_abi::Platform;
use casemate_manifest::SealKey;
use casemate_platform::attest::{self, SealTo, TARGET_INFO_SIZE};
use casemate_platform::sync::Mutex;

use super::generated::{Entry, FileSystem, Fixed, Folder, GeneratedInode, Item, Object, Text};
use super::inode::Inode;
use super::mount::new_device;
use super::statfs;
use crate::errno::{Errno, Result};
use crate::events::blocking;
use crate::process::current_process;
use crate::stat::FileType::{Directory, Regular};

/// Size of REPORTDATA in bytes.
const REPORT_DATA_SIZE: usize = 64;
/// Size of a key in bytes.
pub const KEY_SIZE: usize = 16;

/// What a process has written.
pub struct State {
    report_data: Mutex<[u8; REPORT_DATA_SIZE]>,
    target_info: Mutex<Box<[u8; TARGET_INFO_SIZE]>>,
}

impl Default for State {
    fn default() -> Self {
        State {
            report_data: Mutex::new([0; REPORT_DATA_SIZE]),
            target_info: Mutex::new(Box::new([0; TARGET_INFO_SIZE])),
        }
    }
}

impl State {
    /// What the process wants in REPORTDATA, for whoever makes its quote.
    pub fn report_data(&self) -> [u8; REPORT_DATA_SIZE] {
        *self.report_data.lock()
    }
}

/// Keys by name, for the whole enclave. None of them was ever outside.
static KEYS: Mutex<BTreeMap<Vec<u8>, [u8; KEY_SIZE]>> = Mutex::new(BTreeMap::new());

/// The key with this name, if it was set.
pub fn key(name: &[u8]) -> Option<[u8; KEY_SIZE]> {
    KEYS.lock().get(name).copied()
}

/// The key of an encrypted mount: one that was set, or one of the processor's.
pub fn file_key(name: &[u8], seal: SealKey) -> Option<[u8; KEY_SIZE]> {
    match PROCESSOR_KEYS.iter().find(|(known, _)| *known == name) {
        Some(&(_, to)) => processor_key(to, seal).ok()?.try_into().ok(),
        None => key(name),
    }
}

/// Sets a key; `EINVAL` for a name that no key can have.
pub fn set_key(name: &[u8], key: [u8; KEY_SIZE]) -> Result<()> {
    if !is_key_name(name) {
        return Err(Errno::EINVAL);
    }
    KEYS.lock().insert(name.to_vec(), key);
    Ok(())
}

/// Letters, digits, `.`, `-`, `_`; no dot in front; what begins with `_sgx_` is the processor's.
fn is_key_name(name: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
    (1..=64).contains(&name.len())
        && name.iter().all(letter)
        && name[0] != b'.'
        && !name.starts_with(b"_sgx_")
}

/// Who may use the files: the program, and nobody else in the enclave. And what its sealing keys depend on.
#[derive(Clone, Copy)]
struct Owner {
    platform: Platform,
    uid: u32,
    gid: u32,
    seal: SealKey,
}

/// The file system's root and its device number. Its files belong to the user and group.
pub fn new(platform: Platform, (uid, gid): (u32, u32), seal: SealKey) -> (Arc<dyn Inode>, u64) {
    let device = new_device();
    let of = Owner { platform, uid, gid, seal };
    let items = if attest::is_available() { WITH_SGX } else { WITHOUT_SGX };
    let root = Object::directory(0o755, Fixed { items, of });
    (GeneratedInode::root(FileSystem { device, magic: statfs::TMPFS, file_size: 0 }, root), device)
}

type Place = Item<Owner>;

const TYPE: Place = Item { name: "attestation_type", kind: Regular, make: attestation_type };
const KEY_FOLDER: Place =
    Item { name: "keys", kind: Directory, make: |of| own(of, Object::directory(0o700, Keys(*of))) };

const WITHOUT_SGX: &[Place] = &[TYPE, KEY_FOLDER];
const WITH_SGX: &[Place] = &[
    TYPE,
    KEY_FOLDER,
    Item { name: "my_target_info", kind: Regular, make: |of| own(of, Object::text(0o400, my_target_info)) },
    Item { name: "quote", kind: Regular, make: |of| own(of, Object::text(0o400, quote)) },
    Item { name: "report", kind: Regular, make: |of| own(of, Object::text(0o400, report)) },
    Item { name: "target_info", kind: Regular, make: |of| own(of, Object::text(0o600, TargetInfoFile)) },
    Item { name: "user_report_data", kind: Regular, make: |of| own(of, Object::text(0o600, ReportData)) },
];

fn own(of: &Owner, object: Object) -> Object {
    object.owned_by(of.uid, of.gid)
}

fn attestation_type(of: &Owner) -> Object {
    let text = attest::attestation_type(of.platform);
    own(of, Object::text(0o444, move || Ok(text.into())))
}

fn my_target_info() -> Result<Vec<u8>> {
    attest::own_target_info().map(|info| info.to_vec()).ok_or(Errno::EIO)
}

fn report() -> Result<Vec<u8>> {
    let process = current_process();
    let target = **process.attestation.target_info.lock();
    attest::report(&target, &process.attestation.report_data())
        .map(|report| report.to_vec())
        .ok_or(Errno::EIO)
}

fn quote() -> Result<Vec<u8>> {
    let data = current_process().attestation.report_data();
    blocking(|| attest::quote(&data))
}

/// Takes up to `to.len()` bytes; the rest becomes zero.
fn store(to: &mut [u8], written: &[u8]) -> Result<()> {
    if written.len() > to.len() {
        return Err(Errno::EINVAL);
    }
    to.fill(0);
    to[..written.len()].copy_from_slice(written);
    Ok(())
}

struct ReportData;

impl Text for ReportData {
    fn text(&self) -> Result<Vec<u8>> {
        Ok(current_process().attestation.report_data().to_vec())
    }

    fn write(&self, text: &[u8]) -> Result<()> {
        store(&mut *current_process().attestation.report_data.lock(), text)
    }
}

struct TargetInfoFile;

impl Text for TargetInfoFile {
    fn text(&self) -> Result<Vec<u8>> {
        Ok(current_process().attestation.target_info.lock().to_vec())
    }

    fn write(&self, text: &[u8]) -> Result<()> {
        store(&mut current_process().attestation.target_info.lock()[..], text)
    }
}

/// `keys/`.
struct Keys(Owner);

/// Keys of the processor, where there is one.
const PROCESSOR_KEYS: [(&[u8], SealTo); 2] =
    [(b"_sgx_mrenclave", SealTo::Enclave), (b"_sgx_mrsigner", SealTo::Signer)];

fn processor_key(to: SealTo, seal: SealKey) -> Result<Vec<u8>> {
    let SealKey { flags_mask, misc_mask, xfrm_mask } = seal;
    attest::seal_key(to, flags_mask, xfrm_mask, misc_mask).map(|key| key.to_vec()).ok_or(Errno::EIO)
}

impl Folder for Keys {
    fn find(&self, name: &[u8]) -> Result<Object> {
        let known = PROCESSOR_KEYS.iter().find(|(known, _)| *known == name && attest::is_available());
        if let Some(&(_, to)) = known {
            let seal = self.0.seal;
            return Ok(own(&self.0, Object::text(0o400, move || processor_key(to, seal))));
        }
        if !is_key_name(name) {
            return Err(Errno::ENOENT);
        }
        Ok(own(&self.0, Object::text(0o600, KeyFile(name.to_vec()))))
    }

    fn next(&self, position: u64) -> Option<Entry> {
        let fixed = if attest::is_available() { &PROCESSOR_KEYS[..] } else { &[] };
        let index = usize::try_from(position).ok()?;
        let name = match fixed.get(index) {
            Some((name, _)) => name.to_vec(),
            None => KEYS.lock().keys().nth(index - fixed.len())?.clone(),
        };
        Some(Entry { position, name, kind: Regular })
    }
}

/// `keys/NAME`: 16 bytes.
struct KeyFile(Vec<u8>);

impl Text for KeyFile {
    fn text(&self) -> Result<Vec<u8>> {
        key(&self.0).map(|key| key.to_vec()).ok_or(Errno::ENODATA)
    }

    fn write(&self, text: &[u8]) -> Result<()> {
        set_key(&self.0, text.try_into().map_err(|_| Errno::EINVAL)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keys_are_plain_and_not_the_processors() {
        for good in ["default", "wrap-key", "a.b_c", "0"] {
            assert!(is_key_name(good.as_bytes()), "{good}");
        }
        for bad in ["", ".hidden", "a/b", "_sgx_mrenclave", "_sgx_x", "a b", &"x".repeat(65)] {
            assert!(!is_key_name(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_name_once_set() {
        assert_eq!(key(b"of-this-test"), None);
        set_key(b"of-this-test", [7; KEY_SIZE]).unwrap();
        assert_eq!(key(b"of-this-test"), Some([7; KEY_SIZE]));
        assert_eq!(set_key(b"_sgx_mrenclave", [0; KEY_SIZE]), Err(Errno::EINVAL));
        assert_eq!(KeyFile(b"of-this-test".to_vec()).write(&[0; 15]), Err(Errno::EINVAL));
    }

    #[test]
    fn what_is_written_is_padded_and_never_cut() {
        let mut field = [9; 8];
        store(&mut field, b"abc").unwrap();
        assert_eq!(&field, b"abc\0\0\0\0\0");
        assert_eq!(store(&mut field, &[1; 9]), Err(Errno::EINVAL));
        assert_eq!(&field, b"abc\0\0\0\0\0");
    }
}
