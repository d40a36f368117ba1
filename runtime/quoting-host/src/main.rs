//! `casemate-quoting DIR IMAGE FUSES register` prints a registration; `… serve SOCKET` quotes. `casemate platform` calls it.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;

use casemate_quoting_host::{Platform, serve};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [directory, image, fuses, "register"] => register(directory, image, fuses),
        [directory, image, fuses, "serve", socket] => quote(directory, image, fuses, socket),
        _ => Err("usage: casemate-quoting DIR IMAGE FUSES (register | serve SOCKET)".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("casemate: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn open(directory: &str, image: &str, fuses: &str) -> Result<Platform, String> {
    Platform::open(Path::new(directory), Path::new(image), Path::new(fuses))
        .map_err(|error| error.to_string())
}

fn register(directory: &str, image: &str, fuses: &str) -> Outcome {
    let registration = open(directory, image, fuses)?.registration().map_err(|error| error.to_string())?;
    std::io::stdout().write_all(&registration)?;
    Ok(())
}

fn quote(directory: &str, image: &str, fuses: &str, socket: &str) -> Outcome {
    let mut platform = open(directory, image, fuses)?;
    let path = Path::new(socket);
    // One that nobody listens on any more.
    if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path).map_err(|error| format!("{socket}: {error}"))?;
    // As Intel's: every user of the machine may have quotes.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    println!("{socket}");
    serve(&listener, &mut platform)?;
    Ok(())
}
