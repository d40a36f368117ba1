//! New threads and processes: clone(2) in all its forms.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::*};

use bitflags::bitflags;
use casemate_platform::console::Level;
use casemate_platform::context::{fs_base, set_fs_base};
use casemate_platform::extended_state::ExtendedState;
use casemate_platform::sync::{Mutex, MutexGuard};
use casemate_platform::{log, thread};
use linux_raw_sys::general as raw;

use super::limits::UNLIMITED;
use super::{Context, Fd, Gate, Process, ProcessParts, Resource, Thread, all_processes, new_id, run};
use crate::errno::{Errno, Result};
use crate::ipc::pidfd::PidFile;
use crate::user_space::{self, Addr};

bitflags! {
    /// CLONE_* flags.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct CloneFlags: u64 {
        const VM = raw::CLONE_VM as u64;
        const FS = raw::CLONE_FS as u64;
        const FILES = raw::CLONE_FILES as u64;
        const SIGHAND = raw::CLONE_SIGHAND as u64;
        const PIDFD = raw::CLONE_PIDFD as u64;
        const PTRACE = raw::CLONE_PTRACE as u64;
        const VFORK = raw::CLONE_VFORK as u64;
        const PARENT = raw::CLONE_PARENT as u64;
        const THREAD = raw::CLONE_THREAD as u64;
        const NEW_NAMESPACES = (raw::CLONE_NEWNS | raw::CLONE_NEWCGROUP | raw::CLONE_NEWUTS | raw::CLONE_NEWIPC
            | raw::CLONE_NEWUSER | raw::CLONE_NEWPID | raw::CLONE_NEWNET) as u64;
        const SYSVSEM = raw::CLONE_SYSVSEM as u64;
        const SETTLS = raw::CLONE_SETTLS as u64;
        const PARENT_SETTID = raw::CLONE_PARENT_SETTID as u64;
        const CHILD_CLEARTID = raw::CLONE_CHILD_CLEARTID as u64;
        const DETACHED = raw::CLONE_DETACHED as u64;
        const UNTRACED = raw::CLONE_UNTRACED as u64;
        const CHILD_SETTID = raw::CLONE_CHILD_SETTID as u64;
        const IO = raw::CLONE_IO as u64;
        const CLEAR_SIGHAND = 1 << 32;
        const INTO_CGROUP = 1 << 33;
    }
}

/// What clone(2), clone3(2), fork(2) and vfork(2) ask for.
#[derive(Clone, Copy, Debug)]
pub struct CloneArguments {
    /// Flags, without the exit signal.
    pub flags: CloneFlags,
    /// Signal for the parent at the end.
    pub exit_signal: u32,
    /// Stack pointer of the child; 0 keeps the parent's.
    pub stack_pointer: u64,
    /// Thread pointer (SETTLS).
    pub tls: u64,
    /// Where the child's descriptor goes (PIDFD).
    pub pidfd: Addr,
    /// Where the parent's view of the child's id goes (PARENT_SETTID).
    pub parent_tid: Addr,
    /// The child's id word (CHILD_SETTID, CHILD_CLEARTID).
    pub child_tid: Addr,
}

static FORK_REPORTED: AtomicBool = AtomicBool::new(false);

fn check(arguments: &CloneArguments) -> Result<()> {
    let flags = arguments.flags;
    let wants = |a: CloneFlags, b: CloneFlags| flags.contains(a) && !flags.contains(b);
    if wants(CloneFlags::THREAD, CloneFlags::SIGHAND)
        || wants(CloneFlags::SIGHAND, CloneFlags::VM)
        || flags.contains(CloneFlags::SIGHAND | CloneFlags::CLEAR_SIGHAND)
        || flags.contains(CloneFlags::FS | CloneFlags::from_bits_retain(u64::from(raw::CLONE_NEWNS)))
    {
        return Err(Errno::EINVAL);
    }
    if flags.intersects(CloneFlags::NEW_NAMESPACES | CloneFlags::INTO_CGROUP) {
        return Err(Errno::EPERM);
    }
    let pidfd = flags.contains(CloneFlags::PIDFD);
    if flags.contains(CloneFlags::PTRACE)
        || pidfd && flags.intersects(CloneFlags::THREAD | CloneFlags::DETACHED)
        || pidfd && flags.contains(CloneFlags::PARENT_SETTID) && arguments.pidfd == arguments.parent_tid
    {
        return Err(Errno::EINVAL);
    }
    if !flags.contains(CloneFlags::VM) {
        if !FORK_REPORTED.swap(true, Relaxed) {
            log!(
                Level::Warning,
                "the program called fork(), which this version does not have; vfork, posix_spawn and threads work"
            );
        }
        return Err(Errno::ENOSYS);
    }
    Ok(())
}

/// Makes a thread or a process that shares the caller's memory; returns its id.
pub fn clone(context: &Context, arguments: &CloneArguments) -> Result<usize> {
    check(arguments)?;
    let flags = arguments.flags;
    let gate = flags.contains(CloneFlags::VFORK).then(Gate::new);
    let id = new_id();
    let (process, is_new) = if flags.contains(CloneFlags::THREAD) {
        (context.process().clone(), false)
    } else {
        (new_process(context, arguments, id, gate.clone()), true)
    };
    let name = context.thread.name.lock().clone();
    let child = Thread::new(id, process.clone(), name, context.thread.signals.duplicate());
    *child.affinity.lock() = context.thread.affinity.lock().clone();
    if flags.contains(CloneFlags::CHILD_CLEARTID) {
        child.clear_tid.store(arguments.child_tid.0, Relaxed);
    }
    if flags.contains(CloneFlags::PARENT_SETTID) {
        user_space::write_u32(arguments.parent_tid, id)?;
    }
    if flags.contains(CloneFlags::CHILD_SETTID) {
        user_space::write_u32(arguments.child_tid, id)?;
    }
    let pidfd = give_pidfd(context, arguments, &process)?;
    if is_new {
        adopt(context, flags, &process);
    }
    start(context, arguments, child.clone()).inspect_err(|_| {
        if let Some(fd) = pidfd {
            let _ = context.process().remove_file(fd);
        }
        process.threads.lock().retain(|other| other.tid() != id);
        if is_new {
            context.process().children.lock().retain(|other| other.pid != id);
        }
    })?;
    if let Some(gate) = gate {
        // Only the end of the caller itself may cut this short: the child runs on the caller's stack.
        gate.wait_through_signals(context.thread);
    }
    Ok(id as usize)
}

/// CLONE_PIDFD: a descriptor of the child for the parent.
fn give_pidfd(context: &Context, arguments: &CloneArguments, child: &Arc<Process>) -> Result<Option<Fd>> {
    if !arguments.flags.contains(CloneFlags::PIDFD) {
        return Ok(None);
    }
    let files = context.process().files();
    let fd = files.add(PidFile::new(child, false), true)?;
    user_space::write_u32(arguments.pidfd, fd.0 as u32).inspect_err(|_| {
        let _ = files.remove(fd);
    })?;
    Ok(Some(fd))
}

fn new_process(
    context: &Context,
    arguments: &CloneArguments,
    pid: u32,
    gate: Option<Arc<Gate>>,
) -> Arc<Process> {
    let parent = context.process();
    let flags = arguments.flags;
    let signals = parent.signals.duplicate();
    if flags.contains(CloneFlags::CLEAR_SIGHAND) {
        signals.reset_handlers();
    }
    let files = parent.files();
    let fs = parent.fs.clone();
    let parts = ProcessParts {
        address_space: parent.address_space(),
        files: if flags.contains(CloneFlags::FILES) { files } else { Arc::new(files.duplicate()) },
        fs: if flags.contains(CloneFlags::FS) { fs } else { Arc::new(fs.duplicate()) },
        credentials: parent.credentials.read().clone(),
        signals,
        limits: parent.limits.duplicate(),
        image: parent.image.read().clone(),
        vfork_gate: gate,
        exit_signal: arguments.exit_signal,
    };
    let process = Process::new(pid, Arc::downgrade(parent), parts);
    process.group.store(parent.group.load(Relaxed), Relaxed);
    process.session.store(parent.session.load(Relaxed), Relaxed);
    process.attributes.inherit(&parent.attributes);
    process
}

fn adopt(context: &Context, flags: CloneFlags, process: &Arc<Process>) {
    let mut parent = context.process().clone();
    if flags.contains(CloneFlags::PARENT) {
        let grandparent = parent.parent.lock().upgrade();
        if let Some(grandparent) = grandparent {
            *process.parent.lock() = Arc::downgrade(&grandparent);
            parent = grandparent;
        }
    }
    parent.children.lock().push(process.clone());
}

/// Held while threads are counted and one is added, so that no two are the last.
static COUNTING: Mutex<()> = Mutex::new(());

/// RLIMIT_NPROC, which binds the threads of a user together and no privileged one: `EAGAIN` when there are as many as there may be.
fn limit_threads(context: &Context, of: &Arc<Process>) -> Result<Option<MutexGuard<'static, ()>>> {
    let limit = context.process().limits.get(Resource::Processes).0;
    let (uid, privileged) = {
        let credentials = context.process().credentials.read();
        (credentials.uid, credentials.uid == 0 || credentials.euid == 0)
    };
    if limit == UNLIMITED || privileged {
        return Ok(None);
    }
    let counting = COUNTING.lock();
    let theirs = all_processes().into_iter().filter(|process| process.credentials.read().uid == uid);
    // A process that ended counts until it is waited for; the one that is being made does not yet.
    let count = |process: Arc<Process>| match process.threads.lock().len() {
        0 if Arc::ptr_eq(&process, of) => 0,
        threads => threads.max(1) as u64,
    };
    if theirs.map(count).sum::<u64>() >= limit { Err(Errno::EAGAIN) } else { Ok(Some(counting)) }
}

/// Starts an enclave thread that is `child`, with the caller's registers as clone(2) changes them.
fn start(context: &Context, arguments: &CloneArguments, child: Arc<Thread>) -> Result<()> {
    let mut registers = context.registers.borrow().clone();
    let state = ExtendedState::save(&registers);
    registers.regs.rax = 0;
    if arguments.stack_pointer != 0 {
        registers.regs.rsp = arguments.stack_pointer;
    }
    let tls = if arguments.flags.contains(CloneFlags::SETTLS) { arguments.tls } else { fs_base() };
    if tls >> 47 != 0 {
        return Err(Errno::EPERM);
    }
    {
        let process = child.process();
        let _counting = limit_threads(context, process)?;
        // The order in which an ending thread takes them.
        let exit_state = process.exit_state.lock();
        if exit_state.is_some() {
            return Err(Errno::EAGAIN);
        }
        process.threads.lock().push(child.clone());
    }
    thread::spawn(move |handle| {
        child.set_handle(handle);
        set_fs_base(tls);
        state.restore(&mut registers);
        run(&child, registers);
    })?;
    Ok(())
}
