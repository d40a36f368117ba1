//! `seeds DIRECTORY`: writes inputs to start from, sound ones, into a directory for each target. From nothing a fuzzer takes
//! long to find a magic number, and never the digest of something.

#[path = "../runtime/sgx/tests/common/image.rs"]
mod image;
#[path = "../runtime/sgx/tests/common/key.rs"]
mod key;
#[path = "../runtime/manifest/tests/common/mod.rs"]
mod manifest;

use std::path::Path;

use casemate_aesm::{
    GetQuoteExRequest, GetQuoteExResponse, GetQuoteSizeExResponse, InitQuoteExResponse, Message, Request,
    Response,
};
use casemate_index::{Attributes, Device, FileHasher, LayerTable, SpecialKind, merge};
use casemate_ratls::{claims, extension};
use casemate_sgx::{SigStruct, Template};
// The instrumentation of this program, too, calls what libFuzzer defines.
use libfuzzer_sys as _;

/// A program that has system calls of its own and is not large.
const PROGRAM: &str = "/usr/bin/true";

fn main() -> std::io::Result<()> {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: seeds DIRECTORY");
        std::process::exit(2);
    };
    let program = std::fs::read(PROGRAM)?;
    let layer = layer(&program);
    let seeds: [(&str, &[Vec<u8>]); 8] = [
        ("index", &[index_body(&layer), layer.to_bytes()]),
        ("survey", &[program]),
        ("manifest", &[manifest::SAMPLE.into()]),
        ("evidence", &[extension(&quote(), &claims(b"a key", Some(b"nonce")))]),
        ("structures", &[image::sample(), sigstruct(), quote()]),
        ("verifier", &sound()),
        ("protected_file", &[steps()]),
        ("messages", &messages()),
    ];
    for (target, inputs) in seeds {
        let place = Path::new(&directory).join(target);
        std::fs::create_dir_all(&place)?;
        for (number, input) in inputs.iter().enumerate() {
            std::fs::write(place.join(format!("seed-{number}")), input)?;
        }
    }
    Ok(())
}

/// A file that grows, is written over, and cut off.
fn steps() -> Vec<u8> {
    let write = |offset: u32| {
        let [low, middle, high, _] = offset.to_le_bytes();
        [9, 0, 0, 0, low, middle, high, 7, 200, low, middle, high, 255, 1, 0, 0]
    };
    let cut = [5, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 255, 30, 0, 0];
    [write(0), write(3000), write(500_000), cut, write(80_000)].concat()
}

/// An image with one of everything.
fn layer(program: &[u8]) -> LayerTable {
    let mut layer = LayerTable::new("");
    let mut attributes = Attributes { permissions: 0o755, ..Attributes::default() };
    attributes.xattrs.insert(b"user.name".to_vec(), vec![7; 50]);
    layer.add_directory(b"bin", attributes).expect("a directory");
    for (path, content) in [("bin/sh", program), ("small", b"abc"), ("empty", b""), ("two", &[5; 8192])] {
        let mut hasher = FileHasher::new(content.len() as u64);
        hasher.update(content).expect("as long as announced");
        let file = hasher.finish().expect("as long as announced");
        layer.add_file(path.as_bytes(), file, Attributes::default()).expect("a file");
    }
    layer.add_symlink(b"loop", b"bin/../loop", Attributes::default()).expect("a link");
    layer.add_hard_link(b"a/b/c", b"small").expect("a name");
    let device = Device { major: 1, minor: 3 };
    layer.add_special(b"null", SpecialKind::CharDevice, device, Attributes::default()).expect("a device");
    layer
}

/// An index file without the hash tree behind it, which the target makes itself.
fn index_body(layer: &LayerTable) -> Vec<u8> {
    let mut file = merge(std::slice::from_ref(layer)).expect("a sound layer").bytes;
    let blocks = u64::from_le_bytes(file[16..24].try_into().expect("8 bytes"));
    file.truncate(blocks as usize * 4096);
    file
}

fn sigstruct() -> Vec<u8> {
    let template = Template {
        date: 0x2026_1124,
        swdefined: 0,
        miscselect: (1, u32::MAX),
        attributes: Default::default(),
        enclave_hash: [0x5a; 32],
        isv_prod_id: 7,
        isv_svn: 3,
    };
    let signed = key::sign(SigStruct::unsigned(&template)).expect("a signature");
    zerocopy::IntoBytes::as_bytes(&signed).to_vec()
}

/// For the target `verifier`: what kind it is, and a quote, its collateral, the certificate of its platform.
/// All of it is of a simulated vendor: `Vendor.create` and `Vendor.collateral`, `tests.attestation.paper.Platform.quote`.
fn sound() -> [Vec<u8>; 3] {
    let quote = include_bytes!("sound/quote.bin");
    let kind = |number: u8, bytes: &[u8]| [&[number], bytes].concat();
    let certificate =
        dcap_qvl::intel::extract_cert_chain(&dcap_qvl::quote::Quote::parse(quote).expect("a quote"))
            .expect("a chain")
            .swap_remove(0);
    [kind(0, quote), kind(1, include_bytes!("sound/collateral.json")), kind(2, &certificate)]
}

/// For the target `messages`: what kind it is, and answers of a quoting service one after the other, a request to it, an
/// answer of a broker.
fn messages() -> [Vec<u8>; 3] {
    let init = InitQuoteExResponse {
        target_info: Some(vec![3; 512]),
        pub_key_id_size: Some(32),
        ..Default::default()
    };
    let size = GetQuoteSizeExResponse { quote_size: Some(8192), ..Default::default() };
    let get = GetQuoteExResponse { quote: Some(quote()), ..Default::default() };
    let init = Response { init_quote_ex: Some(init), ..Default::default() }.encode_to_vec();
    let size = Response { get_quote_size_ex: Some(size), ..Default::default() }.encode_to_vec();
    let get = Response { get_quote_ex: Some(get), ..Default::default() }.encode_to_vec();
    let mut answers = vec![0];
    for answer in [&init, &init, &size, &get] {
        answers.extend((answer.len() as u16).to_le_bytes());
        answers.extend(answer);
    }
    let request = GetQuoteExRequest { report: vec![5; 432], buf_size: 8192, ..Default::default() };
    let request = Request { get_quote_ex: Some(request), ..Default::default() };
    let answer = b"\x02HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"secrets\":{}}";
    [answers, [vec![1], request.encode_to_vec()].concat(), answer.to_vec()]
}

/// Well formed, and signed by nobody: header, report body, signature data, authentication data, a certificate chain.
fn quote() -> Vec<u8> {
    let mut quote = vec![0; 48 + 384];
    quote[..4].copy_from_slice(&[3, 0, 2, 0]);
    let mut data = vec![0x11; 576];
    data.extend([32, 0]);
    data.extend([0x22; 32]);
    data.extend([5, 0, 27, 0, 0, 0]);
    data.extend(b"-----BEGIN CERTIFICATE-----");
    quote.extend((data.len() as u32).to_le_bytes());
    quote.extend(data);
    quote
}
