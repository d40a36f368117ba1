//! Results go back to the owner when the program has ended.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use crate::broker::Broker;
use crate::failure::Failure;
use crate::settings::Settings;

/// Sends what the manifest names; the exit code is the program's own, unless it succeeded and the results did not arrive.
pub fn send(settings: &Settings, broker: &Broker, ended: ExitStatus) -> Result<ExitCode, Failure> {
    let code = exit_code(ended);
    match send_all(settings, broker) {
        Ok(()) => Ok(ExitCode::from(code)),
        Err(failure) if code == 0 => Err(failure),
        Err(failure) => {
            eprintln!("casemate-init: {failure}");
            Ok(ExitCode::from(code))
        }
    }
}

fn send_all(settings: &Settings, broker: &Broker) -> Result<(), Failure> {
    for path in &settings.results {
        for file in files(Path::new(path)).map_err(|error| Failure::Results(format!("{path}: {error}")))? {
            send_one(broker, &file)?;
        }
    }
    Ok(())
}

fn send_one(broker: &Broker, file: &Path) -> Result<(), Failure> {
    let lost = |what: String| Failure::Results(format!("{}: {what}", file.display()));
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| lost("its name is not UTF-8".into()))?;
    let data = fs::read(file).map_err(|error| lost(error.to_string()))?;
    broker.keep(name, &data).map_err(|failure| lost(failure.to_string()))
}

/// The file, or the files of the directory, in the order of their names. What is not there is no result.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => {}
        Ok(_) => return Ok(vec![path.to_owned()]),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// As shells say it: 128 and the signal's number.
fn exit_code(ended: ExitStatus) -> u8 {
    let code = ended.code().or_else(|| ended.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
