//! A key made here, and the certificate that carries a quote over it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};

use casemate_ratls::{MAX_QUOTE_BYTES, claims, extension, report_data};
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::failure::Failure;

/// `tcg-dice-tagged-evidence` as rcgen wants it.
const EVIDENCE_OID: &[u64] = &[2, 23, 133, 5, 4, 9];
const REPORT_DATA: &str = "/dev/attestation/user_report_data";
const QUOTE: &str = "/dev/attestation/quote";

/// What TLS presents.
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
}

/// Makes a key and has the platform vouch for it. The validity is wide: the enclave's clock is the host's, and the broker
/// judges the quote by its own.
pub fn make() -> Result<Identity, Failure> {
    let cannot = |what: &str| Failure::NoQuote(what.to_owned());
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| cannot("no key can be made"))?;
    let claims = claims(&key.subject_public_key_info(), None);
    let quote = quote_over(&report_data(&claims))?;
    let mut parameters =
        CertificateParams::new(Vec::new()).map_err(|_| cannot("no certificate can be made"))?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "Casemate RA-TLS");
    parameters
        .custom_extensions
        .push(CustomExtension::from_oid_content(EVIDENCE_OID, extension(&quote, &claims)));
    let certificate = parameters.self_signed(&key).map_err(|_| cannot("the certificate cannot be signed"))?;
    Ok(Identity {
        certificate: certificate.der().clone(),
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
    })
}

fn quote_over(report_data: &[u8; 64]) -> Result<Vec<u8>, Failure> {
    let failed = |path: &str, error: std::io::Error| Failure::NoQuote(format!("{path}: {error}"));
    OpenOptions::new()
        .write(true)
        .open(REPORT_DATA)
        .and_then(|mut file| file.write_all(report_data))
        .map_err(|error| failed(REPORT_DATA, error))?;
    let mut quote = Vec::new();
    File::open(QUOTE)
        .and_then(|file| file.take(MAX_QUOTE_BYTES as u64 + 1).read_to_end(&mut quote))
        .map_err(|error| failed(QUOTE, error))?;
    if quote.is_empty() || quote.len() > MAX_QUOTE_BYTES {
        return Err(Failure::NoQuote(format!("{QUOTE} has {} bytes", quote.len())));
    }
    Ok(quote)
}
