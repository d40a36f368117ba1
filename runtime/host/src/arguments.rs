//! The command line.
//!
//! As the entry point of a shielded image the loader gets the program's arguments (`docker run IMAGE ARGS`), so options
//! exist only when the first argument is `--bundle`, as `casemate run` always passes it:
//!
//! ```text
//! casemate-host [--bundle DIR [--root DIR | --store DIR] [--platform auto|direct|softsgx|sgx] [--fuses FILE] [--faithful]
//!                [--aesm SOCKET] [--trace] [--stats] [--volume HOST:PATH[:ro]]… [--env NAME=VALUE]… [--hostname NAME] [--]] ARGS…
//! ```
//!
//! `--faithful` (software device only): enclave and loader execute ENCLU, and the loader's signal handler turns its fault into the leaf.
//! Slow, and what the device's conformance is tested with.

use core::fmt;

use crate::report::Text;

/// Where the image's files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// Under this directory, at their own paths.
    Root(&'a [u8]),
    /// In this directory, by fs-verity digest: `ab/abcdef…`.
    Store(&'a [u8]),
}

/// A directory offered to the enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume<'a> {
    /// Directory of the host.
    pub host: &'a [u8],
    /// Absolute path inside.
    pub inside: &'a [u8],
    /// Nothing is written.
    pub read_only: bool,
}

/// Where to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A signed image: on hardware where there is some, else on the software device; an unsigned one: `direct`.
    Auto,
    /// Without an enclave.
    Direct,
    /// On the software device.
    SoftSgx,
    /// On hardware.
    Sgx,
}

/// What the command line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// Directory with enclave image, manifest, index, measured block.
    pub bundle: &'a [u8],
    /// Where the image's files are.
    pub source: Source<'a>,
    /// Where to run.
    pub platform: Choice,
    /// The machine's fuse file.
    pub fuses: Option<&'a [u8]>,
    /// On the software device: ENCLU is the instruction.
    pub faithful: bool,
    /// Socket of the service that makes quotes, if not Intel's place for it.
    pub aesm: Option<&'a [u8]>,
    /// Print system calls.
    pub trace: bool,
    /// Print counters at the end.
    pub stats: bool,
    /// Started with options, that is by `casemate run`, not as a container's entry point.
    pub has_options: bool,
    /// Name of the host to tell the enclave, if not the real one.
    pub hostname: Option<&'a [u8]>,
    /// The program's arguments.
    pub program: &'a [&'a [u8]],
    options: &'a [&'a [u8]],
}

/// Why the command line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// No such option.
    Unknown(&'a [u8]),
    /// The option's value is missing.
    NoValue(&'a [u8]),
    /// Not `NAME=VALUE`.
    BadEnvironment(&'a [u8]),
    /// Not `HOST:PATH[:ro]`.
    BadVolume(&'a [u8]),
    /// A platform that this loader does not have.
    BadPlatform(&'a [u8]),
    /// `--root` and `--store` together.
    TwoSources,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Refusal::Unknown(option) => write!(
                f,
                "unknown option '{}'; options are --bundle --root --store --platform --fuses --faithful --aesm --trace --stats --volume --env --hostname, then -- and the program's arguments",
                Text(option)
            ),
            Refusal::NoValue(option) => write!(f, "option {} needs a value", Text(option)),
            Refusal::BadEnvironment(value) => {
                write!(f, "--env '{}': write NAME=VALUE", Text(value))
            }
            Refusal::BadVolume(value) => {
                write!(f, "--volume '{}': write HOST:PATH or HOST:PATH:ro, with PATH absolute", Text(value))
            }
            Refusal::BadPlatform(value) => {
                write!(f, "--platform '{}': write auto, direct, softsgx or sgx", Text(value))
            }
            Refusal::TwoSources => f.write_str("--root and --store exclude each other: give one of them"),
        }
    }
}

/// One option with its value; flags have an empty one.
type Item<'a> = (&'a [u8], &'a [u8]);

/// Steps over options: `None` at the end of them.
#[derive(Clone)]
struct Items<'a> {
    rest: &'a [&'a [u8]],
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, Refusal<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&option, rest) = self.rest.split_first()?;
        if !option.starts_with(b"-") || option == b"-" {
            return None;
        }
        self.rest = rest;
        match option {
            b"--" => None,
            b"--trace" | b"--stats" | b"--faithful" => Some(Ok((option, b""))),
            b"--bundle" | b"--root" | b"--store" | b"--platform" | b"--fuses" | b"--aesm" | b"--volume"
            | b"--env" | b"--hostname" => {
                let Some((&value, rest)) = rest.split_first() else {
                    return Some(Err(Refusal::NoValue(option)));
                };
                self.rest = rest;
                Some(Ok((option, value)))
            }
            _ => Some(Err(Refusal::Unknown(option))),
        }
    }
}

impl<'a> Arguments<'a> {
    /// Reads the arguments after the loader's own name.
    pub fn parse(all: &'a [&'a [u8]]) -> Result<Arguments<'a>, Refusal<'a>> {
        let mut arguments = Arguments {
            bundle: b"/casemate",
            source: Source::Root(b"/"),
            platform: Choice::Auto,
            fuses: None,
            faithful: false,
            aesm: None,
            trace: false,
            stats: false,
            has_options: all.first() == Some(&b"--bundle".as_slice()),
            hostname: None,
            program: all,
            options: &[],
        };
        if !arguments.has_options {
            return Ok(arguments);
        }
        let (mut root, mut store) = (None, None);
        let mut items = Items { rest: all };
        for item in items.by_ref() {
            let (option, value) = item?;
            match option {
                b"--bundle" => arguments.bundle = value,
                b"--root" => root = Some(value),
                b"--store" => store = Some(value),
                b"--platform" => {
                    arguments.platform = match value {
                        b"auto" => Choice::Auto,
                        b"direct" => Choice::Direct,
                        b"softsgx" => Choice::SoftSgx,
                        b"sgx" => Choice::Sgx,
                        _ => return Err(Refusal::BadPlatform(value)),
                    }
                }
                b"--fuses" => arguments.fuses = Some(value),
                b"--faithful" => arguments.faithful = true,
                b"--aesm" => arguments.aesm = Some(value),
                b"--trace" => arguments.trace = true,
                b"--stats" => arguments.stats = true,
                b"--volume" => drop(parse_volume(value)?),
                b"--env" if environment_name(value).is_none() => return Err(Refusal::BadEnvironment(value)),
                b"--hostname" => arguments.hostname = Some(value),
                _ => {}
            }
        }
        arguments.source = match (root, store) {
            (Some(_), Some(_)) => return Err(Refusal::TwoSources),
            (_, Some(store)) => Source::Store(store),
            (root, None) => Source::Root(root.unwrap_or(b"/")),
        };
        arguments.program = items.rest;
        arguments.options = all;
        Ok(arguments)
    }

    /// The directories of `--volume`, in order.
    pub fn volumes(&self) -> impl Iterator<Item = Volume<'a>> + Clone + use<'a> {
        self.values(b"--volume").filter_map(|value| parse_volume(value).ok())
    }

    /// The settings of `--env`, in order.
    pub fn environment(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.values(b"--env")
    }

    /// Whether `--env` sets the variable that this `NAME=VALUE` of the host also sets.
    pub fn overrides(&self, setting: &[u8]) -> bool {
        let name = environment_name(setting).unwrap_or(setting);
        self.environment().any(|own| environment_name(own) == Some(name))
    }

    fn values(&self, wanted: &'static [u8]) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let items = Items { rest: self.options };
        items
            .filter_map(move |item| item.ok().filter(|(option, _)| *option == wanted).map(|(_, value)| value))
    }
}

fn environment_name(setting: &[u8]) -> Option<&[u8]> {
    match setting.iter().position(|byte| *byte == b'=') {
        Some(length) if length > 0 => Some(&setting[..length]),
        _ => None,
    }
}

/// The directories that a list in the bundle names, one `HOST:PATH[:ro]` after the other, each with a NUL.
pub fn listed_volumes(list: &[u8]) -> impl Iterator<Item = Volume<'_>> {
    list.split(|byte| *byte == 0).filter_map(|value| parse_volume(value).ok())
}

fn parse_volume(value: &[u8]) -> Result<Volume<'_>, Refusal<'_>> {
    let (rest, read_only) = match (value.strip_suffix(b":ro"), value.strip_suffix(b":rw")) {
        (Some(rest), _) => (rest, true),
        (_, Some(rest)) => (rest, false),
        _ => (value, false),
    };
    // The last colon: the host's own path may hold some.
    let colon = rest.iter().rposition(|byte| *byte == b':').ok_or(Refusal::BadVolume(value))?;
    let (host, inside) = (&rest[..colon], &rest[colon + 1..]);
    if host.is_empty() || !inside.starts_with(b"/") {
        return Err(Refusal::BadVolume(value));
    }
    Ok(Volume { host, inside, read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<&[u8]> {
        text.split(' ').filter(|part| !part.is_empty()).map(str::as_bytes).collect()
    }

    #[test]
    fn without_bundle_first_everything_belongs_to_the_program() {
        for text in ["", "--root /x", "-c print(1)", "-- --bundle /x", "--trace --bundle /x"] {
            let all = list(text);
            let arguments = Arguments::parse(&all).unwrap();
            assert_eq!(arguments.program, all.as_slice());
            assert_eq!(arguments.bundle, b"/casemate");
            assert_eq!(arguments.source, Source::Root(b"/"));
            assert!(!arguments.has_options && !arguments.trace && !arguments.stats);
        }
    }

    #[test]
    fn options_end_at_a_double_dash_or_at_the_first_other_word() {
        let all = list("--bundle /b --trace --faithful -- --stats x");
        let arguments = Arguments::parse(&all).unwrap();
        assert_eq!((arguments.bundle, arguments.trace, arguments.stats), (b"/b".as_slice(), true, false));
        assert!(arguments.faithful);
        assert_eq!(arguments.program, list("--stats x"));
        let all = list("--bundle /b prog --faithful");
        assert_eq!(Arguments::parse(&all).unwrap().program, list("prog --faithful"));
        assert!(!Arguments::parse(&all).unwrap().faithful);
        let all = list("--bundle /b -");
        assert_eq!(Arguments::parse(&all).unwrap().program, list("-"));
    }

    #[test]
    fn lists_are_found_again_and_the_programs_own_words_are_not_taken_for_them() {
        let all = list(
            "--bundle /b --volume /a:b:/data:ro --env A=1 --volume x:/y --env B= --hostname h --store /s -- --env C=3",
        );
        let arguments = Arguments::parse(&all).unwrap();
        let volumes: Vec<_> = arguments.volumes().collect();
        assert_eq!(volumes[0], Volume { host: b"/a:b", inside: b"/data", read_only: true });
        assert_eq!(volumes[1], Volume { host: b"x", inside: b"/y", read_only: false });
        assert_eq!(arguments.environment().collect::<Vec<_>>(), list("A=1 B="));
        assert!(arguments.overrides(b"A=9") && !arguments.overrides(b"C=3") && !arguments.overrides(b"AA=1"));
        assert_eq!(arguments.source, Source::Store(b"/s"));
        assert_eq!(arguments.hostname, Some(b"h".as_slice()));
    }

    #[test]
    fn bad_options_are_refused_in_words() {
        let refusals = [
            ("--bundle", "option --bundle needs a value"),
            ("--bundle /b --frob", "unknown option '--frob'"),
            ("--bundle /b --env X", "--env 'X': write NAME=VALUE"),
            ("--bundle /b --env =1", "--env '=1'"),
            ("--bundle /b --volume /x", "--volume '/x'"),
            ("--bundle /b --volume /x:y", "--volume '/x:y'"),
            ("--bundle /b --platform tdx", "--platform 'tdx'"),
            ("--bundle /b --root / --store /s", "exclude each other"),
        ];
        for (text, expected) in refusals {
            let all = list(text);
            let refusal = Arguments::parse(&all).unwrap_err();
            assert!(refusal.to_string().contains(expected), "{text}: {refusal}");
        }
    }
}
