//! The servers of exitless host calls: threads of the loader that take requests from the ring and carry them out on the callers' behalf.
//!
//! A server looks at the ring for a while after each call and then sleeps. It is woken by a call that came out of the enclave
//! although it could have gone by the ring: that is what the enclave does when no server is awake. One such call alone wakes nobody,
//! so a program that seldom calls costs no processor.
//!
//! Servers block every signal, so none that is meant for the enclave ends up with them. They run to the end of the process.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::{Blob, ExitlessRing, HostCall, RING_ENTRIES, is_short};
use casemate_exitless::request;
use casemate_exitless::ring::{self, Token};

use crate::arena::{self, Thread};
use crate::calls::{self, Args};
use crate::lock::{futex_wait, futex_wake};
use crate::report::{EXIT_INTERNAL, fail};
use crate::sys::{self, Errno, Reply};
use crate::{signal, stats, thread};

/// Address of the ring; 0: there are no servers.
static RING: AtomicU64 = AtomicU64::new(0);
/// Servers that sleep, or are about to.
static SLEEPING: AtomicU32 = AtomicU32::new(0);
/// Changes when a server is to wake.
static BELL: AtomicU32 = AtomicU32::new(0);
/// When a short call last came out, by the processor's counter.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A loader that lies serves as much as it can: it is slow, and its lies are what is wanted.
const EAGER: bool = cfg!(feature = "hostile");
/// Looks at an empty ring before a server sleeps.
const LOOKS: u32 = if EAGER { 100_000 } else { 4000 };
/// Short calls with less between them, in ticks of the processor's counter, wake a server: some 100 µs.
const OFTEN: u64 = 300_000;

/// Makes the ring, in memory of its own.
pub fn make_ring() -> Result<Blob, Errno> {
    let address = sys::map_anonymous(size_of::<ExitlessRing>() as u64, sys::READ_WRITE)?;
    // SAFETY: the mapping is new, large enough, zero, aligned to pages, and never unmapped.
    let ring = unsafe { &*(address as *const ExitlessRing) };
    for (position, entry) in ring.entries.iter().enumerate() {
        entry.store(ring::empty(position as u32), Relaxed);
    }
    RING.store(address, SeqCst);
    Ok(Blob { address, length: size_of::<ExitlessRing>() as u64 })
}

/// The ring, if there are servers.
pub fn ring() -> Option<&'static ExitlessRing> {
    // SAFETY: 0, or what `make_ring` made.
    unsafe { (RING.load(Relaxed) as *const ExitlessRing).as_ref() }
}

/// Whether there are servers.
pub fn is_on() -> bool {
    RING.load(Relaxed) != 0
}

/// Starts the servers. The calling thread blocks every signal, and so do they.
pub fn start(servers: u32) -> Result<(), Errno> {
    let Some(ring) = ring() else { return Ok(()) };
    for _ in 0..servers {
        ring.awake.fetch_add(1, SeqCst);
        thread::create(thread::SERVER)?;
    }
    Ok(())
}

/// A server's life.
pub fn serve(thread: &Thread) -> ! {
    let Some(ring) = ring() else { fail(EXIT_INTERNAL, format_args!("a server without a ring")) };
    if signal::set_stack(thread).is_ok() {
        signal::open_faults();
    }
    let mut looks = 0;
    loop {
        match take(ring).or_else(|| if looks < LOOKS { None } else { sleep(ring) }) {
            Some(token) => {
                looks = 0;
                if let Some(caller) = arena::numbered(token.number()) {
                    carry_out(caller);
                }
            }
            None if looks < LOOKS => {
                #[cfg(feature = "hostile")]
                if let Some(caller) = crate::hostile::posted() {
                    carry_out(caller);
                }
                looks += 1;
                core::hint::spin_loop();
            }
            None => looks = 0,
        }
    }
}

fn take(ring: &ExitlessRing) -> Option<Token> {
    ring::take::<RING_ENTRIES, _>(&ring.head, |index| &ring.entries[index])
}

/// Sleeps until the bell rings, unless something came at the last moment.
fn sleep(ring: &ExitlessRing) -> Option<Token> {
    let bell = BELL.load(SeqCst);
    SLEEPING.fetch_add(1, SeqCst);
    ring.awake.fetch_sub(1, SeqCst);
    let token = take(ring);
    if token.is_none() {
        let _ = futex_wait(&BELL, bell, 0, true);
    }
    SLEEPING.fetch_sub(1, SeqCst);
    ring.awake.fetch_add(1, SeqCst);
    token
}

fn carry_out(caller: &Thread) {
    let request = &caller.host.request;
    if !request::take(&request.state) {
        return;
    }
    let args: Args = request.args.each_ref().map(|word| word.load(Relaxed));
    let call = request.call.load(Relaxed) as u64;
    let result = calls::answer(call, caller, args, stats::Way::Ring);
    request.result.store(result, Relaxed);
    #[cfg(feature = "hostile")]
    let lied = crate::hostile::before_answer(caller);
    #[cfg(not(feature = "hostile"))]
    let lied = false;
    if request::answer(&request.state) || lied {
        futex_wake(&request.state, 1);
    }
}

/// Sleeps until the caller's request is answered.
pub fn await_answer(caller: &Thread) -> Reply {
    let state = &caller.host.request.state;
    request::await_answer(state, |value| {
        let _ = futex_wait(state, value, 0, true);
    });
    Ok(0)
}

/// Notes a call that came out of the enclave; wakes a server when such calls come often.
pub fn note(call: HostCall, args: &Args) {
    if !is_on() || !is_short(call, args) {
        return;
    }
    // SAFETY: reads the processor's counter.
    let now = unsafe { core::arch::x86_64::_rdtsc() };
    let before = LAST.swap(now, Relaxed);
    let often = EAGER || now.wrapping_sub(before) < OFTEN;
    if often && SLEEPING.load(SeqCst) > 0 {
        BELL.fetch_add(1, SeqCst);
        futex_wake(&BELL, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_exitless::request::Progress;

    #[test]
    fn a_request_is_carried_out_once_on_the_callers_behalf() {
        let _arena = arena::reserve_for_test();
        let caller = arena::take().unwrap();
        let Blob { length, .. } = make_ring().unwrap();
        assert_eq!(length, size_of::<ExitlessRing>() as u64);
        let ring = ring().unwrap();
        let request = &caller.host.request;
        let tail = AtomicU32::new(0);
        let push = |number| {
            let token = Token::new(number).unwrap();
            ring::push::<RING_ENTRIES, _>(&tail, |index| &ring.entries[index], token).unwrap();
        };
        // lseek on something that cannot: an errno, as an ordinary call gives it.
        let (reader, _writer) = std::io::pipe().unwrap();
        request.call.store(HostCall::FdSeek as u32, SeqCst);
        request.args[0].store(std::os::fd::AsRawFd::as_raw_fd(&reader) as u64, SeqCst);
        request::post(&request.state).unwrap();
        push(caller.host.number);
        push(caller.host.number);
        push(caller.host.number + 100);
        let mut served = Vec::new();
        while let Some(token) = take(ring) {
            served.push(token.number());
            if let Some(caller) = arena::numbered(token.number()) {
                carry_out(caller);
            }
        }
        assert_eq!(served, [caller.host.number, caller.host.number, caller.host.number + 100]);
        assert_eq!(request::progress(&request.state), Progress::Answered);
        assert_eq!(request.result.load(SeqCst), -29, "ESPIPE");
        assert_eq!(await_answer(caller), Ok(0));
        // Numbers that are no call get an answer too.
        request.call.store(u32::MAX, SeqCst);
        request::post(&request.state).unwrap();
        carry_out(caller);
        assert_eq!(request.result.load(SeqCst), -38, "ENOSYS");
        RING.store(0, SeqCst);
        caller.running.store(0, SeqCst);
        arena::give_back(caller);
    }
}
