//! What others send to the loader and to the first program in the enclave: answers of the quoting service (AESM), requests to
//! it, and answers of a broker. No panic, and nothing larger than is taken.
#![no_main]

#[path = "../../runtime/init/src/http.rs"]
mod http;

use std::io::{self, Read, Write};

use casemate_aesm::{Message, Request, Response, Transport, get_quote, init_quote};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => ask_service(bytes),
        1 => {
            if let Ok(request) = Request::decode(bytes) {
                assert_eq!(Request::decode(request.encode_to_vec().as_slice()), Ok(request));
            }
        }
        _ => {
            let _ = http::exchange(&mut Broker(bytes), "POST", "/v1/secrets", "broker:8443", b"{}")
                .map(|answer| assert!(answer.status < 1000 && answer.body.len() <= bytes.len()));
        }
    }
});

fn ask_service(bytes: &[u8]) {
    if let Ok(response) = Response::decode(bytes) {
        assert_eq!(Response::decode(response.encode_to_vec().as_slice()), Ok(response));
    }
    let mut service = Service(bytes);
    let _ = init_quote(&mut service);
    if let Ok(quote) = get_quote(&mut service, &[7; 432]) {
        assert!((1..=64 << 10).contains(&quote.len()));
    }
    let _ = get_quote(&mut Same(bytes), &[7; 432]);
}

/// Answers with pieces: each is its length (u16, little-endian) and its bytes.
struct Service<'a>(&'a [u8]);

impl Transport for Service<'_> {
    type Error = ();

    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, ()> {
        assert!(Request::decode(request).is_ok());
        let (length, rest) = self.0.split_at_checked(2).ok_or(())?;
        let length = usize::from(u16::from_le_bytes([length[0], length[1]])).min(rest.len());
        let (answer, rest) = rest.split_at(length);
        self.0 = rest;
        Ok(answer.to_vec())
    }
}

/// Answers the same to everything.
struct Same<'a>(&'a [u8]);

impl Transport for Same<'_> {
    type Error = ();

    fn exchange(&mut self, _request: &[u8]) -> Result<Vec<u8>, ()> {
        Ok(self.0.to_vec())
    }
}

/// Sends these bytes whatever it is asked.
struct Broker<'a>(&'a [u8]);

impl Read for Broker<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Broker<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
