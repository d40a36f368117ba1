//! Tests of the device. One binary, so that `mutation` can run single tests of it again with a check removed.

mod build;
mod common;
mod dynamic;
mod entry;
mod keys;
#[cfg(feature = "mutation")]
mod mutation;
mod names;
mod properties;
mod whole;
