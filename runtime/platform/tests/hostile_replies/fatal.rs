//! Lies after which there is nothing left but to end the run: each in a process of its own.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use casemate_abi::{Blob, HostCall};
use casemate_platform::host::HostFd;
use casemate_platform::start::HostFacts;
use casemate_platform::thread::{self, ThreadHandle};
use casemate_platform::{clock, host as calls};

use crate::chosen::enter_thread;
use crate::machine::{self, ENCLAVE_SIZE, PAGE, SECRET, Start};
use crate::{host, machine::MAIN_BLOCK};

/// Names the case to play.
pub const CASE: &str = "CASEMATE_CASE";
/// Exit status of a run that the platform layer ended.
const ENDED: i32 = 70;
/// Exit status for a start that was refused.
const REFUSED: i32 = 71;

/// A start-up block that must be refused, by name.
type Change = fn(&mut Start);

const STARTS: &[(&str, Change)] = &[
    ("another magic", |(block, _)| block.magic += 1),
    ("another version", |(block, _)| block.version += 1),
    ("another platform", |(block, _)| block.platform = 4),
    ("a size that is no power of two", |(_, layout)| layout.enclave_size += PAGE),
    ("a size that holds the block itself", |(_, layout)| layout.enclave_size = 1 << 47),
    ("no size", |(_, layout)| layout.enclave_size = 0),
    ("a host call inside", |(block, _)| block.host_call = SECRET),
    ("a heap over the image", |(_, layout)| layout.heap_size = ENCLAVE_SIZE),
    ("a heap that wraps", |(_, layout)| layout.heap_size = u64::MAX - PAGE + 1),
    ("a heap in program memory", |(_, layout)| layout.heap_base = layout.user_top - PAGE),
    ("a heap that is not at a page", |(_, layout)| layout.heap_base += 8),
    ("program memory upside down", |(_, layout)| layout.user_top = layout.user_base),
    ("program memory at address 0", |(_, layout)| layout.user_base = 0),
    ("an image outside", |(_, layout)| layout.image_base = ENCLAVE_SIZE),
    ("an image that wraps", |(_, layout)| layout.image_size = u64::MAX),
];

const BLOBS: &[(&str, Change, &str)] = &[
    ("a manifest inside", |(block, _)| block.manifest = Blob { address: SECRET, length: 16 }, "the manifest"),
    ("an endless manifest", |(block, _)| block.manifest.length = u64::MAX, "the manifest"),
    ("a manifest of 17 MiB", |(block, _)| block.manifest.length = 17 << 20, "the manifest"),
    (
        "a manifest that is not there",
        |(block, _)| block.manifest.address = machine::host_block() - PAGE,
        "the manifest",
    ),
    ("an index inside", |(block, _)| block.index = Blob { address: SECRET, length: 16 }, "the index"),
    ("an index up to the end", |(block, _)| block.index.length = u64::MAX, "the index"),
    (
        "arguments inside",
        |(block, _)| block.arguments = Blob { address: SECRET, length: 16 },
        "the arguments",
    ),
    ("volumes inside", |(block, _)| block.volumes = Blob { address: SECRET, length: 16 }, "host directories"),
];

/// What the run does before it ends, and what it says.
const RUNS: &[(&str, fn(), &str)] = &[
    (
        "no time",
        || _ = host::with(|call, _| if call == HostCall::ClockRead { -5 } else { 0 }, clock::now),
        "gives no time",
    ),
    (
        "a clock that says too much",
        || _ = host::with(|call, _| i64::from(call == HostCall::ClockRead), clock::now),
        "gives no time",
    ),
    (
        "a thread's block inside",
        || {
            host::answer(|call, args| {
                if call == HostCall::ThreadCreate {
                    assert_eq!(enter_thread(args[0], machine::block_in_enclave()).join().unwrap(), -1);
                }
                0
            });
            let _ = thread::spawn(|_| panic!("it runs"));
            let _ = calls::fd_sync(&HostFd::standard_stream(1), false);
        },
        "a new thread a block inside the enclave",
    ),
    (
        "a page that is not there",
        crate::edmm::add_what_is_not_there,
        "the host says that the page at 0x10001000 is there, and it is not",
    ),
    (
        "a fault where none can be",
        || {
            let mut frame = casemate_abi::ExceptionFrame { vector: 13, rip: 5, ..Default::default() };
            casemate_platform::start::enter_direct(2, &raw mut frame as u64, 0, |_, _| ());
        },
        "fault in the library OS: vector 13",
    ),
];

/// Runs every case and looks how it ends.
pub fn check_all() {
    for (name, _) in STARTS {
        expect(name, REFUSED, "");
    }
    expect("a main block inside", REFUSED, "");
    for (name, _, said) in BLOBS {
        expect(name, ENDED, said);
    }
    for (name, _, said) in RUNS {
        expect(name, ENDED, said);
    }
}

fn expect(name: &str, status: i32, said: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .env(CASE, name)
        .env("CASEMATE_LOG", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{name}: {}\n{text}", output.status);
    assert!(text.contains(said), "{name}: {text}");
    if status == ENDED {
        assert!(text.contains("casemate: fatal: "), "{name}: {text}");
    }
}

/// Plays one case; the process ends by it.
pub fn play(case: &str) -> ! {
    let mut block = machine::start_block();
    let mut host_thread = machine::host_block();
    let starts = STARTS.iter().map(|(name, change)| (*name, *change));
    let blobs = BLOBS.iter().map(|(name, change, _)| (*name, *change));
    match starts.chain(blobs).find(|(name, _)| *name == case) {
        Some((_, change)) => change(&mut block),
        None if case == "a main block inside" => host_thread = machine::block_in_enclave(),
        None => {}
    }
    let answer = machine::enter(block, host_thread, run);
    assert_eq!(answer, -1);
    std::process::exit(REFUSED)
}

fn run(_: HostFacts, _: Arc<ThreadHandle>) {
    assert_ne!(MAIN_BLOCK.load(SeqCst), 0);
    let case = std::env::var(CASE).unwrap();
    let (_, run, _) =
        RUNS.iter().find(|(name, ..)| *name == case).expect("a case that goes on must be known");
    run();
    panic!("{case}: the run goes on");
}
