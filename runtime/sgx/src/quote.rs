//! Quote, version 3, with an ECDSA P-256 signature ("Intel SGX ECDSA QuoteLibReference DCAP API", appendix A).
//!
//! A view over bytes that nobody has verified: parsing says only where the parts are. The verifier proper is another's.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::ReportBody;
use crate::error::{ParseError, read_exact};

/// Quote header (A.4, table 3). 48 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct QuoteHeader {
    /// 3.
    pub version: u16,
    /// 2: ECDSA-256 with P-256.
    pub attestation_key_type: u16,
    /// Reserved.
    pub reserved: u32,
    /// Security version of the quoting enclave.
    pub qe_svn: u16,
    /// Security version of the provisioning certification enclave.
    pub pce_svn: u16,
    /// Vendor of the quoting enclave.
    pub qe_vendor_id: [u8; 16],
    /// The first 16 bytes identify the platform to its vendor.
    pub user_data: [u8; 20],
}

const _: () = assert!(size_of::<QuoteHeader>() == 48);

/// Fixed part of the ECDSA signature data (A.4, table 4). 576 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EcdsaSignature {
    /// Over header and report body, by the attestation key: r, s, big-endian.
    pub signature: [u8; 64],
    /// The attestation key: x, y, big-endian.
    pub attestation_key: [u8; 64],
    /// Report of the quoting enclave; REPORTDATA holds the hash of key and authentication data.
    pub qe_report: ReportBody,
    /// Over `qe_report`, by the PCK.
    pub qe_report_signature: [u8; 64],
}

const _: () = assert!(size_of::<EcdsaSignature>() == 576);

/// Vendor of Intel's quoting enclave: 939A7233-F79C-4CA9-940A-0DB3957F0607.
pub const INTEL_QE_VENDOR: [u8; 16] =
    [0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07];

/// `attestation_key_type` of ECDSA P-256.
pub const ECDSA_P256: u16 = 2;

/// Certification data (A.4, table 9 "QE Certification Data"): how the PCK is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificationData<'a> {
    /// Types 1 (plain), 2 (RSA-2048) and 3 (RSA-3072): the platform's PPID, plain or encrypted, and its TCB.
    Ppid {
        /// 1, 2 or 3.
        kind: u16,
        /// 16, 256 or 384 bytes.
        ppid: &'a [u8],
        /// Security version of the processor.
        cpusvn: [u8; 16],
        /// Security version of the PCE.
        pce_svn: u16,
        /// Which PCE.
        pce_id: u16,
    },
    /// Type 4: the PCK certificate.
    PckLeaf(&'a [u8]),
    /// Type 5: the PCK certificate and its issuers, PEM, one after the other.
    PckChain(&'a [u8]),
    /// Type 6: a QE report with its own certification data, as quotes of version 4 nest them.
    QeReport {
        /// Report of the quoting enclave.
        report: &'a [u8; size_of::<ReportBody>()],
        /// Signature over it.
        signature: &'a [u8; 64],
        /// Authentication data.
        auth_data: &'a [u8],
        /// Type of the inner certification data (1 to 5).
        inner_kind: u16,
        /// The inner certification data, unparsed.
        inner: &'a [u8],
    },
}

/// A parsed quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote<'a> {
    /// Header.
    pub header: QuoteHeader,
    /// Report of the attested enclave.
    pub body: ReportBody,
    /// Signatures and keys.
    pub signature: EcdsaSignature,
    /// Authentication data of the quoting enclave.
    pub auth_data: &'a [u8],
    /// How the PCK is found.
    pub certification: CertificationData<'a>,
    /// The bytes that the attestation key signs.
    pub signed: &'a [u8],
    /// Bytes of the quote itself, without zeros that follow it.
    pub size: usize,
}

/// Takes pieces from the front of a byte string.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, what: &'static str, length: usize) -> Result<&'a [u8], ParseError> {
        let found = self.0.len();
        let (head, tail) =
            self.0.split_at_checked(length).ok_or(ParseError::Length { what, expected: length, found })?;
        self.0 = tail;
        Ok(head)
    }

    fn structure<T: FromBytes>(&mut self, what: &'static str) -> Result<T, ParseError> {
        read_exact(what, self.take(what, size_of::<T>())?)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<&'a [u8; N], ParseError> {
        let bytes = self.take(what, N)?;
        bytes.try_into().map_err(|_| ParseError::Length { what, expected: N, found: bytes.len() })
    }

    /// A length of `width` bytes, then that many bytes.
    fn sized(&mut self, what: &'static str, width: usize) -> Result<&'a [u8], ParseError> {
        let mut length = [0; 4];
        length[..width].copy_from_slice(self.take(what, width)?);
        self.take(what, u32::from_le_bytes(length) as usize)
    }

    fn end(&self, what: &'static str) -> Result<(), ParseError> {
        match self.0.len() {
            0 => Ok(()),
            found => Err(ParseError::Length { what, expected: 0, found }),
        }
    }
}

impl<'a> Quote<'a> {
    /// Reads a quote. Bytes after it are allowed only when they are 0 (buffers are often larger than their quote).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader(bytes);
        let header: QuoteHeader = reader.structure("quote header")?;
        if header.version != 3 {
            return Err(ParseError::Field { what: "quote version", value: header.version.into() });
        }
        if header.attestation_key_type != ECDSA_P256 {
            return Err(ParseError::Field {
                what: "attestation key type",
                value: header.attestation_key_type.into(),
            });
        }
        let body: ReportBody = reader.structure("report body of the quote")?;
        let signed = &bytes[..size_of::<QuoteHeader>() + size_of::<ReportBody>()];
        let mut data = Reader(reader.sized("signature data", 4)?);
        let size = bytes.len() - reader.0.len();
        if reader.0.iter().any(|byte| *byte != 0) {
            return Err(ParseError::Length { what: "end of the quote", expected: 0, found: reader.0.len() });
        }
        let signature: EcdsaSignature = data.structure("ECDSA signature data")?;
        let auth_data = data.sized("QE authentication data", 2)?;
        let certification = CertificationData::read(&mut data)?;
        data.end("end of the signature data")?;
        Ok(Self { header, body, signature, auth_data, certification, signed, size })
    }
}

impl<'a> CertificationData<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ParseError> {
        let (kind, data) = Self::read_header(reader)?;
        match kind {
            1..=3 => Self::ppid(kind, data),
            4 => Ok(Self::PckLeaf(data)),
            5 => Ok(Self::PckChain(data)),
            6 => Self::qe_report(data),
            _ => Err(ParseError::Field { what: "certification data type", value: kind.into() }),
        }
    }

    fn read_header(reader: &mut Reader<'a>) -> Result<(u16, &'a [u8]), ParseError> {
        let kind: u16 = reader.structure("certification data type")?;
        Ok((kind, reader.sized("certification data", 4)?))
    }

    fn ppid(kind: u16, data: &'a [u8]) -> Result<Self, ParseError> {
        let length = [16, 256, 384][usize::from(kind) - 1];
        let mut reader = Reader(data);
        let ppid = reader.take("PPID", length)?;
        let cpusvn = reader.structure("CPUSVN")?;
        let pce_svn = reader.structure("PCESVN")?;
        let pce_id = reader.structure("PCEID")?;
        reader.end("certification data")?;
        Ok(Self::Ppid { kind, ppid, cpusvn, pce_svn, pce_id })
    }

    fn qe_report(data: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader(data);
        let report = reader.array("QE report")?;
        let signature = reader.array("QE report signature")?;
        let auth_data = reader.sized("QE authentication data", 2)?;
        let (inner_kind, inner) = Self::read_header(&mut reader)?;
        if !(1..=5).contains(&inner_kind) {
            return Err(ParseError::Field {
                what: "inner certification data type",
                value: inner_kind.into(),
            });
        }
        reader.end("certification data")?;
        Ok(Self::QeReport { report, signature, auth_data, inner_kind, inner })
    }

    /// The certification data's type number.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self {
            Self::Ppid { kind, .. } => *kind,
            Self::PckLeaf(_) => 4,
            Self::PckChain(_) => 5,
            Self::QeReport { .. } => 6,
        }
    }
}
