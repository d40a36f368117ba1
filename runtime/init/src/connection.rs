//! TLS to the one server whose key is pinned.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring as provider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, IpAddr, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use crate::failure::Failure;
use crate::identity::Identity;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of one read or write.
const TIMEOUT: Duration = Duration::from_secs(30);

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// TLS 1.3 that presents `identity` and speaks to the owner of the pinned key only.
pub fn configuration(identity: Identity, pin: [u8; 32]) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(provider::default_provider());
    let verifier = Arc::new(Pinned { pin, provider: provider.clone() });
    let wrong = |error: Error| Failure::Settings(format!("TLS cannot be set up: {error}"));
    let mut configuration = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(wrong)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![identity.certificate], identity.key)
        .map_err(wrong)?;
    configuration.resumption = Resumption::disabled();
    configuration.enable_sni = false;
    Ok(Arc::new(configuration))
}

/// Connects and shakes hands.
pub fn open(configuration: &Arc<ClientConfig>, address: SocketAddr) -> Result<Stream, Failure> {
    let cannot = |error: io::Error| Failure::Unreachable(format!("{address}: {error}"));
    let socket = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).map_err(cannot)?;
    socket.set_read_timeout(Some(TIMEOUT)).map_err(cannot)?;
    socket.set_write_timeout(Some(TIMEOUT)).map_err(cannot)?;
    let name = ServerName::IpAddress(IpAddr::from(address.ip()));
    let connection = ClientConnection::new(configuration.clone(), name)
        .map_err(|error| Failure::Settings(format!("TLS cannot be set up: {error}")))?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|error| explain(address, error))?;
    }
    Ok(stream)
}

/// An error of TLS is final, one of the network may pass.
pub fn explain(address: SocketAddr, error: io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::General(sentence)) => Failure::NotTheBroker(format!("{address}: {sentence}")),
        Some(error) => Failure::NotTheBroker(format!("{address}: {error}")),
        None => Failure::Unreachable(format!("{address}: {error}")),
    }
}

/// The server is who owns this key; names, authorities and validity play no part.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let malformed = |_| Error::General("its certificate is malformed".into());
        let certificate = webpki::EndEntityCert::try_from(certificate).map_err(malformed)?;
        let found = digest(&SHA256, &certificate.subject_public_key_info());
        if found.as_ref() == self.pin {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General(format!(
            "its key is not the one that the manifest pins: expected sha256:{}, found sha256:{}",
            hex(&self.pin),
            hex(found.as_ref())
        )))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("it speaks TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
