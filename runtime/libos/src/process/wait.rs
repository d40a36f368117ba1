//! Waiting for children (wait4(2), waitid(2)).

use alloc::sync::Arc;
use core::sync::atomic::Ordering::*;

use super::{Context, ExitState, Process};
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, wait_until};

/// Which children are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Any child.
    Any,
    /// The child with this pid.
    Pid(u32),
    /// Children of this process group.
    Group(u32),
}

/// How to wait.
#[derive(Clone, Copy, Debug)]
pub struct WaitOptions {
    /// WNOHANG.
    pub no_hang: bool,
    /// WNOWAIT: leave the child waitable.
    pub keep: bool,
    /// Whether ends are waited for at all (waitid without WEXITED waits for stops only, which do not occur).
    pub exited: bool,
}

/// A child that ended.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// Its process id.
    pub pid: u32,
    /// How it ended.
    pub state: ExitState,
    /// Its user id.
    pub uid: u32,
}

/// Waits for a child to end and takes it off the table. `Ok(None)`: none yet (WNOHANG). Errors: `ECHILD`, `ERESTARTSYS`.
pub fn wait_for_child(context: &Context, which: Which, options: WaitOptions) -> Result<Option<Waited>> {
    let process = context.process();
    let look = || match find_ended(process, which, options) {
        Ok(None) if !options.no_hang => None,
        found => Some(found),
    };
    wait_until(&process.child_events, Events::IN, Deadline::NEVER, look)?
}

fn find_ended(process: &Process, which: Which, options: WaitOptions) -> Result<Option<Waited>> {
    let mut children = process.children.lock();
    let meant = |child: &Arc<Process>| match which {
        Which::Any => true,
        Which::Pid(pid) => child.pid == pid,
        Which::Group(group) => child.group.load(Relaxed) == group,
    };
    if !children.iter().any(meant) {
        return Err(Errno::ECHILD);
    }
    if !options.exited {
        return Ok(None);
    }
    let Some(position) = children.iter().position(|child| meant(child) && child.ended.load(SeqCst)) else {
        return Ok(None);
    };
    let child = children[position].clone();
    if !options.keep {
        children.remove(position);
        child.forget();
    }
    drop(children);
    let state = (*child.exit_state.lock()).unwrap_or(ExitState::Exited(0));
    let uid = child.credentials.read().uid;
    Ok(Some(Waited { pid: child.pid, state, uid }))
}
