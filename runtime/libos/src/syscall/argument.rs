//! Raw register values to typed arguments, and back to text for `--trace`.

use alloc::format;
use alloc::string::String;

use crate::process::Fd;
use crate::user_space::Addr;

/// A type that a call handler can take.
pub trait Argument: Sized {
    /// From the register. Narrow types take the low bits, as the kernel does.
    fn from_register(value: u64) -> Self;
    /// As strace shows it.
    fn show(value: u64) -> String;
}

macro_rules! numbers {
    ($($kind:ty),*) => {
        $(impl Argument for $kind {
            fn from_register(value: u64) -> Self {
                value as $kind
            }
            fn show(value: u64) -> String {
                format!("{}", value as $kind)
            }
        })*
    };
}

numbers!(i32, u32, i64, u64, usize);

impl Argument for Fd {
    fn from_register(value: u64) -> Self {
        Fd(value as i32)
    }
    fn show(value: u64) -> String {
        if value as i32 == -100 { String::from("AT_FDCWD") } else { format!("{}", value as i32) }
    }
}

impl Argument for Addr {
    fn from_register(value: u64) -> Self {
        Addr(value)
    }
    fn show(value: u64) -> String {
        if value == 0 { String::from("NULL") } else { format!("{value:#x}") }
    }
}

/// A path in program memory: as [`Addr`], but traces show the text.
#[derive(Clone, Copy, Debug)]
pub struct PathAddr(pub Addr);

impl Argument for PathAddr {
    fn from_register(value: u64) -> Self {
        PathAddr(Addr(value))
    }
    fn show(value: u64) -> String {
        match crate::user_space::read_path(Addr(value)) {
            Ok(path) => format!("{:?}", String::from_utf8_lossy(&path)),
            Err(_) => format!("{value:#x}"),
        }
    }
}
