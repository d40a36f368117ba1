//! Where the bytes of a read go ([`Sink`]) and where the bytes of a write come from ([`Source`]): ranges of program memory, or
//! a buffer of the library OS.

use alloc::vec::Vec;

use casemate_platform::host::{Bytes, Received};

use crate::errno::{Errno, Result};
use crate::mm::STAGE_LIMIT;
use crate::room;
use crate::user_space::{self, Addr};

/// Largest transfer in one call, as Linux cuts it (MAX_RW_COUNT).
pub const TRANSFER_MAXIMUM: usize = 0x7fff_f000;
/// Most segments in a vector (UIO_MAXIOV).
pub const SEGMENT_MAXIMUM: usize = 1024;

/// A range of program memory.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// First address.
    pub address: u64,
    /// Length in bytes.
    pub length: usize,
}

/// Reads an iovec array: `EINVAL` for a bad count or a length that overflows.
pub fn read_segments(vector: Addr, count: usize) -> Result<Vec<Segment>> {
    if count > SEGMENT_MAXIMUM {
        return Err(Errno::EINVAL);
    }
    let mut segments = Vec::with_capacity(count);
    let mut room = TRANSFER_MAXIMUM;
    for index in 0..count as u64 {
        let [address, length]: [u64; 2] = user_space::read(Addr(vector.0.wrapping_add(index * 16)))?;
        if length > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        let length = (length as usize).min(room);
        room -= length;
        segments.push(Segment { address, length });
    }
    Ok(segments)
}

#[derive(Debug)]
enum Place<'a, K> {
    Kernel(K),
    One(Segment),
    Many(&'a [Segment], usize),
}

/// Destination of a read.
#[derive(Debug)]
pub struct Sink<'a> {
    place: Place<'a, &'a mut [u8]>,
    done: usize,
    left: usize,
}

/// Origin of a write.
#[derive(Debug)]
pub struct Source<'a> {
    place: Place<'a, &'a [u8]>,
    done: usize,
    left: usize,
}

macro_rules! common {
    ($name:ident) => {
        impl<'a> $name<'a> {
            /// One range of program memory.
            pub fn user(address: Addr, length: usize) -> Self {
                let length = length.min(TRANSFER_MAXIMUM);
                $name { place: Place::One(Segment { address: address.0, length }), done: 0, left: length }
            }

            /// Several ranges of program memory.
            pub fn segments(segments: &'a [Segment]) -> Self {
                let left = segments.iter().map(|segment| segment.length).sum();
                $name { place: Place::Many(segments, 0), done: 0, left }
            }

            /// Bytes still to be moved.
            pub fn remaining(&self) -> usize {
                self.left
            }

            /// Bytes moved so far.
            pub fn moved(&self) -> usize {
                self.done
            }

            /// Moves at most `limit` bytes in total from now on.
            pub fn limit(&mut self, limit: usize) {
                self.left = self.left.min(limit);
            }

            /// Counts `length` bytes as moved without touching them.
            pub fn skip(&mut self, length: usize) {
                let mut left = length.min(self.left);
                while left > 0 {
                    let step = match self.next_user(left) {
                        Some(segment) => segment.length,
                        None => left,
                    };
                    self.advance(step);
                    left -= step;
                }
            }

            /// The next run of program memory, at most `length` long; `None` for a library-OS buffer.
            fn next_user(&mut self, length: usize) -> Option<Segment> {
                let length = length.min(self.left);
                match &mut self.place {
                    Place::Kernel(_) => None,
                    Place::One(segment) => {
                        Some(Segment { address: segment.address.wrapping_add(self.done as u64), length })
                    }
                    Place::Many(segments, offset) => {
                        while segments.first().is_some_and(|first| first.length == *offset) {
                            *segments = &segments[1..];
                            *offset = 0;
                        }
                        let first = segments.first()?;
                        let length = length.min(first.length - *offset);
                        Some(Segment { address: first.address.wrapping_add(*offset as u64), length })
                    }
                }
            }

            fn advance(&mut self, length: usize) {
                self.done += length;
                self.left -= length;
                if let Place::Many(_, offset) = &mut self.place {
                    *offset += length;
                }
            }

            /// The result of a transfer that failed after some bytes: the count if there were any, else the error.
            pub fn result(&self, outcome: Result<()>) -> Result<usize> {
                match outcome {
                    Err(error) if self.done == 0 => Err(error),
                    _ => Ok(self.done),
                }
            }
        }
    };
}

common!(Sink);
common!(Source);

impl<'a> Sink<'a> {
    /// A buffer of the library OS.
    pub fn kernel(buffer: &'a mut [u8]) -> Self {
        let left = buffer.len();
        Sink { place: Place::Kernel(buffer), done: 0, left }
    }

    /// Puts bytes; those beyond [`Self::remaining`] are dropped. Returns how many went in; `EFAULT` only when none did.
    pub fn put(&mut self, bytes: &[u8]) -> Result<usize> {
        self.put_with(bytes.len(), |offset, run| match run {
            Run::Kernel(buffer) => {
                buffer.copy_from_slice(&bytes[offset..offset + buffer.len()]);
                Ok(())
            }
            Run::User(segment) => {
                user_space::copy_out(Addr(segment.address), &bytes[offset..offset + segment.length])
            }
        })
    }

    /// Puts zeros.
    pub fn put_zeros(&mut self, length: usize) -> Result<usize> {
        self.put_with(length, |_, run| match run {
            Run::Kernel(buffer) => {
                buffer.fill(0);
                Ok(())
            }
            Run::User(segment) => user_space::zero(Addr(segment.address), segment.length),
        })
    }

    /// Puts what a host call received. Make the target present first ([`Self::prepare`]): a repair may make host calls, which use the buffer again.
    pub fn put_received(&mut self, received: &Received) -> Result<usize> {
        self.put_with(received.len(), |offset, run| match run {
            Run::Kernel(buffer) => Ok(received.copy_to(offset, buffer)?),
            Run::User(segment) => Ok(received.copy_to_user(offset, segment.address, segment.length)?),
        })
    }

    /// Makes the next `length` bytes of the target present and checks that they can be written; `EFAULT`.
    pub fn prepare(&mut self, length: usize) -> Result<()> {
        let length = length.min(self.left);
        match &self.place {
            Place::Kernel(_) => Ok(()),
            Place::One(segment) => touch(segment.address.wrapping_add(self.done as u64), length),
            Place::Many(segments, offset) => {
                let mut left = length;
                let mut skip = *offset;
                for segment in *segments {
                    let step = (segment.length - skip).min(left);
                    touch(segment.address.wrapping_add(skip as u64), step)?;
                    left -= step;
                    skip = 0;
                }
                Ok(())
            }
        }
    }

    fn put_with(&mut self, length: usize, mut put: impl FnMut(usize, Run) -> Result<()>) -> Result<usize> {
        let length = length.min(self.left);
        let mut moved = 0;
        while moved < length {
            let outcome = if let Some(segment) = self.next_user(length - moved) {
                with_first_page(segment, |segment| put(moved, Run::User(segment)))
            } else if let Place::Kernel(buffer) = &mut self.place {
                put(moved, Run::Kernel(&mut buffer[self.done..self.done + length - moved]))
                    .map(|()| length - moved)
            } else {
                break;
            };
            match outcome {
                Ok(step) => {
                    self.advance(step);
                    moved += step;
                }
                Err(error) if moved == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(moved)
    }
}

enum Run<'b> {
    Kernel(&'b mut [u8]),
    User(Segment),
}

/// Moves a run of program memory; when that fails, as much of it as lies in its first page, as Linux does. Returns how much.
fn with_first_page(segment: Segment, mut transfer: impl FnMut(Segment) -> Result<()>) -> Result<usize> {
    let within = 4096 - (segment.address as usize & 4095);
    match transfer(segment) {
        Ok(()) => Ok(segment.length),
        Err(error) if segment.length <= within => Err(error),
        Err(_) => transfer(Segment { length: within, ..segment }).map(|()| within),
    }
}

/// Checks each page of a range for writing, making it present where that is needed.
fn touch(address: u64, length: usize) -> Result<()> {
    let mut at = address;
    let end = address.checked_add(length as u64).ok_or(Errno::EFAULT)?;
    while at < end {
        if !crate::process::current_address_space().is_present_for_write(at) {
            return Err(Errno::EFAULT);
        }
        at = (at & !4095) + 4096;
    }
    Ok(())
}

impl<'a> Source<'a> {
    /// A buffer of the library OS.
    pub fn kernel(buffer: &'a [u8]) -> Self {
        Source { place: Place::Kernel(buffer), done: 0, left: buffer.len() }
    }

    /// Whether what is left is one run.
    pub fn is_contiguous(&self) -> bool {
        match &self.place {
            Place::Many(segments, offset) => {
                segments.iter().filter(|segment| segment.length > 0).count() <= 1
                    || segments.first().is_some_and(|first| first.length - offset >= self.left)
            }
            _ => true,
        }
    }

    /// A copy of the next bytes, at most `limit`, without taking them; see [`Self::consume`]. `EFAULT` when some are not there.
    pub fn peek(&self, limit: usize) -> Result<Vec<u8>> {
        let length = limit.min(self.left);
        let mut bytes = room::buffer(length)?;
        match &self.place {
            Place::Kernel(buffer) => bytes.copy_from_slice(&buffer[self.done..self.done + length]),
            Place::One(segment) => {
                user_space::copy_in(&mut bytes, Addr(segment.address.wrapping_add(self.done as u64)))?;
            }
            Place::Many(segments, offset) => {
                let (mut done, mut skip) = (0, *offset);
                for segment in *segments {
                    let step = (segment.length - skip).min(length - done);
                    let from = Addr(segment.address.wrapping_add(skip as u64));
                    user_space::copy_in(&mut bytes[done..done + step], from)?;
                    (done, skip) = (done + step, 0);
                }
            }
        }
        Ok(bytes)
    }

    /// Takes bytes that were looked at.
    pub fn consume(&mut self, length: usize) {
        let mut left = length.min(self.left);
        while left > 0 {
            let step = match self.next_user(left) {
                Some(segment) => segment.length,
                None => left,
            };
            self.advance(step);
            left -= step;
        }
    }

    /// Takes up to `to.len()` bytes; returns how many. `EFAULT` only when none could be taken.
    pub fn take(&mut self, to: &mut [u8]) -> Result<usize> {
        let length = to.len().min(self.left);
        let mut moved = 0;
        while moved < length {
            let outcome = if let Some(segment) = self.next_user(length - moved) {
                with_first_page(segment, |segment| {
                    user_space::copy_in(&mut to[moved..moved + segment.length], Addr(segment.address))
                })
            } else if let Place::Kernel(buffer) = &self.place {
                to[moved..length].copy_from_slice(&buffer[self.done..self.done + length - moved]);
                Ok(length - moved)
            } else {
                break;
            };
            match outcome {
                Ok(step) => {
                    self.advance(step);
                    moved += step;
                }
                Err(error) if moved == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(moved)
    }

    /// Hands the next contiguous run to a host call without a copy in between; `transfer` returns how much the host took.
    pub fn send(&mut self, limit: usize, transfer: impl FnOnce(Bytes) -> Result<usize>) -> Result<usize> {
        let limit = limit.min(self.left);
        let staged = self.next_user(limit).filter(|segment| segment.address < STAGE_LIMIT);
        let taken = if let Some(Segment { length, .. }) = staged {
            // While the host call sleeps another process may be at these addresses.
            let bytes = self.peek(length)?;
            transfer(Bytes::Kernel(&bytes))?
        } else if let Some(segment) = self.next_user(limit) {
            // Bring the run in first, so that the copy into the host buffer does not fault.
            let mut probe = [0u8; 1];
            let mut at = segment.address;
            while at < segment.address.wrapping_add(segment.length as u64) {
                user_space::copy_in(&mut probe, Addr(at))?;
                at = (at & !4095) + 4096;
            }
            transfer(Bytes::User(segment.address, segment.length))?
        } else if let Place::Kernel(buffer) = &self.place {
            transfer(Bytes::Kernel(&buffer[self.done..self.done + limit]))?
        } else {
            transfer(Bytes::Kernel(&[]))?
        };
        self.advance(taken.min(limit));
        Ok(taken)
    }
}
