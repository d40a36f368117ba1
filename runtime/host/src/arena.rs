//! Memory of the host threads: one slot each, at a fixed stride and aligned to it.
//!
//! A slot holds everything the host side of a thread needs (stacks, [`Thread`] block, host buffer), so that the signal
//! handler finds the block from its stack pointer and a host call from its argument pointer, with no thread register. Slots
//! are used again, never unmapped: the enclave may still hold the address of an ended thread's block.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::{HOST_BUFFER_SIZE, HostThread};
use linux_raw_sys::general::{__NR_madvise, MADV_DONTNEED, PROT_NONE};

use crate::lock::{Mutex, futex_wait};
use crate::sys::{self, Errno, PAGE, READ_WRITE};

/// Size and alignment of a slot.
const SLOT: u64 = 512 * 1024;
// Offsets in a slot. A page without access lies below each stack.
const SIGNAL_STACK: u64 = PAGE;
const SIGNAL_STACK_END: u64 = 0x2_1000;
const STACK: u64 = SIGNAL_STACK_END + PAGE;
const THREAD: u64 = 0x3_a000;
const BUFFER: u64 = 0x4_0000;
const _: () = assert!(BUFFER + HOST_BUFFER_SIZE as u64 == SLOT);
const _: () = assert!(THREAD + size_of::<Thread>() as u64 <= BUFFER);

/// Size of a signal stack in bytes; the kernel's frame may take most of what is above 64 KiB.
pub const SIGNAL_STACK_SIZE: u64 = SIGNAL_STACK_END - SIGNAL_STACK;
/// Most slots.
const SLOT_LIMIT: u32 = 16 * 1024;
/// More free slots than this give the pages of their buffers back.
const WARM_SLOTS: usize = 32;
/// Longest path in bytes, without the NUL.
pub const PATH_LIMIT: usize = 4095;

/// A path with its NUL, on its way to the kernel.
pub type PathBytes = [u8; PATH_LIMIT + 1];

/// The host side of one thread.
#[repr(C, align(4096))]
pub struct Thread {
    /// What the enclave sees. The first field, so that the address of a call's arguments is the block's.
    pub host: HostThread,
    /// 1 from a thread's creation to its end.
    pub alive: AtomicU32,
    /// 1 while the enclave may be entered with exceptions, once it has set gs.
    pub inside: AtomicU32,
    /// 1 while a kick is on its way, so that none is sent twice.
    pub kicked: AtomicU32,
    /// 1 when `ThreadInterrupt` asked for the kick.
    pub interrupt: AtomicU32,
    /// Signal handlers under way on this thread.
    pub depth: AtomicU32,
    /// Not 0 until the kernel has let go of the thread (CLONE_CHILD_CLEARTID).
    pub running: AtomicU32,
    /// 1 when a host signal arrived of which the enclave is to be told at its next entry (softsgx).
    pub pending: AtomicU32,
    /// 1 once the thread has made a host call.
    #[cfg(feature = "hostile")]
    pub called: AtomicU32,
    /// 1 from a host call's exit to the entry that is the reply to it.
    #[cfg(feature = "hostile")]
    pub replying: AtomicU32,
    /// The thread as a logical processor of the software device.
    pub logical: core::cell::UnsafeCell<casemate_softsgx::LogicalProcessor>,
    /// Path arguments of the host call under way, made NUL-ended.
    pub paths: core::cell::UnsafeCell<[PathBytes; 2]>,
}

// SAFETY: shared fields are atomics; `paths`, `logical` and the non-atomic fields of `host` are used by the thread itself only, or before it starts.
unsafe impl Sync for Thread {}

impl Thread {
    /// The slot's first address.
    fn slot(&self) -> u64 {
        self as *const Thread as u64 & !(SLOT - 1)
    }

    /// Base of the signal stack.
    pub fn signal_stack(&self) -> u64 {
        self.slot() + SIGNAL_STACK
    }

    /// Address of the host buffer, whatever `host.buffer` says by now.
    #[cfg(feature = "hostile")]
    pub fn host_buffer(&self) -> u64 {
        self.slot() + BUFFER
    }

    /// What the thread was made for.
    #[cfg(feature = "hostile")]
    pub fn host_area(&self) -> u64 {
        // SAFETY: plain memory of the slot; written before the thread starts.
        unsafe { (&raw const self.host.area).read_volatile() }
    }

    /// Top of the host stack.
    pub fn stack_top(&self) -> u64 {
        self.slot() + THREAD
    }

    /// Whether `length` bytes at `address` lie in this thread's host buffer.
    pub fn owns(&self, address: u64, length: u64) -> bool {
        let start = self.slot() + BUFFER;
        address >= start
            && length <= HOST_BUFFER_SIZE as u64
            && address - start <= HOST_BUFFER_SIZE as u64 - length
    }
}

static BASE: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);
static OPENED: AtomicU32 = AtomicU32::new(0);
static FREE: Mutex<FreeList> = Mutex::new(FreeList { numbers: [0; SLOT_LIMIT as usize], length: 0 });

struct FreeList {
    numbers: [u16; SLOT_LIMIT as usize],
    length: usize,
}

/// Reserves addresses for `threads` slots.
pub fn reserve(threads: u32) -> Result<(), Errno> {
    let count = threads.clamp(1, SLOT_LIMIT);
    let whole = sys::map_anonymous((count as u64 + 1) * SLOT, PROT_NONE)?;
    BASE.store(whole.next_multiple_of(SLOT), Relaxed);
    COUNT.store(count, Relaxed);
    Ok(())
}

fn thread_of(number: u32) -> &'static Thread {
    let address = BASE.load(Relaxed) + number as u64 * SLOT + THREAD;
    // SAFETY: callers pass numbers of opened slots, whose pages are readable, writable, zero at first, and never unmapped.
    unsafe { &*(address as *const Thread) }
}

/// The thread whose slot holds `address`, if that slot was ever used.
#[inline]
pub fn containing(address: u64) -> Option<&'static Thread> {
    let number = address.wrapping_sub(BASE.load(Relaxed)) / SLOT;
    (number < OPENED.load(Acquire) as u64).then(|| thread_of(number as u32))
}

/// The thread whose block, as the enclave names it, is at `address`.
#[inline]
pub fn named(address: u64) -> Option<&'static Thread> {
    containing(address).filter(|thread| &raw const thread.host as u64 == address)
}

/// The thread with this number ([`HostThread::number`]), if its slot was ever used.
pub fn numbered(number: u32) -> Option<&'static Thread> {
    (number < OPENED.load(Acquire)).then(|| thread_of(number))
}

/// The threads whose slots were ever used.
#[cfg(feature = "hostile")]
pub fn opened() -> impl Iterator<Item = (usize, &'static Thread)> {
    (0..OPENED.load(Acquire)).map(|number| (number as usize, thread_of(number)))
}

/// The number of a thread's slot.
#[cfg(feature = "hostile")]
pub fn number_of(thread: &Thread) -> usize {
    ((thread.slot() - BASE.load(Relaxed)) / SLOT) as usize
}

/// Takes a slot for a new thread; EAGAIN when all are in use.
pub fn take() -> Result<&'static Thread, Errno> {
    let mut free = FREE.lock();
    // A thread that gave its slot back may still be on its way out: prefer one that the kernel has let go of.
    let ended =
        (0..free.length).rev().find(|&at| thread_of(free.numbers[at] as u32).running.load(Acquire) == 0);
    let opened = OPENED.load(Relaxed);
    let number = if let Some(at) = ended {
        let last = free.length - 1;
        free.numbers.swap(at, last);
        free.length = last;
        free.numbers[last] as u32
    } else if opened < COUNT.load(Relaxed) {
        open(opened)?;
        OPENED.store(opened + 1, Release);
        opened
    } else if free.length > 0 {
        free.length -= 1;
        let number = free.numbers[free.length] as u32;
        await_end(thread_of(number));
        number
    } else {
        return Err(Errno::EAGAIN);
    };
    drop(free);
    let thread = thread_of(number);
    prepare(thread);
    Ok(thread)
}

/// Gives a slot back. The thread that uses it may do so itself, as its last act.
pub fn give_back(thread: &'static Thread) {
    let number = (thread.slot() - BASE.load(Relaxed)) / SLOT;
    let mut free = FREE.lock();
    let at = free.length;
    if at >= WARM_SLOTS {
        let args = [thread.slot() + BUFFER, HOST_BUFFER_SIZE as u64, MADV_DONTNEED as u64];
        // SAFETY: the ended thread's buffer holds nothing that anyone needs.
        let _ = unsafe { sys::call(__NR_madvise, args) };
    }
    free.numbers[at] = number as u16;
    free.length = at + 1;
}

/// Makes a slot's pages accessible, all but the guards.
fn open(number: u32) -> Result<(), Errno> {
    let slot = BASE.load(Relaxed) + number as u64 * SLOT;
    // SAFETY: the slot was reserved and nobody uses it yet.
    unsafe {
        sys::protect(slot + SIGNAL_STACK, SIGNAL_STACK_SIZE, READ_WRITE)?;
        sys::protect(slot + STACK, SLOT - STACK, READ_WRITE)
    }
}

fn prepare(thread: &'static Thread) {
    let block = thread as *const Thread as *mut Thread;
    // SAFETY: the slot is the caller's alone: its last thread has ended. A late wake-up only touches the atomics.
    unsafe {
        (*block).host.args = [0; 6];
        (*block).host.buffer = thread.slot() + BUFFER;
        (*block).host.number = ((thread.slot() - BASE.load(Relaxed)) / SLOT) as u32;
        // What was there is no value yet, or one that needs no drop.
        (*block).logical.get().write(casemate_softsgx::LogicalProcessor::default());
    }
    thread.host.wake.store(0, SeqCst);
    thread.host.sleeping.store(0, SeqCst);
    thread.host.request.state.store(casemate_exitless::request::IDLE, SeqCst);
    thread.inside.store(0, SeqCst);
    thread.kicked.store(0, SeqCst);
    thread.interrupt.store(0, SeqCst);
    thread.pending.store(0, SeqCst);
    #[cfg(feature = "hostile")]
    {
        thread.called.store(0, SeqCst);
        thread.replying.store(0, SeqCst);
    }
    thread.depth.store(0, SeqCst);
    thread.running.store(1, SeqCst);
    thread.alive.store(1, SeqCst);
}

fn await_end(thread: &Thread) {
    loop {
        let running = thread.running.load(Acquire);
        if running == 0 {
            return;
        }
        // The kernel's wake-up at thread exit is not a private one.
        let _ = futex_wait(&thread.running, running, 0, false);
    }
}

/// For tests of this crate, which share one arena: makes it once.
#[cfg(test)]
pub fn reserve_for_test() -> std::sync::MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap();
    if COUNT.load(Relaxed) == 0 {
        reserve(3).unwrap();
    }
    guard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_found_by_any_address_in_them_and_used_again() {
        let _arena = reserve_for_test();
        let threads: Vec<_> = (0..3).map(|_| take().unwrap()).collect();
        assert_eq!(take().err(), Some(Errno::EAGAIN));
        for thread in &threads {
            let block = &raw const thread.host as u64;
            for address in [thread.signal_stack(), thread.stack_top() - 8, thread.host.buffer, block] {
                assert!(core::ptr::eq(containing(address).unwrap(), *thread));
            }
            assert!(
                named(block).is_some() && named(block + 8).is_none() && named(thread.host.buffer).is_none()
            );
            assert!(core::ptr::eq(numbered(thread.host.number).unwrap(), *thread));
            assert!(thread.owns(thread.host.buffer, HOST_BUFFER_SIZE as u64));
            assert!(!thread.owns(thread.host.buffer + 1, HOST_BUFFER_SIZE as u64));
            assert!(!thread.owns(thread.host.buffer - 1, 1) && !thread.owns(u64::MAX, 2));
            // SAFETY: the test is the slot's only user.
            unsafe { (thread.host.buffer as *mut u8).write_bytes(1, HOST_BUFFER_SIZE) };
        }
        assert!(named(0).is_none() && named(u64::MAX).is_none() && numbered(3).is_none());
        threads[0].running.store(0, SeqCst);
        give_back(threads[1]);
        give_back(threads[0]);
        assert!(core::ptr::eq(take().unwrap(), threads[0]), "the one that has ended is preferred");
        threads[1].running.store(0, SeqCst);
        assert!(core::ptr::eq(take().unwrap(), threads[1]));
        assert_eq!(take().err(), Some(Errno::EAGAIN));
        for thread in threads {
            thread.running.store(0, SeqCst);
            give_back(thread);
        }
    }
}
