//! A machine's quoting side: its two enclaves, and what they need of disk.
//!
//! The platform's directory holds what its vendor gave it (`pce.sig`, `qe.sig`, `pck_chain.pem`) and its attestation key
//! (`attestation_key`: sealed key, certified report body, signature; made when first needed).

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use casemate_quoting::{Role, operation};
use casemate_sgx::{ReportBody, TargetInfo};
use casemate_softsgx::{FuseError, Fuses};
use zerocopy::{FromBytes, IntoBytes};

use crate::enclave::{Enclave, EnclaveError};
use crate::fuses::FuseFile;

const CERTIFIED: usize = 384;
const SIGNATURE: usize = 64;

/// Why the platform cannot quote.
#[derive(Debug)]
pub enum PlatformError {
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
    /// The fuses.
    Fuses(FuseError),
    /// An enclave.
    Enclave(EnclaveError),
    /// There is no PCK chain.
    NotRegistered(PathBuf),
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Fuses(error) => write!(f, "{error}"),
            Self::Enclave(error) => write!(f, "{error}"),
            Self::NotRegistered(path) => write!(
                f,
                "{}: the platform has no certificate; register it: casemate platform register",
                path.display()
            ),
        }
    }
}

impl From<EnclaveError> for PlatformError {
    fn from(error: EnclaveError) -> Self {
        Self::Enclave(error)
    }
}

/// A platform that is ready.
pub struct Platform {
    pce: Enclave,
    qe: Enclave,
    directory: PathBuf,
}

/// An attestation key that the PCE certified.
struct Key {
    sealed: Vec<u8>,
    certified: Vec<u8>,
    signature: Vec<u8>,
}

impl Platform {
    /// Loads the enclaves from the image at `image`, on a device with the fuses at `fuses`.
    pub fn open(directory: &Path, image: &Path, fuses: &Path) -> Result<Self, PlatformError> {
        let image = read(image)?;
        let fuses = Fuses::load(&mut FuseFile(fuses.into()), random).map_err(PlatformError::Fuses)?;
        let load = |role, sigstruct| -> Result<Enclave, PlatformError> {
            let mut key_id = [0; 32];
            random(&mut key_id);
            let sigstruct = read(&directory.join(sigstruct))?;
            Ok(Enclave::load(&image, role, &sigstruct, fuses.clone(), key_id)?)
        };
        Ok(Self {
            pce: load(Role::Pce, "pce.sig")?,
            qe: load(Role::Qe, "qe.sig")?,
            directory: directory.into(),
        })
    }

    /// What the vendor's registration service wants.
    pub fn registration(&mut self) -> Result<Vec<u8>, PlatformError> {
        Ok(one(self.pce.ask(operation::REGISTER, &[])?)?)
    }

    /// TARGETINFO of the quoting enclave.
    pub fn target_info(&mut self) -> Result<TargetInfo, PlatformError> {
        Ok(target(&mut self.qe)?)
    }

    /// A quote over a report for the quoting enclave; with a nonce and a target, also a report about the quote for that target.
    pub fn quote(
        &mut self,
        report: &[u8],
        about: Option<(&[u8], &[u8])>,
    ) -> Result<(Vec<u8>, Vec<u8>), PlatformError> {
        let chain = self.directory.join("pck_chain.pem");
        let chain = match fs::read(&chain) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PlatformError::NotRegistered(chain));
            }
            Err(error) => return Err(PlatformError::File(chain, error)),
        };
        let key = self.key()?;
        let (target, nonce) = about.unwrap_or_default();
        let fields: [&[u8]; 7] = [&key.sealed, &key.certified, &key.signature, &chain, report, target, nonce];
        match <[Vec<u8>; 2]>::try_from(self.qe.ask(operation::QUOTE, &fields)?) {
            Ok([quote, report]) => Ok((quote, report)),
            Err(_) => Err(EnclaveError::Malformed.into()),
        }
    }

    /// The attestation key: that of the last time if its enclave still opens it for the present TCB, or a new one.
    fn key(&mut self) -> Result<Key, PlatformError> {
        let path = self.directory.join("attestation_key");
        let own = ReportBody::read_from_bytes(&one(self.qe.ask(operation::IDENTITY, &[])?)?)
            .map_err(|_| EnclaveError::Malformed)?;
        if let Some(key) = fs::read(&path).ok().and_then(Key::parse) {
            let certified = ReportBody::read_from_bytes(&key.certified);
            if certified.is_ok_and(|body| body.cpusvn == own.cpusvn && body.mrenclave == own.mrenclave) {
                return Ok(key);
            }
        }
        let pce = target(&mut self.pce)?;
        let made = self.qe.ask(operation::NEW_KEY, &[pce.as_bytes()])?;
        let [sealed, report] = <[Vec<u8>; 2]>::try_from(made).map_err(|_| EnclaveError::Malformed)?;
        let signature = one(self.pce.ask(operation::CERTIFY, &[&report])?)?;
        let certified = report.get(..CERTIFIED).ok_or(EnclaveError::Malformed)?.to_vec();
        let key = Key { sealed, certified, signature };
        replace(&path, &key.to_bytes())?;
        Ok(key)
    }
}

impl Key {
    fn to_bytes(&self) -> Vec<u8> {
        [self.certified.as_slice(), &self.signature, &self.sealed].concat()
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let (certified, rest) = bytes.split_at_checked(CERTIFIED)?;
        let (signature, sealed) = rest.split_at_checked(SIGNATURE)?;
        Some(Self { sealed: sealed.into(), certified: certified.into(), signature: signature.into() })
    }
}

fn target(enclave: &mut Enclave) -> Result<TargetInfo, EnclaveError> {
    let body = one(enclave.ask(operation::IDENTITY, &[])?)?;
    let body = ReportBody::read_from_bytes(&body).map_err(|_| EnclaveError::Malformed)?;
    Ok(TargetInfo::for_enclave(&body))
}

fn one(mut fields: Vec<Vec<u8>>) -> Result<Vec<u8>, EnclaveError> {
    match (fields.pop(), fields.is_empty()) {
        (Some(field), true) => Ok(field),
        _ => Err(EnclaveError::Malformed),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PlatformError> {
    fs::read(path).map_err(|error| PlatformError::File(path.into(), error))
}

fn replace(path: &Path, data: &[u8]) -> Result<(), PlatformError> {
    let beside = path.with_extension("new");
    fs::write(&beside, data)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| PlatformError::File(path.into(), error))
}

fn random(bytes: &mut [u8]) {
    // SAFETY: fills memory of ours.
    let done = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    assert_eq!(done, bytes.len() as isize, "the kernel gave no random bytes");
}
