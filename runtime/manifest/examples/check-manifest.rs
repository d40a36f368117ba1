//! Reads a canonical manifest from standard input and says what the enclave would make of it: on standard
//! output the insecure settings, one a line; the reason of a refusal on standard error, with exit code 1.

use std::io::Read;
use std::process::ExitCode;

use casemate_manifest::Manifest;

fn main() -> ExitCode {
    let mut bytes = Vec::new();
    if let Err(error) = std::io::stdin().read_to_end(&mut bytes) {
        eprintln!("cannot read standard input: {error}");
        return ExitCode::from(2);
    }
    match Manifest::parse(&bytes) {
        Ok(manifest) => {
            manifest.insecure().iter().for_each(|sentence| println!("{sentence}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
