//! The loader under the probe: each test builds a bundle around the probe image and runs one scenario.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Longest time for one scenario; what takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// Builds loader and probe as they run in earnest; returns the directory that holds both.
fn binaries() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let status = Command::new(env!("CARGO"))
            .current_dir(root)
            .args(["build", "--quiet", "--config", "runtime/freestanding.toml", "--profile", "freestanding"])
            .args([
                "--target",
                "x86_64-unknown-linux-gnu",
                "-p",
                "casemate-host",
                "-p",
                "casemate-host-probe",
            ])
            .arg("--target-dir")
            .arg(target)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .status()
            .unwrap();
        assert!(status.success(), "the freestanding build failed");
        target.join("x86_64-unknown-linux-gnu/freestanding")
    })
}

/// A directory of its own for one test, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("casemate-probe-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let place = Place(std::env::temp_dir().join(name));
        for part in ["bundle", "root/dir", "volume"] {
            std::fs::create_dir_all(place.path(part)).unwrap();
        }
        std::fs::copy(binaries().join("casemate-host-probe"), place.path("bundle/enclave")).unwrap();
        place.write("bundle/manifest.json", r#"{"enclave_size":1073741824,"max_threads":16,"version":1}"#);
        place.write("bundle/index", "the index");
        place.write("bundle/measured", &format!("{:.<64}", "the measured block"));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The loader with this bundle and these further options; then `--` and the program's arguments.
    fn command(&self, options: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(binaries().join("casemate-host"));
        command.arg("--bundle").arg(self.path("bundle")).args(["--platform", "direct"]);
        command.args(options).arg("--").args(arguments);
        command.current_dir(&self.0).stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn run(&self, options: &[&str], arguments: &[&str]) -> (ExitStatus, String) {
        finish(self.command(options, arguments).spawn().unwrap())
    }

    /// Runs a scenario that must end well, and returns what it said.
    fn pass(&self, options: &[&str], arguments: &[&str]) -> String {
        let (status, said) = self.run(options, arguments);
        assert_eq!(status.code(), Some(0), "{arguments:?}: {status}\n{said}");
        said
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits for the end, at most [`LIMIT`].
fn finish(mut child: Child) -> (ExitStatus, String) {
    let mut output = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        output.read_to_string(&mut said).unwrap();
        said
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("the scenario hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    (status, reader.join().unwrap())
}

/// A loader under way, killed when the test gives up on it.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> (Running, Lines) {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        (Running(child), lines)
    }

    fn send(&self, signal: &str) {
        assert!(Command::new("kill").arg(signal).arg(self.0.id().to_string()).status().unwrap().success());
    }

    /// Waits for a good end.
    fn end(mut self, lines: Lines) {
        let rest: Vec<_> = lines.map_while(Result::ok).collect();
        assert!(self.0.wait().unwrap().success(), "{rest:?}");
    }
}

type Lines = std::io::Lines<BufReader<std::process::ChildStderr>>;

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_start_block_tells_arguments_environment_and_files() {
    let place = Place::new();
    let mut command = place.command(
        &[
            "--env",
            "B=2",
            "--env",
            "A=new",
            "--volume",
            "volume:/data:ro",
            "--volume",
            "root:/x",
            "--hostname",
            "box",
        ],
        &["start", "--bundle", "ä b", ""],
    );
    command.env_clear().env("A", "old").env("C", "3");
    let (status, said) = finish(command.spawn().unwrap());
    assert!(status.success(), "{said}");
    let expected = "[start]\n[--bundle]\n[ä b]\n[]\n[C=3]\n[B=2]\n[A=new]\n[/data:ro]\n[/x]\n[box]\n[the index]\n[the measured block..............................................]\nflags 0 ";
    assert!(said.starts_with(expected), "{said}");
    assert!(place.pass(&["--trace", "--stats"], &["start"]).contains("flags 3 "));
}

#[test]
fn exit_status_and_signals_reach_the_parent() {
    let place = Place::new();
    assert_eq!(place.run(&[], &["exit"]).0.code(), Some(42));
    for signal in [6, 9, 11, 13, 15] {
        let (status, said) = place.run(&[], &["die", &signal.to_string()]);
        assert_eq!((status.signal(), status.core_dumped()), (Some(signal), false), "{said}");
    }
}

#[test]
fn statistics_count_host_calls() {
    let said = Place::new().pass(&["--stats"], &["park"]);
    let count =
        |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
    assert_eq!(
        (count("Park "), count("FdPoll "), count("Unpark "), count("Exit ")),
        (Some(3), Some(2), Some(1), Some(1)),
        "{said}"
    );
    assert_eq!(count("all "), Some(9), "{said}");
}

#[test]
fn bad_bundles_are_refused_in_one_sentence() {
    let place = Place::new();
    let refused = |reason: &str| {
        let (status, said) = place.run(&[], &["start"]);
        assert_eq!(status.code(), Some(125), "{said}");
        assert!(
            said.starts_with("casemate-host: ") && said.contains(reason) && said.lines().count() == 1,
            "{said}"
        );
    };
    place.write("bundle/manifest.json", "{}");
    refused("manifest.json: it is not a manifest");
    place.write("bundle/manifest.json", r#"{"enclave_size":16777216,"max_threads":1}"#);
    place.write("bundle/enclave", "no ELF file");
    refused("enclave: it is shorter than an ELF header");
    std::fs::remove_file(place.path("bundle/index")).unwrap();
    refused("index: no such file");
}

#[test]
fn an_address_space_limit_is_named() {
    let place = Place::new();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 500000; exec \"$@\"", "sh"]).arg(binaries().join("casemate-host"));
    command.arg("--bundle").arg(place.path("bundle")).arg("start").stderr(Stdio::piped());
    let (status, said) = finish(command.spawn().unwrap());
    assert_eq!(status.code(), Some(125));
    assert!(said.contains("cannot reserve 1024 MiB") && said.contains("ulimit -v"), "{said}");
}

#[test]
fn calls_that_no_honest_enclave_makes_are_errors() {
    Place::new().pass(&[], &["bad-calls"]);
}

#[test]
fn host_calls_are_frugal_with_stack_and_registers() {
    let place = Place::new();
    let said = place.pass(&["--volume", "volume:/data"], &["stack-use"]);
    assert!(said.contains(" bytes\n"), "{said}");
    place.pass(&["--volume", "volume:/data"], &["wide-registers"]);
}

#[test]
fn clocks_go_forward() {
    Place::new().pass(&[], &["clocks"]);
}

#[test]
fn pages_are_mapped_protected_and_taken_away() {
    Place::new().pass(&[], &["pages"]);
}

#[test]
fn user_code_traps_with_all_its_registers() {
    Place::new().pass(&[], &["faults"]);
}

#[test]
fn a_fault_in_the_loader_is_reported() {
    let (status, said) = Place::new().run(&[], &["loader-fault"]);
    assert_eq!(status.code(), Some(70));
    assert!(
        said.starts_with("casemate-host: internal error: signal 11") && said.lines().count() == 1,
        "{said}"
    );
}

#[test]
fn threads_start_end_and_are_limited() {
    let place = Place::new();
    place.pass(&[], &["threads"]);
    place.pass(&[], &["thread-limit"]);
    println!("{}", place.pass(&[], &["thread-speed"]));
}

#[test]
fn wake_ups_are_never_lost() {
    let place = Place::new();
    place.pass(&[], &["park"]);
    place.pass(&[], &["wake-race"]);
}

#[test]
fn interrupts_stop_user_code() {
    Place::new().pass(&[], &["interrupt"]);
}

#[test]
fn signals_from_outside_end_sleep_and_stop_user_code() {
    let place = Place::new();
    // Whoever runs the tests in the background may ignore SIGINT.
    let command = place.command(&[], &["signals"]);
    let mut fresh = Command::new("env");
    fresh.arg("--default-signal").arg(command.get_program()).args(command.get_args());
    let (running, mut lines) = Running::start(fresh);
    for (moment, signal) in [("in user code", "-TERM"), ("in a call", "-INT"), ("asleep", "-USR2")] {
        assert_eq!(lines.next().unwrap().unwrap(), moment);
        std::thread::sleep(Duration::from_millis(50));
        // Job control is the kernel's: the process stops and goes on, and notices nothing.
        running.send("-STOP");
        running.send("-CONT");
        std::thread::sleep(Duration::from_millis(20));
        running.send(signal);
    }
    running.end(lines);
}

#[test]
fn ignored_signals_stay_ignored_and_stop_signals_stop() {
    let place = Place::new();
    let command = place.command(&[], &["signals"]);
    // As nohup does.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    shell.process_group(0);
    let (running, mut lines) = Running::start(shell);
    assert_eq!(lines.next().unwrap().unwrap(), "in user code");
    // Time to arrive in user code: before that a signal is only noted.
    std::thread::sleep(Duration::from_millis(50));
    running.send("-HUP");
    running.send("-TSTP");
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.0.id())).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    };
    let start = Instant::now();
    while state() != 'T' {
        assert!(start.elapsed() < LIMIT, "SIGTSTP does not stop it: state {}", state());
        std::thread::sleep(Duration::from_millis(5));
    }
    running.send("-CONT");
    running.send("-TERM");
    assert_eq!(lines.next().unwrap().unwrap(), "in a call");
}

#[test]
fn a_flood_of_signals_loses_and_breaks_nothing() {
    let place = Place::new();
    let (running, mut lines) = Running::start(place.command(&[], &["flood"]));
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let script = format!(
        "i=0; while [ $i -lt 2000 ]; do kill -USR1 {0}; kill -USR2 {0}; i=$((i+1)); done",
        running.0.id()
    );
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    running.send("-TERM");
    running.end(lines);
}

#[test]
fn image_files_are_opened_by_path_and_by_digest() {
    let place = Place::new();
    place.write("root/dir/file", "contents\n");
    place.write("root/empty", "");
    symlink("dir/file", place.path("root/link")).unwrap();
    symlink("dir", place.path("root/dirlink")).unwrap();
    assert!(Command::new("mkfifo").arg(place.path("root/fifo")).status().unwrap().success());
    place.pass(&["--root", "root"], &["images", "path"]);
    for (digit, text) in [("ab", "contents\n"), ("cd", "")] {
        std::fs::create_dir_all(place.path("store").join(digit)).unwrap();
        place.write(&format!("store/{digit}/{}", digit.repeat(32)), text);
    }
    place.pass(&["--store", "store"], &["images", "digest"]);
}

#[test]
fn a_file_cut_while_mapped_faults_and_can_be_recovered_from() {
    let place = Place::new();
    place.write("root/big", &"x".repeat(16384));
    place.pass(&["--root", "root", "--volume", "root:/data"], &["truncated-image"]);
}

#[test]
fn host_directories_are_changed_and_never_left() {
    let place = Place::new();
    place.pass(&["--volume", "volume:/data"], &["paths"]);
    place.write("volume/file", "x");
    place.pass(&["--volume", "volume:/data:ro"], &["read-only"]);
    assert_eq!(std::fs::read(place.path("volume/file")).unwrap(), b"x");
}

#[test]
fn descriptors_keep_their_modes_and_closed_pipes_are_errors() {
    let place = Place::new();
    let mut child = place.command(&[], &["descriptors"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let (status, said) = finish(child);
    assert!(status.success(), "{status} {said}");
}

#[test]
fn sockets_and_epoll_work_on_loopback() {
    let place = Place::new();
    for scenario in ["tcp", "udp", "epoll", "interfaces"] {
        place.pass(&[], &[scenario]);
    }
}

#[test]
fn everything_belongs_to_the_program_without_a_bundle_option() {
    let output = Command::new(binaries().join("casemate-host")).args(["--trace", "x"]).output().unwrap();
    // There is no /casemate here: the message names the default.
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/casemate: "));
}
