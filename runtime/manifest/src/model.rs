//! The manifest's members. Field order is the order of the bytes: sorted by name.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::secrets::Secrets;
use crate::wire::{WireEnvVar, WireMount};

/// The version of the format that this crate reads and writes.
pub const VERSION: u32 = 1;
/// Largest manifest accepted, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;
/// The hard limit of open files (`RLIMIT_NOFILE`); [`Manifest::fds_limit`] is the soft one.
pub const FDS_HARD_LIMIT: u32 = 1 << 20;
/// Most threads that serve exitless host calls.
pub const MAX_EXITLESS_THREADS: u32 = 64;

/// A manifest whose every member was checked by [`Manifest::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Whether arguments from the host come after `argv` (insecure).
    pub args_from_host: bool,
    /// The program's arguments from `argv[0]` on; at least one.
    pub argv: Vec<String>,
    /// Largest program break, in bytes from its start; whole pages.
    pub brk_max_size: u64,
    /// Working directory at start, absolute. Created when the image does not have it, as container engines do.
    pub cwd: String,
    /// Whether the enclave may be debugged, which means read by the host (insecure).
    pub debug: bool,
    /// With `args_from_host`: what comes after `argv` when the host gives no arguments. Otherwise empty.
    pub default_args: Vec<String>,
    /// Whether creating processes fails.
    pub disallow_subprocesses: bool,
    /// Whether memory is added to the running enclave.
    pub edmm: Edmm,
    /// Size of the enclave's range in bytes: a power of two.
    pub enclave_size: u64,
    /// Environment, in order; names are unique.
    pub env: Vec<EnvVar>,
    /// Whether every variable of the host is taken (insecure); `env` goes before.
    pub env_from_host_all: bool,
    /// How many threads of the loader serve host calls, so that they need no exit; absent for none. At most [`MAX_EXITLESS_THREADS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exitless_threads: Option<u32>,
    /// Soft limit of open files, at most [`FDS_HARD_LIMIT`].
    pub fds_limit: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The file index that vouches for the image's files.
    pub index: IndexRef,
    /// Keys of encrypted mounts that stand in the manifest for all to read (insecure): 32 hexadecimal digits by name.
    pub insecure_keys: BTreeMap<String, String>,
    /// ISVPRODID of the enclave.
    pub isv_prod_id: u16,
    /// ISVSVN of the enclave.
    pub isv_svn: u16,
    /// Which messages of the library OS are printed.
    pub log_level: LogLevel,
    /// How many threads may run at a time.
    pub max_threads: u32,
    /// What is mounted over the image, in order; paths are unique.
    pub mounts: Vec<Mount>,
    /// Whether the host's name and resolver settings are admitted, field by field.
    pub names_from_host: bool,
    /// The program: an absolute path in the image, ELF or `#!`.
    pub program: String,
    /// Version of the runtime that the image was built with.
    pub runtime_version: String,
    /// Which properties of the enclave its sealing keys depend on; absent for [`SealKey::default`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal_key: Option<SealKey>,
    /// What the first program, `/casemate/init`, asks a broker for before `program` starts; absent when it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// Stack of the main thread in bytes, `RLIMIT_STACK`; whole pages.
    pub stack_size: u64,
    /// User id.
    pub uid: u32,
    /// File mode creation mask.
    pub umask: u32,
    /// [`VERSION`].
    pub version: u32,
}

/// Masks of KEYREQUEST for the sealing keys (SDM 35.18): bits that are 0 may differ between enclaves that share a key. INIT and
/// DEBUG of ATTRIBUTES always count, whatever the mask says (SDM 38.4, EGETKEY).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealKey {
    /// Of ATTRIBUTES' flags.
    pub flags_mask: u64,
    /// Of MISCSELECT.
    pub misc_mask: u32,
    /// Of XFRM.
    pub xfrm_mask: u64,
}

impl Default for SealKey {
    /// All flags and all of MISCSELECT; of XFRM x87 and SSE, which every enclave has: the rest depends on the processor that one
    /// and the same enclave runs on.
    fn default() -> Self {
        SealKey { flags_mask: u64::MAX, misc_mask: u32::MAX, xfrm_mask: 3 }
    }
}

/// Which file index belongs to the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexRef {
    /// The index's root digest.
    pub root: RootDigest,
    /// Its size in bytes.
    pub size: u64,
}

/// 32 bytes, 64 lowercase hexadecimal digits in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RootDigest(pub [u8; 32]);

/// One variable of the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireEnvVar", into = "WireEnvVar")]
pub struct EnvVar {
    /// Not empty, no `=`.
    pub name: String,
    /// Where its value comes from.
    pub value: EnvValue,
}

/// Where a variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// The manifest.
    Fixed(String),
    /// The host; unset when the host does not give it.
    FromHost,
}

/// Something mounted over the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireMount", into = "WireMount")]
pub struct Mount {
    /// Where: absolute, without `.`, `..` or empty components.
    pub path: String,
    /// What.
    pub kind: MountKind,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// Empty at start, in enclave memory.
    Tmpfs,
    /// A directory or file of the host, readable and changeable by it (insecure).
    Host {
        /// Its path on the host (in a container: in the container's own tree).
        source: String,
        /// Whether writing is refused.
        read_only: bool,
    },
    /// A directory or file of protected files.
    Encrypted {
        /// `file:PATH` on the host, exactly as the user wrote it: the files carry their path inside.
        uri: String,
        /// Name of the key.
        key_name: String,
    },
}

/// Use of enclave dynamic memory management (SGX2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edmm {
    /// Where the platform has it.
    Auto,
    /// Always: refuse to start elsewhere.
    Required,
    /// Never.
    Off,
}

/// From silent to everything; each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum LogLevel {
    None,
    Error,
    Warning,
    Debug,
    Trace,
    All,
}
