//! The machine's fuse file, as `casemate-host` keeps it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use casemate_softsgx::{FuseStore, StoredFuses};

/// The file at this path.
pub struct FuseFile(pub PathBuf);

fn number(error: io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl FuseStore for FuseFile {
    fn read(&mut self) -> Result<Option<StoredFuses>, i32> {
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(number(error)),
        };
        let about = file.metadata().map_err(number)?;
        let mut bytes = Vec::new();
        file.take(4096).read_to_end(&mut bytes).map_err(number)?;
        // SAFETY: only asks who we are.
        let own = about.uid() == unsafe { libc::geteuid() };
        Ok(Some(StoredFuses {
            bytes,
            mode: about.permissions().mode() & 0o7777,
            own_regular_file: own && about.is_file(),
        }))
    }

    fn create(&mut self, bytes: &[u8]) -> Result<bool, i32> {
        if let Some(directory) = self.0.parent() {
            std::fs::create_dir_all(directory).map_err(number)?;
        }
        let beside = self.0.with_extension(format!("{}.new", std::process::id()));
        let mut file: File =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(number)?;
        let done =
            file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
                match std::fs::hard_link(&beside, &self.0) {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                    Err(error) => Err(error),
                }
            });
        let removed = std::fs::remove_file(&beside);
        let made = done.map_err(number)?;
        removed.map_err(number)?;
        Ok(made)
    }
}
