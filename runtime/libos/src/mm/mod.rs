//! Memory of a process: the VMA tree and what backs it.

mod address_space;
mod advise;
mod arena;
mod coherence;
mod describe;
mod fault;
mod heap;
mod hidden;
mod map;
mod pages;
mod protect;
mod remap;
mod rewrite;
mod share;
mod shared_memory;
mod span;
mod stage;
#[cfg(test)]
pub(crate) mod tests;
mod vma;

pub use address_space::AddressSpace;
pub use advise::Advice;
pub use arena::Arena;
pub use coherence::{Coherence, Turn};
pub use describe::{MapEntry, MemoryTotals};
pub use fault::FaultOutcome;
pub use map::{MapRequest, Placement, TASK_SIZE};
pub use pages::Pages;
pub use remap::RemapRequest;
pub use rewrite::set_rewriting;
pub use span::{PAGE, Span, SpanSet, page_up};
pub use stage::{STAGE_LIMIT, Stage};
pub use vma::{Backing, Name, Vma};
