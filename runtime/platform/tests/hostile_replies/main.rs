//! The platform layer over a host that lies.
//!
//! The test process plays both sides: low addresses are the enclave (program memory and heap, full of canaries), a mapping
//! with guard pages around it is the host's thread block and buffer, and `host` answers every call. First come chosen lies,
//! each with what must become of it; then `CASEMATE_LIES` (200,000) random ones over all calls, seeded by `CASEMATE_SEED`,
//! a tenth of them with pages as in an enclave without EDMM and the last fifth with pages and accesses as in one with EDMM, while another thread scribbles over what the host owns. Lies that must end the run have a process each.

mod chosen;
mod edmm;
mod exitless;
mod fatal;
mod fixed;
mod host;
mod machine;
mod network;
mod numbers;
mod random;
mod untrusted;

use std::sync::Arc;

use casemate_platform::start::HostFacts;
use casemate_platform::thread::ThreadHandle;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // A listing (`cargo test -- --list`) has nothing to run.
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        std::process::exit(101);
    }));
    if let Ok(case) = std::env::var(fatal::CASE) {
        fatal::play(&case);
    }
    fatal::check_all();
    machine::start(run);
}

fn run(_: HostFacts, main: Arc<ThreadHandle>) {
    chosen::check_all(&main);
    untrusted::check_all();
    network::check_all();
    random::check(&main);
    fixed::check_all();
    random::check_without_edmm(&main);
    untrusted::check_all_with_care();
    edmm::check_all();
    random::check_with_edmm(&main);
    exitless::check_all(&main);
    random::report();
    host::finish();
}
