//! execve and execveat: another program in place of this one.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::*;

use casemate_platform::console::Level;
use casemate_platform::context::set_fs_base;
use casemate_platform::extended_state::ExtendedState;
use casemate_platform::log;

use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, wait_until};
use crate::fs::resolve;
use crate::process::exec::{Request, load, prepare};
use crate::process::exit::{begin_exit, end_threads};
use crate::process::{Context, Credentials, ExitState, Fd, Process, Resource};
use crate::signal::{AlternateStack, Signal};
use crate::stat::FileType;
use crate::user_space::{Addr, read_path, read_string_vector};

use super::{PathAddr, REGISTERS_SET};

const EMPTY_PATH: u32 = 0x1000;
const NO_FOLLOW: u32 = 0x100;
/// Most bytes of arguments and environment (a quarter of the default stack limit).
const STRINGS_LIMIT: usize = 2 << 20;

/// execve(2).
pub fn sys_execve(ctx: &Context, path: PathAddr, arguments: Addr, environment: Addr) -> Result<usize> {
    let path = read_path(path.0)?;
    execute(ctx, path.to_vec(), arguments, environment)
}

/// execveat(2).
pub fn sys_execveat(
    ctx: &Context,
    directory: Fd,
    path: PathAddr,
    arguments: Addr,
    environment: Addr,
    flags: u32,
) -> Result<usize> {
    let path = read_path(path.0)?;
    if path.is_empty() && flags & EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    if flags & !(EMPTY_PATH | NO_FOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let found = if path.is_empty() && flags & EMPTY_PATH != 0 {
        resolve::base(ctx, directory)?
    } else {
        resolve::at(ctx, directory, &path, flags & NO_FOLLOW == 0)?
    };
    if found.kind() == FileType::Symlink {
        return Err(Errno::ELOOP);
    }
    execute(ctx, found.path_text(), arguments, environment)
}

fn execute(ctx: &Context, path: Vec<u8>, arguments: Addr, environment: Addr) -> Result<usize> {
    let process = ctx.process().clone();
    let arguments = read_string_vector(arguments, STRINGS_LIMIT)?;
    let environment = read_string_vector(environment, STRINGS_LIMIT)?;
    let (view, credentials) = (process.fs.clone(), process.credentials.read().clone());
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let name = name[..name.len().min(15)].to_vec();
    let prepared = prepare(Request {
        view: &view,
        credentials: &credentials,
        no_new_privileges: process.attributes.no_new_privileges.load(Relaxed) != 0,
        path,
        arguments,
        environment,
        stack_size: process.limits.get(Resource::Stack).0.clamp(64 << 10, 64 << 20),
        brk_limit: process.limits.get(Resource::Data).0.min(16 << 30),
    })?;
    end_other_threads(ctx)?;
    // From here on there is no way back. A vfork child only lets go of its parent's memory.
    process.abandon_address_space();
    ctx.thread.leave_stage();
    let program = match load(prepared) {
        Ok(program) => program,
        Err(error) => {
            log!(
                Level::Warning,
                "execve could not load the program after the old one was gone: {}",
                error.name()
            );
            begin_exit(&process, ExitState::Killed(Signal::KILL.number() as u8));
            return Ok(REGISTERS_SET);
        }
    };
    process.set_address_space(program.space);
    take_rights(&process, program.credentials, program.secure);
    process.release_parent();
    process.files().remove_where(|_, close_on_exec| close_on_exec, |file| file.closing(&process));
    process.signals.reset_handlers();
    process.clocks.forget_timers();
    *process.image.write() = Arc::new(program.image);
    reset_thread(ctx, name);
    let mut registers = program.registers;
    ExtendedState::initial().restore(&mut registers);
    set_fs_base(0);
    *ctx.registers.borrow_mut() = registers;
    Ok(REGISTERS_SET)
}

fn take_rights(process: &Process, new: Credentials, secure: bool) {
    let plain = new.euid == new.uid && new.egid == new.gid;
    process.attributes.dumpable.store(plain.into(), Relaxed);
    if secure {
        process.attributes.parent_death_signal.store(0, Relaxed);
    }
    process.set_credentials(new);
}

/// Ends the process's other threads and waits until they are gone; `EAGAIN` when this thread itself must end.
fn end_other_threads(ctx: &Context) -> Result<()> {
    let process = ctx.process();
    end_threads(process, Some(ctx.thread));
    let alone = || (process.threads.lock().len() == 1 || ctx.thread.must_end()).then_some(());
    loop {
        match wait_until(&process.thread_events, Events::IN, Deadline::NEVER, alone) {
            Ok(()) if ctx.thread.must_end() => return Err(Errno::EAGAIN),
            Ok(()) => return Ok(()),
            // Signals wait until the new program runs; look again after a moment instead of spinning on the mark.
            Err(_) => casemate_platform::host::yield_now(),
        }
    }
}

fn reset_thread(ctx: &Context, name: Vec<u8>) {
    let thread = ctx.thread;
    thread.become_first();
    *thread.name.lock() = name;
    thread.clear_tid.store(0, Relaxed);
    thread.robust_list.store(0, Relaxed);
    *thread.signals.alternate_stack.lock() = AlternateStack::default();
}
