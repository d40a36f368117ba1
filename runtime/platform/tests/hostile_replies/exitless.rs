//! Servers of exitless calls that lie: about results, about whose turn it is, and about the ring.

use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex};

use casemate_abi::{ExitlessRing, HostCall, HostThread, RING_ENTRIES, Request};
use casemate_exitless::request::{self, ANSWERED, AWAITED, IDLE, POSTED, TAKEN};
use casemate_exitless::ring;
use casemate_platform::boundary::HostRange;
use casemate_platform::host::*;
use casemate_platform::thread::ThreadHandle;

use crate::host::{answer, look};
use crate::machine::{self, HEAP_BASE, MAIN_BLOCK, PAGE};
use crate::numbers::Numbers;
use crate::random;

const FD: HostFd = HostFd::standard_stream(0);
const EIO: HostError = HostError::IO;
const SIZE: u64 = size_of::<ExitlessRing>() as u64;
/// A state that nobody sets.
const UNTOUCHED: u32 = 0x77;

pub fn check_all(main: &Arc<ThreadHandle>) {
    let host = Host::new();
    host.what_is_no_ring_is_refused();
    host.reset();
    assert!(use_ring(HostRange::new(host.place, SIZE).unwrap()));
    host.nobody_awake_is_not_waited_for();
    host.calls_that_may_wait_leave();
    host.a_request_that_nobody_takes_is_taken_back();
    host.a_ring_without_room_or_gone_is_none();
    host.results_are_checked_as_those_of_any_call();
    host.states_that_make_no_sense_are_an_error();
    host.a_server_that_dawdles_is_slept_for();
    host.a_request_that_is_given_back_is_made_by_leaving();
    host.random_lies(main);
}

/// What the host owns beside the main thread's buffer.
struct Host {
    place: u64,
    ring: &'static ExitlessRing,
    request: &'static Request,
}

impl Host {
    fn new() -> Host {
        let place = machine::ring();
        // SAFETY: the machine's own pages, which are never unmapped; every field is an atomic.
        let ring = unsafe { &*(place as *const ExitlessRing) };
        Host { place, ring, request: main_request() }
    }

    fn reset(&self) {
        self.request.state.store(UNTOUCHED, SeqCst);
        self.ring.awake.store(1, SeqCst);
    }

    /// Empty from where the enclave's counter stands: the test sees it in what it pushes.
    fn take(&self) -> Option<u32> {
        ring::take::<RING_ENTRIES, _>(&self.ring.head, |index| &self.ring.entries[index])
            .map(ring::Token::number)
    }

    fn what_is_no_ring_is_refused(&self) {
        for (address, length) in [(self.place, SIZE - 8), (self.place, 0), (self.place + 8, SIZE)] {
            assert!(!use_ring(HostRange::new(address, length).unwrap()), "{address:#x} {length}");
        }
        assert!(HostRange::new(HEAP_BASE, SIZE).is_none(), "inside");
        for (position, entry) in self.ring.entries.iter().enumerate() {
            entry.store(ring::empty(position as u32), SeqCst);
        }
    }

    fn nobody_awake_is_not_waited_for(&self) {
        self.ring.awake.store(0, SeqCst);
        answer(|_, _| 5);
        assert_eq!(fd_read_at(&FD, 100, 0).unwrap().len(), 5);
        assert_eq!((self.request.state.load(SeqCst), self.take()), (UNTOUCHED, None));
    }

    fn calls_that_may_wait_leave(&self) {
        self.reset();
        answer(|_, _| 0);
        fd_read(&FD, 100).unwrap();
        socket_receive(&FD, 100, 0, Beside::Sender).map(drop).unwrap_or_default();
        fd_poll(&mut [poll_entry(&FD, 1)], Some(1)).unwrap();
        epoll_wait(&FD, 1, None).unwrap();
        fd_sync(&FD, true).unwrap();
        path_open(0, b"fifo", 0, 0).map(drop).unwrap_err();
        assert_eq!((self.request.state.load(SeqCst), self.take()), (UNTOUCHED, None));
    }

    fn a_request_that_nobody_takes_is_taken_back(&self) {
        self.reset();
        answer(|_, _| 7);
        for _ in 0..3 * RING_ENTRIES {
            assert_eq!(fd_read_at(&FD, 100, 3).unwrap().len(), 7);
            assert_eq!(self.request.state.load(SeqCst), IDLE);
        }
        let words = self.request.args.each_ref().map(|word| word.load(SeqCst));
        assert_eq!(self.request.call.load(SeqCst), HostCall::FdReadAt as u32);
        assert_eq!([words[0], words[2], words[3]], [0, 100, 3]);
        // The tokens are still there, as many as have room.
        let tokens: Vec<u32> = std::iter::from_fn(|| self.take()).collect();
        assert_eq!(tokens, [0; RING_ENTRIES]);
    }

    fn a_ring_without_room_or_gone_is_none(&self) {
        let words = self.ring.entries.each_ref().map(|entry| entry.load(SeqCst));
        for lie in [0, 1, u64::MAX, 1 << 63] {
            self.reset();
            self.ring.entries.iter().for_each(|entry| entry.store(lie, SeqCst));
            answer(|_, _| 9);
            assert_eq!(fd_read_at(&FD, 100, 3).unwrap().len(), 9);
            assert_eq!(self.request.state.load(SeqCst), IDLE);
        }
        for page in [self.entries_page(), self.entries_page() + PAGE] {
            for protection in [libc::PROT_NONE, libc::PROT_READ] {
                machine::protect(page, PAGE, protection);
                assert_eq!(fd_read_at(&FD, 100, 3).unwrap().len(), 9);
            }
            machine::protect(page, PAGE, libc::PROT_READ | libc::PROT_WRITE);
        }
        for (entry, word) in self.ring.entries.iter().zip(words) {
            entry.store(word, SeqCst);
        }
    }

    fn entries_page(&self) -> u64 {
        self.place / PAGE * PAGE
    }

    /// Runs something while a server answers so whatever is posted: it comes at the moment when a thread reaches for the ring, which
    /// is out of reach. `exits` answers what comes by leaving.
    fn served<T>(
        &self,
        serve: impl Fn(&Request) + Send + 'static,
        exits: impl FnMut(HostCall, [u64; 6]) -> i64 + Send + 'static,
        run: impl FnOnce() -> T,
    ) -> T {
        self.reset();
        answer(exits);
        let request = self.request;
        let server = move || {
            if request::take(&request.state) {
                serve(request);
            }
        };
        *SERVER.lock().unwrap() = Some((self.entries_page(), Box::new(server)));
        machine::protect(self.entries_page(), PAGE, libc::PROT_NONE);
        let result = run();
        machine::protect(self.entries_page(), PAGE, libc::PROT_READ | libc::PROT_WRITE);
        *SERVER.lock().unwrap() = None;
        result
    }

    fn results_are_checked_as_those_of_any_call(&self) {
        let result = |value: i64| {
            move |request: &Request| {
                request.result.store(value, SeqCst);
                assert!(!request::answer(&request.state));
            }
        };
        let left = |_, _| panic!("the call was answered by a server");
        assert_eq!(self.served(result(60), left, || fd_read_at(&FD, 100, 0).unwrap().len()), 60);
        for wrong in [101, i64::MAX, 1 << 32, -5000, -29 << 32, i64::MIN] {
            assert_eq!(self.served(result(wrong), left, || fd_read_at(&FD, 100, 0).map(drop)), Err(EIO));
        }
        assert_eq!(self.served(result(-29), left, || fd_seek(&FD, 1, 1)), Err(HostError(29)));
        assert_eq!(self.served(result(-28), left, || fd_seek(&FD, 1, 1)), Err(EIO));
        assert_eq!(self.served(result(1), left, || fd_truncate(&FD, 1)), Err(EIO));
        assert!(self.served(result(2), left, || epoll_open().is_err()));
    }

    fn states_that_make_no_sense_are_an_error(&self) {
        for state in [IDLE, 5, UNTOUCHED, u32::MAX] {
            let lie = move |request: &Request| {
                request.result.store(50, SeqCst);
                request.state.store(state, SeqCst);
            };
            let left = |_, _| panic!("the request was neither answered nor taken back");
            assert_eq!(self.served(lie, left, || fd_read_at(&FD, 100, 0).map(drop)), Err(EIO));
        }
    }

    fn a_server_that_dawdles_is_slept_for(&self) {
        let (request, mut sleeps) = (self.request, 0);
        // AWAITED is the host's own note.
        let dawdle = |request: &Request| request.state.store(AWAITED, SeqCst);
        let sleep = move |call, _| {
            assert_eq!(call, HostCall::AnswerAwait);
            sleeps += 1;
            if sleeps == 3 {
                request.result.store(3, SeqCst);
                request.state.store(ANSWERED, SeqCst);
            }
            // Whatever is said of the sleep.
            [0, -5, i64::MIN][sleeps - 1]
        };
        assert_eq!(self.served(dawdle, sleep, || fd_read_at(&FD, 100, 0).unwrap().len()), 3);
    }

    fn a_request_that_is_given_back_is_made_by_leaving(&self) {
        let left = |call, _| {
            assert_eq!(call, HostCall::FdReadAt);
            11
        };
        let give_back = |request: &Request| request.state.store(POSTED, SeqCst);
        assert_eq!(self.served(give_back, left, || fd_read_at(&FD, 100, 0).unwrap().len()), 11);
        assert_eq!(self.request.state.load(SeqCst), IDLE);
    }

    /// All calls, over servers that do anything.
    fn random_lies(&self, main: &Arc<ThreadHandle>) {
        let told = Arc::new(AtomicU64::new(0));
        let (numbers, count) = (Mutex::new((Numbers(7), 0)), told.clone());
        let lie = move |request: &Request| {
            let (numbers, last) = &mut *numbers.lock().unwrap();
            look(MAIN_BLOCK.load(SeqCst), size_of::<HostThread>() as u64);
            count.fetch_add(1, SeqCst);
            *last = random_result(numbers, request, *last);
            request.result.store(*last, SeqCst);
            request.args.iter().for_each(|word| word.store(numbers.next(), SeqCst));
            let honest = [ANSWERED; 3];
            let states = [TAKEN, AWAITED, POSTED, IDLE, 9, u32::MAX];
            let state = if numbers.one_in(3) { numbers.pick(&states) } else { numbers.pick(&honest) };
            request.state.store(state, SeqCst);
        };
        let storms = || {
            for seed in 77.. {
                random::storm(main, 5000, seed);
                if told.load(SeqCst) >= 5000 {
                    break;
                }
            }
        };
        self.served(lie, |_, _| 0, storms);
    }
}

fn random_result(numbers: &mut Numbers, request: &Request, last: i64) -> i64 {
    let asked = request.args[numbers.below(6) as usize].load(SeqCst).min(1 << 40) as i64;
    match numbers.below(9) {
        0 => asked,
        1 => asked.saturating_add(1),
        2 => numbers.next() as i64,
        3 => last,
        4 => i64::MIN,
        5 => 1,
        6 => 0,
        _ => -(numbers.below(134) as i64),
    }
}

fn main_request() -> &'static Request {
    let block = MAIN_BLOCK.load(SeqCst) as *const HostThread;
    // SAFETY: the block is never unmapped; every field of a request is an atomic.
    unsafe { &(*block).request }
}

/// The main thread's request is answered, with whatever is there.
pub fn give_answer() {
    main_request().state.store(ANSWERED, SeqCst);
}

/// A page, and what serves who reaches for it.
type Server = (u64, Box<dyn Fn() + Send>);

static SERVER: Mutex<Option<Server>> = Mutex::new(None);

/// A thread of the enclave faulted there.
pub fn on_fault(address: u64) {
    // Other threads of the storm fault there too, and are not served.
    if let Ok(server) = SERVER.try_lock()
        && let Some((page, serve)) = &*server
        && *page == address / PAGE * PAGE
    {
        serve();
    }
}
