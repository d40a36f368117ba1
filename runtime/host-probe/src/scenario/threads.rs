//! Threads: start and end, sleep and wake, interrupts.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::{HostCall, PollEntry, VECTOR_INTERRUPT};
use linux_raw_sys::errno::*;

use super::memory::{at, now_ns, place_code};
use super::network::udp_socket;
use crate::enclave::{Thread, area, buffer, host, host_thread, layout, put, run_user, spawn};

static COUNTER: AtomicU32 = AtomicU32::new(0);

fn add_one(_: u64) {
    COUNTER.fetch_add(1, SeqCst);
}

/// Eight threads at once, each with its own buffer and base registers.
pub fn threads() {
    static THREADS: [Thread; 8] = [const { Thread::new(look_around, 7) }; 8];
    for thread in &THREADS {
        same!(spawn(thread), 0);
    }
    THREADS.iter().for_each(Thread::join);
    same!(COUNTER.load(SeqCst), 8);
    for (first, left) in THREADS.iter().enumerate() {
        for right in &THREADS[first + 1..] {
            check!(left.started() != right.started());
        }
    }
}

fn look_around(argument: u64) {
    let fs: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("rdfsbase {}", out(reg) fs) };
    check!(argument == 7 && fs == 0 && host_thread().tid > 0);
    put(0, &[0xff; 4096]);
    COUNTER.fetch_add(1, SeqCst);
    while COUNTER.load(SeqCst) < 8 {
        host(HostCall::Yield, [0; 6]);
    }
}

fn wait_for_end(_: u64) {
    while COUNTER.load(SeqCst) == 0 {
        host(HostCall::Park, [1_000_000, 0, 0, 0, 0, 0]);
    }
}

/// More threads than the manifest allows are EAGAIN, and a place comes free when a thread ends. The limit here is 16.
pub fn limit() {
    static THREADS: [Thread; 15] = [const { Thread::new(wait_for_end, 0) }; 15];
    static MORE: [Thread; 2] = [const { Thread::new(add_one, 0) }; 2];
    for thread in &THREADS {
        same!(spawn(thread), 0);
    }
    same!(spawn(&MORE[0]), -(EAGAIN as i64));
    COUNTER.store(1, SeqCst);
    THREADS.iter().for_each(Thread::join);
    for thread in &MORE {
        let mut result = spawn(thread);
        while result == -(EAGAIN as i64) {
            host(HostCall::Yield, [0; 6]);
            result = spawn(thread);
        }
        same!(result, 0);
        thread.join();
    }
    same!(COUNTER.load(SeqCst), 3);
}

/// Ten thousand threads, one after the other; prints ns for one.
pub fn speed() {
    const COUNT: u64 = 10_000;
    static THREAD: Thread = Thread::new(add_one, 0);
    let start = now_ns();
    for _ in 0..COUNT {
        THREAD.done.store(0, SeqCst);
        same!(spawn(&THREAD), 0);
        THREAD.join();
    }
    same!(COUNTER.load(SeqCst) as u64, COUNT);
    say!("{} ns for one thread", (now_ns() - start) / COUNT);
}

/// Sleep with a time-out, with a wake-up before and after it begins.
pub fn park() {
    let wake = &host_thread().wake;
    let start = now_ns();
    same!(host(HostCall::Park, [5_000_000, 0, 0, 0, 0, 0]), -(ETIMEDOUT as i64));
    check!(now_ns() - start >= 5_000_000);
    wake.store(1, SeqCst);
    same!(host(HostCall::Park, [u64::MAX, 0, 0, 0, 0, 0]), 0);
    wake.store(0, SeqCst);
    same!(host(HostCall::Unpark, [host_thread() as *const _ as u64, 0, 0, 0, 0, 0]), 0);
    same!(wake.load(SeqCst), 1);
    same!(host(HostCall::Park, [u64::MAX, 0, 0, 0, 0, 0]), 0);
    let poll = host(HostCall::FdPoll, [buffer(), 0, u64::MAX, 0, 0, 0]);
    same!(poll, -(EINTR as i64));
    wake.store(0, SeqCst);
    same!(host(HostCall::FdPoll, [buffer(), 0, 1_000_000, 0, 0, 0]), 0);
}

static ROUNDS: AtomicU32 = AtomicU32::new(0);
static SOCKET: AtomicU64 = AtomicU64::new(0);
const RACES: u32 = 20_000;

/// Sleeps in a blocking call until woken, over and over. A lost wake-up would hang it.
fn sleeper(kind: u64) {
    let epoll = host(HostCall::EpollOpen, [0; 6]) as u64;
    let fd = SOCKET.load(SeqCst);
    let mut answered = 0;
    while answered < RACES {
        host_thread().wake.store(0, SeqCst);
        let round = ROUNDS.load(SeqCst);
        if round != answered {
            answered = round;
            COUNTER.store(round, SeqCst);
            continue;
        }
        let entry = PollEntry { fd: fd as i32, events: 1, revents: 0 };
        // SAFETY: eight bytes of a plain structure.
        put(0, &unsafe { core::mem::transmute::<PollEntry, [u8; 8]>(entry) });
        let result = match kind {
            0 => host(HostCall::FdRead, [fd, buffer(), 16, 0, 0, 0]),
            1 => host(HostCall::FdPoll, [buffer(), 1, u64::MAX, 0, 0, 0]),
            2 => host(HostCall::EpollWait, [epoll, buffer(), 4, u64::MAX, 0, 0]),
            _ => host(HostCall::Park, [u64::MAX, 0, 0, 0, 0, 0]),
        };
        check!(result == -(EINTR as i64) || (kind == 3 && result == 0));
    }
    check!(area().noted.load(SeqCst) == 0);
}

/// Wake-ups race with the beginning of blocking calls; none may get lost, and none may look like an interrupt.
pub fn wake_race() {
    static SLEEPERS: [Thread; 4] =
        [Thread::new(sleeper, 0), Thread::new(sleeper, 1), Thread::new(sleeper, 2), Thread::new(sleeper, 3)];
    SOCKET.store(udp_socket().0, SeqCst);
    for thread in &SLEEPERS {
        ROUNDS.store(0, SeqCst);
        COUNTER.store(0, SeqCst);
        same!(spawn(thread), 0);
        let block = thread.started();
        for round in 1..=RACES {
            ROUNDS.store(round, SeqCst);
            // Each round hits the sleeper at another point of its loop.
            for _ in 0..round % 64 * 8 {
                core::hint::spin_loop();
            }
            same!(host(HostCall::Unpark, [block, 0, 0, 0, 0, 0]), 0);
            while COUNTER.load(SeqCst) != round {
                core::hint::spin_loop();
            }
        }
        thread.join();
    }
}

const INTERRUPTS: u32 = 2000;

fn spin_in_user_code(page: u64) {
    for _ in 0..INTERRUPTS {
        let found = run_user(&at(page));
        same!(found.vector, VECTOR_INTERRUPT);
        // On its last step into user code it counts as there.
        check!(found.rip == page || found.rip >= layout().image_base);
        COUNTER.fetch_add(1, SeqCst);
    }
}

/// A thread in user code stops at once when interrupted, and not when only unparked.
pub fn interrupt() {
    static THREAD: Thread = Thread::new(spin_in_user_code, 0x20_0000);
    place_code(0x20_0000, &[0xeb, 0xfe]); // jmp $
    check!(layout().user_base <= 0x20_0000);
    same!(spawn(&THREAD), 0);
    let host_block = THREAD.started();
    for round in 0..INTERRUPTS {
        if round % 16 == 0 {
            same!(host(HostCall::Unpark, [host_block, 0, 0, 0, 0, 0]), 0);
            host(HostCall::Yield, [0; 6]);
            same!(COUNTER.load(SeqCst), round);
        }
        // Until it has arrived in user code an interrupt is only noted: ask again.
        while COUNTER.load(SeqCst) == round {
            same!(host(HostCall::ThreadInterrupt, [host_block, 0, 0, 0, 0, 0]), 0);
            for _ in 0..2000 {
                core::hint::spin_loop();
            }
        }
        if COUNTER.load(SeqCst) > round + 1 {
            // A late interrupt counted for the next round.
            break;
        }
    }
    while THREAD.done.load(SeqCst) == 0 {
        host(HostCall::ThreadInterrupt, [host_block, 0, 0, 0, 0, 0]);
        host(HostCall::Park, [100_000, 0, 0, 0, 0, 0]);
    }
    same!(host(HostCall::ThreadInterrupt, [host_block, 0, 0, 0, 0, 0]), 0);
}
