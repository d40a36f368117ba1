//! epoll(7). Inside files tell their entries when something changes; the entries queue up and are asked again when
//! somebody waits. Descriptors of the host are in an epoll of the host, so that a wait over thousands of them is one host
//! call, which a wake-up from an inside file ends.

mod entry;

pub use entry::{Interest, Manner};

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

use casemate_platform::host::{self, HostError, HostFd};
use casemate_platform::sync::{Mutex, Once};
use casemate_platform::thread;
use linux_raw_sys::general as raw;

use self::entry::Entry;
use super::anonymous_stat;
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Pollee, Poller, Waiter, asleep, poll_host, sleep_until_woken};
use crate::file::{File, OpenFlags, StatusFlags, Whence};
use crate::process::current_thread;
use crate::stat::{FileType, Stat};

/// How deep epolls may watch each other.
const NESTING_LIMIT: usize = 5;
/// Entries at which those of closed files are first looked for.
const SWEEP_FLOOR: usize = 64;

/// Descriptor number and identity of the file: what makes an entry.
type Key = (i32, usize);

#[derive(Default)]
struct Entries {
    by_key: BTreeMap<Key, Arc<Entry>>,
    /// Those in the host's epoll, by [`Entry::id`].
    by_id: BTreeMap<u64, Arc<Entry>>,
    sweep_at: usize,
}

/// An epoll descriptor.
pub struct Epoll {
    entries: Mutex<Entries>,
    /// Entries that may be ready.
    ready: Mutex<VecDeque<Arc<Entry>>>,
    pollee: Pollee,
    host: Once<HostFd>,
    /// Entries in the host's epoll.
    host_entries: AtomicUsize,
    next_id: AtomicU64,
    status: StatusFlags,
    stat: Stat,
}

/// An event for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What is ready.
    pub events: Events,
    /// What epoll_ctl(2) was given.
    pub data: u64,
}

/// Serialises the making of epolls that watch epolls, so that no two threads close a loop together.
static NESTING: Mutex<()> = Mutex::new(());

/// What epoll_ctl(2) says where the host has no descriptor for an epoll of its own.
fn want_of_descriptors(error: HostError) -> Errno {
    match error.into() {
        Errno::EMFILE | Errno::ENFILE => Errno::ENOMEM,
        other => other,
    }
}

fn key(fd: i32, file: &Arc<dyn File>) -> Key {
    (fd, Arc::as_ptr(file).cast::<()>() as usize)
}

impl Epoll {
    /// One that watches nothing.
    pub fn new() -> Arc<Epoll> {
        Arc::new(Epoll {
            entries: Mutex::default(),
            ready: Mutex::default(),
            pollee: Pollee::new(),
            host: Once::new(),
            host_entries: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            status: StatusFlags::new(OpenFlags::READ_WRITE),
            stat: anonymous_stat(FileType::Anonymous, 0o600),
        })
    }

    /// EPOLL_CTL_ADD.
    pub fn add(self: &Arc<Self>, fd: i32, file: &Arc<dyn File>, interest: Interest) -> Result<()> {
        let nested = file.as_any().downcast_ref::<Epoll>();
        self.sweep();
        let id = self.next_id.fetch_add(1, Relaxed);
        let entry = Entry::new(self, id, file, interest);
        {
            let _one_at_a_time = nested.map(|_| NESTING.lock());
            if nested.is_some_and(|inner| inner.depth(self, 1).is_none()) {
                return Err(Errno::ELOOP);
            }
            let mut entries = self.entries.lock();
            if entries.by_key.contains_key(&key(fd, file)) {
                return Err(Errno::EEXIST);
            }
            entries.by_key.insert(key(fd, file), entry.clone());
        }
        let outcome = match (nested, file.host_fd()) {
            (Some(inner), _) => inner.host().and_then(|inner| self.add_to_host(&entry, inner, raw::EPOLLIN)),
            (None, Some(host)) => self.add_to_host(&entry, host, interest.host_bits()),
            (None, None) => Ok(()),
        };
        if let Err(error) = outcome {
            let gone = self.entries.lock().by_key.remove(&key(fd, file));
            drop(gone);
            return Err(error);
        }
        if file.host_fd().is_none() && entry.watch(interest) {
            self.enqueue(&entry, true);
        }
        Ok(())
    }

    /// EPOLL_CTL_MOD.
    pub fn modify(&self, fd: i32, file: &Arc<dyn File>, interest: Interest) -> Result<()> {
        let entry = self.entries.lock().by_key.get(&key(fd, file)).cloned().ok_or(Errno::ENOENT)?;
        if entry.interest().manner.contains(Manner::EXCLUSIVE) {
            return Err(Errno::EINVAL);
        }
        match file.host_fd() {
            Some(host) => {
                entry.set_interest(interest);
                let epoll = entry.relay().map_or_else(|| self.host(), Ok)?;
                host::epoll_control(epoll, raw::EPOLL_CTL_MOD, host, interest.host_bits(), entry.id)?;
            }
            None => {
                if entry.watch(interest) {
                    self.enqueue(&entry, true);
                }
            }
        }
        Ok(())
    }

    /// EPOLL_CTL_DEL.
    pub fn remove(&self, fd: i32, file: &Arc<dyn File>) -> Result<()> {
        let mut entries = self.entries.lock();
        let entry = entries.by_key.remove(&key(fd, file)).ok_or(Errno::ENOENT)?;
        let in_host = entries.by_id.remove(&entry.id).is_some();
        drop(entries);
        let queued = entry.queued.swap(true, SeqCst);
        entry.forget();
        if queued {
            self.ready.lock().retain(|other| other.id != entry.id);
        }
        if in_host {
            self.host_entries.fetch_sub(1, Relaxed);
            let nested = file.as_any().downcast_ref::<Epoll>().and_then(|inner| inner.host.get());
            if let Some(host) = entry.relay().or(file.host_fd()).or(nested) {
                host::epoll_control(self.host()?, raw::EPOLL_CTL_DEL, host, 0, 0)?;
            }
        }
        Ok(())
    }

    fn add_to_host(&self, entry: &Arc<Entry>, fd: &HostFd, events: u32) -> Result<()> {
        let host = self.host()?;
        self.entries.lock().by_id.insert(entry.id, entry.clone());
        let outcome = match host::epoll_control(host, raw::EPOLL_CTL_ADD, fd, events, entry.id) {
            Err(error) if Errno::from(error) == Errno::EEXIST => {
                entry.make_relay(fd, events).and_then(|relay| {
                    Ok(host::epoll_control(host, raw::EPOLL_CTL_ADD, relay, raw::EPOLLIN, entry.id)?)
                })
            }
            outcome => outcome.map_err(Errno::from),
        };
        match outcome {
            Ok(()) => drop(self.host_entries.fetch_add(1, Relaxed)),
            Err(_) => drop(self.entries.lock().by_id.remove(&entry.id)),
        }
        outcome
    }

    /// The host's epoll, made when it is first needed.
    fn host(&self) -> Result<&HostFd> {
        loop {
            if let Some(host) = self.host.get() {
                return Ok(host);
            }
            // Another thread may set it first: then ours is closed again.
            drop(self.host.set(host::epoll_open().map_err(want_of_descriptors)?));
        }
    }

    /// How many epolls lie one below the other from here on; `None` when `top` is among them or they are too many.
    fn depth(&self, top: &Arc<Epoll>, level: usize) -> Option<usize> {
        if core::ptr::eq(self, Arc::as_ptr(top)) || level >= NESTING_LIMIT {
            return None;
        }
        let below: Vec<Arc<Entry>> = self.entries.lock().by_key.values().cloned().collect();
        let mut deepest = level;
        for file in below.iter().filter_map(|entry| entry.file()) {
            if let Some(inner) = file.as_any().downcast_ref::<Epoll>() {
                deepest = deepest.max(inner.depth(top, level + 1)?);
            }
        }
        Some(deepest)
    }

    /// Drops the entries of closed files once in a while.
    fn sweep(&self) {
        let mut entries = self.entries.lock();
        if entries.by_key.len() < entries.sweep_at.max(SWEEP_FLOOR) {
            return;
        }
        let mut dead = Vec::new();
        entries.by_key.retain(|_, entry| {
            if entry.is_dead() {
                dead.push(entry.clone());
            }
            !entry.is_dead()
        });
        for entry in &dead {
            if entries.by_id.remove(&entry.id).is_some() {
                self.host_entries.fetch_sub(1, Relaxed);
            }
        }
        entries.sweep_at = entries.by_key.len() * 2;
    }

    /// Puts an entry among those that may be ready.
    fn enqueue(&self, entry: &Arc<Entry>, tell: bool) {
        if !entry.queued.swap(true, SeqCst) {
            self.ready.lock().push_back(entry.clone());
        }
        if tell {
            self.pollee.notify(Events::READABLE);
        }
    }

    /// Asks the entries that may be ready, at most those that are queued now.
    fn collect(&self, limit: usize, reports: &mut Vec<Report>) {
        let candidates = self.ready.lock().len();
        let mut again = Vec::new();
        for _ in 0..candidates {
            if reports.len() >= limit {
                break;
            }
            let Some(entry) = self.ready.lock().pop_front() else { break };
            entry.queued.store(false, SeqCst);
            let Some(file) = entry.file() else { continue };
            if let Some((events, interest)) = entry.report(file.poll(None)) {
                reports.push(Report { events, data: interest.data });
                if !interest.manner.intersects(Manner::EDGE | Manner::ONE_SHOT) {
                    again.push(entry);
                }
            }
        }
        // Level-triggered ones stay candidates, behind the others.
        for entry in again {
            self.enqueue(&entry, false);
        }
    }

    /// Adds what the host reports, waiting for it at most `left`; nothing when a wake-up came first.
    fn collect_from_host(&self, limit: usize, left: Option<u64>, reports: &mut Vec<Report>) -> Result<()> {
        let found = match host::epoll_wait(self.host()?, limit - reports.len(), left) {
            Ok(found) => found,
            Err(HostError::INTERRUPTED) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for one in found {
            let Some(entry) = self.entries.lock().by_id.get(&one.data).cloned() else { continue };
            let Some(file) = entry.file() else { continue };
            if file.host_fd().is_none() {
                // An epoll below has something from the host: it is asked like an inside file.
                self.enqueue(&entry, false);
                continue;
            }
            let found = match entry.relay() {
                Some(relay) => host::epoll_wait(relay, 1, Some(0))?.first().map_or(0, |inner| inner.events),
                None => one.events,
            };
            if let Some((events, interest)) = entry.report(Events::from_bits_truncate(found)) {
                reports.push(Report { events, data: interest.data });
            }
        }
        Ok(())
    }

    /// epoll_wait(2): at most `limit` reports. `ERESTARTNOHAND` when a signal comes first.
    pub fn wait(&self, limit: usize, deadline: Deadline) -> Result<Vec<Report>> {
        let current = current_thread();
        let mut registration = None;
        let mut reports = Vec::new();
        loop {
            thread::clear_wake();
            self.collect(limit, &mut reports);
            let waits = reports.is_empty() && deadline.left() != Some(0) && !current.has_signal();
            if waits && registration.is_none() {
                registration = Some(self.pollee.register(Waiter::current(), Events::READABLE));
                continue;
            }
            let left = if waits { deadline.left() } else { Some(0) };
            if self.host_entries.load(Relaxed) > 0 && reports.len() < limit {
                let mut collect = || self.collect_from_host(limit, left, &mut reports);
                if waits {
                    asleep(&current, collect)?
                } else {
                    collect()?
                };
                if reports.is_empty() {
                    self.collect(limit, &mut reports);
                }
            } else if waits {
                sleep_until_woken(&current, deadline);
                self.collect(limit, &mut reports);
            }
            if !reports.is_empty() {
                return Ok(reports);
            }
            if current.has_signal() {
                return Err(Errno::ERESTARTNOHAND);
            }
            if deadline.left() == Some(0) {
                return Ok(reports);
            }
        }
    }

    /// Whether a wait would report something; takes nothing away.
    fn is_ready(&self) -> bool {
        let candidates: Vec<Arc<Entry>> = self.ready.lock().iter().cloned().collect();
        let ready = |entry: &Arc<Entry>| {
            entry.file().is_some_and(|file| !entry.interest().admit(file.poll(None)).is_empty())
        };
        candidates.iter().any(ready)
            || self.host_entries.load(Relaxed) > 0
                && self.host.get().is_some_and(|host| poll_host(host, Events::IN).contains(Events::IN))
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        for entry in self.entries.get_mut().by_key.values() {
            entry.forget();
        }
    }
}

impl File for Epoll {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.stat)
    }

    fn path_text(&self) -> Vec<u8> {
        b"anon_inode:[eventpoll]".to_vec()
    }

    fn seek(&self, _offset: i64, _whence: Whence) -> Result<u64> {
        // There is no position, but asking for one is no error.
        Ok(0)
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        if let Some(poller) = poller {
            poller.observe(&self.pollee, Events::READABLE);
            if let Some(host) = self.host.get() {
                poller.observe_host(host, Events::IN);
            }
        }
        if self.is_ready() { Events::READABLE } else { Events::empty() }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
