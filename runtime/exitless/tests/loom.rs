//! Every interleaving of a few threads on the ring and on a request, under the memory model:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p casemate-exitless --test loom` (`make test` does).
#![cfg(loom)]

use casemate_exitless::Word;
use casemate_exitless::request::{self, Progress};
use casemate_exitless::ring::{self, Full, Token, empty};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use loom::thread;

struct Loom<'a, A>(&'a A);

macro_rules! words {
    ($($atomic:ident $value:ident)*) => {$(
        impl Word<$value> for Loom<'_, $atomic> {
            fn load(&self) -> Option<$value> {
                Some(self.0.load(Acquire))
            }

            fn store(&self, value: $value) -> Option<()> {
                self.0.store(value, Release);
                Some(())
            }

            fn exchange(&self, expected: $value, new: $value) -> Option<$value> {
                Some(match self.0.compare_exchange(expected, new, AcqRel, Acquire) {
                    Ok(found) | Err(found) => found,
                })
            }
        }
    )*};
}

words!(AtomicU32 u32 AtomicU64 u64);

const ENTRIES: usize = 2;

struct Ring {
    head: AtomicU32,
    tail: AtomicU32,
    entries: [AtomicU64; ENTRIES],
}

impl Ring {
    fn new() -> Ring {
        let entries = [0, 1].map(|position| AtomicU64::new(empty(position)));
        Ring { head: AtomicU32::new(0), tail: AtomicU32::new(0), entries }
    }

    fn push(&self, number: u32) -> Result<(), Full> {
        let token = Token::new(number).unwrap();
        ring::push::<ENTRIES, _>(&Loom(&self.tail), |index| Loom(&self.entries[index]), token)
    }

    fn take(&self) -> Option<u32> {
        ring::take::<ENTRIES, _>(&Loom(&self.head), |index| Loom(&self.entries[index])).map(Token::number)
    }
}

/// Runs a model; at most so many switches that no thread asked for.
fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

#[test]
fn two_push_and_one_takes_each_token_once() {
    model(3, || {
        let ring = Arc::new(Ring::new());
        let pushers = [1, 2].map(|number| {
            let ring = ring.clone();
            thread::spawn(move || assert_eq!(ring.push(number), Ok(())))
        });
        let mut taken: Vec<u32> = (0..2).filter_map(|_| ring.take()).collect();
        for pusher in pushers {
            pusher.join().unwrap();
        }
        taken.extend(std::iter::from_fn(|| ring.take()));
        taken.sort();
        assert_eq!(taken, [1, 2]);
    });
}

#[test]
fn two_take_what_one_pushes_over_a_lap() {
    model(3, || {
        let ring = Arc::new(Ring::new());
        ring.push(1).unwrap();
        let takers = [(); 2].map(|()| {
            let ring = ring.clone();
            thread::spawn(move || (0..2).filter_map(|_| ring.take()).collect::<Vec<_>>())
        });
        let mut pushed = vec![1];
        for number in [2, 3] {
            if ring.push(number).is_ok() {
                pushed.push(number);
            }
        }
        let mut taken: Vec<u32> = takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect();
        taken.extend(std::iter::from_fn(|| ring.take()));
        taken.sort();
        assert_eq!(taken, pushed);
    });
}

#[test]
fn two_push_into_the_last_room_and_one_gets_in() {
    model(3, || {
        let ring = Arc::new(Ring::new());
        ring.push(7).unwrap();
        let other = {
            let ring = ring.clone();
            thread::spawn(move || ring.push(1).is_ok())
        };
        let mine = ring.push(2).is_ok();
        assert!(mine != other.join().unwrap());
        assert_eq!(ring.take(), Some(7));
        assert_eq!(ring.take(), Some(if mine { 2 } else { 1 }));
        assert_eq!(ring.take(), None);
    });
}

/// A request with its argument and its answer, which nothing but the state orders.
struct Request {
    state: AtomicU32,
    argument: AtomicU64,
    result: AtomicU64,
    served: AtomicU32,
}

impl Request {
    fn new() -> Request {
        let word = || AtomicU64::new(0);
        Request {
            state: AtomicU32::new(request::IDLE),
            argument: word(),
            result: word(),
            served: AtomicU32::new(0),
        }
    }

    fn post(&self, argument: u64) {
        self.argument.store(argument, Relaxed);
        request::post(&Loom(&self.state)).unwrap();
    }

    fn serve(&self) {
        if request::take(&Loom(&self.state)) {
            let argument = self.argument.load(Relaxed);
            self.served.fetch_add(1, Relaxed);
            self.result.store(argument + 100, Relaxed);
            let _ = request::answer(&Loom(&self.state));
        }
    }

    /// How the caller ends a wait: with the answer, or on its own.
    fn settle(&self) -> Option<u64> {
        if request::take_back(&Loom(&self.state)) {
            return None;
        }
        while request::progress(&Loom(&self.state)) != Progress::Answered {
            thread::yield_now();
        }
        Some(self.result.load(Relaxed))
    }
}

#[test]
fn a_request_is_served_once_or_taken_back_whoever_comes_with_its_token() {
    model(3, || {
        let request = Arc::new(Request::new());
        request.post(1);
        // Two tokens may name it.
        let servers = [(); 2].map(|()| {
            let request = request.clone();
            thread::spawn(move || request.serve())
        });
        let answer = request.settle();
        for server in servers {
            server.join().unwrap();
        }
        assert_eq!(request.served.load(Relaxed), answer.is_some() as u32);
        assert!(answer.is_none_or(|answer| answer == 101));
    });
}

#[test]
fn a_token_of_a_request_that_was_taken_back_brings_the_next_one() {
    model(3, || {
        let request = Arc::new(Request::new());
        request.post(1);
        let server = {
            let request = request.clone();
            thread::spawn(move || request.serve())
        };
        let first = request.settle();
        request.post(2);
        let second = request.settle();
        server.join().unwrap();
        assert_eq!(request.served.load(Relaxed), first.is_some() as u32 + second.is_some() as u32);
        assert!(first.is_none_or(|answer| answer == 101) && second.is_none_or(|answer| answer == 102));
    });
}

#[test]
fn no_sleeper_is_left_asleep() {
    model(3, || {
        let request = Arc::new(Request::new());
        // The kernel's part: a sleeper, woken when the server says so.
        let woken = Arc::new(AtomicU32::new(0));
        request.post(1);
        assert!(request::take(&Loom(&request.state)));
        let server = {
            let (request, woken) = (request.clone(), woken.clone());
            thread::spawn(move || {
                request.result.store(101, Relaxed);
                if request::answer(&Loom(&request.state)) {
                    woken.store(1, Release);
                }
            })
        };
        request::await_answer(&Loom(&request.state), |value| {
            // futex(2): sleeps only while the word holds the value, and until it is woken.
            if request.state.load(SeqCst) == value {
                while woken.load(Acquire) == 0 {
                    thread::yield_now();
                }
            }
        });
        assert_eq!(request::progress(&Loom(&request.state)), Progress::Answered);
        assert_eq!(request.result.load(Relaxed), 101);
        server.join().unwrap();
    });
}
