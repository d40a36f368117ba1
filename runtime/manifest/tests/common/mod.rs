//! A manifest to start from.
#![allow(dead_code)] // each test program uses a part of it

use casemate_manifest::Manifest;

pub const SAMPLE: &str = concat!(
    r#"{"args_from_host":false,"argv":["python3","-c"],"brk_max_size":17179869184,"cwd":"/","debug":false,"#,
    r#""default_args":[],"disallow_subprocesses":false,"edmm":"auto","enclave_size":68719476736,"#,
    r#""env":[{"name":"PATH","value":"/usr/bin:/bin"},{"from_host":true,"name":"TOKEN"}],"#,
    r#""env_from_host_all":false,"fds_limit":1024,"gid":1000,"groups":[1000,27],"#,
    r#""index":{"root":"abababababababababababababababababababababababababababababababab","size":4096},"#,
    r#""insecure_keys":{},"isv_prod_id":0,"isv_svn":0,"log_level":"warning","max_threads":256,"#,
    r#""mounts":[{"path":"/tmp","type":"tmpfs"},{"path":"/data","read_only":true,"source":"/srv","type":"host"},"#,
    r#"{"key_name":"default","path":"/enc","type":"encrypted","uri":"file:enc"}],"#,
    r#""names_from_host":true,"program":"/usr/bin/python3","runtime_version":"0.1.0","stack_size":8388608,"#,
    r#""uid":1000,"umask":18,"version":1}"#,
    "\n"
);

/// The sample with one piece of its text replaced, which must be there once.
pub fn replaced(from: &str, to: &str) -> String {
    assert_eq!(SAMPLE.matches(from).count(), 1, "{from}");
    SAMPLE.replace(from, to)
}

/// Why the text is refused.
pub fn refusal(text: &str) -> String {
    Manifest::parse(text.as_bytes()).expect_err(text).to_string()
}

pub fn with(from: &str, to: &str) -> Manifest {
    Manifest::parse(replaced(from, to).as_bytes()).unwrap()
}
