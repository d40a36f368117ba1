//! Prints the system-call sites that the survey finds in ELF files: `cargo run --release -p casemate-index --features
//! std --example survey -- FILE…`

use std::time::Instant;

use casemate_index::{SiteKind, survey_elf};

fn main() -> std::io::Result<()> {
    let (options, paths): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument == "-v");
    let verbose = !options.is_empty();
    for path in paths {
        let bytes = std::fs::read(&path)?;
        let start = Instant::now();
        let sites = survey_elf(&bytes);
        let took = start.elapsed();
        let count = |kind| sites.iter().filter(|site| site.kind() == kind).count();
        let (intact, covered, trap) =
            (count(SiteKind::Intact), count(SiteKind::Covered), count(SiteKind::Trap));
        println!(
            "{path}: {} sites: {intact} intact, {covered} covered, {trap} trap; {took:.1?}",
            sites.len()
        );
        for site in sites.iter().filter(|site| verbose || site.kind() == SiteKind::Trap) {
            println!("  {:?} at {:#x}", site.kind(), site.syscall_offset());
        }
    }
    Ok(())
}
