//! Each check of the device has a test that fails without it: shown by running, for each check, the tests in which it refused
//! something once more, with the check removed.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::names;

/// Tests that take long and name no check.
const LEFT_OUT: [&str; 3] = ["mutation::", "properties::", "names::"];

fn run(arguments: &[&str], variable: &str, value: &str) -> Output {
    let mut command = Command::new(env::current_exe().expect("this test"));
    command.args(arguments).env(variable, value).env_remove("RUST_BACKTRACE");
    command.output().expect("this test again")
}

/// Runs all tests, and gives those in which each check refused something.
fn refusals() -> BTreeMap<String, BTreeSet<String>> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("refusals-{}", std::process::id()));
    std::fs::write(&path, "").expect("a file for the refusals");
    let skipped: Vec<&str> = LEFT_OUT.iter().flat_map(|name| ["--skip", name]).collect();
    let done = run(&skipped, "CASEMATE_REFUSALS", path.to_str().expect("UTF-8"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let lines = std::fs::read_to_string(&path).expect("the refusals");
    std::fs::remove_file(&path).expect("the refusals");
    let mut refusals = BTreeMap::<String, BTreeSet<String>>::new();
    for (test, check) in lines.lines().filter_map(|line| line.split_once('\t')) {
        refusals.entry(check.to_owned()).or_default().insert(test.to_owned());
    }
    refusals
}

/// Whether some of these tests fail without the check. They must run at all: a name that matches none would pass.
fn is_noticed(check: &str, tests: &BTreeSet<String>) -> bool {
    let mut arguments = vec!["--exact"];
    arguments.extend(tests.iter().map(String::as_str));
    let done = run(&arguments, "CASEMATE_REMOVED", check);
    let output = String::from_utf8_lossy(&done.stdout);
    assert!(output.contains(&format!("running {} test", tests.len())), "{check}: {output}");
    !done.status.success()
}

#[test]
fn every_check_has_a_test_that_fails_without_it() {
    let refusals = refusals();
    let none = BTreeSet::new();
    let mut unnoticed = Vec::new();
    for check in names::all() {
        let tests = refusals.get(&check).unwrap_or(&none);
        if tests.is_empty() {
            unnoticed.push(format!("{check}: no test in which it refuses anything"));
        } else if !is_noticed(&check, tests) {
            unnoticed.push(format!("{check}: passes without it: {tests:?}"));
        }
    }
    assert!(unnoticed.is_empty(), "{} of {}:\n{}", unnoticed.len(), names::all().len(), unnoticed.join("\n"));
    let unknown: Vec<_> = refusals.keys().filter(|check| !names::all().contains(*check)).collect();
    assert!(unknown.is_empty(), "not found in the sources: {unknown:?}");
}
