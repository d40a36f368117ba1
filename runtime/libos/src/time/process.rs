//! The timers of a process: interval timers, and those of timer_create(2).

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_platform::sync::Mutex;

use super::{Clock, Setting, Timer};
use crate::errno::{Errno, Result};
use crate::process::{Process, Thread};
use crate::signal::{Signal, SignalInfo, send_to_process, send_to_thread};

/// SI_KERNEL.
const FROM_KERNEL: i32 = 0x80;
/// SI_TIMER.
pub(crate) const FROM_TIMER: i32 = -2;
/// Most timers of a process (RLIMIT_SIGPENDING stands behind it on Linux).
const TIMER_LIMIT: usize = 4096;

/// What a process has of time.
#[derive(Default)]
pub struct ProcessClocks {
    /// Processor time of threads that have ended.
    pub(super) ended_ns: AtomicU64,
    intervals: Mutex<[Option<Arc<Timer>>; 3]>,
    timers: Mutex<Timers>,
}

#[derive(Default)]
struct Timers {
    next_id: i32,
    all: BTreeMap<i32, PosixTimer>,
}

#[derive(Clone)]
struct PosixTimer {
    timer: Arc<Timer>,
    /// Of the last signal that was delivered.
    overrun: Arc<AtomicU32>,
}

/// Whom a timer of timer_create(2) tells.
pub enum Notify {
    /// Nobody (SIGEV_NONE).
    Nobody,
    /// The process (SIGEV_SIGNAL), or one thread of it (SIGEV_THREAD_ID).
    Signal(Signal, Option<Arc<Thread>>),
}

impl ProcessClocks {
    /// What setitimer(2) calls `which` (0 real, 1 virtual, 2 profiling), made if it is not there yet; `EINVAL`.
    pub fn interval_timer(&self, process: &Arc<Process>, which: u32) -> Result<Arc<Timer>> {
        let number = *[Signal::ALRM.number(), 26, 27].get(which as usize).ok_or(Errno::EINVAL)?;
        let signal = Signal::new(number)?;
        let mut intervals = self.intervals.lock();
        let place = intervals.get_mut(which as usize).ok_or(Errno::EINVAL)?;
        if let Some(timer) = place {
            return Ok(timer.clone());
        }
        let target = Arc::downgrade(process);
        let clock = if which == 0 { Clock::Monotonic } else { Clock::Process(process.clone()) };
        let timer = Timer::new(clock, move |_| {
            if let Some(process) = target.upgrade() {
                let _ = send_to_process(&process, SignalInfo::new(signal, FROM_KERNEL));
            }
        });
        *place = Some(timer.clone());
        Ok(timer)
    }

    /// timer_create(2); `value` comes with the signal (`None`: the id). `EAGAIN` when there are too many.
    pub fn create(
        &self,
        process: &Arc<Process>,
        clock: Clock,
        notify: Notify,
        value: Option<u64>,
    ) -> Result<i32> {
        let mut timers = self.timers.lock();
        if timers.all.len() >= TIMER_LIMIT {
            return Err(Errno::EAGAIN);
        }
        let mut id = timers.next_id;
        while timers.all.contains_key(&id) {
            id = id.checked_add(1).unwrap_or(0);
        }
        timers.next_id = id.checked_add(1).unwrap_or(0);
        let target = Target::new(process, notify);
        let timer = Timer::new(clock, move |count| target.tell(id, count, value.unwrap_or(id as u64)));
        timers.all.insert(id, PosixTimer { timer, overrun: Arc::default() });
        Ok(id)
    }

    fn find(&self, id: i32) -> Result<PosixTimer> {
        self.timers.lock().all.get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// timer_settime(2).
    pub fn set(&self, id: i32, setting: Setting, absolute: bool) -> Result<Setting> {
        let found = self.find(id)?;
        found.overrun.store(0, Relaxed);
        found.timer.set(setting, absolute)
    }

    /// timer_gettime(2).
    pub fn get(&self, id: i32) -> Result<Setting> {
        let timer = self.find(id)?.timer;
        timer.look();
        Ok(timer.get())
    }

    /// timer_getoverrun(2).
    pub fn overrun(&self, id: i32) -> Result<u32> {
        Ok(self.find(id)?.overrun.load(Relaxed))
    }

    /// timer_delete(2).
    pub fn delete(&self, id: i32) -> Result<()> {
        let gone = self.timers.lock().all.remove(&id);
        gone.map(drop).ok_or(Errno::EINVAL)
    }

    /// execve(2): timers of timer_create(2) end, interval timers go on.
    pub fn forget_timers(&self) {
        let gone = core::mem::take(&mut self.timers.lock().all);
        drop(gone);
    }

    /// The end of the process.
    pub fn stop(&self) {
        self.forget_timers();
        let gone = core::mem::take(&mut *self.intervals.lock());
        drop(gone);
    }

    /// A signal is delivered: if it is a timer's, that is when its overruns count.
    pub fn delivered(&self, info: &SignalInfo) {
        if info.code == FROM_TIMER
            && let Ok(timer) = self.find(info.fields[0] as i32)
        {
            timer.overrun.store((info.fields[0] >> 32) as u32, Relaxed);
        }
    }
}

/// Whom to tell, without keeping anyone alive.
enum Target {
    Nobody,
    Process(Weak<Process>, Signal),
    Thread(Weak<Thread>, Signal),
}

impl Target {
    fn new(process: &Arc<Process>, notify: Notify) -> Target {
        match notify {
            Notify::Nobody => Target::Nobody,
            Notify::Signal(signal, None) => Target::Process(Arc::downgrade(process), signal),
            Notify::Signal(signal, Some(thread)) => Target::Thread(Arc::downgrade(&thread), signal),
        }
    }

    fn tell(&self, id: i32, count: u64, value: u64) {
        let info = |signal| {
            let mut info = SignalInfo::new(signal, FROM_TIMER);
            let overrun = (count - 1).min(i32::MAX as u64);
            info.fields[0] = u64::from(id as u32) | overrun << 32;
            info.fields[1] = value;
            info
        };
        // A full queue loses the signal, as on Linux.
        match self {
            Target::Nobody => {}
            Target::Process(process, signal) => {
                let _ = process.upgrade().map(|process| send_to_process(&process, info(*signal)));
            }
            Target::Thread(thread, signal) => {
                let _ = thread.upgrade().map(|thread| send_to_thread(&thread, info(*signal)));
            }
        }
    }
}
