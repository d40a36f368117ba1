//! What of the host's arguments and environment reaches the program, and what the banner says about it.

mod common;

use casemate_manifest::Manifest;
use common::{SAMPLE, with};

fn strings(items: &[&str]) -> Vec<Vec<u8>> {
    items.iter().map(|item| item.as_bytes().to_vec()).collect()
}

#[test]
fn arguments_of_the_host_are_ignored_unless_the_manifest_admits_them() {
    let fixed = Manifest::parse(SAMPLE.as_bytes()).unwrap();
    assert_eq!(fixed.arguments(&strings(&["evil"])), strings(&["python3", "-c"]));
    let open = with(
        "\"args_from_host\":false,\"argv\":[\"python3\",\"-c\"],\"brk_max_size\":17179869184,\"cwd\":\"/\",\"debug\":false,\"default_args\":[]",
        "\"args_from_host\":true,\"argv\":[\"python3\",\"-c\"],\"brk_max_size\":17179869184,\"cwd\":\"/\",\"debug\":false,\"default_args\":[\"pass\"]",
    );
    assert_eq!(open.arguments(&[]), strings(&["python3", "-c", "pass"]));
    assert_eq!(open.arguments(&strings(&["1", "2"])), strings(&["python3", "-c", "1", "2"]));
}

#[test]
fn only_named_variables_come_from_the_host() {
    let host = strings(&["LD_PRELOAD=/evil.so", "PATH=/evil", "TOKEN=1", "TOKEN=2", "TOKENS=3"]);
    let manifest = Manifest::parse(SAMPLE.as_bytes()).unwrap();
    assert_eq!(manifest.environment(&host), strings(&["PATH=/usr/bin:/bin", "TOKEN=1"]));
    assert_eq!(manifest.environment(&[]), strings(&["PATH=/usr/bin:/bin"]));
}

#[test]
fn with_the_whole_host_environment_the_manifest_still_goes_before() {
    let manifest = with("\"env_from_host_all\":false", "\"env_from_host_all\":true");
    let mut host = strings(&["A=1", "PATH=/evil", "A=2", "=x", "novalue", "EMPTY="]);
    host.push(b"B=\0".to_vec());
    assert_eq!(manifest.environment(&host), strings(&["PATH=/usr/bin:/bin", "A=1", "EMPTY="]));
}

#[test]
fn only_a_host_mount_admits_a_host_directory() {
    let manifest = Manifest::parse(SAMPLE.as_bytes()).unwrap();
    assert_eq!(manifest.host_mount("/data"), Some(("/srv", true)));
    assert_eq!(manifest.host_mount("/tmp"), None);
    assert_eq!(manifest.host_mount("/data/x"), None);
    let takes = |path| manifest.takes_volume(path);
    assert!(takes("/data") && !takes("/tmp") && !takes("/data/x"));
}

#[test]
fn every_setting_that_weakens_the_protection_is_named() {
    let sample = Manifest::parse(SAMPLE.as_bytes()).unwrap();
    let [only] = &sample.insecure()[..] else { panic!("{:?}", sample.insecure()) };
    assert_eq!(only, "the host chooses what is in /data (sgx.allowed_files, from /srv)");
    for (from, to, key) in [
        ("\"args_from_host\":false", "\"args_from_host\":true", "loader.insecure__use_cmdline_argv"),
        ("\"env_from_host_all\":false", "\"env_from_host_all\":true", "loader.insecure__use_host_env"),
        ("\"debug\":false", "\"debug\":true", "sgx.debug"),
        ("\"log_level\":\"warning\"", "\"log_level\":\"trace\"", "loader.log_level"),
        ("\"read_only\":true", "\"read_only\":false", "sees what is written there"),
        (
            "\"insecure_keys\":{}",
            "\"insecure_keys\":{\"k\":\"00112233445566778899aabbccddeeff\"}",
            "fs.insecure__keys.k",
        ),
    ] {
        assert!(with(from, to).insecure().iter().any(|sentence| sentence.contains(key)), "{key}");
    }
}
