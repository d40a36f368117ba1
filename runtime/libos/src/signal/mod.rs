//! Signals: per process and per thread state, delivery, frames.

/// What threads of a process share: handlers and process-directed pending signals.
#[derive(Default)]
pub struct ProcessSignals {}

/// What is a thread's own: mask, pending signals, alternate stack.
#[derive(Default)]
pub struct ThreadSignals {}
