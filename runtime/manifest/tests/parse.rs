//! Which bytes are accepted as a manifest.

mod common;

use casemate_manifest::{Edmm, EnvValue, LogLevel, Manifest, ManifestError, MountKind, RootDigest, SealKey};
use common::{SAMPLE, refusal, replaced};
use proptest::prelude::*;

#[test]
fn a_canonical_manifest_is_read_and_written_back_to_the_same_bytes() {
    let manifest = Manifest::parse(SAMPLE.as_bytes()).unwrap();
    assert_eq!(manifest.program, "/usr/bin/python3");
    assert_eq!(manifest.env[1].value, EnvValue::FromHost);
    assert_eq!(manifest.mounts[0].kind, MountKind::Tmpfs);
    assert_eq!(manifest.index.root, RootDigest([0xab; 32]));
    assert_eq!((manifest.edmm, manifest.log_level), (Edmm::Auto, LogLevel::Warning));
    assert_eq!(manifest.to_bytes(), SAMPLE.as_bytes());
}

#[test]
fn the_same_content_in_another_form_is_refused() {
    let padded = replaced("\"uid\":1000", "\"uid\": 1000");
    let reordered = replaced("\"uid\":1000,\"umask\":18", "\"umask\":18,\"uid\":1000");
    let escaped = replaced("/usr/bin/python3\"", "\\u002fusr/bin/python3\"");
    let no_newline = SAMPLE.trim_end().to_owned();
    let two_newlines = format!("{SAMPLE}\n");
    let null_member = replaced("\"name\":\"TOKEN\"", "\"name\":\"TOKEN\",\"value\":null");
    for text in [padded, reordered, escaped, no_newline, two_newlines, null_member] {
        assert_eq!(Manifest::parse(text.as_bytes()), Err(ManifestError::NotCanonical), "{text}");
    }
}

#[test]
fn unknown_missing_doubled_and_mistyped_members_are_refused() {
    for (from, to, says) in [
        ("\"uid\":1000", "\"uid\":1000,\"uidx\":1", "unknown field `uidx`"),
        ("\"uid\":1000,", "", "missing field `uid`"),
        ("\"uid\":1000", "\"uid\":1000,\"uid\":1000", "duplicate field `uid`"),
        ("\"uid\":1000", "\"uid\":\"1000\"", "invalid type: string"),
        ("\"uid\":1000", "\"uid\":1e3", "invalid type: floating point"),
        ("\"uid\":1000", "\"uid\":-1", "invalid value: integer `-1`"),
        ("\"uid\":1000", "\"uid\":4294967296", "invalid value: integer `4294967296`"),
        ("\"log_level\":\"warning\"", "\"log_level\":\"loud\"", "unknown variant `loud`"),
        ("\"type\":\"tmpfs\"", "\"type\":\"overlay\"", "unknown type"),
        ("\"type\":\"tmpfs\"", "\"type\":\"host\"", "members that its type does not have"),
        ("\"name\":\"TOKEN\"", "\"name\":\"TOKEN\",\"value\":\"x\"", "either 'value' or 'from_host': true"),
        ("\"from_host\":true", "\"from_host\":false", "either 'value' or 'from_host': true"),
        ("\"root\":\"ab", "\"root\":\"AB", "64 lowercase hexadecimal digits"),
        ("\"size\":4096", "\"size\":4096,\"x\":0", "unknown field `x`"),
    ] {
        let text = replaced(from, to);
        assert!(refusal(&text).contains(says), "{to}: {}", refusal(&text));
    }
}

#[test]
fn another_version_is_named_even_when_its_members_are_unknown() {
    assert_eq!(Manifest::parse(b"{\"version\":2,\"new\":[1]}\n"), Err(ManifestError::Version(2)));
    let text = replaced("\"version\":1", "\"version\":7");
    assert_eq!(Manifest::parse(text.as_bytes()), Err(ManifestError::Version(7)));
}

#[test]
fn masks_of_sealing_keys_are_there_whole_or_not_at_all() {
    let masks = r#""seal_key":{"flags_mask":18446744073709551615,"misc_mask":1,"xfrm_mask":7},"#;
    let with = |masks: &str| replaced("\"stack_size\"", &format!("{masks}\"stack_size\""));
    let found = Manifest::parse(with(masks).as_bytes()).unwrap().seal_key;
    assert_eq!(found, Some(SealKey { flags_mask: u64::MAX, misc_mask: 1, xfrm_mask: 7 }));
    assert_eq!(Manifest::parse(SAMPLE.as_bytes()).unwrap().seal_key, None);
    for (from, to) in
        [(":1,", ":4294967296,"), (":7}", ":-1}"), (",\"xfrm_mask\":7", ""), ("\"misc", "\"mist")]
    {
        let text = with(&masks.replace(from, to));
        assert!(matches!(Manifest::parse(text.as_bytes()), Err(ManifestError::Syntax(_))), "{text}");
    }
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_member() {
    for (from, to, member, says) in [
        ("\"enclave_size\":68719476736", "\"enclave_size\":68719476735", "enclave_size", "power of two"),
        ("\"enclave_size\":68719476736", "\"enclave_size\":1048576", "enclave_size", "64 MiB"),
        ("\"stack_size\":8388608", "\"stack_size\":8388609", "stack_size", "multiple"),
        ("\"stack_size\":8388608", "\"stack_size\":4096", "stack_size", "64 KiB"),
        ("\"stack_size\":8388608", "\"stack_size\":68719476736", "stack_size", "quarter"),
        ("\"brk_max_size\":17179869184", "\"brk_max_size\":137438953472", "brk_max_size", "enclave_size"),
        ("\"max_threads\":256", "\"max_threads\":0", "max_threads", "between 1"),
        ("\"fds_limit\":", "\"exitless_threads\":0,\"fds_limit\":", "exitless_threads", "between 1"),
        ("\"fds_limit\":", "\"exitless_threads\":65,\"fds_limit\":", "exitless_threads", "64"),
        ("\"fds_limit\":1024", "\"fds_limit\":1048577", "fds_limit", "1048576"),
        ("\"size\":4096", "\"size\":0", "index.size", "0"),
        ("\"uid\":1000", "\"uid\":4294967295", "uid", "no user"),
        ("\"umask\":18", "\"umask\":512", "umask", "0o777"),
        ("\"argv\":[\"python3\",\"-c\"]", "\"argv\":[]", "argv", "empty"),
        ("\"argv\":[\"python3\"", "\"argv\":[\"py\\u0000\"", "argv", "NUL"),
        ("\"default_args\":[]", "\"default_args\":[\"x\"]", "default_args", "args_from_host"),
        ("\"program\":\"/usr", "\"program\":\"usr", "program", "absolute"),
        ("\"cwd\":\"/\"", "\"cwd\":\"\"", "cwd", "absolute"),
        ("\"name\":\"TOKEN\"", "\"name\":\"TO=KEN\"", "env", "no variable's name"),
        ("\"name\":\"TOKEN\"", "\"name\":\"PATH\"", "env", "twice"),
        ("\"path\":\"/tmp\"", "\"path\":\"/tmp/\"", "mounts", "component"),
        ("\"path\":\"/tmp\"", "\"path\":\"/a/../tmp\"", "mounts", "component"),
        ("\"path\":\"/tmp\"", "\"path\":\"/\"", "mounts", "nothing can be mounted"),
        ("\"path\":\"/tmp\"", "\"path\":\"/proc/self\"", "mounts", "nothing can be mounted"),
        ("\"path\":\"/tmp\"", "\"path\":\"/data\"", "mounts", "twice"),
        ("\"source\":\"/srv\"", "\"source\":\"srv\"", "mounts", "absolute"),
        ("\"uri\":\"file:enc\"", "\"uri\":\"dev:enc\"", "mounts", "URI"),
        ("\"key_name\":\"default\"", "\"key_name\":\"../x\"", "key_name", "no key's name"),
        ("\"insecure_keys\":{}", "\"insecure_keys\":{\"k\":\"00\"}", "insecure_keys", "32 lowercase"),
    ] {
        let text = replaced(from, to);
        match Manifest::parse(text.as_bytes()) {
            Err(ManifestError::Value { member: found, problem }) => {
                assert!(found == member && problem.contains(says), "{to}: {found}: {problem}");
            }
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn names_that_only_begin_like_a_reserved_one_are_mounted() {
    for path in ["/process", "/dev/shm", "/casemate-data"] {
        let text = replaced("\"path\":\"/tmp\"", &format!("\"path\":\"{path}\""));
        assert!(Manifest::parse(text.as_bytes()).is_ok(), "{path}");
    }
}

#[test]
fn a_manifest_that_is_too_large_is_refused_before_it_is_parsed() {
    let bytes = vec![b'['; (4 << 20) + 1];
    assert_eq!(Manifest::parse(&bytes), Err(ManifestError::TooLarge(bytes.len())));
    // Deep nesting, within the size.
    assert!(matches!(Manifest::parse(&bytes[..1 << 20]), Err(ManifestError::Syntax(_))));
}

proptest! {
    #[test]
    fn any_bytes_are_answered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Manifest::parse(&bytes);
    }

    #[test]
    fn a_manifest_with_bytes_changed_is_refused_or_another_canonical_one(
        changes in proptest::collection::vec((0..SAMPLE.len(), any::<u8>()), 1..4),
        cut in 0..SAMPLE.len(),
    ) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        if let Ok(manifest) = Manifest::parse(&bytes) {
            prop_assert_eq!(manifest.to_bytes(), bytes.clone());
        }
        prop_assert!(Manifest::parse(&bytes[..cut]).is_err());
    }

    #[test]
    fn any_text_survives_the_round_trip(text in "[^\0]{0,64}", name in "[^\0=]{1,16}") {
        let mut manifest = Manifest::parse(SAMPLE.as_bytes()).unwrap();
        manifest.argv.push(text.clone());
        manifest.env[0].value = EnvValue::Fixed(text);
        manifest.env[1].name = format!("_{name}");
        prop_assert_eq!(Manifest::parse(&manifest.to_bytes()), Ok(manifest));
    }
}
