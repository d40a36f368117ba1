//! The member `secrets`.

mod common;

use casemate_manifest::{Manifest, ManifestError};
use common::{SAMPLE, refusal};

const SECRETS: &str = concat!(
    r#""secrets":{"args":[],"broker":["broker.example:8443"],"#,
    r#""broker_key":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","#,
    r#""env":{"PASSWORD":"db"},"files":{"/tmp/token":"token"},"keys":{"default":"model"},"#,
    r#""optional":["token"],"required":["db","model"],"results":["/dev/casemate/results"],"timeout_s":300},"#,
);

fn sample() -> String {
    SAMPLE.replacen("\"stack_size\"", &format!("{SECRETS}\"stack_size\""), 1)
}

#[test]
fn secrets_are_read_and_written_back_to_the_same_bytes() {
    let text = sample();
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    assert_eq!(manifest.to_bytes(), text.as_bytes());
    let secrets = manifest.secrets.unwrap();
    assert_eq!(secrets.env["PASSWORD"], "db");
    assert_eq!(format!("\"secrets\":{},", secrets.to_text()), SECRETS);
}

#[test]
fn without_secrets_the_member_is_absent() {
    assert_eq!(Manifest::parse(SAMPLE.as_bytes()).unwrap().secrets, None);
    let null = SAMPLE.replacen("\"stack_size\"", "\"secrets\":null,\"stack_size\"", 1);
    assert_eq!(Manifest::parse(null.as_bytes()), Err(ManifestError::NotCanonical));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (from, to, says) in [
        ("[\"broker.example:8443\"]", "[]", "not 1 to 16 brokers"),
        ("broker.example:8443", "broker.example", "is not HOST:PORT"),
        ("broker.example:8443", "broker.example:0", "is not HOST:PORT"),
        ("broker.example:8443", "bro ker:1", "is not HOST:PORT"),
        ("\"cdcd", "\"CDcd", "64 lowercase hexadecimal digits"),
        ("\"timeout_s\":300", "\"timeout_s\":0", "not between 1 and 86400"),
        ("[\"db\",\"model\"]", "[\"db\",\"model\",\"token\"]", "'token' is there twice"),
        ("[\"db\",\"model\"]", "[\"model\"]", "'db' is neither required nor optional"),
        ("[\"db\",\"model\"]", "[\"db\",\"model\",\"../x\"]", "'../x' is no secret's name"),
        ("\"PASSWORD\":", "\"A=B\":", "'A=B' is no variable's name"),
        ("\"default\":\"model\"", "\"a/b\":\"model\"", "'a/b' is no key's name"),
        ("\"/tmp/token\"", "\"/data/token\"", "'/data/token' is not in a tmpfs mount"),
        ("\"/tmp/token\"", "\"/tmp\"", "'/tmp' is not in a tmpfs mount"),
        ("\"/tmp/token\"", "\"/tmp/../token\"", "component"),
        ("[\"/dev/casemate/results\"]", "[\"results\"]", "is not absolute"),
        ("\"args\":[]", "\"args\":[\"x\"]", "'x' is neither required nor optional"),
    ] {
        let text = sample();
        assert_eq!(text.matches(from).count(), 1, "{from}");
        let text = text.replace(from, to);
        assert!(refusal(&text).contains(says), "{to}: {}", refusal(&text));
    }
}
