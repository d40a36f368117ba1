//! `docs/host-calls.md` names the calls that there are, and checks that exist.

use std::fs;
use std::path::{Path, PathBuf};

use casemate_abi::HostCall;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

fn document() -> String {
    fs::read_to_string(root().join("docs/host-calls.md")).unwrap()
}

/// The cells of each row of the table whose first one is a number.
fn rows(document: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        line.trim_matches('|').split(" |").map(|cell| cell.trim_matches(['|', ' ']).to_string()).collect()
    };
    let rows = document.lines().filter(|line| line.starts_with("| ")).map(cells);
    rows.filter(|row: &Vec<String>| row[0].parse::<u64>().is_ok()).collect()
}

#[test]
fn the_document_lists_every_call_with_its_number() {
    let listed: Vec<(u64, String)> =
        rows(&document()).iter().map(|row| (row[0].parse().unwrap(), row[1].clone())).collect();
    let known: Vec<(u64, String)> =
        HostCall::ALL.iter().map(|call| (*call as u64, call.name().to_string())).collect();
    assert_eq!(listed, known);
}

#[test]
fn every_row_has_six_cells_and_blocking_calls_say_so() {
    let calls = fs::read_to_string(root().join("runtime/abi/src/call.rs")).unwrap();
    let lines: Vec<&str> = calls.lines().map(str::trim).collect();
    for row in rows(&document()) {
        assert_eq!(row.len(), 6, "{row:?}");
        let declaration = format!("{} = {},", row[1], row[0]);
        let at = lines.iter().position(|line| *line == declaration).unwrap();
        let blocks = lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("///"))
            .any(|line| line.contains("*(blocks)*"));
        assert_eq!(row[2].ends_with("(b)"), blocks, "{}", row[1]);
    }
}

/// A source file: the name of its module, and its text.
type Source = (String, String);

fn sources(place: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let named = if path.ends_with("mod.rs") { path.parent().unwrap() } else { &path };
            let module = named.file_stem().unwrap().to_str().unwrap().to_string();
            found.push((module, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Whether a file is where a function of this module or type is to be found.
fn is_of(source: &Source, owner: &str) -> bool {
    let (module, text) = source;
    module == owner || text.contains(&format!("impl {owner} {{"))
}

#[test]
fn every_function_that_the_document_names_exists() {
    let mut files = Vec::new();
    for name in ["platform", "libos", "index", "abi"] {
        sources(&root().join("runtime").join(name).join("src"), &mut files);
    }
    let document = document();
    let mut checked = 0;
    for whole in document.split('`').skip(1).step_by(2) {
        // A function of the same name elsewhere is not the one that is meant.
        let (owner, name) =
            whole.rsplit_once("::").map_or((None, whole), |(owner, name)| (Some(owner), name));
        // Words that are no names of functions: paths, types, numbers, fields and instructions.
        let function = name.len() > 1
            && name
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter == '_' || letter.is_ascii_digit());
        if !function
            || [
                "wake",
                "sleeping",
                "args",
                "tid",
                "area",
                "data",
                "direct",
                "softsgx",
                "syscall",
                "sysenter",
                "protection",
                "page_protection",
            ]
            .contains(&name)
        {
            continue;
        }
        checked += 1;
        let declared = [format!("fn {name}("), format!("fn {name}<")];
        let exists = files
            .iter()
            .filter(|source| owner.is_none_or(|owner| is_of(source, owner)))
            .any(|(_, text)| declared.iter().any(|form| text.contains(form)));
        assert!(exists, "no function '{whole}' makes a check");
    }
    assert!(checked > 40, "{checked} functions named");
}
