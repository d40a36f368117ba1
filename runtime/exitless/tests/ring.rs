//! The ring and the requests with real threads, and with words that lie.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use std::thread;

use casemate_exitless::Word;
use casemate_exitless::request::{self, Progress};
use casemate_exitless::ring::{self, Full, Token, empty};

struct Ring<const N: usize> {
    head: AtomicU32,
    tail: AtomicU32,
    entries: [AtomicU64; N],
}

impl<const N: usize> Ring<N> {
    fn starting_at(position: u32) -> Ring<N> {
        let entries = [const { AtomicU64::new(0) }; N];
        for offset in 0..N as u32 {
            let position = position.wrapping_add(offset);
            entries[position as usize % N].store(empty(position), Relaxed);
        }
        Ring { head: AtomicU32::new(position), tail: AtomicU32::new(position), entries }
    }

    fn push(&self, number: u32) -> Result<(), Full> {
        ring::push::<N, _>(&self.tail, |index| &self.entries[index], Token::new(number).unwrap())
    }

    fn take(&self) -> Option<u32> {
        ring::take::<N, _>(&self.head, |index| &self.entries[index]).map(Token::number)
    }
}

#[test]
fn tokens_come_out_in_their_order_and_no_more_go_in_than_there_is_room_for() {
    // Positions come round after 2^32.
    for start in [0, 3, u32::MAX - 5] {
        let ring = Ring::<4>::starting_at(start);
        for lap in 0..10 {
            assert_eq!(ring.take(), None);
            for number in 0..4 {
                assert_eq!(ring.push(lap * 4 + number), Ok(()));
            }
            assert_eq!(ring.push(99), Err(Full));
            assert_eq!(ring.take(), Some(lap * 4));
            assert_eq!(ring.push(77), Ok(()));
            let rest: Vec<_> = std::iter::from_fn(|| ring.take()).collect();
            assert_eq!(rest, [lap * 4 + 1, lap * 4 + 2, lap * 4 + 3, 77]);
        }
    }
}

#[test]
fn numbers_at_the_ends_are_tokens_and_the_one_beyond_is_none() {
    let ring = Ring::<2>::starting_at(0);
    for number in [0, 1, u32::MAX - 1] {
        ring.push(number).unwrap();
        assert_eq!(ring.take(), Some(number));
    }
    assert_eq!(Token::new(u32::MAX), None);
}

#[test]
fn of_many_threads_each_token_is_taken_once() {
    const PUSHERS: u32 = 3;
    const EACH: u32 = 3_000;
    let ring = Ring::<8>::starting_at(u32::MAX - 1000);
    let seen: Vec<AtomicU32> = (0..PUSHERS * EACH).map(|_| AtomicU32::new(0)).collect();
    let left = AtomicU32::new(PUSHERS * EACH);
    thread::scope(|scope| {
        for pusher in 0..PUSHERS {
            let ring = &ring;
            scope.spawn(move || {
                for number in 0..EACH {
                    while ring.push(pusher * EACH + number).is_err() {
                        thread::yield_now();
                    }
                }
            });
        }
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = [None; PUSHERS as usize];
                while left.load(SeqCst) > 0 {
                    let Some(number) = ring.take() else {
                        thread::yield_now();
                        continue;
                    };
                    seen[number as usize].fetch_add(1, SeqCst);
                    left.fetch_sub(1, SeqCst);
                    // Those of one thread come in its order, to whoever takes several of them.
                    let last = &mut last[(number / EACH) as usize];
                    assert!(last.is_none_or(|last| last < number));
                    *last = Some(number);
                }
            });
        }
    });
    assert!(seen.iter().all(|count| count.load(SeqCst) == 1));
}

#[test]
fn entries_that_hold_anything_cost_room_and_nothing_else() {
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let ring = Ring::<4>::starting_at(0);
    let (mut full, mut pushed) = (0, 0);
    for _ in 0..200_000 {
        let tail = ring.tail.load(SeqCst);
        let lie = match next() % 6 {
            0 => empty(tail),
            1 => empty(tail) | next() as u32 as u64,
            2 => empty(tail.wrapping_sub(4)) | 1,
            3 => u64::MAX,
            4 => next(),
            _ => ring.entries[tail as usize % 4].load(SeqCst),
        };
        ring.entries[tail as usize % 4].store(lie, SeqCst);
        match ring.push(5) {
            Ok(()) => pushed += 1,
            Err(Full) => full += 1,
        }
        // The counter goes forward, never by more than the attempts.
        assert!(ring.tail.load(SeqCst).wrapping_sub(tail) <= 32);
    }
    assert!(full > 1000 && pushed > 1000, "{full} {pushed}");
    // The taking side does not hang either.
    for _ in 0..1000 {
        ring.entries[ring.head.load(SeqCst) as usize % 4].store(next(), SeqCst);
        let _ = ring.take();
    }
}

/// A word that was taken away.
struct Gone;

impl Word<u64> for Gone {
    fn load(&self) -> Option<u64> {
        None
    }

    fn store(&self, _: u64) -> Option<()> {
        None
    }

    fn exchange(&self, _: u64, _: u64) -> Option<u64> {
        None
    }
}

#[test]
fn a_ring_that_was_taken_away_is_full_and_empty() {
    let counter = AtomicU32::new(0);
    assert_eq!(ring::push::<4, _>(&counter, |_| Gone, Token::new(1).unwrap()), Err(Full));
    assert_eq!(ring::take::<4, _>(&counter, |_| Gone), None);
}

#[test]
fn a_request_is_answered_or_taken_back_never_both() {
    let state = AtomicU32::new(request::IDLE);
    request::post(&state).unwrap();
    assert_eq!(request::progress(&state), Progress::Posted);
    assert!(request::take_back(&state) && !request::take(&state) && !request::take_back(&state));
    request::post(&state).unwrap();
    assert!(request::take(&state) && !request::take(&state) && !request::take_back(&state));
    assert_eq!(request::progress(&state), Progress::Taken);
    assert!(!request::answer(&state), "nobody sleeps");
    assert_eq!(request::progress(&state), Progress::Answered);
    // With a sleeper, whose sleep may end for no reason.
    request::post(&state).unwrap();
    assert!(request::take(&state));
    let mut sleeps = 0;
    request::await_answer(&state, |value| {
        assert_eq!((value, state.load(SeqCst)), (request::AWAITED, request::AWAITED));
        assert_eq!(request::progress(&state), Progress::Taken);
        sleeps += 1;
        if sleeps == 3 {
            assert!(request::answer(&state), "somebody sleeps");
        }
    });
    assert_eq!((sleeps, request::progress(&state)), (3, Progress::Answered));
    // Nothing to sleep for.
    request::await_answer(&state, |_| panic!("the answer is there"));
    for broken in [request::IDLE, 5, u32::MAX] {
        state.store(broken, SeqCst);
        assert_eq!(request::progress(&state), Progress::Broken);
        request::await_answer(&state, |_| panic!("nothing was asked"));
    }
}
