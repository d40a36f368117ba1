//! Secrets go where the manifest says.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::broker::Secrets;
use crate::failure::Failure;
use crate::program::Program;
use crate::settings::Settings;

const KEYS: &str = "/dev/attestation/keys";

/// Places every secret that came; those that were optional and did not come leave their place empty.
pub fn place(settings: &Settings, secrets: Secrets, program: &mut Program) -> Result<(), Failure> {
    for (key, name) in &settings.keys {
        if let Some(value) = secrets.get(name) {
            let path = Path::new(KEYS).join(key);
            write(&path, value, OpenOptions::new().write(true))?;
        }
    }
    for (path, name) in &settings.files {
        if let Some(value) = secrets.get(name) {
            write_file(Path::new(path), value)?;
        }
    }
    for (variable, name) in &settings.env {
        if let Some(value) = secrets.get(name) {
            program.set_variable(variable, text(name, value)?);
        }
    }
    for name in &settings.args {
        if let Some(value) = secrets.get(name) {
            program.add_argument(text(name, value)?);
        }
    }
    Ok(())
}

/// What arguments and variables can hold.
fn text(name: &str, value: &[u8]) -> Result<OsString, Failure> {
    if value.contains(&0) {
        return Err(Failure::Place(format!(
            "'{name}' holds a NUL, so it can be no argument and no variable"
        )));
    }
    Ok(OsString::from_vec(value.to_vec()))
}

fn write_file(path: &Path, value: &[u8]) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|error| Failure::Place(format!("{}: {error}", parent.display())))?;
    }
    write(path, value, OpenOptions::new().write(true).create(true).truncate(true).mode(0o400))
}

fn write(path: &Path, value: &[u8], how: &OpenOptions) -> Result<(), Failure> {
    how.open(path)
        .and_then(|mut file| file.write_all(value))
        .map_err(|error| Failure::Place(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse;
    use crate::settings::tests::EXAMPLE;
    use std::os::unix::fs::PermissionsExt;
    use zeroize::Zeroizing;

    fn program() -> Program {
        Program::new("/bin/true".into(), "true".into(), vec!["own".into()])
    }

    #[test]
    fn variables_and_arguments_get_their_values() {
        let mut settings = parse(EXAMPLE).unwrap();
        settings.args = vec!["db".into(), "not granted".into()];
        let secrets = Secrets::from([("db".to_owned(), Zeroizing::new(b"hunter2".to_vec()))]);
        let mut program = program();
        place(&settings, secrets, &mut program).unwrap();
        assert_eq!(program.variable("PASSWORD"), Some("hunter2".into()));
        assert_eq!(program.arguments(), ["own", "hunter2"]);
    }

    #[test]
    fn files_are_for_their_owner_only() {
        let directory = std::env::temp_dir().join(format!("casemate-init-{}", std::process::id()));
        let path = directory.join("run/token");
        let mut settings = parse(EXAMPLE).unwrap();
        settings.files.insert(path.to_str().unwrap().into(), "db".into());
        let secrets = Secrets::from([("db".to_owned(), Zeroizing::new(b"a\0b".to_vec()))]);
        settings.env.clear();
        place(&settings, secrets, &mut program()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"a\0b");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_nul_cannot_be_in_a_variable_and_the_message_does_not_hold_the_value() {
        let settings = parse(EXAMPLE).unwrap();
        let secrets = Secrets::from([("db".to_owned(), Zeroizing::new(b"hunter2\0".to_vec()))]);
        let failure = place(&settings, secrets, &mut program()).unwrap_err().to_string();
        assert!(failure.contains("'db' holds a NUL") && !failure.contains("hunter2"), "{failure}");
    }
}
