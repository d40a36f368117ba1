//! The names of all checks, found in the sources: what `mutation` removes one by one.

use std::collections::BTreeSet;
use std::path::Path;

use syn::visit::{self, Visit};

/// The files whose leaf functions check something. Every string in them is the name of a check.
const FILES: [&str; 8] =
    ["accept.rs", "attest.rs", "augment.rs", "build.rs", "enclu.rs", "entry.rs", "exit.rs", "processor.rs"];

#[derive(Default)]
struct Names {
    found: Vec<String>,
    faults: usize,
}

impl Visit<'_> for Names {
    /// Not documentation.
    fn visit_attribute(&mut self, _: &syn::Attribute) {}

    fn visit_lit_str(&mut self, literal: &syn::LitStr) {
        self.found.push(literal.value());
    }

    /// Values of `Fault` that are made without a check.
    fn visit_expr_path(&mut self, path: &syn::ExprPath) {
        let mut segments = path.path.segments.iter();
        self.faults += usize::from(
            segments.next().is_some_and(|first| first.ident == "Fault") && path.path.segments.len() > 1,
        );
        visit::visit_expr_path(self, path);
    }
}

fn read() -> Names {
    let mut names = Names::default();
    for file in FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let text = std::fs::read_to_string(&path).expect("a source file");
        names.visit_file(&syn::parse_file(&text).expect("Rust"));
    }
    names
}

/// All of them.
pub fn all() -> BTreeSet<String> {
    read().found.into_iter().collect()
}

#[test]
fn every_check_has_a_name_of_its_own_that_says_which_leaf_it_belongs_to() {
    let names = read();
    assert_eq!(names.found.len(), all().len(), "two checks have the same name");
    for name in &names.found {
        assert!(name.split_once(": ").is_some_and(|(leaf, _)| !leaf.is_empty()), "{name}");
    }
    assert!(names.found.len() > 150, "{}", names.found.len());
}

#[test]
fn nothing_faults_but_by_a_check() {
    assert_eq!(read().faults, 0, "a fault that is not made in check.rs");
    let sources = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("src");
    let checked = sources.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let without_checks =
        ["check.rs", "device.rs", "epcm.rs", "fuses.rs", "lib.rs", "logical.rs", "memory.rs", "xsave.rs"];
    let expected: BTreeSet<String> =
        FILES.iter().chain(&without_checks).map(|&name| name.to_owned()).collect();
    assert_eq!(checked.collect::<BTreeSet<_>>(), expected, "say of a new file whether it has checks");
}
