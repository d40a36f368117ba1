//! Threads of the enclave: each has an area, a library-OS stack, and the host thread that runs it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::{Any, TypeId};
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::*, fence};

use casemate_abi::{HOST_BUFFER_SIZE, HostCall, HostThread, SleepState};

use crate::area::{self, ThreadArea};
use crate::boundary::HostRange;
use crate::entry::casemate_on_stack;
use crate::host::{HostError, call_raw};
use crate::sync::Mutex;
use crate::user;

/// Size of a library-OS stack.
const STACK_SIZE: u64 = 256 * 1024;
/// Offsets of the words by which threads are woken.
const WAKE: u64 = offset_of!(HostThread, wake) as u64;
const SLEEPING: u64 = offset_of!(HostThread, sleeping) as u64;
/// Written at a stack's lowest word; changed means that the stack ran over.
const STACK_MARK: u64 = 0x5ca1_ab1e_0ddb_a11a;

/// A thread's slot: area and stack, used again by later threads and never given back, so that a stale pointer still
/// points to a slot.
struct Slot {
    area: ThreadArea,
}

static FREE_SLOTS: Mutex<Vec<SlotPointer>> = Mutex::new(Vec::new());

struct SlotPointer(*mut Slot);

// SAFETY: slots are plain memory; whoever takes one from the list owns it.
unsafe impl Send for SlotPointer {}

/// Another thread, to wake or interrupt it.
#[derive(Debug)]
pub struct ThreadHandle {
    area: AtomicU64,
    host_thread: AtomicU64,
    alive: AtomicBool,
}

impl ThreadHandle {
    fn new(area: *mut ThreadArea) -> Arc<ThreadHandle> {
        Arc::new(ThreadHandle {
            area: AtomicU64::new(area as u64),
            host_thread: AtomicU64::new(0),
            alive: AtomicBool::new(true),
        })
    }

    /// Ends the thread's sleep (or its next one); user code is not disturbed.
    pub fn unpark(&self) {
        let host_thread = self.host_thread.load(SeqCst);
        if host_thread == 0 || !self.alive.load(Relaxed) {
            return;
        }
        // The block's address was checked to lie outside the enclave when the thread entered.
        user::store_host_u32(host_thread + WAKE, 1);
        // The sleeper says that it sleeps before it looks at `wake`.
        fence(SeqCst);
        let sleeping = user::load_host_u32(host_thread + SLEEPING);
        if sleeping != Some(SleepState::Awake as u32) {
            let _ = call_raw(HostCall::Unpark, [host_thread, 0, 0, 0, 0, 0]);
        }
    }

    /// Makes the thread stop what it does: its `UserContext::run` returns `Trap::Interrupt`, its sleep ends.
    pub fn interrupt(&self) {
        if !self.alive.load(SeqCst) {
            return;
        }
        let area = self.area.load(Relaxed) as *const ThreadArea;
        // SAFETY: slots are never given back, so the area is valid memory; a later owner of the slot sees one spurious interrupt.
        unsafe { (*area).interrupt.store(1, SeqCst) };
        let host_thread = self.host_thread.load(SeqCst);
        if host_thread != 0 {
            let _ = call_raw(HostCall::ThreadInterrupt, [host_thread, 0, 0, 0, 0, 0]);
        }
    }
}

struct Start {
    handle: Arc<ThreadHandle>,
    main: Box<dyn FnOnce(Arc<ThreadHandle>) + Send>,
}

fn new_slot() -> Option<*mut Slot> {
    if let Some(SlotPointer(slot)) = FREE_SLOTS.lock().pop() {
        return Some(slot);
    }
    let base = crate::heap::take(STACK_SIZE)?;
    let top = base + STACK_SIZE;
    // SAFETY: the range was just taken off the heap for good: nobody else has it, and it is mapped read-write.
    unsafe { (base as *mut u64).write(STACK_MARK) };
    Some(Box::into_raw(Box::new(Slot { area: ThreadArea::new(base, top) })))
}

/// Starts a thread that runs `main`, given its own handle, and ends.
pub fn spawn(main: impl FnOnce(Arc<ThreadHandle>) + Send + 'static) -> Result<Arc<ThreadHandle>, HostError> {
    let slot = new_slot().ok_or(HostError(linux_raw_sys::errno::EAGAIN as i32))?;
    // SAFETY: the slot is ours until the new thread enters.
    let area = unsafe { core::ptr::addr_of_mut!((*slot).area) };
    let handle = ThreadHandle::new(area);
    let start = Box::into_raw(Box::new(Start { handle: handle.clone(), main: Box::new(main) }));
    // SAFETY: as above.
    unsafe {
        (*area).start = start.cast();
        (*area).interrupt.store(0, Relaxed);
    }
    PENDING.lock().push(SlotPointer(slot));
    if let Err(error) = call_raw(HostCall::ThreadCreate, [slot as u64, 0, 0, 0, 0, 0]) {
        // A host that says so of a thread that did enter: the thread runs, and that is what counts.
        if take_pending(slot as u64).is_none() {
            return Ok(handle);
        }
        // SAFETY: no thread entered for this slot, and none can any more, so it and the start value are still ours.
        unsafe {
            drop(Box::from_raw(start));
            (*area).start = core::ptr::null_mut();
        }
        FREE_SLOTS.lock().push(SlotPointer(slot));
        return Err(error);
    }
    Ok(handle)
}

/// Slots for which a host thread was asked for and has not yet entered: the host cannot enter any other.
static PENDING: Mutex<Vec<SlotPointer>> = Mutex::new(Vec::new());

fn take_pending(slot: u64) -> Option<*mut Slot> {
    let mut pending = PENDING.lock();
    let position = pending.iter().position(|candidate| candidate.0 as u64 == slot)?;
    Some(pending.swap_remove(position).0)
}

/// Binds a host thread's block to an area after checking it.
fn bind(area: *mut ThreadArea, host_thread: u64) -> bool {
    let size = core::mem::size_of::<HostThread>() as u64;
    if !host_thread.is_multiple_of(core::mem::align_of::<HostThread>() as u64)
        || HostRange::new(host_thread, size).is_none()
    {
        return false;
    }
    let mut buffer = [0; 8];
    // Read once.
    let place = host_thread + offset_of!(HostThread, buffer) as u64;
    if user::copy_from_host(&mut buffer, place).is_err() {
        return false;
    }
    let buffer = u64::from_le_bytes(buffer);
    if buffer == 0 || HostRange::new(buffer, HOST_BUFFER_SIZE as u64).is_none() {
        return false;
    }
    // SAFETY: the area belongs to the thread that is entering.
    unsafe {
        (*area).host_thread = host_thread;
        (*area).host_buffer = buffer;
    }
    true
}

/// Entry of a host thread for `slot`; runs on the host's stack and returns when the thread has ended.
pub(crate) fn enter(slot: u64, host_thread: u64) -> i64 {
    let Some(slot) = take_pending(slot) else { return -1 };
    // SAFETY: the slot was pending, so it belongs to this entry alone.
    let area = unsafe { core::ptr::addr_of_mut!((*slot).area) };
    if !bind(area, host_thread) {
        // The program waits for this thread, which can never run: the others end the run.
        crate::host::break_off("the host gave a new thread a block inside the enclave");
        return -1;
    }
    // SAFETY: the area lives in a slot, which is never given back.
    unsafe {
        area::install(area);
        casemate_on_stack(area as u64, (*area).stack_top, run_start);
        if (*area).stack_base as *mut u64 as u64 != 0
            && ((*area).stack_base as *const u64).read() != STACK_MARK
        {
            crate::console::fatal("a library OS stack ran over");
        }
    }
    FREE_SLOTS.lock().push(SlotPointer(slot));
    0
}

extern "C" fn run_start(area: u64) -> i64 {
    let area = area as *mut ThreadArea;
    // SAFETY: `spawn` put the start value there for this thread alone.
    let Start { handle, main } = unsafe { *Box::from_raw((*area).start.cast::<Start>()) };
    // SAFETY: the area is this thread's.
    handle.host_thread.store(unsafe { (*area).host_thread }, SeqCst);
    main(handle.clone());
    handle.alive.store(false, SeqCst);
    drop(handle);
    // SAFETY: the local value was set by `set_local` on this thread and nobody else drops it.
    unsafe { clear_local(area) };
    0
}

/// First entry: makes the main thread's area and runs `main` on a library-OS stack. Returns only when it cannot: there is no
/// way yet to say why.
pub(crate) fn enter_first(host_thread: u64, main: fn(Arc<ThreadHandle>)) -> i64 {
    let Some(slot) = new_slot() else { return -1 };
    // SAFETY: the slot was just made for this thread.
    let area = unsafe { core::ptr::addr_of_mut!((*slot).area) };
    if !bind(area, host_thread) {
        return -1;
    }
    let handle = ThreadHandle::new(area);
    handle.host_thread.store(host_thread, SeqCst);
    let start = Box::new(Start { handle, main: Box::new(main) });
    // SAFETY: the slot is never given back; the start value is taken by `run_start` on this thread.
    unsafe {
        (*area).start = Box::into_raw(start).cast();
        area::install(area);
        casemate_on_stack(area as u64, (*area).stack_top, run_start);
    }
    crate::host::exit(70, 0)
}

unsafe fn clear_local(area: *mut ThreadArea) {
    // SAFETY: the caller runs on the area's thread; the pointer came from `Box::into_raw` in `set_local`.
    unsafe {
        if !(*area).local.is_null() {
            let boxed = (*area).local as *mut Local;
            (*area).local = core::ptr::null();
            (*area).local_type = None;
            drop(Box::from_raw(boxed));
        }
    }
}

struct Local {
    value: Box<dyn Any>,
}

/// Sets the calling thread's local value, which [`with_local`] finds by its type; the old one is dropped.
pub fn set_local<T: Any>(value: T) {
    let area = area::current();
    // SAFETY: the area is this thread's.
    unsafe {
        clear_local(area);
        (*area).local = Box::into_raw(Box::new(Local { value: Box::new(value) })) as *const ();
        (*area).local_type = Some(TypeId::of::<T>());
    }
}

/// Calls `function` with the calling thread's local value, if one of this type is set.
#[inline]
pub fn with_local<T: Any, R>(function: impl FnOnce(&T) -> R) -> Option<R> {
    if !area::is_ready() {
        return None;
    }
    let area = area::current();
    // SAFETY: the area is this thread's; the value stays until this thread sets another, which `function` must not do while it
    // borrows (it gets a shared reference that does not escape).
    unsafe {
        if (*area).local_type != Some(TypeId::of::<T>()) {
            return None;
        }
        let local = &*((*area).local as *const Local);
        local.value.downcast_ref::<T>().map(function)
    }
}

/// Forgets wake-ups so far; call before looking at the condition that [`park`] waits for.
pub fn clear_wake() {
    // SAFETY: the area is this thread's.
    let host_thread = unsafe { (*area::current()).host_thread };
    user::store_host_u32(host_thread + WAKE, 0);
    // What is looked at next must be what was there after the word was cleared.
    fence(SeqCst);
}

/// Whether an interrupt waits for this thread (see [`crate::context::take_interrupt`]).
pub fn is_interrupted() -> bool {
    // SAFETY: the area is this thread's; the field is atomic.
    unsafe { (*area::current()).interrupt.load(SeqCst) != 0 }
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// By a wake-up, an interrupt, or for no reason: look at the condition again.
    Woken,
    /// The time-out passed (by the host's word; check the clock where it matters).
    TimedOut,
}

/// Sleeps until a wake-up since [`clear_wake`], or the time-out.
pub fn park(timeout_ns: Option<u64>) -> Wake {
    match call_raw(HostCall::Park, [timeout_ns.unwrap_or(u64::MAX), 0, 0, 0, 0, 0]) {
        Err(HostError::TIMED_OUT) => Wake::TimedOut,
        _ => Wake::Woken,
    }
}
