//! membarrier(2). SYNC_CORE is left out: a thread that passes a barrier here does not pass an instruction that is known to
//! serialise on every platform.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::*;

use crate::errno::{Errno, Result};
use crate::mm::AddressSpace;
use crate::process::{Context, Process, all_processes, wait_for_barriers};

/// MEMBARRIER_CMD_* (include/uapi/linux/membarrier.h).
const QUERY: i32 = 0;
const GLOBAL: i32 = 1;
const GLOBAL_EXPEDITED: i32 = 2;
const REGISTER_GLOBAL_EXPEDITED: i32 = 4;
const PRIVATE_EXPEDITED: i32 = 8;
const REGISTER_PRIVATE_EXPEDITED: i32 = 16;
const GET_REGISTRATIONS: i32 = 512;
const ALL: i32 = GLOBAL
    | GLOBAL_EXPEDITED
    | REGISTER_GLOBAL_EXPEDITED
    | PRIVATE_EXPEDITED
    | REGISTER_PRIVATE_EXPEDITED
    | GET_REGISTRATIONS;

/// membarrier(2).
pub fn sys_membarrier(ctx: &Context, command: i32, flags: u32, _processor: i32) -> Result<usize> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let space = ctx.process().address_space();
    let registered = space.membarrier.load(SeqCst);
    match command {
        QUERY => return Ok(ALL as usize),
        GET_REGISTRATIONS => return Ok(registered as usize),
        REGISTER_GLOBAL_EXPEDITED | REGISTER_PRIVATE_EXPEDITED => {
            space.membarrier.fetch_or(command as u32, SeqCst);
        }
        GLOBAL => wait_for(|_| true),
        GLOBAL_EXPEDITED => wait_for(|other| has_registered(other, REGISTER_GLOBAL_EXPEDITED)),
        PRIVATE_EXPEDITED if has_registered(&space, REGISTER_PRIVATE_EXPEDITED) => {
            wait_for(|other| Arc::ptr_eq(other, &space));
        }
        PRIVATE_EXPEDITED => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn has_registered(space: &AddressSpace, command: i32) -> bool {
    space.membarrier.load(SeqCst) & command as u32 != 0
}

/// Waits for the threads of all processes in these address spaces; a child of vfork(2) shares its parent's.
fn wait_for(wanted: impl Fn(&Arc<AddressSpace>) -> bool) {
    let processes: Vec<Arc<Process>> = all_processes();
    let threads = processes
        .iter()
        .filter(|process| wanted(&process.address_space()))
        .flat_map(|process| process.threads.lock().clone());
    wait_for_barriers(threads);
}
