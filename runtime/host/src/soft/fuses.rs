//! The machine's fuse file: `--fuses FILE`, else `casemate/fuses` in the user's state directory (XDG Base Directory Specification).

use alloc::vec;
use alloc::vec::Vec;

use casemate_softsgx::{FuseError, FuseStore, Fuses, StoredFuses};
use linux_raw_sys::general::*;

use crate::bundle::with_c_string;
use crate::refuse;
use crate::report::{Text, print};
use crate::sys::{self, Errno};

/// A reader stops here.
const LIMIT: usize = 4096;

struct File {
    path: Vec<u8>,
}

/// The default path; `None` when the environment names no place.
fn default_path(environment: &[&[u8]]) -> Option<Vec<u8>> {
    let value = |name: &[u8]| {
        let found = environment.iter().find_map(|setting| setting.strip_prefix(name)?.strip_prefix(b"="));
        found.filter(|value| value.starts_with(b"/"))
    };
    match (value(b"XDG_STATE_HOME"), value(b"HOME")) {
        (Some(state), _) => Some([state, b"/casemate/fuses"].concat()),
        (None, Some(home)) => Some([home, b"/.local/state/casemate/fuses"].concat()),
        _ => None,
    }
}

/// The machine's fuses. Where none can be kept (no home, a read-only file system), they last for this run alone, and it is said.
pub fn load(given: Option<&[u8]>, environment: &[&[u8]]) -> Fuses {
    let Some(path) = given.map(<[u8]>::to_vec).or_else(|| default_path(environment)) else {
        return temporary("neither XDG_STATE_HOME nor HOME is set");
    };
    match Fuses::load(&mut File { path: path.clone() }, random) {
        Ok(fuses) => fuses,
        Err(FuseError::System(errno)) if given.is_none() => temporary(Errno(errno).text()),
        Err(FuseError::System(errno)) => refuse!("{}: {}", Text(&path), Errno(errno)),
        Err(error) => refuse!("{}: {error}", Text(&path)),
    }
}

fn temporary(reason: &str) -> Fuses {
    print(format_args!(
        "casemate-host: softsgx: no fuse file can be kept ({reason}): what is sealed in this run cannot be opened in another (--fuses FILE)"
    ));
    Fuses::generate(random)
}

/// Random bytes of the kernel.
pub fn random(into: &mut [u8]) {
    let mut done = 0;
    while done < into.len() {
        let args = [into[done..].as_mut_ptr() as u64, (into.len() - done) as u64, 0];
        // SAFETY: the kernel writes into the exclusively borrowed slice.
        match unsafe { sys::call(__NR_getrandom, args) } {
            Ok(count) => done += count as usize,
            Err(Errno::EINTR) => {}
            Err(error) => refuse!("the kernel gives no random numbers: {error}"),
        }
    }
}

impl File {
    /// Makes the directories above the file.
    fn make_parents(&self) {
        for (at, _) in self.path.iter().enumerate().filter(|(at, byte)| *at > 0 && **byte == b'/') {
            with_c_string(&self.path[..at], |name| {
                let args = [sys::AT_FDCWD as u64, name.as_ptr() as u64, 0o700];
                // SAFETY: the kernel reads the path. What cannot be made shows when the file is.
                let _ = unsafe { sys::call(__NR_mkdirat, args) };
            });
        }
    }
}

impl FuseStore for File {
    fn read(&mut self) -> Result<Option<StoredFuses>, i32> {
        let flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        let fd = match with_c_string(&self.path, |name| sys::open(sys::AT_FDCWD, name, flags, 0)) {
            Ok(fd) => fd,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            // A link: not a regular file.
            Err(Errno::ELOOP) => {
                return Ok(Some(StoredFuses { bytes: Vec::new(), mode: 0o777, own_regular_file: false }));
            }
            Err(error) => return Err(error.0),
        };
        let found = (|| {
            let stat = sys::stat(fd)?;
            let mut bytes = vec![0; LIMIT];
            let mut length = 0;
            loop {
                match sys::read(fd, &mut bytes[length..])? {
                    0 => break,
                    count => length += count,
                }
            }
            bytes.truncate(length);
            // SAFETY: touches no memory.
            let user = unsafe { sys::call(__NR_geteuid, []) }?;
            let own = stat.st_mode & S_IFMT == S_IFREG && i64::from(stat.st_uid) == user;
            Ok(StoredFuses { bytes, mode: stat.st_mode & 0o7777, own_regular_file: own })
        })();
        sys::close(fd);
        found.map(Some).map_err(|error: Errno| error.0)
    }

    fn create(&mut self, bytes: &[u8]) -> Result<bool, i32> {
        self.make_parents();
        let mut suffix = [0; 8];
        random(&mut suffix);
        let mut beside = self.path.clone();
        beside.extend_from_slice(b".new-");
        beside.extend(suffix.iter().map(|byte| b'a' + byte % 26));
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
        let fd = with_c_string(&beside, |name| sys::open(sys::AT_FDCWD, name, flags, 0o600))
            .map_err(|error| error.0)?;
        sys::write_all(fd, bytes);
        // SAFETY: touches no memory.
        let _ = unsafe { sys::call(__NR_fsync, [fd as u64]) };
        let written = sys::stat(fd).is_ok_and(|stat| stat.st_size as usize == bytes.len());
        sys::close(fd);
        let linked = with_c_string(&beside, |from| {
            with_c_string(&self.path, |to| {
                let directory = sys::AT_FDCWD as u64;
                let args = [directory, from.as_ptr() as u64, directory, to.as_ptr() as u64, 0];
                // SAFETY: the kernel reads both paths.
                let linked = if written { unsafe { sys::call(__NR_linkat, args) } } else { Err(Errno::EIO) };
                // SAFETY: as above.
                let _ = unsafe { sys::call(__NR_unlinkat, [directory, from.as_ptr() as u64, 0]) };
                linked
            })
        });
        match linked {
            Ok(_) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(error) => Err(error.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;

    fn file(name: &str) -> (std::path::PathBuf, File) {
        let directory = std::env::temp_dir().join(format!("casemate-fuses-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        let path = directory.join("deep/fuses");
        let bytes = path.as_os_str().as_bytes().to_vec();
        (path, File { path: bytes })
    }

    #[test]
    fn a_fuse_file_is_made_once_for_its_owner_alone_and_read_again() {
        let (path, mut store) = file("once");
        let first = Fuses::load(&mut store, random).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(Fuses::load(&mut store, |_| panic!("no second set")).unwrap() == first);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(Fuses::load(&mut store, random), Err(FuseError::Exposed { mode: 0o644 }));
        std::fs::remove_dir_all(path.ancestors().nth(2).unwrap()).unwrap();
    }

    #[test]
    fn a_link_and_a_damaged_file_are_refused() {
        let (path, mut store) = file("bad");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(matches!(Fuses::load(&mut store, random), Err(FuseError::Exposed { .. })));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"CSMTFUSE").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(Fuses::load(&mut store, random), Err(FuseError::Damaged));
        std::fs::remove_dir_all(path.ancestors().nth(2).unwrap()).unwrap();
    }

    #[test]
    fn the_state_directory_is_the_default_place() {
        let path = |settings: &[&[u8]]| default_path(settings);
        assert_eq!(path(&[b"HOME=/h", b"XDG_STATE_HOME=/s"]).unwrap(), b"/s/casemate/fuses");
        assert_eq!(path(&[b"HOMER=/x", b"HOME=/h"]).unwrap(), b"/h/.local/state/casemate/fuses");
        assert_eq!(path(&[b"HOME=", b"XDG_STATE_HOME=relative"]), None);
    }
}
