//! Futexes (futex(2)): queues of threads by [`Key`].
//!
//! All processes of one library OS share one address range, so an address alone names a futex in private memory; only on a
//! stage ([`crate::mm::Stage`]) it takes the process, too. In shared
//! memory the file and the offset in it do, whatever mapping a thread sees it through.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::*;

use casemate_platform::sync::{Mutex, MutexGuard};
use casemate_platform::thread::ThreadHandle;
use casemate_platform::user;

use crate::errno::{Errno, Result};
use crate::events::{Deadline, sleep_until};
use crate::mm::{STAGE_LIMIT, TASK_SIZE};
use crate::process::{Thread, current_address_space, with_current_thread};
use crate::user_space::{self, Addr};

/// FUTEX_BITSET_MATCH_ANY.
pub const ANY: u32 = u32::MAX;
const BUCKETS: usize = 256;

/// What names a futex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Device and inode number; zeros for private memory.
    file: (u64, u64),
    /// Address, or offset in the file.
    place: u64,
}

impl Key {
    /// The futex at an address. `EINVAL` when that is misaligned, `EFAULT` when no program can have it, or nothing is mapped there
    /// and the futex is not `private` (FUTEX_PRIVATE_FLAG).
    pub fn of(at: Addr, private: bool) -> Result<Key> {
        if !at.0.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        if at.0 >= TASK_SIZE {
            return Err(Errno::EFAULT);
        }
        if private && at.0 >= STAGE_LIMIT {
            return Ok(Key { file: (0, 0), place: at.0 });
        }
        let space = current_address_space();
        let shared = if private { None } else { space.shared_place(at.0).ok_or(Errno::EFAULT)? };
        Ok(match shared {
            Some((file, offset)) => Key { file, place: offset },
            None => Key { file: (0, 0), place: space.futex_key(at.0) },
        })
    }

    fn index(self) -> usize {
        let mixed = (self.place >> 2) ^ self.file.1.rotate_left(32);
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % BUCKETS
    }

    fn bucket(self) -> &'static Mutex<Queue> {
        &TABLE[self.index()]
    }
}

/// A futex as a caller names it.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    at: Addr,
    key: Key,
}

impl Word {
    /// As [`Key::of`].
    pub fn of(at: Addr, private: bool) -> Result<Word> {
        Ok(Word { at, key: Key::of(at, private)? })
    }
}

struct Waiter {
    /// What is waited for; `None` once woken. Changed by requeue under both buckets' locks.
    key: Mutex<Option<Key>>,
    bitset: u32,
    thread: Arc<ThreadHandle>,
}

impl Waiter {
    fn new(key: Key, bitset: u32) -> Arc<Waiter> {
        Arc::new(Waiter {
            key: Mutex::new(Some(key)),
            bitset,
            thread: with_current_thread(|thread| thread.handle()),
        })
    }

    fn woken(&self) -> bool {
        self.key.lock().is_none()
    }
}

type Queue = VecDeque<Arc<Waiter>>;

static TABLE: [Mutex<Queue>; BUCKETS] = [const { Mutex::new(VecDeque::new()) }; BUCKETS];

/// Runs `under_lock` with the futex's bucket locked and the word's value; the word is made present first.
fn with_value<T>(word: Word, mut under_lock: impl FnMut(u32, MutexGuard<Queue>) -> T) -> Result<T> {
    loop {
        user_space::read_u32(word.at)?;
        let guard = word.key.bucket().lock();
        // Not repaired under the lock: if the page went meanwhile, begin again.
        if let Ok(value) = user::read_u32(word.at.0) {
            return Ok(under_lock(value, guard));
        }
    }
}

/// Queues a waiter if the word is `expected`; `EAGAIN`.
fn enqueue(word: Word, expected: u32, bitset: u32) -> Result<Arc<Waiter>> {
    let waiter = Waiter::new(word.key, bitset);
    with_value(word, |value, mut queue| {
        if value != expected {
            return Err(Errno::EAGAIN);
        }
        queue.push_back(waiter.clone());
        Ok(())
    })??;
    Ok(waiter)
}

/// FUTEX_WAIT(_BITSET): sleeps while the word is `expected`. Errors: `EAGAIN`, `ETIMEDOUT`, `ERESTARTSYS`, `EINVAL`, `EFAULT`.
pub fn wait(word: Word, expected: u32, bitset: u32, deadline: Deadline) -> Result<()> {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    let waiter = enqueue(word, expected, bitset)?;
    let result = sleep_until(deadline, || waiter.woken().then_some(()));
    if result.is_err() && !withdraw(&waiter) {
        // Woken after all: the wake-up must not be lost.
        return Ok(());
    }
    result
}

/// futex_waitv(2): sleeps while each word has its value; returns the position of one that was woken.
pub fn wait_for_one(words: &[(Word, u32)], deadline: Deadline) -> Result<usize> {
    let mut waiters: Vec<Arc<Waiter>> = Vec::with_capacity(words.len());
    let queued = words.iter().try_for_each(|&(word, expected)| {
        waiters.push(enqueue(word, expected, ANY)?);
        Ok(())
    });
    let slept = queued
        .and_then(|()| sleep_until(deadline, || waiters.iter().any(|waiter| waiter.woken()).then_some(())));
    let mut woken = None;
    for (position, waiter) in waiters.iter().enumerate() {
        if !withdraw(waiter) {
            woken = Some(position);
        }
    }
    // A wake-up must not be lost to an error that came at the same time.
    match woken {
        Some(position) => Ok(position),
        None => slept.and(Err(Errno::EAGAIN)),
    }
}

/// Takes a waiter out of its queue; false when it was woken before.
fn withdraw(waiter: &Arc<Waiter>) -> bool {
    loop {
        let Some(key) = *waiter.key.lock() else { return false };
        let mut queue = key.bucket().lock();
        // A requeue may have moved it between the load and the lock.
        let mut now = waiter.key.lock();
        if *now == Some(key) {
            *now = None;
            drop(now);
            queue.retain(|other| !Arc::ptr_eq(other, waiter));
            return true;
        }
    }
}

/// FUTEX_WAKE(_BITSET): wakes up to `count` waiters with a common bit; returns how many.
pub fn wake(key: Key, count: usize, bitset: u32) -> usize {
    let mut queue = key.bucket().lock();
    if count == 1 {
        let woken = take_from(&mut queue, &mut 0, key, bitset);
        drop(queue);
        return woken.inspect(|waiter| waiter.thread.unpark()).is_some() as usize;
    }
    let mut woken = VecDeque::new();
    take_waiters(&mut queue, key, count, bitset, &mut woken);
    drop(queue);
    wake_all(woken)
}

fn take_waiters(queue: &mut Queue, key: Key, count: usize, bitset: u32, woken: &mut Queue) {
    let mut position = 0;
    while woken.len() < count
        && let Some(waiter) = take_from(queue, &mut position, key, bitset)
    {
        woken.push_back(waiter);
    }
}

/// Takes the first waiter at or behind `position` that is to be woken, and marks it as woken.
fn take_from(queue: &mut Queue, position: &mut usize, key: Key, bitset: u32) -> Option<Arc<Waiter>> {
    while let Some(candidate) = queue.get(*position) {
        if candidate.bitset & bitset != 0 && *candidate.key.lock() == Some(key) {
            *candidate.key.lock() = None;
            return queue.remove(*position);
        }
        *position += 1;
    }
    None
}

fn wake_all(woken: Queue) -> usize {
    for waiter in &woken {
        waiter.thread.unpark();
    }
    woken.len()
}

/// Locks the buckets of two futexes in order of their index.
fn lock_two(first: Key, second: Key) -> (MutexGuard<'static, Queue>, Option<MutexGuard<'static, Queue>>) {
    let (a, b) = (first.index(), second.index());
    if a == b {
        return (TABLE[a].lock(), None);
    }
    if a < b {
        let guard = TABLE[a].lock();
        return (guard, Some(TABLE[b].lock()));
    }
    let guard = TABLE[b].lock();
    (TABLE[a].lock(), Some(guard))
}

/// FUTEX_(CMP_)REQUEUE: wakes up to `wake_count`, moves up to `move_count` to `to`. Returns woken and moved together.
pub fn requeue(
    from: Word,
    to: Word,
    wake_count: usize,
    move_count: usize,
    expected: Option<u32>,
) -> Result<usize> {
    user_space::read_u32(to.at)?;
    loop {
        user_space::read_u32(from.at)?;
        let (mut source, mut target) = lock_two(from.key, to.key);
        let Ok(value) = user::read_u32(from.at.0) else { continue };
        if expected.is_some_and(|expected| expected != value) {
            return Err(Errno::EAGAIN);
        }
        let mut woken = VecDeque::new();
        take_waiters(&mut source, from.key, wake_count, ANY, &mut woken);
        let mut moved = VecDeque::new();
        let mut position = 0;
        while position < source.len() && moved.len() < move_count {
            if *source[position].key.lock() != Some(from.key) {
                position += 1;
            } else if let Some(waiter) = source.remove(position) {
                *waiter.key.lock() = Some(to.key);
                moved.push_back(waiter);
            }
        }
        let count = moved.len();
        target.as_mut().unwrap_or(&mut source).extend(moved);
        drop(target);
        drop(source);
        return Ok(wake_all(woken) + count);
    }
}

/// FUTEX_WAKE_OP: changes the second word, wakes waiters of the first, and of the second if its old value compares.
pub fn wake_op(
    first: Word,
    second: Word,
    first_count: usize,
    second_count: usize,
    operation: u32,
) -> Result<usize> {
    user_space::read_u32(first.at)?;
    let old = loop {
        let old = user_space::read_u32(second.at)?;
        if user_space::compare_exchange_u32(second.at, old, operated(operation, old)?)? == old {
            break old;
        }
    };
    let mut woken = wake(first.key, first_count, ANY);
    if compares(operation, old)? {
        woken += wake(second.key, second_count, ANY);
    }
    Ok(woken)
}

/// The new value of FUTEX_WAKE_OP's word (linux/futex.h: FUTEX_OP).
fn operated(operation: u32, old: u32) -> Result<u32> {
    let mut argument = ((operation as i32) << 8 >> 20) as u32;
    if operation >> 28 & 8 != 0 {
        argument = 1u32.wrapping_shl(argument & 31);
    }
    Ok(match operation >> 28 & 7 {
        0 => argument,
        1 => old.wrapping_add(argument),
        2 => old | argument,
        3 => old & !argument,
        4 => old ^ argument,
        _ => return Err(Errno::ENOSYS),
    })
}

fn compares(operation: u32, old: u32) -> Result<bool> {
    let (old, argument) = (old as i32, (operation as i32) << 20 >> 20);
    Ok(match operation >> 24 & 15 {
        0 => old == argument,
        1 => old != argument,
        2 => old < argument,
        3 => old <= argument,
        4 => old > argument,
        5 => old >= argument,
        _ => return Err(Errno::ENOSYS),
    })
}

const OWNER_DIED: u32 = 0x4000_0000;
const WAITERS: u32 = 0x8000_0000;
const TID_MASK: u32 = 0x3fff_ffff;
/// Longest robust list followed (ROBUST_LIST_LIMIT).
const LIST_LIMIT: usize = 2048;

/// Wakes one waiter of a word, however it is shared.
pub fn wake_at(at: Addr) {
    if let Ok(key) = Key::of(at, false) {
        wake(key, 1, ANY);
    }
}

/// Marks the locks that an ending thread still holds (set_robust_list(2)) and wakes one waiter of each.
pub fn release_robust_list(thread: &Thread) {
    let head = thread.robust_list.load(Relaxed);
    if head == 0 {
        return;
    }
    let read = |at: u64| user_space::read_u64(Addr(at));
    let Ok([first, offset, pending]) =
        (|| -> Result<[u64; 3]> { Ok([read(head)?, read(head + 8)?, read(head + 16)?]) })()
    else {
        return;
    };
    let mut entry = first;
    for _ in 0..LIST_LIMIT {
        if entry & !1 == head {
            break;
        }
        let next = read(entry & !1);
        if entry & !1 != pending & !1 {
            mark_dead(thread.tid(), Addr((entry & !1).wrapping_add(offset)));
        }
        match next {
            Ok(next) => entry = next,
            Err(_) => break,
        }
    }
    if pending & !1 != 0 {
        mark_dead(thread.tid(), Addr((pending & !1).wrapping_add(offset)));
    }
}

fn mark_dead(tid: u32, at: Addr) {
    loop {
        let Ok(value) = user_space::read_u32(at) else { return };
        if value & TID_MASK != tid {
            return;
        }
        match user_space::compare_exchange_u32(at, value, value & WAITERS | OWNER_DIED) {
            Ok(found) if found == value => {
                if value & WAITERS != 0 {
                    wake_at(at);
                }
                return;
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
