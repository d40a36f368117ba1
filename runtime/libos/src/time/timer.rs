//! [`Timer`]: something that happens at a time, once or again and again; and the one thread of the library OS that waits
//! for the earliest of all.
//!
//! The thread starts with the first timer that is set. It sleeps with no lock held, counts as no thread of any process,
//! and does not keep the run alive. Lock order: a timer's state, then the queue.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

use casemate_platform::sync::{Mutex, Once};
use casemate_platform::thread::{self, ThreadHandle};
use casemate_platform::{clock, context};

use super::clock::Clock;
use crate::errno::{Errno, Result};
use crate::process::{Process, Thread};
use crate::signal;

/// Shortest time between two looks at a timer that repeats; what expires in between is counted.
const GRAIN: u64 = 50_000;
/// Shortest time between two looks at a clock that counts work.
const WORK_GRAIN: u64 = 1_000_000;

/// A clock that does not keep alive whose time it counts.
enum ClockReference {
    Wall(Clock),
    Process(Weak<Process>),
    Thread(Weak<Thread>),
}

impl ClockReference {
    fn new(clock: Clock) -> ClockReference {
        match clock {
            Clock::Process(process) => ClockReference::Process(Arc::downgrade(&process)),
            Clock::Thread(thread) => ClockReference::Thread(Arc::downgrade(&thread)),
            wall => ClockReference::Wall(wall),
        }
    }

    /// The clock; `None` when its process or thread is gone.
    fn get(&self) -> Option<Clock> {
        match self {
            ClockReference::Wall(clock) => Some(clock.clone()),
            ClockReference::Process(process) => process.upgrade().map(Clock::Process),
            ClockReference::Thread(thread) => thread.upgrade().map(Clock::Thread),
        }
    }
}

/// When a timer expires: on its clock, in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Time to the next expiry, or the time of it; 0: not set.
    pub value: u64,
    /// Time between expiries; 0: only once.
    pub interval: u64,
}

#[derive(Default)]
struct State {
    /// Next expiry on the timer's clock.
    next: Option<u64>,
    interval: u64,
    queued: Option<Key>,
}

/// Place in the queue: a point on the monotonic clock, then a number of the timer's own.
type Key = (u64, u64);

/// What is done at an expiry, given how many expiries there were since the last time.
type Action = Box<dyn Fn(u64) + Send + Sync>;

/// A timer; dropping it ends it.
pub struct Timer {
    clock: ClockReference,
    number: u64,
    state: Mutex<State>,
    action: Action,
}

static QUEUE: Mutex<BTreeMap<Key, Weak<Timer>>> = Mutex::new(BTreeMap::new());
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);
static STARTED: AtomicBool = AtomicBool::new(false);
static THREAD: Once<Arc<ThreadHandle>> = Once::new();

impl Timer {
    /// A timer that is not set. `action` must not sleep.
    pub fn new(clock: Clock, action: impl Fn(u64) + Send + Sync + 'static) -> Arc<Timer> {
        Arc::new(Timer {
            clock: ClockReference::new(clock),
            number: NEXT_NUMBER.fetch_add(1, Relaxed),
            state: Mutex::default(),
            action: Box::new(action),
        })
    }

    /// Sets it, or with a value of 0 stops it; returns what was left. `EAGAIN` when there can be no thread for it.
    pub fn set(self: &Arc<Timer>, setting: Setting, absolute: bool) -> Result<Setting> {
        if setting.value != 0 {
            start()?;
        }
        let Some(clock) = self.clock.get() else { return Err(Errno::EINVAL) };
        let now = clock.now_ns();
        let mut state = self.state.lock();
        let old = left(&state, now);
        let start = if absolute { 0 } else { now };
        state.next = (setting.value != 0).then(|| start.saturating_add(setting.value));
        state.interval = setting.interval;
        self.enqueue(&mut state, &clock, 0);
        Ok(old)
    }

    /// What is left until the next expiry, and the interval.
    pub fn get(&self) -> Setting {
        let now = self.clock.get().map_or(0, |clock| clock.now_ns());
        left(&self.state.lock(), now)
    }

    /// Does what is due. The timer's thread calls it; others may, who want to know at once.
    pub fn look(self: &Arc<Timer>) {
        let Some(clock) = self.clock.get() else { return };
        let now = clock.now_ns();
        let count = {
            let mut state = self.state.lock();
            let Some(next) = state.next else { return };
            let count = if now < next {
                0
            } else {
                let passed = (now - next).checked_div(state.interval);
                let count = passed.map_or(1, |more| more.saturating_add(1));
                state.next = passed.map(|_| next.saturating_add(count.saturating_mul(state.interval)));
                count
            };
            self.enqueue(&mut state, &clock, GRAIN);
            count
        };
        if count != 0 {
            (self.action)(count);
        }
    }

    /// Puts the timer where it belongs in the queue, no sooner than `grain` from now.
    fn enqueue(self: &Arc<Timer>, state: &mut State, clock: &Clock, grain: u64) {
        let key = state.next.map(|next| {
            let now = clock::now().monotonic_ns;
            let at = match clock {
                Clock::Process(process) => {
                    // The clock takes the lock itself.
                    let threads = process.threads.lock().len();
                    now + share(next, clock, threads)
                }
                Clock::Thread(_) => now + share(next, clock, 1),
                wall => wall.deadline(next).0.unwrap_or(u64::MAX),
            };
            (at.max(now + grain), self.number)
        });
        let mut queue = QUEUE.lock();
        if let Some(old) = state.queued.take() {
            queue.remove(&old);
        }
        state.queued = key;
        let Some(key) = key else { return };
        queue.insert(key, Arc::downgrade(self));
        let is_first = queue.first_key_value().is_some_and(|(first, _)| *first == key);
        drop(queue);
        if is_first && let Some(handle) = THREAD.get() {
            handle.unpark();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(key) = self.state.lock().queued.take() {
            QUEUE.lock().remove(&key);
        }
    }
}

/// The soonest in which a clock that `threads` threads drive can show `at`.
fn share(at: u64, clock: &Clock, threads: usize) -> u64 {
    (at.saturating_sub(clock.now_ns()) / threads.max(1) as u64).max(WORK_GRAIN)
}

fn left(state: &State, now: u64) -> Setting {
    // A timer that is due has not yet expired: Linux never shows 0 for it.
    let value = state.next.map_or(0, |next| next.saturating_sub(now).max(1));
    Setting { value, interval: state.interval }
}

/// Starts the timers' thread unless it runs.
fn start() -> Result<()> {
    if STARTED.swap(true, SeqCst) {
        return Ok(());
    }
    thread::spawn(|handle| {
        let _ = THREAD.set(handle);
        loop {
            serve();
        }
    })
    .map(|_| ())
    .map_err(|_| {
        STARTED.store(false, SeqCst);
        Errno::EAGAIN
    })
}

/// Does what is due and sleeps until something is.
fn serve() {
    thread::clear_wake();
    // The host may have given a signal of the run to this thread.
    if context::take_interrupt() {
        signal::admit_host_signals();
    }
    let now = clock::now().monotonic_ns;
    let first = {
        let mut queue = QUEUE.lock();
        match queue.first_key_value() {
            Some((&(at, _), _)) if at > now => Err(Some(at - now)),
            None => Err(None),
            Some(_) => Ok(queue.pop_first()),
        }
    };
    match first {
        Ok(due) => {
            if let Some(timer) = due.and_then(|(_, timer)| timer.upgrade()) {
                timer.look();
            }
        }
        Err(left) => {
            thread::park(left);
        }
    }
}
