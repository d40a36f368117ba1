//! What the program gets when the host has its say: arguments and environment. Nothing of the host's passes
//! that the manifest does not admit.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::model::*;

impl Manifest {
    /// The program's arguments. `from_host`: what the host gave after its own program name; without
    /// `args_from_host` it is ignored.
    pub fn arguments(&self, from_host: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut arguments: Vec<Vec<u8>> = self.argv.iter().map(bytes).collect();
        if self.args_from_host && !from_host.is_empty() {
            arguments.extend_from_slice(from_host);
        } else {
            arguments.extend(self.default_args.iter().map(bytes));
        }
        arguments
    }

    /// The program's environment, `NAME=VALUE` each. `from_host`: the host's, in the same form; of a name that
    /// is there twice the first counts, as for `getenv`; what is no `NAME=VALUE` is dropped.
    pub fn environment(&self, from_host: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut environment = Vec::new();
        let mut named = BTreeSet::new();
        for EnvVar { name, value } in &self.env {
            named.insert(name.as_bytes());
            match value {
                EnvValue::Fixed(value) => {
                    environment.push([name.as_bytes(), b"=", value.as_bytes()].concat())
                }
                EnvValue::FromHost => {
                    environment.extend(
                        from_host.iter().find(|entry| name_of(entry) == Some(name.as_bytes())).cloned(),
                    );
                }
            }
        }
        if self.env_from_host_all {
            for entry in from_host {
                if name_of(entry).is_some_and(|name| named.insert(name)) {
                    environment.push(entry.clone());
                }
            }
        }
        environment
    }

    /// The mount that admits a host directory at `path`, with its path on the host and whether it is read-only.
    pub fn host_mount(&self, path: &str) -> Option<(&str, bool)> {
        self.mounts.iter().find(|mount| mount.path == path).and_then(|mount| match &mount.kind {
            MountKind::Host { source, read_only } => Some((source.as_str(), *read_only)),
            MountKind::Tmpfs | MountKind::Encrypted { .. } => None,
        })
    }

    /// Whether a mount at `path` is one of a directory that the host has to offer, encrypted or not.
    pub fn takes_volume(&self, path: &str) -> bool {
        self.mounts.iter().any(|mount| {
            mount.path == path && matches!(mount.kind, MountKind::Host { .. } | MountKind::Encrypted { .. })
        })
    }
}

fn bytes(text: &String) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// The name in `NAME=VALUE`; none when it is empty, there is no `=`, or a NUL would cut it short.
fn name_of(entry: &[u8]) -> Option<&[u8]> {
    let length = entry.iter().position(|byte| *byte == b'=')?;
    (length > 0 && !entry.contains(&0)).then(|| &entry[..length])
}
