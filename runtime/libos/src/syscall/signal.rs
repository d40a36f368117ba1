//! rt_sig*, sigaltstack, kill and its relatives, pause.

use alloc::sync::Arc;
use core::sync::atomic::Ordering::*;

use crate::errno::{Errno, Result};
use crate::events::{Deadline, sleep_until, sleep_until_signal};
use crate::file::OpenFlags;
use crate::process::{Context, Fd, Process, Thread, all_processes, find_process};
use crate::signal::{
    Action, ActionFlags, Handler, Signal, SignalFile, SignalInfo, UNBLOCKABLE, can_signal,
    recompute_attention, restore_saved_mask, return_from_handler, send_to_process, send_to_thread,
    stack_from_words, stack_words,
};
use crate::user_space::{self, Addr};

use super::thread::read_timespec;

const SET_SIZE: usize = 8;

fn check_size(size: usize) -> Result<()> {
    if size == SET_SIZE { Ok(()) } else { Err(Errno::EINVAL) }
}

/// rt_sigaction(2).
pub fn sys_rt_sigaction(ctx: &Context, number: u32, new: Addr, old: Addr, size: usize) -> Result<usize> {
    check_size(size)?;
    let signal = Signal::new(number)?;
    let signals = &ctx.process().signals;
    let previous = if new.is_null() {
        signals.action(signal)
    } else {
        // handler flags restorer mask
        let [handler, flags, restorer, mask]: [u64; 4] = user_space::read(new)?;
        if signal.bit() & UNBLOCKABLE != 0 {
            return Err(Errno::EINVAL);
        }
        let handler = match handler {
            0 => Handler::Default,
            1 => Handler::Ignore,
            function => Handler::Function(function),
        };
        let flags = ActionFlags::from_bits_retain(flags);
        let action = Action { handler, flags, restorer, mask: mask & !UNBLOCKABLE };
        let previous = signals.set_action(signal, action);
        if action.is_ignoring(signal) {
            for thread in ctx.process().threads.lock().iter() {
                thread.signals.pending.lock().discard(signal.bit());
            }
        }
        previous
    };
    if !old.is_null() {
        let handler = match previous.handler {
            Handler::Default => 0,
            Handler::Ignore => 1,
            Handler::Function(function) => function,
        };
        user_space::write(old, &[handler, previous.flags.bits(), previous.restorer, previous.mask])?;
    }
    Ok(0)
}

/// rt_sigprocmask(2).
pub fn sys_rt_sigprocmask(ctx: &Context, how: u32, new: Addr, old: Addr, size: usize) -> Result<usize> {
    check_size(size)?;
    let signals = &ctx.thread.signals;
    let current = signals.mask();
    if !new.is_null() {
        let set = user_space::read_u64(new)?;
        let mask = match how {
            0 => current | set,
            1 => current & !set,
            2 => set,
            _ => return Err(Errno::EINVAL),
        };
        signals.set_mask(mask);
        recompute_attention(ctx.thread);
    }
    if !old.is_null() {
        user_space::write_u64(old, current)?;
    }
    Ok(0)
}

/// rt_sigreturn(2). A frame that cannot be read ends the process, as on Linux.
pub fn sys_rt_sigreturn(ctx: &Context) -> Result<usize> {
    if return_from_handler(ctx).is_err() {
        let state = crate::process::ExitState::Killed(Signal::SEGV.number() as u8);
        crate::process::exit::begin_exit(ctx.process(), state);
    }
    Ok(super::REGISTERS_SET)
}

/// rt_sigpending(2).
pub fn sys_rt_sigpending(ctx: &Context, at: Addr, size: usize) -> Result<usize> {
    if size > SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let own = ctx.thread.signals.pending.lock().set();
    let set = (own | ctx.process().signals.pending.lock().set()) & ctx.thread.signals.mask();
    user_space::copy_out(at, &set.to_le_bytes()[..size])?;
    Ok(0)
}

/// rt_sigsuspend(2).
pub fn sys_rt_sigsuspend(ctx: &Context, at: Addr, size: usize) -> Result<usize> {
    check_size(size)?;
    let mask = user_space::read_u64(at)?;
    lend_mask(ctx.thread, mask);
    sleep_until_signal(Deadline::NEVER);
    Err(Errno::ERESTARTNOHAND)
}

/// Replaces the mask for the time of a call (sigsuspend, ppoll …); delivery or [`restore_saved_mask`] gives it back.
pub fn lend_mask(thread: &Thread, mask: u64) {
    let old = thread.signals.set_mask(mask);
    thread.signals.saved_mask.lock().get_or_insert(old);
    recompute_attention(thread);
}

/// Ends the loan of [`lend_mask`] when the call was not cut short by a signal.
pub fn end_loan<T>(ctx: &Context, result: Result<T>) -> Result<T> {
    if !matches!(&result, Err(error) if error.is_restart()) {
        restore_saved_mask(ctx.thread);
    }
    result
}

/// pause(2).
pub fn sys_pause(_ctx: &Context) -> Result<usize> {
    sleep_until_signal(Deadline::NEVER);
    Err(Errno::ERESTARTNOHAND)
}

/// rt_sigtimedwait(2).
pub fn sys_rt_sigtimedwait(
    ctx: &Context,
    set: Addr,
    info: Addr,
    timeout: Addr,
    size: usize,
) -> Result<usize> {
    check_size(size)?;
    let wanted = user_space::read_u64(set)? & !UNBLOCKABLE;
    let deadline = if timeout.is_null() { Deadline::NEVER } else { Deadline::after(read_timespec(timeout)?) };
    let thread = ctx.thread;
    let take = || {
        let own = thread.signals.pending.lock().take(wanted);
        own.or_else(|| thread.process().signals.pending.lock().take(wanted))
    };
    thread.signals.waited.store(wanted, SeqCst);
    let taken = wait_for_signal(thread, deadline, take);
    thread.signals.waited.store(0, SeqCst);
    recompute_attention(thread);
    let taken =
        taken.map_err(|error| if error == Errno::ETIMEDOUT { Errno::EAGAIN } else { Errno::EINTR })?;
    thread.process().clocks.delivered(&taken);
    if !info.is_null() {
        user_space::copy_out(info, &taken.to_bytes())?;
    }
    Ok(taken.signal.number() as usize)
}

/// Sleeps for a signal that the thread waits for; its own mark of attention does not end the sleep unless another signal is due.
fn wait_for_signal(
    thread: &Thread,
    deadline: Deadline,
    mut take: impl FnMut() -> Option<SignalInfo>,
) -> Result<SignalInfo> {
    loop {
        match sleep_until(deadline, &mut take) {
            Err(Errno::ERESTARTSYS) => {
                if let Some(info) = take() {
                    return Ok(info);
                }
                let open = !thread.signals.mask();
                let due = thread.signals.pending.lock().set() | thread.process().signals.pending.lock().set();
                if due & open != 0 || thread.must_end() || casemate_platform::thread::is_interrupted() {
                    return Err(Errno::EINTR);
                }
                thread.set_attention(false);
            }
            other => return other,
        }
    }
}

/// sigaltstack(2).
pub fn sys_sigaltstack(ctx: &Context, new: Addr, old: Addr) -> Result<usize> {
    let rsp = ctx.registers.borrow().regs.rsp;
    let current = *ctx.thread.signals.alternate_stack.lock();
    if !new.is_null() {
        let words: [u64; 3] = user_space::read(new)?;
        if current.contains(rsp) {
            return Err(Errno::EPERM);
        }
        *ctx.thread.signals.alternate_stack.lock() = stack_from_words(words)?;
    }
    if !old.is_null() {
        user_space::write(old, &stack_words(&current, rsp))?;
    }
    Ok(0)
}

const SI_USER: i32 = 0;
const SI_TKILL: i32 = -6;

fn sender(ctx: &Context, signal: Signal, code: i32) -> SignalInfo {
    SignalInfo::from_process(signal, code, ctx.process().pid, ctx.process().credentials.read().uid)
}

pub(super) fn check_permission(ctx: &Context, target: &Process) -> Result<()> {
    let sender = ctx.process().credentials.read().clone();
    let target = target.credentials.read().clone();
    if can_signal(&sender, &target) { Ok(()) } else { Err(Errno::EPERM) }
}

/// kill(2).
pub fn sys_kill(ctx: &Context, pid: i32, number: u32) -> Result<usize> {
    let signal = if number == 0 { None } else { Some(Signal::new(number)?) };
    let group = match pid {
        0 => Some(ctx.process().group.load(Relaxed)),
        i32::MIN => return Err(Errno::ESRCH),
        pid if pid < -1 => Some(-pid as u32),
        _ => None,
    };
    let targets: alloc::vec::Vec<Arc<Process>> = match (pid, group) {
        (_, Some(group)) => {
            all_processes().into_iter().filter(|process| process.group.load(Relaxed) == group).collect()
        }
        (-1, None) => all_processes()
            .into_iter()
            .filter(|process| process.pid != 1 && process.pid != ctx.process().pid)
            .collect(),
        (pid, None) => find_process(pid as u32).into_iter().collect(),
    };
    if targets.is_empty() {
        return Err(Errno::ESRCH);
    }
    let mut outcome = Err(Errno::EPERM);
    for target in &targets {
        if check_permission(ctx, target).is_ok() {
            outcome = Ok(0);
            if let Some(signal) = signal {
                send_to_process(target, sender(ctx, signal, SI_USER))?;
            }
        }
    }
    outcome
}

fn find_thread(tid: i32, group: Option<i32>) -> Result<Arc<Thread>> {
    if tid <= 0 || group.is_some_and(|group| group <= 0) {
        return Err(Errno::EINVAL);
    }
    for process in all_processes() {
        if group.is_some_and(|group| process.pid != group as u32) {
            continue;
        }
        let found = process.threads.lock().iter().find(|thread| thread.tid() == tid as u32).cloned();
        if let Some(thread) = found {
            return Ok(thread);
        }
    }
    Err(Errno::ESRCH)
}

fn signal_thread(ctx: &Context, tid: i32, group: Option<i32>, number: u32) -> Result<usize> {
    let thread = find_thread(tid, group)?;
    let signal = if number == 0 { None } else { Some(Signal::new(number)?) };
    check_permission(ctx, thread.process())?;
    if let Some(signal) = signal {
        send_to_thread(&thread, sender(ctx, signal, SI_TKILL))?;
    }
    Ok(0)
}

/// tgkill(2).
pub fn sys_tgkill(ctx: &Context, group: i32, tid: i32, number: u32) -> Result<usize> {
    signal_thread(ctx, tid, Some(group), number)
}

/// tkill(2).
pub fn sys_tkill(ctx: &Context, tid: i32, number: u32) -> Result<usize> {
    signal_thread(ctx, tid, None, number)
}

/// Reads a program's siginfo for another; only codes that no kernel sends are allowed.
pub(super) fn read_info(ctx: &Context, number: u32, at: Addr, target: u32) -> Result<SignalInfo> {
    let signal = Signal::new(number)?;
    let mut bytes = [0; 128];
    user_space::copy_in(&mut bytes, at)?;
    let info = SignalInfo::from_bytes(signal, &bytes);
    if (info.code >= 0 || info.code == SI_TKILL) && target != ctx.process().pid {
        return Err(Errno::EPERM);
    }
    Ok(info)
}

/// rt_sigqueueinfo(2).
pub fn sys_rt_sigqueueinfo(ctx: &Context, pid: i32, number: u32, at: Addr) -> Result<usize> {
    let info = read_info(ctx, number, at, pid as u32)?;
    let target = find_process(pid as u32).ok_or(Errno::ESRCH)?;
    check_permission(ctx, &target)?;
    send_to_process(&target, info).map(|()| 0)
}

/// rt_tgsigqueueinfo(2).
pub fn sys_rt_tgsigqueueinfo(ctx: &Context, group: i32, tid: i32, number: u32, at: Addr) -> Result<usize> {
    let info = read_info(ctx, number, at, group as u32)?;
    let target = find_thread(tid, Some(group))?;
    check_permission(ctx, target.process())?;
    send_to_thread(&target, info).map(|()| 0)
}

/// signalfd4(2).
pub fn sys_signalfd4(ctx: &Context, fd: Fd, set: Addr, size: usize, flags: u32) -> Result<usize> {
    check_size(size)?;
    let set = user_space::read_u64(set)? & !UNBLOCKABLE;
    let flags = OpenFlags::from_bits_retain(flags);
    if !(flags - OpenFlags::CLOSE_ON_EXEC - OpenFlags::NONBLOCK).is_empty() {
        return Err(Errno::EINVAL);
    }
    let files = ctx.process().files();
    if fd.0 == -1 {
        let file = SignalFile::open(set, flags & OpenFlags::NONBLOCK);
        return Ok(files.add(file, flags.contains(OpenFlags::CLOSE_ON_EXEC))?.0 as usize);
    }
    let file = files.get(fd)?;
    file.as_any().downcast_ref::<SignalFile>().ok_or(Errno::EINVAL)?.set(set);
    Ok(fd.0 as usize)
}

/// signalfd(2).
pub fn sys_signalfd(ctx: &Context, fd: Fd, set: Addr, size: usize) -> Result<usize> {
    sys_signalfd4(ctx, fd, set, size, 0)
}
