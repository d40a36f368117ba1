//! The client against a service that speaks the documented messages, and one that does not.

use casemate_aesm::{
    ClientError, GetQuoteExResponse, GetQuoteSizeExResponse, InitQuoteExResponse, Message, Request, Response,
    Transport, UnsupportedRequestResponse, get_quote, init_quote,
};
use proptest::prelude::*;

/// A service as Intel's behaves; `change` may spoil its responses.
struct Fake<F: FnMut(&mut Response)> {
    asked: Vec<Request>,
    change: F,
}

impl<F: FnMut(&mut Response)> Transport for Fake<F> {
    type Error = ();

    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, ()> {
        let request = Request::decode(request).expect("a request");
        let mut response = Response::default();
        match &request {
            Request { init_quote_ex: Some(init), .. } => {
                response.init_quote_ex = Some(InitQuoteExResponse {
                    error_code: 0,
                    target_info: init.b_pub_key_id.then(|| vec![7; 512]),
                    pub_key_id_size: Some(32),
                    pub_key_id: init.b_pub_key_id.then(|| vec![1; init.buf_size.expect("room") as usize]),
                });
            }
            Request { get_quote_size_ex: Some(_), .. } => {
                response.get_quote_size_ex =
                    Some(GetQuoteSizeExResponse { error_code: 0, quote_size: Some(5000) });
            }
            Request { get_quote_ex: Some(get), .. } => {
                assert_eq!((get.report.len(), get.buf_size), (432, 5000));
                response.get_quote_ex = Some(GetQuoteExResponse {
                    error_code: 0,
                    quote: Some(vec![9; 4600]),
                    qe_report_info: None,
                });
            }
            _ => response.unsupported = Some(UnsupportedRequestResponse { error_code: 1 }),
        }
        self.asked.push(request);
        (self.change)(&mut response);
        Ok(response.encode_to_vec())
    }
}

fn fake<F: FnMut(&mut Response)>(change: F) -> Fake<F> {
    Fake { asked: Vec::new(), change }
}

#[test]
fn the_four_exchanges_of_a_quote_are_as_documented() {
    let mut service = fake(|_| {});
    assert_eq!(init_quote(&mut service).expect("an enclave").target_info, [7; 512]);
    assert_eq!(get_quote(&mut service, &[5; 432]).expect("a quote"), vec![9; 4600]);
    let asked: Vec<_> =
        service.asked.iter().map(|request| request.init_quote_ex.as_ref().map(|r| r.b_pub_key_id)).collect();
    assert_eq!(asked, [Some(false), Some(true), None, None]);
}

#[test]
fn requests_have_the_documented_bytes() {
    let mut service = fake(|_| {});
    init_quote(&mut service).expect("an enclave");
    // Field 15: 3 (bool) = 1, 4 = 32, 9 = 30,000,000 microseconds.
    let expected = [0x7a, 0x09, 0x18, 1, 0x20, 32, 0x48, 0x80, 0x87, 0xa7, 0x0e];
    assert_eq!(service.asked[1].encode_to_vec(), expected);
}

#[test]
fn a_refusal_carries_its_code() {
    let mut service = fake(|response| {
        if let Some(init) = &mut response.init_quote_ex {
            init.error_code = 12;
        }
    });
    assert_eq!(init_quote(&mut service), Err(ClientError::Refused(12)));
    let mut service = fake(|response| {
        *response = Response {
            unsupported: Some(UnsupportedRequestResponse { error_code: 3 }),
            ..Response::default()
        };
    });
    assert_eq!(get_quote(&mut service, &[0; 432]), Err(ClientError::Refused(3)));
}

#[test]
fn answers_that_make_no_sense_are_refused() {
    let spoil: [fn(&mut Response); 7] = [
        |response| *response = Response::default(),
        |response| response.init_quote_ex.iter_mut().for_each(|init| init.pub_key_id_size = None),
        |response| response.init_quote_ex.iter_mut().for_each(|init| init.pub_key_id_size = Some(u64::MAX)),
        |response| {
            let init = response.init_quote_ex.as_mut();
            init.and_then(|init| init.target_info.as_mut()).into_iter().for_each(|target| target.push(0));
        },
        |response| response.get_quote_size_ex.iter_mut().for_each(|size| size.quote_size = Some(u32::MAX)),
        |response| response.get_quote_ex.iter_mut().for_each(|get| get.quote = None),
        |response| response.get_quote_ex.iter_mut().for_each(|get| get.quote = Some(vec![0; 5001])),
    ];
    for change in spoil {
        let mut service = fake(change);
        let init = init_quote(&mut service).map(|_| ());
        let quote = get_quote(&mut service, &[0; 432]).map(|_| ());
        assert!(init == Err(ClientError::Malformed) || quote == Err(ClientError::Malformed));
    }
}

struct Bytes(Vec<u8>);

impl Transport for Bytes {
    type Error = ();

    fn exchange(&mut self, _: &[u8]) -> Result<Vec<u8>, ()> {
        Ok(self.0.clone())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_answers_are_errors_or_quotes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = init_quote(&mut Bytes(bytes.clone()));
        if let Ok(quote) = get_quote(&mut Bytes(bytes.clone()), &[0; 432]) {
            prop_assert!(quote.len() <= bytes.len());
        }
    }
}
