//! Futexes (futex(2)): queues of threads by address.
//!
//! All processes of one library OS share one address range, so an address alone names a futex, private or not; only on a
//! stage ([`crate::mm::Stage`]) it takes the process, too.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_platform::sync::{Mutex, MutexGuard};
use casemate_platform::thread::ThreadHandle;
use casemate_platform::user;

use crate::errno::{Errno, Result};
use crate::events::{Deadline, sleep_until};
use crate::mm::STAGE_LIMIT;
use crate::process::{Thread, current_address_space, current_thread};
use crate::user_space::{self, Addr};

/// FUTEX_BITSET_MATCH_ANY.
pub const ANY: u32 = u32::MAX;
const BUCKETS: usize = 256;

struct Waiter {
    /// The futex waited for; 0 once woken. Changed by requeue under both buckets' locks.
    key: AtomicU64,
    bitset: u32,
    thread: Arc<ThreadHandle>,
}

type Queue = VecDeque<Arc<Waiter>>;

static TABLE: [Mutex<Queue>; BUCKETS] = [const { Mutex::new(VecDeque::new()) }; BUCKETS];

fn index(key: u64) -> usize {
    ((key >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % BUCKETS
}

fn bucket(key: u64) -> &'static Mutex<Queue> {
    &TABLE[index(key)]
}

/// What names the futex at an address of the calling process.
fn key(at: Addr) -> u64 {
    if at.0 < STAGE_LIMIT { current_address_space().futex_key(at.0) } else { at.0 }
}

fn check_aligned(at: Addr) -> Result<()> {
    if !at.0.is_multiple_of(4) { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Runs `under_lock` with the bucket of `at` locked and the word's value; the word is made present first.
fn with_value<T>(at: Addr, mut under_lock: impl FnMut(u32, MutexGuard<Queue>) -> T) -> Result<T> {
    loop {
        user_space::read_u32(at)?;
        let guard = bucket(key(at)).lock();
        // Not repaired under the lock: if the page went meanwhile, begin again.
        if let Ok(value) = user::read_u32(at.0) {
            return Ok(under_lock(value, guard));
        }
    }
}

/// FUTEX_WAIT(_BITSET): sleeps while the word is `expected`. Errors: `EAGAIN`, `ETIMEDOUT`, `ERESTARTSYS`, `EINVAL`, `EFAULT`.
pub fn wait(at: Addr, expected: u32, bitset: u32, deadline: Deadline) -> Result<()> {
    check_aligned(at)?;
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    let waiter = Arc::new(Waiter { key: AtomicU64::new(key(at)), bitset, thread: current_thread().handle() });
    with_value(at, |value, mut queue| {
        if value != expected {
            return Err(Errno::EAGAIN);
        }
        queue.push_back(waiter.clone());
        Ok(())
    })??;
    let result = sleep_until(deadline, || (waiter.key.load(SeqCst) == 0).then_some(()));
    if result.is_err() && !withdraw(&waiter) {
        // Woken after all: the wake-up must not be lost.
        return Ok(());
    }
    result
}

/// Takes a waiter out of its queue; false when it was woken before.
fn withdraw(waiter: &Arc<Waiter>) -> bool {
    loop {
        let key = waiter.key.load(SeqCst);
        if key == 0 {
            return false;
        }
        let mut queue = bucket(key).lock();
        // A requeue may have moved it between the load and the lock.
        if waiter.key.load(SeqCst) == key {
            queue.retain(|other| !Arc::ptr_eq(other, waiter));
            waiter.key.store(0, SeqCst);
            return true;
        }
    }
}

/// FUTEX_WAKE(_BITSET): wakes up to `count` waiters with a common bit; returns how many.
pub fn wake(at: Addr, count: usize, bitset: u32) -> usize {
    let mut woken = VecDeque::new();
    let key = key(at);
    let mut queue = bucket(key).lock();
    take_waiters(&mut queue, key, count, bitset, &mut woken);
    drop(queue);
    wake_all(woken)
}

fn take_waiters(queue: &mut Queue, key: u64, count: usize, bitset: u32, woken: &mut Queue) {
    let mut position = 0;
    while position < queue.len() && woken.len() < count {
        let candidate = &queue[position];
        if candidate.key.load(Relaxed) == key && candidate.bitset & bitset != 0 {
            if let Some(waiter) = queue.remove(position) {
                waiter.key.store(0, SeqCst);
                woken.push_back(waiter);
            }
        } else {
            position += 1;
        }
    }
}

fn wake_all(woken: Queue) -> usize {
    for waiter in &woken {
        waiter.thread.unpark();
    }
    woken.len()
}

/// Locks the buckets of two futexes in order of their index.
fn lock_two(first: u64, second: u64) -> (MutexGuard<'static, Queue>, Option<MutexGuard<'static, Queue>>) {
    let (a, b) = (index(first), index(second));
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
    from: Addr,
    to: Addr,
    wake_count: usize,
    move_count: usize,
    expected: Option<u32>,
) -> Result<usize> {
    check_aligned(from)?;
    check_aligned(to)?;
    user_space::read_u32(to)?;
    let (from_key, to_key) = (key(from), key(to));
    loop {
        user_space::read_u32(from)?;
        let (mut source, mut target) = lock_two(from_key, to_key);
        let Ok(value) = user::read_u32(from.0) else { continue };
        if expected.is_some_and(|expected| expected != value) {
            return Err(Errno::EAGAIN);
        }
        let mut woken = VecDeque::new();
        take_waiters(&mut source, from_key, wake_count, ANY, &mut woken);
        let mut moved = VecDeque::new();
        let mut position = 0;
        while position < source.len() && moved.len() < move_count {
            if source[position].key.load(Relaxed) != from_key {
                position += 1;
            } else if let Some(waiter) = source.remove(position) {
                waiter.key.store(to_key, SeqCst);
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
    first: Addr,
    second: Addr,
    first_count: usize,
    second_count: usize,
    operation: u32,
) -> Result<usize> {
    check_aligned(first)?;
    check_aligned(second)?;
    user_space::read_u32(first)?;
    let old = loop {
        let old = user_space::read_u32(second)?;
        if user_space::compare_exchange_u32(second, old, operated(operation, old)?)? == old {
            break old;
        }
    };
    let mut woken = wake(first, first_count, ANY);
    if compares(operation, old)? {
        woken += wake(second, second_count, ANY);
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
                    wake(at, 1, ANY);
                }
                return;
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
