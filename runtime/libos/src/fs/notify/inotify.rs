//! [`Inotify`]: an inotify instance: watches, and a queue of what happened that is read as a file.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicUsize, Ordering::*};

use casemate_platform::sync::Mutex;
use linux_raw_sys::ioctl::FIONREAD;

use super::{Add, Mask, Notices};
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Pollee, Poller, wait_until};
use crate::file::{File, OpenFlags, StatusFlags, Whence};
use crate::fs::inode::Inode;
use crate::fs::mount::split_device;
use crate::io::Sink;
use crate::ipc::anonymous_stat;
use crate::stat::{FileType, Stat};
use crate::user_space::{self, Addr};

/// What there can be at most; /proc/sys/fs/inotify shows it.
pub struct Limits {
    /// Messages that wait in one queue.
    pub queued: usize,
    /// Instances.
    pub instances: usize,
    /// Watches of all instances; each keeps an inode in memory.
    pub watches: usize,
}

/// Linux's defaults; that of watches depends on the machine's memory there.
pub const LIMITS: Limits = Limits { queued: 16_384, instances: 128, watches: 65_536 };

/// sizeof(struct inotify_event); names are padded to a multiple of it.
const HEAD: usize = 16;

static INSTANCES: AtomicUsize = AtomicUsize::new(0);

/// Something that happened, as struct inotify_event tells it.
#[derive(PartialEq, Eq)]
pub struct Message {
    pub watch: i32,
    pub mask: Mask,
    pub cookie: u32,
    pub name: Box<[u8]>,
}

impl Message {
    /// Of the watch itself.
    pub fn new(watch: i32, mask: Mask) -> Message {
        Message { watch, mask, cookie: 0, name: Box::default() }
    }

    fn padded_name(&self) -> usize {
        if self.name.is_empty() { 0 } else { (self.name.len() + 1).next_multiple_of(HEAD) }
    }

    fn size(&self) -> usize {
        HEAD + self.padded_name()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        bytes.extend_from_slice(&self.watch.to_le_bytes());
        for word in [self.mask.bits(), self.cookie, self.padded_name() as u32] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.name);
        bytes.resize(self.size(), 0);
        bytes
    }

    /// Whether it tells nothing new after `last`. The cookie makes no difference.
    fn repeats(&self, last: &Message) -> bool {
        (self.watch, self.mask, &self.name) == (last.watch, last.mask, &last.name)
            && !last.mask.contains(Mask::IGNORED)
    }
}

/// What waits to be read, and what is watched.
pub struct Queue {
    state: Mutex<State>,
    pub(super) pollee: Pollee,
}

struct State {
    messages: VecDeque<Message>,
    /// The message that some were lost waits among the others.
    overflowed: bool,
    watched: BTreeMap<i32, Arc<dyn Inode>>,
    next_watch: i32,
}

impl Queue {
    /// Adds a message; false when nothing came of it.
    pub(super) fn push(&self, message: Message) -> bool {
        let mut state = self.state.lock();
        if state.messages.len() >= LIMITS.queued {
            if state.overflowed {
                return false;
            }
            state.overflowed = true;
            state.messages.push_back(Message::new(-1, Mask::OVERFLOW));
            return true;
        }
        if state.messages.back().is_some_and(|last| message.repeats(last)) {
            return false;
        }
        state.messages.push_back(message);
        true
    }

    /// The next message if it fits into so many bytes: `EINVAL`.
    fn take(&self, room: usize) -> Option<Result<Message>> {
        let mut state = self.state.lock();
        if state.messages.front()?.size() > room {
            return Some(Err(Errno::EINVAL));
        }
        let message = state.messages.pop_front()?;
        if message.mask.contains(Mask::OVERFLOW) {
            state.overflowed = false;
        }
        Some(Ok(message))
    }

    /// A number for a new watch of this inode, which it keeps.
    pub(super) fn hold(&self, inode: Arc<dyn Inode>) -> i32 {
        let mut state = self.state.lock();
        let watch = state.next_watch;
        state.next_watch = if watch == i32::MAX { 1 } else { watch + 1 };
        state.watched.insert(watch, inode);
        watch
    }

    /// A watch ended.
    pub(super) fn release(&self, watch: i32) -> Option<Arc<dyn Inode>> {
        self.state.lock().watched.remove(&watch)
    }
}

/// An inotify instance.
pub struct Inotify {
    queue: Arc<Queue>,
    status: StatusFlags,
    stat: Stat,
}

impl Inotify {
    /// Watches nothing yet; `EMFILE` when there are too many.
    pub fn new(nonblocking: bool) -> Result<Arc<Inotify>> {
        if INSTANCES.fetch_add(1, Relaxed) >= LIMITS.instances {
            INSTANCES.fetch_sub(1, Relaxed);
            return Err(Errno::EMFILE);
        }
        let state =
            State { messages: VecDeque::new(), overflowed: false, watched: BTreeMap::new(), next_watch: 1 };
        let flags = if nonblocking { OpenFlags::NONBLOCK } else { OpenFlags::empty() };
        Ok(Arc::new(Inotify {
            queue: Arc::new(Queue { state: Mutex::new(state), pollee: Pollee::new() }),
            status: StatusFlags::new(flags),
            stat: anonymous_stat(FileType::Anonymous, 0o600),
        }))
    }

    /// Watches `inode`, or changes how. Of inodes that are made anew at each look-up (in /proc) there is nothing to tell.
    pub fn watch(&self, inode: &Arc<dyn Inode>, mask: Mask, add: Add) -> Result<i32> {
        match inode.watchers() {
            Some(watchers) => watchers.add(inode, &self.queue, mask, add),
            None => Ok(self.queue.hold(inode.clone())),
        }
    }

    /// Ends a watch; `EINVAL` when there is none of this number.
    pub fn end(&self, watch: i32) -> Result<()> {
        let inode = self.queue.state.lock().watched.get(&watch).cloned().ok_or(Errno::EINVAL)?;
        let mut notices = Notices::default();
        let ended = match inode.watchers() {
            Some(watchers) => watchers.end(&self.queue, watch, &mut notices),
            None => {
                self.queue.push(Message::new(watch, Mask::IGNORED));
                self.queue.release(watch).is_some()
            }
        };
        if ended { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn describe(&self, watch: i32, inode: &Arc<dyn Inode>) -> Option<Vec<u8>> {
        let mask = inode.watchers()?.mask(&self.queue)?.bits();
        let stat = inode.stat().ok()?;
        let (major, minor) = split_device(stat.device);
        // The kernel's own way to pack a device number.
        let (device, number) = (major << 20 | minor, stat.inode);
        let line =
            format!("inotify wd:{watch:x} ino:{number:x} sdev:{device:x} mask:{mask:x} ignored_mask:0 \n");
        Some(line.into_bytes())
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        INSTANCES.fetch_sub(1, Relaxed);
        let watched = core::mem::take(&mut self.queue.state.lock().watched);
        for watchers in watched.values().filter_map(|inode| inode.watchers()) {
            watchers.forget(&self.queue);
        }
    }
}

impl File for Inotify {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.stat)
    }

    fn path_text(&self) -> Vec<u8> {
        b"anon_inode:inotify".to_vec()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        let mut count = 0;
        loop {
            let room = sink.remaining();
            let next = match self.queue.take(room) {
                Some(Err(_)) | None if count > 0 => return Ok(count),
                Some(next) => next,
                None if self.status.nonblocking() => return Err(Errno::EAGAIN),
                None => wait_until(&self.queue.pollee, Events::READABLE, Deadline::NEVER, || {
                    self.queue.take(room)
                })?,
            };
            let bytes = next?.to_bytes();
            if sink.put(&bytes)? < bytes.len() {
                return Err(Errno::EFAULT);
            }
            count += bytes.len();
        }
    }

    fn seek(&self, _offset: i64, _whence: Whence) -> Result<u64> {
        // There is no position, but asking for one is no error.
        Ok(0)
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        if let Some(poller) = poller {
            poller.observe(&self.queue.pollee, Events::READABLE);
        }
        if self.queue.state.lock().messages.is_empty() { Events::empty() } else { Events::READABLE }
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let waiting: usize = self.queue.state.lock().messages.iter().map(Message::size).sum();
        user_space::write_u32(Addr(argument), waiting as u32)?;
        Ok(0)
    }

    fn details(&self) -> Vec<u8> {
        let watched = self.queue.state.lock().watched.clone();
        watched.iter().rev().filter_map(|(&watch, inode)| self.describe(watch, inode)).flatten().collect()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
