//! Host-call numbers, structures and the start-up block: what the enclave and the untrusted loader both see.
#![no_std]
#![forbid(unsafe_code)]
