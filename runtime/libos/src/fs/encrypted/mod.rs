//! Encrypted mounts: directories of the host whose files are protected files. The host sees names, the files' rough sizes and when they are
//! used; it can take files away and put older ones back, not read them, change them, or exchange one for another.
//!
//! Names and directories are the host's ([`HostInode`]); only regular files and directories are admitted.

mod file;
mod inode;
mod sealed;
mod storage;

pub use inode::EncryptedInode;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use casemate_manifest::SealKey;
use casemate_platform::sync::Mutex;

use self::sealed::Sealed;
use super::attestation::{self, KEY_SIZE};
use super::host_directory::Volume;
use super::turn::Turn;
use crate::errno::{Errno, Result};

/// Entries after which unused ones are looked for.
const OPEN_LIMIT: usize = 1024;

/// A mounted directory.
pub struct Folder {
    volume: Arc<Volume>,
    /// What the paths in its files begin with.
    uri: Vec<u8>,
    key_name: String,
    seal: SealKey,
    /// Files that are open, by their path below the directory.
    open: Mutex<BTreeMap<Vec<u8>, Weak<Sealed>>>,
    /// Whoever opens a file, or changes its name, does so in turn.
    names: Turn,
}

impl Folder {
    /// The directory of a volume; its files carry `uri` and their own path, and are encrypted with the key of this name. `seal` is
    /// what the processor's keys depend on, should that be one.
    pub fn new(volume: Arc<Volume>, uri: &[u8], key_name: &str, seal: SealKey) -> Arc<Folder> {
        let uri = uri.strip_suffix(b"/").unwrap_or(uri).to_vec();
        let open = Mutex::new(BTreeMap::new());
        Arc::new(Folder { volume, uri, key_name: key_name.into(), seal, open, names: Turn::new() })
    }

    /// Its root directory.
    pub fn root(self: &Arc<Self>) -> Result<Arc<EncryptedInode>> {
        EncryptedInode::admit(self, self.volume.root()?)
    }

    /// The path that a file carries.
    fn carried(&self, path: &[u8]) -> Vec<u8> {
        [&self.uri[..], b"/", path].concat()
    }

    /// The key; `EACCES` when nobody has set it.
    fn key(&self) -> Result<[u8; KEY_SIZE]> {
        attestation::file_key(self.key_name.as_bytes(), self.seal).ok_or(Errno::EACCES)
    }

    fn opened(&self, path: &[u8]) -> Option<Arc<Sealed>> {
        self.open.lock().get(path).and_then(Weak::upgrade)
    }

    fn note(&self, path: &[u8], sealed: &Arc<Sealed>) {
        let mut open = self.open.lock();
        if open.len() >= OPEN_LIMIT {
            open.retain(|_, entry| entry.strong_count() > 0);
        }
        open.insert(path.to_vec(), Arc::downgrade(sealed));
    }

    fn forget(&self, path: &[u8]) {
        self.open.lock().remove(path);
    }
}
