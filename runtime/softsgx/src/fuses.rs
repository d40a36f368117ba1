//! The machine's secrets: what a processor has in fuses, here in a file that only its owner can read.
//!
//! The file has 112 bytes: `"CSMTFUSE"`, version 1 (u32), 0 (u32), root key, seal fuses, owner epoch, CPUSVN (16 bytes
//! each), SHA-256 of what comes before. Whoever reads it can forge this machine's reports and open what its enclaves sealed:
//! that is what "no protection" means on `softsgx`, and why the mode is checked all the same.

use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"CSMTFUSE";
const VERSION: u32 = 1;
const BODY: usize = 80;

/// A machine's fuses and owner epoch.
#[derive(Clone, PartialEq, Eq)]
pub struct Fuses {
    /// Stands for every key that is in the processor alone.
    pub root_key: [u8; 16],
    /// CR_SEAL_FUSES.
    pub seal_fuses: [u8; 16],
    /// CR_SGXOWNEREPOCH.
    pub owner_epoch: [u8; 16],
    /// CR_CPUSVN.
    pub cpusvn: [u8; 16],
}

/// CPUSVN of a new machine: every component at version 1.
const NEW_CPUSVN: [u8; 16] = [1; 16];

impl fmt::Debug for Fuses {
    /// Secrets are not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fuses").field("cpusvn", &self.cpusvn).finish_non_exhaustive()
    }
}

/// A fuse file as found.
#[derive(Clone, Debug)]
pub struct StoredFuses {
    /// Its contents (a reader may stop after 4096 bytes).
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Whether it is a regular file that belongs to the process's user.
    pub own_regular_file: bool,
}

/// Where the fuse file is. Errors are the host's error numbers.
pub trait FuseStore {
    /// Reads it without following a link; `None` when there is none.
    fn read(&mut self) -> Result<Option<StoredFuses>, i32>;

    /// Creates it with mode 0600 and all these contents at once (written beside, then linked), unless there is one
    /// already, which `false` says.
    fn create(&mut self, bytes: &[u8]) -> Result<bool, i32>;
}

/// Why there are no fuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuseError {
    /// The host refused.
    System(i32),
    /// Others can read or write the file, or it is another user's or no file.
    Exposed {
        /// Permission bits.
        mode: u32,
    },
    /// Not a fuse file of this version, or damaged.
    Damaged,
}

impl fmt::Display for FuseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(errno) => write!(f, "the fuse file cannot be read or written: error {errno}"),
            Self::Exposed { mode } => {
                write!(
                    f,
                    "the fuse file is open to others (mode {mode:04o}); make it yours alone (chmod 600)"
                )
            }
            Self::Damaged => {
                f.write_str("the fuse file is damaged; remove it (what was sealed with it is lost)")
            }
        }
    }
}

impl Fuses {
    /// Size of the file.
    pub const FILE_SIZE: usize = BODY + 32;

    /// New ones, from random bytes.
    #[must_use]
    pub fn generate(mut random: impl FnMut(&mut [u8])) -> Self {
        let mut fuses =
            Self { root_key: [0; 16], seal_fuses: [0; 16], owner_epoch: [0; 16], cpusvn: NEW_CPUSVN };
        random(&mut fuses.root_key);
        random(&mut fuses.seal_fuses);
        random(&mut fuses.owner_epoch);
        fuses
    }

    /// The machine's fuses: from its file, which is made at the first start.
    pub fn load(store: &mut impl FuseStore, mut random: impl FnMut(&mut [u8])) -> Result<Self, FuseError> {
        // Twice: another process may make the file between our look and our attempt.
        for _ in 0..2 {
            if let Some(stored) = store.read().map_err(FuseError::System)? {
                if stored.mode & 0o077 != 0 || !stored.own_regular_file {
                    return Err(FuseError::Exposed { mode: stored.mode });
                }
                return Self::parse(&stored.bytes).ok_or(FuseError::Damaged);
            }
            let fuses = Self::generate(&mut random);
            if store.create(&fuses.to_bytes()).map_err(FuseError::System)? {
                return Ok(fuses);
            }
        }
        Err(FuseError::Damaged)
    }

    /// The file's contents.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::FILE_SIZE] {
        let mut bytes = [0; Self::FILE_SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let fields = [&self.root_key, &self.seal_fuses, &self.owner_epoch, &self.cpusvn];
        for (field, place) in fields.into_iter().zip(bytes[16..BODY].chunks_exact_mut(16)) {
            place.copy_from_slice(field);
        }
        let digest = Sha256::digest(&bytes[..BODY]);
        bytes[BODY..].copy_from_slice(&digest);
        bytes
    }

    /// The inverse; `None` for anything else.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::FILE_SIZE] = bytes.try_into().ok()?;
        let field = |number: usize| {
            let mut field = [0; 16];
            field.copy_from_slice(&bytes[16 * number..16 * number + 16]);
            field
        };
        let fuses =
            Self { root_key: field(1), seal_fuses: field(2), owner_epoch: field(3), cpusvn: field(4) };
        (fuses.to_bytes() == *bytes).then_some(fuses)
    }
}
