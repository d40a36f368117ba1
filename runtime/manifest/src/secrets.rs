//! What comes from a broker and what goes back to it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::check::{Checked, check_key_name, check_plain, check_string, require};
use crate::model::{Mount, MountKind, RootDigest};

/// The program that asks the broker, vouched for by the file index like any other.
pub const INIT_PATH: &str = "/casemate/init";
/// Where programs leave results that have no other place.
pub const RESULTS_PATH: &str = "/dev/casemate/results";

const MAX_BROKERS: usize = 16;
const MAX_SECRETS: usize = 64;
const MAX_RESULTS: usize = 64;
const MAX_NAME_BYTES: usize = 128;
const MAX_TIMEOUT_S: u32 = 86_400;

/// The broker, the secrets, and where they go. Field order is the order of the bytes: sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// Secrets that follow the program's arguments, in order.
    pub args: Vec<String>,
    /// `HOST:PORT` of brokers, asked in this order.
    pub broker: Vec<String>,
    /// SHA-256 of the brokers' public key (DER SubjectPublicKeyInfo).
    pub broker_key: RootDigest,
    /// Secrets that become variables, by the variable's name.
    pub env: BTreeMap<String, String>,
    /// Secrets that become files, by absolute path; each lies in a `tmpfs` mount.
    pub files: BTreeMap<String, String>,
    /// Secrets that become file keys, by the key's name.
    pub keys: BTreeMap<String, String>,
    /// Secrets that may be withheld.
    pub optional: Vec<String>,
    /// Secrets without which the program does not start.
    pub required: Vec<String>,
    /// Files, and directories of files, that go back when the program has ended: absolute paths.
    pub results: Vec<String>,
    /// How long the broker is asked before the start fails, in seconds.
    pub timeout_s: u32,
}

impl Secrets {
    /// The member's canonical text, which is how `/casemate/init` gets it.
    pub fn to_text(&self) -> String {
        // The model holds no floats and no maps with other keys than strings: it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

pub(crate) fn check(secrets: &Secrets, mounts: &[Mount]) -> Checked {
    let Secrets { args, broker, env, files, keys, optional, required, results, .. } = secrets;
    require("secrets.broker", (1..=MAX_BROKERS).contains(&broker.len()), "not 1 to 16 brokers")?;
    for address in broker {
        check_address(address)?;
    }
    let timeout = (1..=MAX_TIMEOUT_S).contains(&secrets.timeout_s);
    require("secrets.timeout_s", timeout, "not between 1 and 86400")?;
    let mut named = BTreeSet::new();
    for name in required.iter().chain(optional) {
        check_name(name)?;
        require("secrets", named.insert(name), format!("'{name}' is there twice"))?;
    }
    require("secrets", named.len() <= MAX_SECRETS, "more than 64 secrets")?;
    require("secrets", !named.is_empty() || !results.is_empty(), "neither secrets nor results are named")?;
    for name in args.iter().chain(env.values()).chain(files.values()).chain(keys.values()) {
        require("secrets", named.contains(name), format!("'{name}' is neither required nor optional"))?;
    }
    for variable in env.keys() {
        check_string("secrets.env", variable)?;
        let sound = !variable.is_empty() && !variable.contains('=');
        require("secrets.env", sound, format!("'{variable}' is no variable's name"))?;
    }
    keys.keys().try_for_each(|key| check_key_name(key))?;
    for path in files.keys() {
        check_plain("secrets.files", path)?;
        require("secrets.files", in_memory(path, mounts), format!("'{path}' is not in a tmpfs mount"))?;
    }
    require("secrets.results", results.len() <= MAX_RESULTS, "more than 64")?;
    results.iter().try_for_each(|path| check_plain("secrets.results", path))
}

fn check_address(address: &str) -> Checked {
    let sound = address.is_ascii()
        && address.len() <= 300
        && address.rsplit_once(':').is_some_and(|(host, port)| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            !host.is_empty()
                && host.bytes().all(plain)
                && digits
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
    require("secrets.broker", sound, format!("'{address}' is not HOST:PORT"))
}

/// As the broker names secrets.
fn check_name(name: &str) -> Checked {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let sound = first && name.len() <= MAX_NAME_BYTES && name.bytes().all(plain);
    require("secrets", sound, format!("'{name}' is no secret's name"))
}

/// Whether the innermost mount around a path is in enclave memory and for this process's tree alone.
fn in_memory(path: &str, mounts: &[Mount]) -> bool {
    let around = |mount: &&Mount| path.strip_prefix(&*mount.path).is_some_and(|rest| rest.starts_with('/'));
    mounts
        .iter()
        .filter(around)
        .max_by_key(|mount| mount.path.len())
        .is_some_and(|mount| mount.kind == MountKind::Tmpfs)
}
