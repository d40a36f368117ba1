//! What weakens the protection, in words, for the banner at start.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::model::*;

impl Manifest {
    /// One sentence for each setting that weakens the protection; none when there is no such setting.
    pub fn insecure(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.debug {
            sentences
                .push("debug enclave: the host can read and change everything inside (sgx.debug)".into());
        }
        if self.args_from_host {
            sentences
                .push("the host chooses the program's arguments (loader.insecure__use_cmdline_argv)".into());
        }
        if self.env_from_host_all {
            sentences
                .push("the host chooses the program's environment (loader.insecure__use_host_env)".into());
        }
        for mount in &self.mounts {
            if let MountKind::Host { source, read_only } = &mount.kind {
                let change = if *read_only { "" } else { ", and sees what is written there" };
                sentences.push(format!(
                    "the host chooses what is in {}{change} (sgx.allowed_files, from {source})",
                    mount.path
                ));
            }
        }
        for name in self.insecure_keys.keys() {
            sentences
                .push(format!("the key '{name}' is in the image for all to read (fs.insecure__keys.{name})"));
        }
        if self.log_level > LogLevel::Warning {
            sentences.push("the log tells the host what the program does (loader.log_level)".into());
        }
        sentences
    }
}
