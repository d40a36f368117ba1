//! Requests and replies between the enclave and the untrusted process that runs it.
//!
//! Either is a number (operation or status, u32) and fields, each a length (u32) and so many bytes, little-endian. The
//! outside sees both and may change both: nothing secret is in them, and every field is judged by what uses it.

use alloc::vec::Vec;

use crate::instructions::{Instructions, identity};
use crate::{operation, pce, qe};
use zerocopy::IntoBytes;

/// Largest request or reply: a quote with a long chain has some 6 KB.
pub const MAX_MESSAGE: usize = 64 << 10;

/// Which enclave this is; the first byte of its measured block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Provisioning certification enclave.
    Pce = 1,
    /// Quoting enclave.
    Qe = 2,
}

impl Role {
    /// The role that a measured block asks for.
    #[must_use]
    pub fn from_block(block: &[u8; 64]) -> Option<Self> {
        match block {
            [1, rest @ ..] if rest.iter().all(|byte| *byte == 0) => Some(Self::Pce),
            [2, rest @ ..] if rest.iter().all(|byte| *byte == 0) => Some(Self::Qe),
            _ => None,
        }
    }

    /// The measured block that asks for this role.
    #[must_use]
    pub fn block(self) -> [u8; 64] {
        let mut block = [0; 64];
        block[0] = self as u8;
        block
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// As asked.
    Done = 0,
    /// Not a request of this enclave, or its fields are not what they should be.
    Malformed = 1,
    /// The report was not made for this enclave on this machine.
    NotForUs = 2,
    /// The report's enclave is not the vendor's quoting enclave.
    NotQuotingEnclave = 3,
    /// The processor refused a key.
    NoKey = 4,
    /// The sealed key was not sealed by this machine's quoting enclave, or was changed.
    NotSealedHere = 5,
    /// The certification is not for this attestation key.
    NotCertified = 6,
}

impl Status {
    /// The status with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Done,
            1 => Self::Malformed,
            2 => Self::NotForUs,
            3 => Self::NotQuotingEnclave,
            4 => Self::NoKey,
            5 => Self::NotSealedHere,
            6 => Self::NotCertified,
            _ => return None,
        })
    }
}

/// The fields of a message that is being read.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Splits a message into its number and its fields.
    #[must_use]
    pub fn of(message: &'a [u8]) -> Option<(u32, Self)> {
        let (number, rest) = message.split_first_chunk()?;
        Some((u32::from_le_bytes(*number), Self(rest)))
    }

    /// The next field.
    pub fn take(&mut self) -> Result<&'a [u8], Status> {
        let (length, rest) = self.0.split_first_chunk().ok_or(Status::Malformed)?;
        let (field, rest) =
            rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(Status::Malformed)?;
        self.0 = rest;
        Ok(field)
    }

    /// The next field, of exactly this size.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Status> {
        self.take()?.try_into().map_err(|_| Status::Malformed)
    }

    /// There is no further field.
    pub fn end(&self) -> Result<(), Status> {
        if self.0.is_empty() { Ok(()) } else { Err(Status::Malformed) }
    }
}

/// A message that is being written.
pub struct Reply(Vec<u8>);

impl Reply {
    /// A message with this number and no fields.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self(number.to_le_bytes().to_vec())
    }

    /// With one more field.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// Its bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Answers one request.
pub fn serve(role: Role, cpu: &mut impl Instructions, request: &[u8]) -> Vec<u8> {
    match answer(role, cpu, request) {
        Ok(reply) => reply,
        Err(status) => Reply::new(status as u32),
    }
    .into_bytes()
}

fn answer(role: Role, cpu: &mut impl Instructions, request: &[u8]) -> Result<Reply, Status> {
    let (number, mut fields) = Fields::of(request).ok_or(Status::Malformed)?;
    let reply = Reply::new(Status::Done as u32);
    match (role, number) {
        (_, operation::IDENTITY) => {
            fields.end()?;
            Ok(reply.field(identity(cpu).as_bytes()))
        }
        (Role::Pce, operation::REGISTER) => {
            fields.end()?;
            Ok(reply.field(&pce::register(cpu)?))
        }
        (Role::Pce, operation::CERTIFY) => {
            let report = fields.array()?;
            fields.end()?;
            Ok(reply.field(&pce::certify(cpu, report)?))
        }
        (Role::Qe, operation::NEW_KEY) => {
            let target = fields.array()?;
            fields.end()?;
            let (sealed, report) = qe::new_key(cpu, target)?;
            Ok(reply.field(&sealed).field(report.as_bytes()))
        }
        (Role::Qe, operation::QUOTE) => {
            let request = qe::QuoteRequest::read(&mut fields)?;
            let (quote, about) = qe::quote(cpu, &request)?;
            let reply = reply.field(&quote);
            Ok(match about {
                Some(report) => reply.field(report.as_bytes()),
                None => reply.field(&[]),
            })
        }
        _ => Err(Status::Malformed),
    }
}
