//! The table of system calls: number, name, typed arguments, handler, and how complete it is.
//!
//! `docs/syscalls.md` is generated from it. One line a call, in number order:
//! `number name(argument: Type, …) = module::handler; full` or `partly "what is missing"`.

use alloc::string::String;

use super::argument::Argument;
use crate::errno::{Errno, Result};
use crate::process::Context;

/// How complete a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As on Linux, as far as the tests know.
    Full,
    /// The text says what is missing.
    Partly(&'static str),
}

macro_rules! state {
    (full) => {
        State::Full
    };
    (partly $what:literal) => {
        State::Partly($what)
    };
}

macro_rules! syscalls {
    ($($number:literal $name:ident($($argument:ident: $kind:ty),*) = $handler:path; $state:ident $($what:literal)?)*) => {
        /// Calls the handler of system call `number`; `ENOSYS` when there is none.
        pub fn dispatch(context: &Context, number: u64, arguments: &[u64; 6]) -> Result<usize> {
            match number {
                $($number => {
                    #[allow(unused_mut, unused_variables)]
                    let mut registers = arguments.iter().copied();
                    $handler(context, $(<$kind as Argument>::from_register(registers.next().unwrap_or(0))),*)
                })*
                _ => Err(Errno::ENOSYS),
            }
        }

        /// Name of system call `number`, if it has a handler.
        pub fn name(number: u64) -> Option<&'static str> {
            match number {
                $($number => Some(stringify!($name)),)*
                _ => None,
            }
        }

        /// The call as strace prints it, without its result.
        pub fn show(number: u64, arguments: &[u64; 6]) -> Option<String> {
            match number {
                $($number => {
                    #[allow(unused_mut)]
                    let mut text = String::from(concat!(stringify!($name), "("));
                    #[allow(unused_mut, unused_variables)]
                    let mut registers = arguments.iter().copied();
                    $(
                        if !text.ends_with('(') {
                            text.push_str(", ");
                        }
                        text.push_str(&<$kind as Argument>::show(registers.next().unwrap_or(0)));
                        let _ = stringify!($argument);
                    )*
                    text.push(')');
                    Some(text)
                })*
                _ => None,
            }
        }

        /// Every call with a handler: number, name, state.
        pub const ALL: &[(u64, &str, State)] = &[$(($number, stringify!($name), state!($state $($what)?)),)*];
    };
}

syscalls! {}
