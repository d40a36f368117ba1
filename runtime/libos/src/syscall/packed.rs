//! [`Packed`]: a handler's result on its way to the loop that runs the thread.

use crate::errno::{Errno, Result};

use super::REGISTERS_SET;

/// A result in one register. As the pair that it is it would come back through memory, stored as two words and loaded as one
/// piece, which the processor makes wait for the stores: a quarter of a call that does nothing. As on Linux, no value is an errno's.
#[derive(Clone, Copy)]
pub struct Packed(i64);

/// [`REGISTERS_SET`], which is no errno: its own value is that of EPERM.
const SET: i64 = i64::MIN;
/// Largest errno, those among them that programs never see (MAX_ERRNO of Linux).
const ERRNO_LIMIT: i64 = 4095;

impl From<Result<usize>> for Packed {
    #[inline]
    fn from(result: Result<usize>) -> Packed {
        match result {
            Ok(REGISTERS_SET) => Packed(SET),
            Ok(value) => Packed(value as i64),
            Err(error) => Packed(-i64::from(error.0)),
        }
    }
}

impl Packed {
    /// The result.
    #[inline]
    pub fn unpack(self) -> Result<usize> {
        match self.0 {
            SET => Ok(REGISTERS_SET),
            error if (-ERRNO_LIMIT..0).contains(&error) => Err(Errno(-error as i32)),
            value => Ok(value as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_comes_out_as_it_went_in() {
        let results = [
            Ok(0),
            Ok(1),
            Ok(usize::MAX >> 1),
            Ok(REGISTERS_SET),
            Err(Errno::EPERM),
            Err(Errno::ENOSYS),
            Err(Errno::ERESTARTSYS),
            Err(Errno::ERESTART_RESTARTBLOCK),
        ];
        for result in results {
            assert_eq!(Packed::from(result).unpack(), result);
        }
    }
}
