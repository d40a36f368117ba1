//! Threads of the enclave: each has a block of the layout (area, library-OS stack, exception stack, SSA, TCS), and the host
//! thread that runs it. With EDMM all blocks but the first are added when they are first needed.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::{Any, TypeId};
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*, fence};

use casemate_abi::{HOST_BUFFER_SIZE, HostCall, HostThread, SleepState};
use casemate_sgx::{PAGE_SIZE, Tcs};

use crate::area::{self, ThreadArea};
use crate::boundary::HostRange;
use crate::entry::casemate_on_stack;
use crate::host::{HostError, call_raw};
use crate::parking::WAKE;
pub use crate::parking::{Wake, clear_wake, look_for_wake, park};
use crate::sync::Mutex;
use crate::{layout, pages, untrusted};

/// Offset of the word that says whether a thread sleeps.
const SLEEPING: u64 = offset_of!(HostThread, sleeping) as u64;
/// Written at a stack's lowest word; changed means that the stack ran over.
const STACK_MARK: u64 = 0x5ca1_ab1e_0ddb_a11a;

/// Blocks that no thread uses, by number. They are used again by later threads and never given back, so that a stale pointer
/// still points to an area.
static FREE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// The lowest block that was never used; the first is the main thread's.
static UNUSED: AtomicU32 = AtomicU32::new(1);

/// Blocks whose pages the host could add in part only, and how many steps of it are done; they are finished first.
static UNFINISHED: Mutex<Vec<(u32, usize)>> = Mutex::new(Vec::new());

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
        untrusted::store_host_u32(host_thread + WAKE, 1);
        // The sleeper says that it sleeps before it looks at `wake`.
        fence(SeqCst);
        let sleeping = untrusted::load_host_u32(host_thread + SLEEPING);
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
        // SAFETY: blocks are never given back, so the area is valid memory; a later owner of the block sees one spurious interrupt.
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

/// The area of a block.
fn area_of(number: u32) -> Option<*mut ThreadArea> {
    layout::block().thread(number).map(|thread| thread.area.start as *mut ThreadArea)
}

/// The number of the block whose TCS or area has this address.
fn number_of(address: u64) -> Option<u32> {
    let block = layout::block();
    let number = u32::try_from(address.checked_sub(block.threads_base)? / block.thread_stride).ok()?;
    let thread = block.thread(number)?;
    (thread.tcs == address || thread.area.start == address).then_some(number)
}

/// A block that is nobody's, with a fresh area.
fn new_block() -> Option<u32> {
    let number = take_free().or_else(add_block)?;
    let thread = layout::block().thread(number)?;
    // SAFETY: the block exists, is mapped read-write, and no thread uses it: its last one has set `idle`, or it never had one.
    unsafe {
        (thread.stack.start as *mut u64).write(STACK_MARK);
        (thread.area.start as *mut ThreadArea).write(ThreadArea::new(thread.stack.start, thread.stack.end));
    }
    Some(number)
}

/// One of the free blocks that its last thread has quite left.
fn take_free() -> Option<u32> {
    let mut free = FREE.lock();
    let position = free.iter().rposition(|&number| {
        // SAFETY: blocks on the list exist for good; the field is atomic.
        area_of(number).is_some_and(|area| unsafe { (*area).idle.load(Acquire) } != 0)
    })?;
    Some(free.swap_remove(position))
}

/// A block that was never used. With EDMM its pages are added.
fn add_block() -> Option<u32> {
    let block = layout::block();
    let begun = UNFINISHED.lock().pop();
    let (number, done) = match begun {
        Some(begun) => begun,
        None => {
            let take = |next: u32| next.checked_add(1).filter(|&after| after <= block.max_threads);
            (UNUSED.fetch_update(Relaxed, Relaxed, take).ok()?, 0)
        }
    };
    if !crate::host::leaves_by_gate() || number < block.added_threads {
        return Some(number);
    }
    match add_pages(number, done) {
        Ok(()) => Some(number),
        Err(done) => {
            UNFINISHED.lock().push((number, done));
            None
        }
    }
}

/// Adds the pages of a block of which so many steps are done; on an error, how many are done by now.
fn add_pages(number: u32, done: usize) -> Result<(), usize> {
    let block = layout::block();
    let thread = block.thread(number).ok_or(done)?;
    let ranges = [thread.stack, thread.exception_stack, thread.area.start..thread.tcs + PAGE_SIZE as u64];
    for (step, range) in ranges.iter().enumerate().skip(done) {
        pages::add_private(range.start, range.end - range.start).map_err(|_| step)?;
    }
    if done < ranges.len() {
        // Not again: a host that says it did not convert the page may have, and then a write faults.
        // SAFETY: the page was accepted, and is nobody else's.
        unsafe { (thread.tcs as *mut Tcs).write(block.tcs(number)) };
    }
    pages::make_tcs(thread.tcs).map_err(|_| ranges.len())
}

/// Starts a thread that runs `main`, given its own handle, and ends.
pub fn spawn(main: impl FnOnce(Arc<ThreadHandle>) + Send + 'static) -> Result<Arc<ThreadHandle>, HostError> {
    let again = HostError(linux_raw_sys::errno::EAGAIN as i32);
    let number = new_block().ok_or(again)?;
    let (Some(area), Some(thread)) = (area_of(number), layout::block().thread(number)) else {
        return Err(again);
    };
    let handle = ThreadHandle::new(area);
    let start = Box::into_raw(Box::new(Start { handle: handle.clone(), main: Box::new(main) }));
    // SAFETY: the block is ours until the new thread enters.
    unsafe { (*area).start = start.cast() };
    PENDING.lock().push(number);
    if let Err(error) = call_raw(HostCall::ThreadCreate, [thread.tcs, 0, 0, 0, 0, 0]) {
        // A host that says so of a thread that did enter: the thread runs, and that is what counts.
        if !take_pending(number) {
            return Ok(handle);
        }
        // SAFETY: no thread entered for this block, and none can any more, so it and the start value are still ours.
        unsafe {
            drop(Box::from_raw(start));
            (*area).start = core::ptr::null_mut();
        }
        FREE.lock().push(number);
        return Err(error);
    }
    Ok(handle)
}

/// Blocks for which a host thread was asked for and has not yet entered: the host cannot enter any other.
static PENDING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Makes room for every thread that there can be, so that the list never grows, and calls the host, while others spin for it.
pub(crate) fn reserve_pending() {
    PENDING.lock().reserve(crate::layout::block().max_threads as usize);
}

fn take_pending(number: u32) -> bool {
    // Only spins: a thread that enters has no area yet, without which it cannot give the processor away.
    let mut pending = loop {
        match PENDING.try_lock() {
            Some(pending) => break pending,
            None => core::hint::spin_loop(),
        }
    };
    match pending.iter().position(|&candidate| candidate == number) {
        Some(position) => pending.swap_remove(position) == number,
        None => false,
    }
}

/// Binds a host thread's block to an area after checking it.
fn bind(area: *mut ThreadArea, host_thread: u64) -> bool {
    let size = core::mem::size_of::<HostThread>() as u64;
    if !host_thread.is_multiple_of(core::mem::align_of::<HostThread>() as u64)
        || HostRange::new(host_thread, size).is_none()
    {
        return false;
    }
    // Read once.
    let buffer = untrusted::load_host_u64(host_thread + offset_of!(HostThread, buffer) as u64);
    let number = untrusted::load_host_u32(host_thread + offset_of!(HostThread, number) as u64);
    let (Some(buffer), Some(number)) = (buffer, number) else { return false };
    if buffer == 0 || HostRange::new(buffer, HOST_BUFFER_SIZE as u64).is_none() {
        return false;
    }
    // SAFETY: the area belongs to the thread that is entering.
    unsafe {
        (*area).host_thread = host_thread;
        (*area).host_buffer = buffer;
        (*area).host_number = number;
    }
    true
}

/// Entry of a host thread on `direct`, by the address of a TCS; runs on the host's stack and returns when the thread has ended.
pub(crate) fn enter_direct(tcs: u64, host_thread: u64) -> i64 {
    let Some((number, area)) = claim(tcs, host_thread) else { return -1 };
    // SAFETY: the area lives in a block, which is never given back.
    unsafe {
        area::install(area);
        casemate_on_stack(area as u64, (*area).stack_top, run_start);
    }
    check_stack(area);
    FREE.lock().push(number);
    0
}

/// Fresh entry by a TCS, on the block's own stack; the gate sets `idle` when it has left.
pub(crate) fn enter_enclave(host_thread: u64) -> i64 {
    let Some((number, area)) = claim(area::base(), host_thread) else { return -1 };
    // SAFETY: as in `enter_direct`; gs is the area already.
    unsafe {
        area::install(area);
        (*area).idle.store(0, Relaxed);
    }
    run_start(area as u64);
    check_stack(area);
    FREE.lock().push(number);
    0
}

/// The block for which a thread was asked for, bound to its host thread.
fn claim(address: u64, host_thread: u64) -> Option<(u32, *mut ThreadArea)> {
    let number = number_of(address).filter(|&number| take_pending(number))?;
    let area = area_of(number)?;
    // The area was pending, so it belongs to this entry alone.
    if !bind(area, host_thread) {
        // The program waits for this thread, which can never run: the others end the run.
        crate::host::break_off("the host gave a new thread a block inside the enclave");
        return None;
    }
    Some((number, area))
}

fn check_stack(area: *mut ThreadArea) {
    // SAFETY: the block is still this thread's.
    if unsafe { ((*area).stack_base as *const u64).read() } != STACK_MARK {
        crate::console::fatal("a library OS stack ran over");
    }
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
    let thread = layout::block().thread(0).filter(|thread| {
        // SAFETY: the first block exists from the start.
        unsafe {
            (thread.stack.start as *mut u64).write(STACK_MARK);
            let area = thread.area.start as *mut ThreadArea;
            // In an enclave the gate keeps the way out in the area already.
            let way_out = ((*area).host_rsp, (*area).host_rbp, (*area).host_return);
            area.write(ThreadArea::new(thread.stack.start, thread.stack.end));
            ((*area).host_rsp, (*area).host_rbp, (*area).host_return) = way_out;
            bind(area, host_thread)
        }
    });
    let Some(thread) = thread else { return -1 };
    let area = thread.area.start as *mut ThreadArea;
    let handle = ThreadHandle::new(area);
    handle.host_thread.store(host_thread, SeqCst);
    let start = Box::new(Start { handle, main: Box::new(main) });
    // SAFETY: the block is never given back; the start value is taken by `run_start` on this thread.
    unsafe {
        (*area).start = Box::into_raw(start).cast();
        (*area).idle.store(0, Relaxed);
        area::install(area);
        // Of host signals that came before this nobody could be told.
        (*area).interrupt.store(1, SeqCst);
    }
    if crate::host::leaves_by_gate() {
        run_start(area as u64);
    } else {
        // SAFETY: the stack is the block's, and nobody is on it.
        unsafe { casemate_on_stack(area as u64, thread.stack.end, run_start) };
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

/// Says which thread of the program the calling one is, for reports.
pub fn set_id(id: u32) {
    // SAFETY: the area is this thread's.
    unsafe { (*area::current()).thread_id = id };
}

/// Says which system call of the program the calling thread is about to serve, for reports.
#[inline]
pub fn note_call(number: Option<u64>) {
    // SAFETY: the area is this thread's.
    unsafe { (*area::current()).program_call = number.map_or(0, |number| number.saturating_add(1)) };
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

/// Whether an interrupt waits for this thread (see [`crate::context::take_interrupt`]).
pub fn is_interrupted() -> bool {
    // SAFETY: the area is this thread's; the field is atomic.
    unsafe { (*area::current()).interrupt.load(SeqCst) != 0 }
}
