//! [`Sealed`]: a protected file that is open, for all who have it open.

use alloc::sync::Arc;

use casemate_abi::HostStat;
use casemate_platform::host;
use casemate_platform::sync::Mutex;
use casemate_protected_files::{Error, FileKey, ProtectedFile};
use linux_raw_sys::general as raw;

use super::Folder;
use super::storage::HostStorage;
use crate::errno::{Errno, Result};
use crate::fs::turn::Turn;

/// An open protected file. Whoever lets it go flushes it before, so that nobody opens what is not written yet.
pub(super) struct Sealed {
    /// Host calls are made in it; the lock below is then free.
    turn: Turn,
    file: Mutex<ProtectedFile<HostStorage>>,
    /// Whether the host lets us write it.
    writable: bool,
}

/// What the program is told. That a file is not what was written is an I/O error, as with fs-verity or dm-integrity.
fn refusal(error: Error<Errno>) -> Errno {
    match error {
        Error::Storage(errno) => errno,
        Error::OtherPath => Errno::EACCES,
        Error::BadPath => Errno::ENAMETOOLONG,
        Error::TooLarge => Errno::EFBIG,
        _ => Errno::EIO,
    }
}

impl Sealed {
    /// The file at a path below the folder, which is noted there. For whoever has the turn of the folder's names.
    pub(super) fn open(folder: &Folder, path: &[u8]) -> Result<Arc<Sealed>> {
        if let Some(open) = folder.opened(path) {
            return Ok(open);
        }
        let key = FileKey(folder.key()?);
        let (storage, writable) = Self::storage(folder, path)?;
        let file = ProtectedFile::open(storage, key, Some(&folder.carried(path))).map_err(refusal)?;
        Ok(Self::noted(folder, path, file, writable))
    }

    /// Makes an empty protected file of an empty file of the host.
    pub(super) fn create(folder: &Folder, path: &[u8]) -> Result<Arc<Sealed>> {
        let key = FileKey(folder.key()?);
        let (storage, writable) = Self::storage(folder, path)?;
        let file = ProtectedFile::create(storage, key, &folder.carried(path)).map_err(refusal)?;
        Ok(Self::noted(folder, path, file, writable))
    }

    fn noted(folder: &Folder, path: &[u8], file: ProtectedFile<HostStorage>, writable: bool) -> Arc<Sealed> {
        let sealed = Arc::new(Sealed { turn: Turn::new(), file: Mutex::new(file), writable });
        folder.note(path, &sealed);
        sealed
    }

    /// The host's file, to read and write if the host lets us.
    fn storage(folder: &Folder, path: &[u8]) -> Result<(HostStorage, bool)> {
        // O_NONBLOCK: what is no regular file any more must not hold the thread up.
        let open = |access| host::path_open(folder.volume.number(), path, access | raw::O_NONBLOCK, 0);
        match open(raw::O_RDWR).map_err(Errno::from) {
            Ok(fd) => Ok((HostStorage(fd), true)),
            Err(Errno::EACCES | Errno::EROFS | Errno::EPERM) => {
                Ok((HostStorage(open(raw::O_RDONLY)?), false))
            }
            Err(error) => Err(error),
        }
    }

    /// `EACCES` when the host does not let us write it.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.writable { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Does something with the file while nobody else does.
    fn with<T>(
        &self,
        act: impl FnOnce(&mut ProtectedFile<HostStorage>) -> core::result::Result<T, Error<Errno>>,
    ) -> Result<T> {
        let _turn = self.turn.take()?;
        act(&mut self.file.lock()).map_err(refusal)
    }

    pub(super) fn size(&self) -> Result<u64> {
        self.with(|file| Ok(file.size()))
    }

    /// Reads into memory of the library OS: program memory may be a mapping of this very file.
    pub(super) fn read(&self, offset: u64, to: &mut [u8]) -> Result<usize> {
        self.with(|file| file.read(offset, to))
    }

    /// Writes at an offset, or at the end; where the bytes went.
    pub(super) fn write(&self, offset: Option<u64>, bytes: &[u8]) -> Result<u64> {
        self.with(|file| {
            let offset = offset.unwrap_or(file.size());
            file.write(offset, bytes)?;
            Ok(offset)
        })
    }

    /// Writes what does not make the file larger.
    pub(super) fn write_within(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.with(|file| {
            let room = usize::try_from(file.size().saturating_sub(offset)).unwrap_or(usize::MAX);
            file.write(offset, &bytes[..bytes.len().min(room)])
        })
    }

    pub(super) fn set_size(&self, size: u64) -> Result<()> {
        self.check_writable()?;
        self.with(|file| {
            file.set_size(size)?;
            file.flush()
        })
    }

    pub(super) fn grow(&self, size: u64) -> Result<()> {
        self.with(|file| if size > file.size() { file.set_size(size) } else { Ok(()) })
    }

    /// Makes it the file of another path; of its own still when that fails.
    pub(super) fn set_path(&self, path: &[u8]) -> Result<()> {
        self.check_writable()?;
        self.with(|file| {
            let own = file.path().to_vec();
            file.set_path(path)?;
            let flushed = file.flush();
            if flushed.is_err() {
                file.set_path(&own)?;
            }
            flushed
        })
    }

    /// What was written goes to the host.
    pub(super) fn flush(&self) -> Result<()> {
        if !self.writable {
            return Ok(());
        }
        self.with(|file| file.flush())
    }

    /// What was written goes to the host, and there to its disk.
    pub(super) fn sync(&self, data_only: bool) -> Result<()> {
        self.flush()?;
        let _turn = self.turn.take()?;
        Ok(host::fd_sync(&self.file.lock().storage().0, data_only)?)
    }

    /// The host's status.
    pub(super) fn host_stat(&self) -> Result<HostStat> {
        let _turn = self.turn.take()?;
        Ok(host::fd_stat(&self.file.lock().storage().0)?)
    }
}
