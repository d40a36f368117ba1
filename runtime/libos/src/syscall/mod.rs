//! System calls: the table, and one file a call family.

mod argument;
#[macro_use]
mod table;

pub use table::{State, dispatch, name};
