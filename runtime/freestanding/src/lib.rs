//! What a program without a C library must bring itself: the memory functions that the compiler calls,
//! self-relocation of a static PIE, and a heap.
//!
//! Linked by the enclave image and by the loader, which share an address space on `direct`. The memory functions and the
//! relocation are legacy SSE2 and never panic: the upper halves of the program's vector registers live in the processor while this code runs. In an
//! ordinary build (tests) the C library's functions keep their names; ours are then only reachable under their `casemate_` names.
#![no_std]

pub mod heap;
pub mod memory;
pub mod relocation;
