//! Sending signals.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::*;

use super::{Signal, SignalInfo};
use crate::errno::Result;
use crate::process::{Capability, Credentials, Process, Resource, Thread};

/// Whether the sender may signal the target (kill(2)).
pub fn can_signal(sender: &Credentials, target: &Credentials) -> bool {
    sender.may(Capability::Kill)
        || [target.uid, target.suid].contains(&sender.uid)
        || [target.uid, target.suid].contains(&sender.euid)
}

/// Whether a signal of this action need not even be queued: ignored and not blocked.
fn is_lost(process: &Process, blocked: bool, signal: Signal) -> bool {
    !blocked && process.signals.action(signal).is_ignoring(signal)
}

/// A continue signal ends pending stops and the other way round.
fn settle_job_control(process: &Process, signal: Signal) {
    let stops = Signal::STOP.bit() | Signal::TSTP.bit() | Signal::TTIN.bit() | Signal::TTOU.bit();
    if signal == Signal::CONT {
        process.signals.pending.lock().discard(stops);
    } else if signal.bit() & stops != 0 {
        process.signals.pending.lock().discard(Signal::CONT.bit());
    }
}

fn wants(thread: &Thread, signal: Signal) -> bool {
    thread.signals.mask() & signal.bit() == 0 || thread.signals.waited.load(SeqCst) & signal.bit() != 0
}

/// Sends to the process as a whole; any thread that does not block it takes it.
pub fn send_to_process(process: &Arc<Process>, info: SignalInfo) -> Result<()> {
    let signal = info.signal;
    settle_job_control(process, signal);
    let threads: Vec<Arc<Thread>> = process.threads.lock().clone();
    let taker = threads.iter().find(|thread| wants(thread, signal));
    let waited = taker.is_some_and(|thread| thread.signals.waited.load(SeqCst) & signal.bit() != 0);
    if is_lost(process, taker.is_none() || waited, signal) {
        return Ok(());
    }
    let limit = process.limits.get(Resource::PendingSignals).0;
    process.signals.pending.lock().add(info, limit)?;
    process.signals.notify();
    if let Some(thread) = taker {
        thread.interrupt();
    }
    Ok(())
}

/// Sends to one thread.
pub fn send_to_thread(thread: &Arc<Thread>, info: SignalInfo) -> Result<()> {
    let process = thread.process();
    let signal = info.signal;
    settle_job_control(process, signal);
    let waited = thread.signals.waited.load(SeqCst) & signal.bit() != 0;
    if is_lost(process, !wants(thread, signal) || waited, signal) {
        return Ok(());
    }
    let limit = process.limits.get(Resource::PendingSignals).0;
    thread.signals.pending.lock().add(info, limit)?;
    process.signals.notify();
    if wants(thread, signal) {
        thread.interrupt();
    }
    Ok(())
}
