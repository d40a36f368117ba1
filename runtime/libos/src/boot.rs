//! The start: what the host handed over is checked against the measured block, down to the file index. Only then does
//! anything of it count.

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use casemate_abi::{MEASURED_MAGIC, StartFlags};
use casemate_index::Index;
use casemate_manifest::{INIT_PATH, LogLevel, Manifest};
use casemate_platform::console::{self, Level};
use casemate_platform::extended_state::ExtendedState;
use casemate_platform::log;
use casemate_platform::start::HostFacts;
use casemate_platform::thread::ThreadHandle;
use sha2::{Digest, Sha256};

use crate::file::OpenFlags;
use crate::fs::engine;
use crate::fs::image::HostIndex;
use crate::fs::start::first_view;
use crate::fs::stream::StandardStream;
use crate::process::exec::{Request, load, prepare};
use crate::process::{
    Credentials, FIRST_PROCESS, FileTable, Limits, Process, ProcessParts, Thread, new_id, run,
};
use crate::signal::{ProcessSignals, ThreadSignals};
use crate::syscall;

/// What a checked start-up leaves: the manifest and the index that it vouches for.
pub struct Vouched {
    /// The manifest.
    pub manifest: Manifest,
    /// The file index.
    pub index: Index,
}

/// Version of the measured block's layout.
const MEASURED_VERSION: u32 = 1;

/// The manifest digest that the measured block (64 bytes: magic, version, zero, SHA-256, zeros) carries.
fn measured_digest(block: &[u8]) -> Result<[u8; 32], &'static str> {
    let wrong = "the measured block is not one: rebuild the image";
    let block: &[u8; 64] = block.try_into().map_err(|_| wrong)?;
    let word = |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    if block[..8] != MEASURED_MAGIC || word(8) != MEASURED_VERSION || word(12) != 0 || block[48..] != [0; 16]
    {
        return Err(wrong);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(&block[16..48]);
    Ok(digest)
}

/// Checks manifest and index; the message of an error is for the user.
pub fn vouch(facts: &HostFacts) -> Result<Vouched, String> {
    let expected = measured_digest(&facts.measured)?;
    if Sha256::digest(&facts.manifest)[..] != expected {
        return Err(String::from(
            "/casemate/manifest.json is not the one that was measured: it was changed after the build",
        ));
    }
    let manifest = Manifest::parse(&facts.manifest)
        .map_err(|error| alloc::format!("/casemate/manifest.json cannot be used: {error}"))?;
    if facts.index.len() != manifest.index.size {
        return Err(alloc::format!(
            "/casemate/index has {} bytes, the manifest vouches for {}: it was changed after the build",
            facts.index.len(),
            manifest.index.size
        ));
    }
    let index = Index::open(HostIndex(facts.index), &manifest.index.root.0)
        .map_err(|error| alloc::format!("/casemate/index cannot be used: {error}"))?;
    Ok(Vouched { manifest, index })
}

/// Settings that the manifest and the host's flags choose before the program starts.
pub fn settle(facts: &HostFacts, manifest: &Manifest) {
    console::set_call_names(syscall::name);
    console::set_level(match manifest.log_level {
        LogLevel::None => 0,
        LogLevel::Error => Level::Error as u8,
        LogLevel::Warning => Level::Warning as u8,
        LogLevel::Debug | LogLevel::Trace | LogLevel::All => Level::Debug as u8,
    });
    let asked = facts.flags & StartFlags::TRACE != 0;
    if manifest.log_level >= LogLevel::Trace || asked && casemate_platform::attest::may_be_watched() {
        syscall::enable_trace();
    } else if asked {
        log!(
            Level::Warning,
            "no trace of system calls: the enclave keeps what it does to itself (sign it with --debug, or set loader.log_level)"
        );
    }
    syscall::scheduling::set_processors(facts.processors);
    let name: &[u8] = if manifest.names_from_host { &facts.hostname } else { b"" };
    syscall::system::set_host_name(&engine::host_name(name));
    if manifest.exitless_threads.is_some() && !casemate_platform::host::use_ring(facts.ring) {
        crate::refuse(
            "the manifest asks for exitless host calls (sgx.exitless_threads), but the host has no ring for them",
        );
    }
    // The first look at the clock: by the time the program asks, the counter's rate is known.
    let _ = casemate_platform::clock::now();
    for sentence in manifest.insecure() {
        log!(Level::Warning, "{sentence}");
    }
}

/// Refuses arguments that the manifest does not let the host choose.
pub fn check_arguments(facts: &HostFacts, manifest: &Manifest) -> Result<(), &'static str> {
    if manifest.args_from_host || facts.arguments.is_empty() {
        return Ok(());
    }
    Err("arguments were given, but the manifest fixes them; \
         `loader.insecure__use_cmdline_argv = true` (or `casemate build --insecure-args`) would allow them")
}

/// What runs first, with its arguments: the manifest's program, or, where the manifest names a broker, the program that
/// asks it and then becomes the other.
fn first_program<'a>(manifest: &'a Manifest, given: &[Vec<u8>]) -> (&'a str, Vec<Vec<u8>>) {
    let own = manifest.arguments(given);
    let Some(secrets) = &manifest.secrets else { return (&manifest.program, own) };
    let before = [INIT_PATH.into(), secrets.to_text(), manifest.program.clone()];
    (INIT_PATH, before.into_iter().map(String::into_bytes).chain(own).collect())
}

/// Loads the first program into the first process and runs it. Does not return.
pub fn run_first(facts: &HostFacts, vouched: Vouched, handle: Arc<ThreadHandle>) -> ! {
    let Vouched { manifest, index } = vouched;
    let credentials = Credentials::new(manifest.uid, manifest.gid, manifest.groups.clone());
    let view = match first_view(index, &credentials, &manifest, facts) {
        Ok(view) => Arc::new(view),
        Err(reason) => crate::refuse(&reason),
    };
    let (path, arguments) = first_program(&manifest, &facts.arguments);
    let request = Request {
        view: &view,
        credentials: &credentials,
        no_new_privileges: false,
        path: path.into(),
        arguments,
        environment: manifest.environment(&facts.environment),
        stack_size: manifest.stack_size,
        brk_limit: manifest.brk_max_size,
    };
    let program = match prepare(request).and_then(load) {
        Ok(program) => program,
        Err(error) => crate::refuse(&alloc::format!("{path} cannot be run: {}", error.name())),
    };
    let files = FileTable::new(u64::from(manifest.fds_limit));
    for (number, flags) in
        [OpenFlags::empty(), OpenFlags::WRITE_ONLY, OpenFlags::WRITE_ONLY].into_iter().enumerate()
    {
        if files.add(StandardStream::open(number as i32, flags), false).is_err() {
            crate::refuse("the manifest allows no descriptors");
        }
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = name.as_bytes()[..name.len().min(15)].to_vec();
    let parts = ProcessParts {
        address_space: program.space,
        files: Arc::new(files),
        fs: view,
        credentials: Arc::new(program.credentials),
        signals: ProcessSignals::default(),
        limits: Limits::new(
            manifest.stack_size,
            u64::from(manifest.fds_limit),
            u64::from(casemate_manifest::FDS_HARD_LIMIT),
        ),
        image: Arc::new(program.image),
        vfork_gate: None,
        exit_signal: 0,
    };
    let pid = new_id();
    debug_assert_eq!(pid, FIRST_PROCESS);
    let process = Process::new(pid, Weak::new(), parts);
    let thread = Thread::new(pid, process.clone(), name, ThreadSignals::default());
    thread.set_handle(handle);
    process.threads.lock().push(thread.clone());
    let mut registers = program.registers;
    ExtendedState::initial().restore(&mut registers);
    casemate_platform::context::set_fs_base(0);
    run(&thread, registers);
    // Only this thread has ended: whoever ends the process as its last one ends the run.
    drop(thread);
    loop {
        casemate_platform::thread::clear_wake();
        casemate_platform::thread::park(None);
    }
}
