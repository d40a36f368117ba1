//! Communication between threads that needs no file: futexes.

pub mod futex;
