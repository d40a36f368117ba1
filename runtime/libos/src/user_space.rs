//! The program's memory as call handlers touch it: a fault first asks the address space to make the page present
//! (file mappings come in on first touch), then tries again, then is `EFAULT`. Call with no lock held.

use alloc::vec::Vec;
use core::ffi::CStr;
use core::ops::Deref;

use casemate_platform::PAGE_SIZE as PAGE;
use casemate_platform::user::{self, Fault};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::errno::{Errno, Result};
use crate::process::current_address_space;
use crate::room;

/// An address in the program's memory, as a call argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Addr(pub u64);

impl Addr {
    /// Whether it is the null pointer.
    pub fn is_null(self) -> bool {
        self.0 == 0
    }
}

/// What an access wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Fetch an instruction.
    Execute,
}

/// Faults at one address after which a repair is taken not to help. Other mappings may take a shared page away again.
const ROUNDS: usize = 1000;

/// Runs an access again after each fault that the address space could repair.
fn retrying<T>(access: Access, mut attempt: impl FnMut() -> Result<T, Fault>) -> Result<T> {
    let (mut last, mut rounds) = (None, 0);
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(fault) => {
                rounds = if last == Some(fault.address) { rounds + 1 } else { 0 };
                if rounds > ROUNDS {
                    return Err(Errno::EFAULT);
                }
                last = Some(fault.address);
                if !current_address_space().make_present(fault.address, access) {
                    return Err(Errno::EFAULT);
                }
            }
        }
    }
}

/// Copies from the program.
pub fn copy_in(to: &mut [u8], from: Addr) -> Result<()> {
    // As on Linux, nothing is nowhere: the address of no bytes is not looked at.
    if to.is_empty() { Ok(()) } else { retrying(Access::Read, || user::copy_in(to, from.0)) }
}

/// Copies to the program.
pub fn copy_out(to: Addr, from: &[u8]) -> Result<()> {
    if from.is_empty() { Ok(()) } else { retrying(Access::Write, || user::copy_out(to.0, from)) }
}

/// Writes zeros.
pub fn zero(to: Addr, length: usize) -> Result<()> {
    retrying(Access::Write, || user::fill(to.0, 0, length))
}

/// Reads a plain value.
pub fn read<T: FromBytes + IntoBytes>(from: Addr) -> Result<T> {
    retrying(Access::Read, || user::read(from.0))
}

/// Writes a plain value.
pub fn write<T: IntoBytes + Immutable>(to: Addr, value: &T) -> Result<()> {
    copy_out(to, value.as_bytes())
}

/// Reads 4 bytes in one access.
pub fn read_u32(from: Addr) -> Result<u32> {
    retrying(Access::Read, || user::read_u32(from.0))
}

/// Writes 4 bytes in one access.
pub fn write_u32(to: Addr, value: u32) -> Result<()> {
    retrying(Access::Write, || user::write_u32(to.0, value))
}

/// Reads 8 bytes in one access.
pub fn read_u64(from: Addr) -> Result<u64> {
    retrying(Access::Read, || user::read_u64(from.0))
}

/// Writes 8 bytes in one access.
pub fn write_u64(to: Addr, value: u64) -> Result<()> {
    retrying(Access::Write, || user::write_u64(to.0, value))
}

/// Atomic compare-and-exchange; the value found.
pub fn compare_exchange_u32(at: Addr, expected: u32, new: u32) -> Result<u32> {
    retrying(Access::Write, || user::compare_exchange_u32(at.0, expected, new))
}

/// Reads a NUL-ended string of at most `limit` bytes before the NUL; `None` when there is no NUL within the limit.
pub fn read_string(from: Addr, limit: usize) -> Result<Option<Vec<u8>>> {
    read_string_after(from, Vec::new(), limit)
}

/// Bytes before the first NUL.
fn text_length(bytes: &[u8]) -> Option<usize> {
    CStr::from_bytes_until_nul(bytes).ok().map(CStr::count_bytes)
}

/// Goes on with a string of which the first bytes have been read.
fn read_string_after(from: Addr, mut text: Vec<u8>, limit: usize) -> Result<Option<Vec<u8>>> {
    let mut chunk = [0u8; 256];
    loop {
        let at = from.0.wrapping_add(text.len() as u64);
        // Never across a page end: what lies behind the NUL may not be mapped.
        let step = (PAGE - (at as usize & (PAGE - 1))).min(chunk.len()).min(limit + 1 - text.len());
        copy_in(&mut chunk[..step], Addr(at))?;
        if let Some(end) = text_length(&chunk[..step]) {
            text.extend_from_slice(&chunk[..end]);
            return Ok(Some(text));
        }
        text.extend_from_slice(&chunk[..step]);
        if text.len() > limit {
            return Ok(None);
        }
    }
}

/// Largest path, PATH_MAX less the NUL.
pub const PATH_LIMIT: usize = 4095;

/// Paths up to this length are kept on the stack.
pub const SHORT_PATH: usize = 64;

/// A path argument.
pub enum PathText {
    /// The first so many of these bytes.
    Short([u8; SHORT_PATH], usize),
    /// A longer one.
    Long(Vec<u8>),
}

impl Default for PathText {
    fn default() -> PathText {
        PathText::Short([0; SHORT_PATH], 0)
    }
}

impl Deref for PathText {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            PathText::Short(bytes, length) => &bytes[..*length],
            PathText::Long(bytes) => bytes,
        }
    }
}

/// Reads a path argument: `EFAULT`, `ENAMETOOLONG`; may be empty.
pub fn read_path(from: Addr) -> Result<PathText> {
    let mut bytes = [0; SHORT_PATH];
    // As in `read_string_after`.
    let step = (PAGE - (from.0 as usize & (PAGE - 1))).min(SHORT_PATH);
    copy_in(&mut bytes[..step], from)?;
    match text_length(&bytes[..step]) {
        Some(end) => Ok(PathText::Short(bytes, end)),
        None => {
            let text = read_string_after(from, bytes[..step].to_vec(), PATH_LIMIT)?;
            text.map(PathText::Long).ok_or(Errno::ENAMETOOLONG)
        }
    }
}

/// Reads a vector of pointers to strings ended by a null pointer (argv, envp); a null vector is empty. `E2BIG` beyond `limit` bytes.
pub fn read_string_vector(from: Addr, limit: usize) -> Result<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    let mut total = 0;
    if from.is_null() {
        return Ok(strings);
    }
    for index in 0.. {
        let pointer = read_u64(Addr(from.0.wrapping_add(index * 8)))?;
        if pointer == 0 {
            break;
        }
        let text = read_string(Addr(pointer), 131_071)?.ok_or(Errno::E2BIG)?;
        total += text.len() + 9;
        if total > limit {
            return Err(Errno::E2BIG);
        }
        // Copies of them are made on the way to the new program's stack.
        room::check_for(4 * total)?;
        strings.push(text);
    }
    Ok(strings)
}
