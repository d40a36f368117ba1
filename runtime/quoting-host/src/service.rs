//! The service: AESM's protocol on a UNIX socket.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use casemate_aesm::{
    GetQuoteExResponse, GetQuoteSizeExResponse, InitQuoteExResponse, MAX_MESSAGE, Message, Request, Response,
    UnsupportedRequestResponse, error,
};
use zerocopy::IntoBytes;

use crate::platform::{Platform, PlatformError};

/// `sgx_qe_report_info_t`: nonce, TARGETINFO, REPORT.
const NONCE: usize = 16;
const TARGET_INFO: usize = 512;
const REPORT_INFO: usize = NONCE + TARGET_INFO + 432;
/// Room for a quote with its chain.
const QUOTE_SIZE: u32 = 8 << 10;
/// How long a client may take to send its request, and as long again to take the response.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers clients one after the other until the listener fails.
pub fn serve(listener: &UnixListener, platform: &mut Platform) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        if let Err(error) = exchange(stream, platform) {
            eprintln!("casemate: a client of the quoting service went away: {error}");
        }
    }
}

fn exchange(stream: UnixStream, platform: &mut Platform) -> io::Result<()> {
    let mut client = Impatient::new(stream, PATIENCE);
    let response = answer(&read_request(&mut client)?, platform);
    client.start_anew(PATIENCE);
    client.write_all(&(response.len() as u32).to_le_bytes())?;
    client.write_all(&response)
}

fn read_request(client: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_MESSAGE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its request is too long"));
    }
    let mut request = vec![0; length];
    client.read_exact(&mut request)?;
    Ok(request)
}

/// A connection with a time for all reads and writes together: a client that trickles bytes keeps nobody waiting.
struct Impatient {
    stream: UnixStream,
    deadline: Instant,
}

impl Impatient {
    fn new(stream: UnixStream, patience: Duration) -> Self {
        Self { stream, deadline: Instant::now() + patience }
    }

    fn start_anew(&mut self, patience: Duration) {
        self.deadline = Instant::now() + patience;
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long")),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Impatient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Impatient {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The response to a request, both without their lengths.
pub fn answer(request: &[u8], platform: &mut Platform) -> Vec<u8> {
    let response = match Request::decode(request) {
        Ok(Request { init_quote_ex: Some(request), .. }) => Response {
            init_quote_ex: Some(init_quote(platform, request.b_pub_key_id)),
            ..Response::default()
        },
        Ok(Request { get_quote_size_ex: Some(_), .. }) => Response {
            get_quote_size_ex: Some(GetQuoteSizeExResponse {
                error_code: error::SUCCESS,
                quote_size: Some(QUOTE_SIZE),
            }),
            ..Response::default()
        },
        Ok(Request { get_quote_ex: Some(request), .. }) => {
            let about = request.qe_report_info.as_deref();
            let found = get_quote(platform, &request.report, about, request.buf_size);
            Response { get_quote_ex: Some(found), ..Response::default() }
        }
        _ => Response {
            unsupported: Some(UnsupportedRequestResponse { error_code: error::PARAMETER }),
            ..Response::default()
        },
    };
    response.encode_to_vec()
}

fn init_quote(platform: &mut Platform, everything: bool) -> InitQuoteExResponse {
    match platform.target_info() {
        Ok(target) => InitQuoteExResponse {
            error_code: error::SUCCESS,
            target_info: Some(target.as_bytes().to_vec()),
            pub_key_id_size: Some(32),
            // Which key it is is in the quote; nobody needs to know before.
            pub_key_id: everything.then(|| target.measurement.to_vec()),
        },
        Err(error) => InitQuoteExResponse { error_code: code(&error), ..InitQuoteExResponse::default() },
    }
}

fn get_quote(platform: &mut Platform, report: &[u8], about: Option<&[u8]>, room: u32) -> GetQuoteExResponse {
    let refuse = |error_code| GetQuoteExResponse { error_code, ..GetQuoteExResponse::default() };
    let about = match about {
        None | Some([]) => None,
        Some(info) if info.len() == REPORT_INFO => Some((&info[NONCE..NONCE + TARGET_INFO], &info[..NONCE])),
        Some(_) => return refuse(error::PARAMETER),
    };
    match platform.quote(report, about) {
        Ok((quote, _)) if quote.len() > room as usize => refuse(error::PARAMETER),
        Ok((quote, report)) => GetQuoteExResponse {
            error_code: error::SUCCESS,
            quote: Some(quote),
            qe_report_info: about.map(|(target, nonce)| [nonce, target, &report].concat()),
        },
        Err(error) => refuse(code(&error)),
    }
}

/// Says what is wrong where the service runs, and gives the client a code.
fn code(error: &PlatformError) -> u32 {
    eprintln!("casemate: no quote: {error}");
    match error {
        PlatformError::Enclave(_) => error::PARAMETER,
        PlatformError::NotRegistered(_) => error::SERVICE_UNAVAILABLE,
        _ => error::UNEXPECTED,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A pair of which the second end sends a request of so many bytes, one after the other, with a pause before each.
    fn trickle(length: u32, pause: Duration) -> (UnixStream, thread::JoinHandle<()>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let client = thread::spawn(move || {
            for byte in length.to_le_bytes().into_iter().chain((0..length).map(|_| 7)) {
                thread::sleep(pause);
                if theirs.write_all(&[byte]).is_err() {
                    return;
                }
            }
        });
        (ours, client)
    }

    #[test]
    fn a_request_in_pieces_is_read() {
        let (stream, client) = trickle(100, Duration::ZERO);
        let mut patient = Impatient::new(stream, Duration::from_secs(3600));
        assert_eq!(read_request(&mut patient).unwrap(), vec![7; 100]);
        client.join().unwrap();
    }

    #[test]
    fn a_client_that_trickles_its_request_is_let_go() {
        let (stream, client) = trickle(1000, Duration::from_millis(10));
        let mut impatient = Impatient::new(stream, Duration::from_millis(200));
        let error = read_request(&mut impatient).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        drop(impatient);
        client.join().unwrap();
    }

    #[test]
    fn a_client_that_takes_no_response_is_let_go() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut impatient = Impatient::new(ours, Duration::from_millis(50));
        let error = impatient.write_all(&vec![0; 16 << 20]).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        drop(theirs);
    }
}
