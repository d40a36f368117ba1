//! The end of threads and processes, and waiting for children.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::*;

use casemate_platform::host;
use linux_raw_sys::general as raw;

use super::{Context, ExitState, Process, Thread};
use crate::ipc::futex;
use crate::signal::{ActionFlags, Handler, Signal, SignalInfo, send_to_process};
use crate::user_space::{self, Addr};

/// Begins the end of the whole process: every thread ends as soon as it can. The first state given counts.
pub fn begin_exit(process: &Process, state: ExitState) {
    let mut exit_state = process.exit_state.lock();
    if exit_state.is_none() {
        *exit_state = Some(state);
    }
    drop(exit_state);
    end_threads(process, None);
}

/// Tells every thread but `except` to end.
pub fn end_threads(process: &Process, except: Option<&Arc<Thread>>) {
    let threads: Vec<Arc<Thread>> = process.threads.lock().clone();
    for thread in threads.iter().filter(|thread| except.is_none_or(|kept| kept.tid() != thread.tid())) {
        thread.must_end.store(true, SeqCst);
        thread.interrupt();
    }
}

/// Ends the calling thread only; with the last thread the process ends with this status.
pub fn end_thread(context: &Context, status: u8) {
    context.thread.must_end.store(true, SeqCst);
    let process = context.process();
    let mut exit_state = process.exit_state.lock();
    if exit_state.is_none() && process.threads.lock().len() == 1 {
        *exit_state = Some(ExitState::Exited(status));
    }
}

/// The calling thread leaves: robust futexes, the clear-tid word, the list of threads; with the last one the process.
pub(super) fn leave(context: &Context) {
    let thread = context.thread;
    futex::release_robust_list(thread);
    // Before the thread leaves the list: whoever replaces the process's memory waits for that.
    let clear_tid = thread.clear_tid.load(Relaxed);
    if clear_tid != 0 && user_space::write_u32(Addr(clear_tid), 0).is_ok() {
        futex::wake_at(Addr(clear_tid));
    }
    let process = context.process();
    let last = {
        let mut threads = process.threads.lock();
        threads.retain(|other| !Arc::ptr_eq(other, thread));
        threads.is_empty()
    };
    process.thread_events.notify(crate::events::Events::IN);
    if last {
        end_process(process);
    }
}

/// Ends the process: descriptors, memory, children, parent. The first process takes the whole run with it.
fn end_process(process: &Arc<Process>) {
    let state = *process.exit_state.lock().get_or_insert(ExitState::Exited(0));
    process.files().remove_where(|_, _| true, |file| file.closing(process));
    process.clocks.stop();
    if process.pid == super::FIRST_PROCESS {
        match state {
            ExitState::Exited(status) => host::exit(status, 0),
            ExitState::Killed(signal) => host::exit(0, signal),
        }
    }
    crate::tty::session_ended(process);
    process.release_parent();
    process.abandon_address_space();
    let orphans: Vec<Arc<Process>> = core::mem::take(&mut *process.children.lock());
    for orphan in &orphans {
        tell_of_parents_death(orphan, process);
    }
    if let Some(first) = super::find_process(super::FIRST_PROCESS) {
        for orphan in orphans {
            *orphan.parent.lock() = Arc::downgrade(&first);
            let ended = orphan.exit_state.lock().is_some() && orphan.threads.lock().is_empty();
            first.children.lock().push(orphan);
            if ended {
                first.child_events.notify(crate::events::Events::IN);
            }
        }
    }
    process.ended.store(true, SeqCst);
    process.end_events.notify(crate::events::Events::IN);
    tell_parent(process, state);
}

/// PR_SET_PDEATHSIG of a child.
fn tell_of_parents_death(child: &Arc<Process>, parent: &Process) {
    if let Ok(signal) = Signal::new(child.attributes.parent_death_signal.load(Relaxed)) {
        const SI_USER: i32 = 0;
        let uid = parent.credentials.read().uid;
        let _ = send_to_process(child, SignalInfo::from_process(signal, SI_USER, parent.pid, uid));
    }
}

/// Sends the exit signal; a parent that ignores SIGCHLD never sees the child again.
fn tell_parent(process: &Arc<Process>, state: ExitState) {
    let Some(parent) = process.parent.lock().upgrade() else { return };
    if let Ok(signal) = Signal::new(process.exit_signal.load(Relaxed)) {
        let action = parent.signals.action(signal);
        if signal == Signal::CHLD
            && (action.handler == Handler::Ignore || action.flags.contains(ActionFlags::NO_CHILD_WAIT))
        {
            parent.children.lock().retain(|child| child.pid != process.pid);
            process.forget();
        }
        let (code, status) = match state {
            ExitState::Exited(status) => (raw::CLD_EXITED, status as u64),
            ExitState::Killed(signal) => (raw::CLD_KILLED, signal as u64),
        };
        let uid = process.credentials.read().uid;
        let mut info = SignalInfo::from_process(signal, code as i32, process.pid, uid);
        info.fields[1] = status;
        let _ = send_to_process(&parent, info);
    }
    parent.child_events.notify(crate::events::Events::IN);
}
