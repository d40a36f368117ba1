//! Address spaces over pages and files that only exist in the test.

mod behaviour;
pub(crate) mod fake;
mod hidden;
mod model;
mod refusals;
mod rewriting;
