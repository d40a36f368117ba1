//! The protocol of Intel's architectural enclave service manager (AESM), as far as quotes need it.
//!
//! A client connects to a UNIX socket ([`SOCKET`]), sends one request and reads one response; each is a length (u32,
//! little-endian) and a protocol buffer (`aesm.message.Request` and `Response` of linux-sgx, `messages.proto`). Quotes take
//! three: `InitQuoteEx` (twice: for the size of the key's identifier, then for the quoting enclave's TARGETINFO),
//! `GetQuoteSizeEx`, `GetQuoteEx`.
//!
//! Pure: bytes come and go through [`Transport`]. The loader is a client; the simulated vendor's service is a server.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod client;
mod messages;

pub use client::{ClientError, QuotingEnclave, Transport, get_quote, init_quote};
pub use messages::{
    GetQuoteExRequest, GetQuoteExResponse, GetQuoteSizeExRequest, GetQuoteSizeExResponse, InitQuoteExRequest,
    InitQuoteExResponse, Request, Response, UnsupportedRequestResponse,
};
pub use prost::Message;

/// Where Intel's service listens.
pub const SOCKET: &str = "/var/run/aesmd/aesm.socket";

/// Largest message: a request with its report, or a response with its quote, has some 10 KB.
pub const MAX_MESSAGE: usize = 128 << 10;

/// Error codes of responses (`aesm_error_t`).
pub mod error {
    /// It worked.
    pub const SUCCESS: u32 = 0;
    /// Something went wrong.
    pub const UNEXPECTED: u32 = 1;
    /// A parameter is wrong.
    pub const PARAMETER: u32 = 3;
    /// The quoting enclave cannot do it.
    pub const SERVICE_UNAVAILABLE: u32 = 24;
}
