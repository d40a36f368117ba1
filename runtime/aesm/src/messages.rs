//! The messages (linux-sgx, `psw/ae/common/proto/messages.proto`), by their field numbers.

use alloc::vec::Vec;

/// `Request.InitQuoteExRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct InitQuoteExRequest {
    /// `sgx_att_key_id_t`; absent: the service's own choice.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub att_key_id: Option<Vec<u8>>,
    /// Whether the identifier of the public key is wanted, and with it TARGETINFO.
    #[prost(bool, required, tag = "3")]
    pub b_pub_key_id: bool,
    /// Room for that identifier.
    #[prost(uint64, optional, tag = "4")]
    pub buf_size: Option<u64>,
    /// Microseconds.
    #[prost(uint32, optional, tag = "9")]
    pub timeout: Option<u32>,
}

/// `Request.GetQuoteSizeExRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetQuoteSizeExRequest {
    /// `sgx_att_key_id_t`.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub att_key_id: Option<Vec<u8>>,
    /// Microseconds.
    #[prost(uint32, optional, tag = "9")]
    pub timeout: Option<u32>,
}

/// `Request.GetQuoteExRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetQuoteExRequest {
    /// REPORT for the quoting enclave, 432 bytes.
    #[prost(bytes = "vec", required, tag = "1")]
    pub report: Vec<u8>,
    /// `sgx_att_key_id_t`.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub att_key_id: Option<Vec<u8>>,
    /// `sgx_qe_report_info_t`: nonce 16, TARGETINFO 512, REPORT 432 bytes.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub qe_report_info: Option<Vec<u8>>,
    /// Room for the quote.
    #[prost(uint32, required, tag = "4")]
    pub buf_size: u32,
    /// Microseconds.
    #[prost(uint32, optional, tag = "9")]
    pub timeout: Option<u32>,
}

/// `Request`: one of its fields is there. Those that have nothing to do with quotes are not read.
#[derive(Clone, PartialEq, prost::Message)]
#[allow(missing_docs)] // the messages' own names
pub struct Request {
    #[prost(message, optional, tag = "15")]
    pub init_quote_ex: Option<InitQuoteExRequest>,
    #[prost(message, optional, tag = "16")]
    pub get_quote_size_ex: Option<GetQuoteSizeExRequest>,
    #[prost(message, optional, tag = "17")]
    pub get_quote_ex: Option<GetQuoteExRequest>,
}

/// `Response.InitQuoteExResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct InitQuoteExResponse {
    /// `aesm_error_t`.
    #[prost(uint32, required, tag = "1")]
    pub error_code: u32,
    /// TARGETINFO of the quoting enclave, 512 bytes.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub target_info: Option<Vec<u8>>,
    /// Bytes of the public key's identifier.
    #[prost(uint64, optional, tag = "3")]
    pub pub_key_id_size: Option<u64>,
    /// The identifier.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub pub_key_id: Option<Vec<u8>>,
}

/// `Response.GetQuoteSizeExResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetQuoteSizeExResponse {
    /// `aesm_error_t`.
    #[prost(uint32, required, tag = "1")]
    pub error_code: u32,
    /// Bytes of a quote.
    #[prost(uint32, optional, tag = "2")]
    pub quote_size: Option<u32>,
}

/// `Response.GetQuoteExResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetQuoteExResponse {
    /// `aesm_error_t`.
    #[prost(uint32, required, tag = "1")]
    pub error_code: u32,
    /// The quote; zeros may follow it.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub quote: Option<Vec<u8>>,
    /// As in the request, with the quoting enclave's REPORT.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub qe_report_info: Option<Vec<u8>>,
}

/// `Response.UnsupportedRequestResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UnsupportedRequestResponse {
    /// `aesm_error_t`.
    #[prost(uint32, required, tag = "1")]
    pub error_code: u32,
}

/// `Response`: the field that answers the request's.
#[derive(Clone, PartialEq, prost::Message)]
#[allow(missing_docs)] // the messages' own names
pub struct Response {
    #[prost(message, optional, tag = "15")]
    pub init_quote_ex: Option<InitQuoteExResponse>,
    #[prost(message, optional, tag = "16")]
    pub get_quote_size_ex: Option<GetQuoteSizeExResponse>,
    #[prost(message, optional, tag = "17")]
    pub get_quote_ex: Option<GetQuoteExResponse>,
    #[prost(message, optional, tag = "20")]
    pub unsupported: Option<UnsupportedRequestResponse>,
}
