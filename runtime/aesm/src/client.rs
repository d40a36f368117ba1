//! The client's side: from a report to a quote.

use alloc::vec::Vec;
use core::fmt;

use prost::Message;

use crate::messages::{
    GetQuoteExRequest, GetQuoteSizeExRequest, InitQuoteExRequest, InitQuoteExResponse, Request, Response,
};
use crate::{MAX_MESSAGE, error};

/// Bytes of TARGETINFO and REPORT.
const TARGET_INFO: usize = 512;
const REPORT: usize = 432;
/// Largest quote that is taken.
const MAX_QUOTE: u32 = 64 << 10;
/// Microseconds that the service may take: making a key and certifying it take it some seconds.
const TIMEOUT_US: u32 = 30_000_000;

/// A connection to the service for one exchange.
pub trait Transport {
    /// Why it failed.
    type Error;

    /// Sends the bytes of a request and returns those of the response, both without their lengths.
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Self::Error>;
}

/// Why there is no quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientError<E> {
    /// The service could not be reached.
    Transport(E),
    /// The service refused, with this `aesm_error_t`.
    Refused(u32),
    /// What came back is no answer.
    Malformed,
}

impl<E: fmt::Display> fmt::Display for ClientError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => write!(f, "the quoting service cannot be reached: {error}"),
            Self::Refused(code) => write!(f, "the quoting service refused with error {code}"),
            Self::Malformed => f.write_str("the quoting service answered with something else"),
        }
    }
}

/// Who will quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotingEnclave {
    /// TARGETINFO for the report.
    pub target_info: [u8; TARGET_INFO],
}

/// `InitQuoteEx`, first for the size of the key's identifier, then for everything: the service makes its key if it has none.
pub fn init_quote<T: Transport>(transport: &mut T) -> Result<QuotingEnclave, ClientError<T::Error>> {
    let first = init(transport, None)?;
    let size =
        first.pub_key_id_size.filter(|size| (1..=4096).contains(size)).ok_or(ClientError::Malformed)?;
    let second = init(transport, Some(size))?;
    let target_info =
        second.target_info.and_then(|bytes| bytes.try_into().ok()).ok_or(ClientError::Malformed)?;
    Ok(QuotingEnclave { target_info })
}

fn init<T: Transport>(
    transport: &mut T,
    buf_size: Option<u64>,
) -> Result<InitQuoteExResponse, ClientError<T::Error>> {
    let request = InitQuoteExRequest {
        att_key_id: None,
        b_pub_key_id: buf_size.is_some(),
        buf_size,
        timeout: Some(TIMEOUT_US),
    };
    let request = Request { init_quote_ex: Some(request), ..Request::default() };
    let found = ask(transport, &request)?.init_quote_ex.ok_or(ClientError::Malformed)?;
    accepted(found.error_code)?;
    Ok(found)
}

/// `GetQuoteSizeEx`, then `GetQuoteEx`: a quote over a report that was made for [`QuotingEnclave::target_info`].
pub fn get_quote<T: Transport>(
    transport: &mut T,
    report: &[u8; REPORT],
) -> Result<Vec<u8>, ClientError<T::Error>> {
    let request = GetQuoteSizeExRequest { att_key_id: None, timeout: Some(TIMEOUT_US) };
    let request = Request { get_quote_size_ex: Some(request), ..Request::default() };
    let found = ask(transport, &request)?.get_quote_size_ex.ok_or(ClientError::Malformed)?;
    accepted(found.error_code)?;
    let buf_size =
        found.quote_size.filter(|size| (1..=MAX_QUOTE).contains(size)).ok_or(ClientError::Malformed)?;
    let request = GetQuoteExRequest {
        report: report.to_vec(),
        att_key_id: None,
        qe_report_info: None,
        buf_size,
        timeout: Some(TIMEOUT_US),
    };
    let request = Request { get_quote_ex: Some(request), ..Request::default() };
    let found = ask(transport, &request)?.get_quote_ex.ok_or(ClientError::Malformed)?;
    accepted(found.error_code)?;
    match found.quote {
        Some(quote) if !quote.is_empty() && quote.len() <= buf_size as usize => Ok(quote),
        _ => Err(ClientError::Malformed),
    }
}

fn accepted<E>(code: u32) -> Result<(), ClientError<E>> {
    if code == error::SUCCESS { Ok(()) } else { Err(ClientError::Refused(code)) }
}

fn ask<T: Transport>(transport: &mut T, request: &Request) -> Result<Response, ClientError<T::Error>> {
    let answer = transport.exchange(&request.encode_to_vec()).map_err(ClientError::Transport)?;
    if answer.len() > MAX_MESSAGE {
        return Err(ClientError::Malformed);
    }
    let response = Response::decode(answer.as_slice()).map_err(|_| ClientError::Malformed)?;
    match response.unsupported {
        Some(refusal) => Err(ClientError::Refused(refusal.error_code)),
        None => Ok(response),
    }
}
