//! Random lies over every call, while another thread scribbles over the host's memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex};

use casemate_abi::{HostCall, HostThread, PathOperation};
use casemate_platform::host::*;
use casemate_platform::pages::{self, Protection};
use casemate_platform::thread::{self, ThreadHandle};
use casemate_platform::{clock, console, context};

use crate::chosen::enter_thread;
use crate::edmm;
use crate::exitless;
use crate::host::{self, BUFFER, MADE, SIDE};
use crate::machine::{
    self, CANARY, ENCLAVE_SIZE, HEAP_BASE, MAIN_BLOCK, MAX_THREADS, PAGE, PUBLIC, PUBLIC_SIZE, SECRET,
    buffer_of,
};
use crate::numbers::Numbers;

static LIES: [AtomicU64; casemate_abi::CALL_COUNT] = [const { AtomicU64::new(0) }; casemate_abi::CALL_COUNT];

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn total() -> u64 {
    LIES.iter().map(|count| count.load(Relaxed)).sum()
}

fn settings() -> (u64, u64) {
    (setting("CASEMATE_LIES", 200_000), setting("CASEMATE_SEED", 1))
}

/// Most of the lies, with pages as on `direct`.
pub fn check(main: &Arc<ThreadHandle>) {
    let (wanted, seed) = settings();
    storm(main, wanted - wanted / 10 - wanted / 5, seed);
}

/// A tenth, with pages as in an enclave without EDMM.
pub fn check_without_edmm(main: &Arc<ThreadHandle>) {
    let (wanted, seed) = settings();
    storm(main, wanted / 10, seed.rotate_left(8));
}

/// The last fifth, with pages as in an enclave with EDMM.
pub fn check_with_edmm(main: &Arc<ThreadHandle>) {
    let (wanted, seed) = settings();
    edmm::begin_at_random(!seed.rotate_left(16));
    storm(main, wanted / 5, seed.rotate_left(16));
}

/// Says what was told; each call must have been lied about.
pub fn report() {
    let (wanted, seed) = settings();
    let mut untold = Vec::new();
    for call in HostCall::ALL {
        let (made, lies) = (MADE[*call as usize].load(Relaxed), LIES[*call as usize].load(Relaxed));
        println!("{:<18}{made:>10} calls{lies:>10} lies", call.name());
        let enough = match call {
            // It comes last, and is refused three times.
            HostCall::Exit => 0,
            // A thread that a host promises and never sends keeps its block for ever, and there are no more than that.
            HostCall::ThreadCreate => MAX_THREADS.into(),
            // Only of servers of the ring that dawdle; only when the last look at the clock is too old.
            HostCall::AnswerAwait | HostCall::ClockRead => 1,
            _ => u64::MAX,
        };
        if lies < enough.min(wanted / 2000) {
            untold.push(call.name());
        }
    }
    assert!(untold.is_empty(), "too few lies over {untold:?}");
    println!("{} lies, seed {seed}", total());
}

/// Makes calls until so many lies more were told.
pub fn storm(main: &Arc<ThreadHandle>, wanted: u64, seed: u64) {
    let wanted = total() + wanted;
    let mut liar = Liar { numbers: Numbers(seed), earlier: HashMap::new() };
    host::answer(move |call, args| liar.answer(call, args));
    let stop = Arc::new(AtomicBool::new(false));
    let scribbler = scribble(seed, stop.clone());
    let mut caller = Caller { numbers: Numbers(!seed), main: main.clone(), latest_ns: 0 };
    while total() < wanted {
        caller.call();
    }
    stop.store(true, SeqCst);
    scribbler.join().unwrap();
    make_whole();
}

/// Another thread of the host: what it owns changes all the time.
fn scribble(seed: u64, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let block = MAIN_BLOCK.load(SeqCst);
    std::thread::spawn(move || {
        let mut numbers = Numbers(seed.rotate_left(32));
        while !stop.load(Relaxed) {
            // On a processor that both threads share the other one would hardly ever get the lock.
            std::thread::yield_now();
            let _hold = HOLD.lock().unwrap();
            if TAKEN.load(SeqCst) {
                continue;
            }
            for _ in 0..64 {
                let buffer = buffer_of(block);
                let place = match numbers.below(4) {
                    0 => block + numbers.below(12) * 8,
                    1 => buffer + numbers.below(64) * 8,
                    2 => buffer + SIDE + numbers.below(64) * 8,
                    _ => buffer + numbers.below(BUFFER / 8) * 8,
                };
                // SAFETY: the host's own memory, kept writable while the lock is held; the enclave copies before it looks.
                unsafe { (place as *mut u64).write_volatile(strange(&mut numbers)) };
            }
        }
    })
}

/// Held by whoever needs the host's pages to stay as they are.
static HOLD: Mutex<()> = Mutex::new(());

/// Words that have broken others.
fn strange(numbers: &mut Numbers) -> u64 {
    let buffer = buffer_of(MAIN_BLOCK.load(Relaxed));
    let words = [
        0,
        1,
        u64::MAX,
        i64::MAX as u64,
        1 << 63,
        SECRET,
        HEAP_BASE,
        ENCLAVE_SIZE - 1,
        ENCLAVE_SIZE,
        1 << 47,
        (1 << 47) - 1,
        buffer,
        buffer + BUFFER - 1,
        u64::from(u32::MAX),
        4096,
        128,
    ];
    if numbers.one_in(3) { numbers.next() } else { numbers.pick(&words) }
}

struct Liar {
    numbers: Numbers,
    /// The last answer to each call, to be given again.
    earlier: HashMap<u64, i64>,
}

impl Liar {
    fn answer(&mut self, call: HostCall, args: [u64; 6]) -> i64 {
        LIES[call as usize].fetch_add(1, Relaxed);
        if call == HostCall::ThreadCreate {
            return self.create_thread(args[0]);
        }
        if call == HostCall::AnswerAwait {
            // The thread would ask for ever.
            exitless::give_answer();
            return self.result(call, args);
        }
        let hold = HOLD.lock().unwrap();
        self.fill();
        drop(hold);
        // Another answer ends the run, which is checked elsewhere.
        if call == HostCall::ClockRead {
            return 0;
        }
        let result = self.result(call, args);
        self.earlier.insert(call as u64, result);
        if self.numbers.one_in(200) {
            self.take_away();
        }
        result
    }

    /// Writes where the enclave will look for results.
    fn fill(&mut self) {
        let numbers = &mut self.numbers;
        for _ in 0..numbers.below(12) {
            host::put_words(SIDE + numbers.below(12) * 8, &[strange(numbers)]);
        }
        for _ in 0..numbers.below(6) {
            host::put_words(numbers.below(16) * 8, &[strange(numbers)]);
        }
        if numbers.one_in(4) {
            // A status that is nearly right.
            let mode = numbers.pick(&[0o100644, 0o040755, 0o120777, 0o010600, 0o170000, 0]);
            let size = numbers.pick(&[0, 1, 4096, 1 << 40, 1 << 62, 1 << 63]);
            host::put_words(SIDE, &[1, numbers.next(), mode, 0, 0, size, 8]);
        }
    }

    fn result(&mut self, call: HostCall, args: [u64; 6]) -> i64 {
        let numbers = &mut self.numbers;
        let asked = numbers.pick(&args).min(1 << 40) as i64;
        match numbers.below(16) {
            0..3 => 0,
            3 => asked,
            4 => asked.saturating_add(1),
            5 => asked / 2,
            6 => i64::MAX,
            7 => i64::MIN,
            8 => numbers.next() as i64,
            9 => self.earlier.get(&(call as u64)).copied().unwrap_or(-1),
            10 => -(numbers.below(600) as i64),
            11 => 1,
            12 => numbers.below(64) as i64,
            _ => -(numbers.below(134) as i64),
        }
    }

    /// Threads that come, do not come, come twice or elsewhere, whatever is then said of them.
    fn create_thread(&mut self, slot: u64) -> i64 {
        let numbers = &mut self.numbers;
        match numbers.below(4) {
            0 => {}
            1 => drop(enter_thread(slot, machine::host_block()).join()),
            2 => drop(enter_thread(strange(numbers), machine::host_block()).join()),
            _ => {
                for _ in 0..2 {
                    drop(enter_thread(slot, machine::host_block()).join());
                }
            }
        }
        numbers.pick(&[0, 1, -11, -12, -2, i64::MIN])
    }

    /// Takes part of the host's memory away until the next call.
    fn take_away(&mut self) {
        let _hold = HOLD.lock().unwrap();
        TAKEN.store(true, SeqCst);
        let place = buffer_of(MAIN_BLOCK.load(Relaxed)) + self.numbers.pick(&[0, SIDE]);
        machine::protect(place, 8192, self.numbers.pick(&[libc::PROT_READ, libc::PROT_NONE]));
    }
}

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives back what was taken away.
pub fn make_whole() {
    let _hold = HOLD.lock().unwrap();
    if TAKEN.swap(false, SeqCst) {
        machine::protect(buffer_of(MAIN_BLOCK.load(Relaxed)), BUFFER, libc::PROT_READ | libc::PROT_WRITE);
    }
}

struct Caller {
    numbers: Numbers,
    main: Arc<ThreadHandle>,
    latest_ns: u64,
}

/// Checks an error, if it is one.
fn admitted<T>(call: HostCall, result: Result<T, HostError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let mine = may_fail_with(call, error.0) || error == HostError::IO;
            // EINVAL and ENAMETOOLONG are also the platform layer's own.
            assert!(mine || matches!(error.0, 22 | 36), "{} fails with {}", call.name(), error.0);
            None
        }
    }
}

fn admitted_transfer<T>(call: HostCall, result: Result<T, TransferError>) -> Option<T> {
    match result {
        Err(TransferError::Host(error)) => admitted(call, Err(error)),
        Err(TransferError::Fault) => None,
        Ok(value) => Some(value),
    }
}

/// What a canary reads like must not have come in either: the host cannot know it, so it would be the enclave's own memory.
fn has_no_canary(bytes: &[u8]) {
    // SAFETY: both ranges are valid.
    let found =
        unsafe { libc::memmem(bytes.as_ptr().cast(), bytes.len(), CANARY.as_ptr().cast(), CANARY.len()) };
    assert!(found.is_null(), "the enclave's own memory came in as the host's");
}

fn taken_over(received: &Received, asked: usize) {
    assert!(received.len() <= asked);
    let mut bytes = vec![0; received.len().min(8192)];
    if received.copy_to(0, &mut bytes).is_ok() {
        has_no_canary(&bytes);
    }
    let _ = received.copy_to_user(0, PUBLIC, received.len());
}

impl Caller {
    fn call(&mut self) {
        make_whole();
        match self.numbers.below(5) {
            0 => self.descriptors(),
            1 => self.paths(),
            2 => self.sockets(),
            3 => self.waiting(),
            _ => self.rest(),
        }
    }

    fn fd(&mut self) -> HostFd {
        HostFd::standard_stream(self.numbers.below(3) as i32)
    }

    fn bytes(&mut self) -> Bytes<'static> {
        const SENT: [u8; 300] = [0x5a; 300];
        match self.numbers.below(3) {
            0 => Bytes::Kernel(&SENT),
            1 => Bytes::User(PUBLIC, self.numbers.below(PUBLIC_SIZE as u64) as usize),
            _ => Bytes::User(SECRET - 8 + (1 << 30), 64),
        }
    }

    fn descriptors(&mut self) {
        use HostCall::*;
        let (fd, length) = (self.fd(), self.numbers.below(300_000) as usize);
        match self.numbers.below(12) {
            0 => drop(admitted(FdRead, fd_read(&fd, length)).map(|got| taken_over(&got, length))),
            1 => drop(admitted(FdReadAt, fd_read_at(&fd, length, 5)).map(|got| taken_over(&got, length))),
            2 => {
                let bytes = self.bytes();
                let sent = admitted_transfer(FdWrite, fd_write(&fd, bytes));
                assert!(sent.unwrap_or(0) <= PUBLIC_SIZE);
            }
            3 => {
                let bytes = self.bytes();
                admitted_transfer(FdWriteAt, fd_write_at(&fd, bytes, self.numbers.next()));
            }
            4 => {
                let mut entries = vec![poll_entry(&fd, 1 | 4); self.numbers.below(40) as usize];
                if let Some(ready) = admitted(FdPoll, fd_poll(&mut entries, Some(0))) {
                    assert!(ready <= entries.len());
                }
                assert!(entries.iter().all(|entry| entry.revents & !0x3d == 0));
            }
            5 => {
                let mut argument = [0; 36];
                admitted(FdIoctl, fd_ioctl(&fd, 0x5401, &mut argument));
                admitted(FdIoctl, fd_ioctl_value(&fd, 0x5409, 1));
            }
            6 => drop(admitted(FdSetNonblocking, fd_set_nonblocking(&fd, true))),
            7 => {
                if let Some(stat) = admitted(FdStat, fd_stat(&fd)) {
                    assert!(stat.size <= i64::MAX as u64 && stat.mode >> 16 == 0);
                }
            }
            8 => drop(admitted(FdTruncate, fd_truncate(&fd, 1))),
            9 => drop(admitted(FdSeek, fd_seek(&fd, 1, self.numbers.below(3) as u32))),
            10 => drop(admitted(FdSync, fd_sync(&fd, true))),
            _ => {
                if let Some(records) = admitted(FdReadDirectory, fd_read_directory(&fd)) {
                    assert!(records.len() <= 32768);
                    has_no_canary(&records);
                }
            }
        }
    }

    fn paths(&mut self) {
        use HostCall::*;
        let long = [b'x'; 4100];
        let path = &long[..self.numbers.pick(&[0, 1, 20, 4095, 4096])];
        match self.numbers.below(6) {
            // Closed again at once: FdClose.
            0 => drop(admitted(PathOpen, path_open(1, path, 0, 0))),
            1 => drop(admitted(PathStat, path_stat(1, path))),
            2 => {
                if let Some(target) = admitted(PathReadLink, path_read_link(1, path)) {
                    assert!(!target.is_empty() && target.len() <= 4095);
                    has_no_canary(&target);
                }
            }
            3 => {
                admitted(PathChange, path_change(PathOperation::Unlink, 1, path, 1, 2));
                admitted(PathChange, path_change_two(PathOperation::Rename, 1, path, path, 0));
            }
            4 => drop(admitted(VolumeStat, volume_stat(1))),
            _ => {
                if let Some(file) = admitted(ImageOpen, ImageMapping::open(path, &[7; 32])) {
                    let mut bytes = vec![0; 4096];
                    if file.read(0, &mut bytes) || file.read(file.size().wrapping_sub(16), &mut bytes[..16]) {
                        has_no_canary(&bytes);
                    }
                }
            }
        }
    }

    fn sockets(&mut self) {
        use HostCall::*;
        let (fd, address) = (self.fd(), [2; 28]);
        match self.numbers.below(12) {
            0 => drop(admitted(SocketOpen, socket_open(2, 1, 0))),
            1 => drop(admitted(SocketBind, socket_bind(&fd, &address))),
            2 => drop(admitted(SocketListen, socket_listen(&fd, 5))),
            3 => drop(admitted(SocketConnect, socket_connect(&fd, &address))),
            4 => {
                if let Some((_, from)) = admitted(SocketAccept, socket_accept(&fd)) {
                    assert!(from.len() <= ADDRESS_LIMIT);
                }
            }
            5 => drop(admitted(SocketName, socket_name(&fd, self.numbers.one_in(2)))),
            6 => {
                let bytes = self.bytes();
                admitted_transfer(SocketSend, socket_send(&fd, bytes, &address, &[5; 40], 0));
            }
            7 => {
                let (length, flags) = (self.numbers.below(9000) as usize, self.numbers.pick(&[0, 0x20]));
                let beside = self.numbers.pick(&[Beside::Nothing, Beside::Sender, Beside::SenderAndControl]);
                let received = socket_receive(&fd, length, flags, beside);
                if let Some(message) = admitted(SocketReceive, received) {
                    let room = if beside == Beside::SenderAndControl { CONTROL_LIMIT } else { 0 };
                    assert!(message.control.len() <= room);
                    taken_over(&message.data, length);
                    assert!(beside != Beside::Nothing || message.address.is_empty() && message.flags == 0);
                    assert!(message.address.len() <= ADDRESS_LIMIT && message.count <= 1 << 30);
                    assert!(flags != 0 || message.count == message.data.len());
                }
            }
            8 => {
                if let Some(value) = admitted(SocketGetOption, socket_get_option(&fd, 1, 2, 64)) {
                    assert!(value.len() <= 64);
                }
            }
            9 => drop(admitted(SocketSetOption, socket_set_option(&fd, 1, 2, &[1; 8]))),
            10 => drop(admitted(SocketShutdown, socket_shutdown(&fd, 1))),
            _ => self.network(),
        }
    }

    fn network(&mut self) {
        for each in admitted(HostCall::NetworkRead, network_interfaces()).unwrap_or_default() {
            assert!(
                (1..16).contains(&each.name.len()) && each.name.iter().all(u8::is_ascii_graphic),
                "{each:?}"
            );
            assert!(
                each.index > 0 && each.hardware.len() <= 8 && each.hardware.len() == each.broadcast.len()
            );
            has_no_canary(&each.name);
        }
        for each in admitted(HostCall::NetworkRead, network_addresses()).unwrap_or_default() {
            assert!(each.interface > 0 && each.prefix <= if each.address.is_ipv4() { 32 } else { 128 });
            assert!(each.other.is_none_or(|other| other.is_ipv4() == each.address.is_ipv4()));
        }
    }

    fn waiting(&mut self) {
        use HostCall::*;
        let fd = self.fd();
        match self.numbers.below(9) {
            0 => drop(admitted(EpollOpen, epoll_open())),
            1 => drop(admitted(EpollControl, epoll_control(&fd, 1, &fd, 1, 7))),
            2 => {
                let capacity = self.numbers.below(2000) as usize;
                if let Some(found) = admitted(EpollWait, epoll_wait(&fd, capacity, Some(1))) {
                    assert!(found.len() <= capacity && found.iter().all(|one| one.events & !0x27df == 0));
                }
            }
            3 => drop(thread::park(Some(0))),
            4 => {
                let block = MAIN_BLOCK.load(Relaxed) as *const HostThread;
                // SAFETY: the host's own word.
                unsafe { (*block).sleeping.store(self.numbers.next() as u32 | 1, Relaxed) };
                self.main.unpark();
            }
            5 => {
                self.main.interrupt();
                assert!(context::take_interrupt());
            }
            6 => yield_now(),
            // Whatever it says, it ends.
            7 => {
                thread::clear_wake();
                thread::look_for_wake();
            }
            _ => assert_eq!(take_signals() & (1 << 8 | 1 << 10 | 1 << 18 | !0x7fff_ffff), 0),
        }
    }

    fn rest(&mut self) {
        match self.numbers.below(11) {
            0 => {
                if let Some(target) = admitted(HostCall::QuoteTarget, quote_target()) {
                    has_no_canary(&target);
                }
            }
            1 => {
                if let Some(quote) = admitted(HostCall::QuoteMake, quote_make(&[0x11; 432])) {
                    assert!(quote.len() <= TRANSFER_LIMIT);
                    has_no_canary(&quote);
                }
            }
            2 => console::print_raw(format_args!("a line of {} words", self.numbers.next())),
            3 => {
                let now = clock::now();
                assert!(now.monotonic_ns >= self.latest_ns, "{now:?} after {}", self.latest_ns);
                self.latest_ns = now.monotonic_ns;
            }
            4 => drop(pages::map(PUBLIC, PAGE, Protection::READ_WRITE)),
            5 => drop(pages::protect(PUBLIC, PAGE, Protection::NONE)),
            6 => drop(pages::unmap(PUBLIC, PAGE)),
            7 => drop(pages::discard(PUBLIC, PAGE)),
            8 => drop(pages::relocate(PUBLIC, PUBLIC + PAGE, PAGE, Protection::READ_WRITE)),
            9 => drop(pages::map_to_fill(PUBLIC, PAGE)),
            // Threads are dear.
            _ if self.numbers.one_in(30) => drop(thread::spawn(|_| ())),
            _ => {}
        }
    }
}
