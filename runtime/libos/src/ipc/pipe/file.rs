//! The ends of a pipe as open files, and FIFOs by name.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use linux_raw_sys::ioctl::FIONREAD;

use super::Pipe;
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, Poller, wait_until};
use crate::file::{File, OpenFlags, StatusFlags};
use crate::fs::Location;
use crate::fs::lock::FileLocks;
use crate::fs::notify::Opened;
use crate::io::{Sink, Source};
use crate::process::Process;
use crate::stat::Stat;
use crate::user_space::{self, Addr};

/// An end of a pipe, or an open FIFO.
pub struct PipeFile {
    pipe: Arc<Pipe>,
    status: StatusFlags,
    /// Of a FIFO.
    at: Option<Opened>,
    /// See [`Pipe::readiness`].
    writers_before: Option<u64>,
}

impl PipeFile {
    /// The two ends of a new pipe, for reading and for writing; `flags` may hold O_NONBLOCK and O_DIRECT.
    pub fn pair(flags: OpenFlags) -> (Arc<PipeFile>, Arc<PipeFile>) {
        let pipe = Pipe::new();
        let reader = PipeFile::open(pipe.clone(), flags, None);
        (reader, PipeFile::open(pipe, flags | OpenFlags::WRITE_ONLY, None))
    }

    fn open(pipe: Arc<Pipe>, flags: OpenFlags, location: Option<Location>) -> Arc<PipeFile> {
        let mut state = pipe.state.lock();
        let writers_before = (state.writers == 0).then_some(state.writer_opens);
        if flags.readable() {
            state.readers += 1;
            state.reader_opens += 1;
        }
        if flags.writable() {
            state.writers += 1;
            state.writer_opens += 1;
        }
        drop(state);
        // Who waits in an open of the other end.
        pipe.pollee.notify(Events::READABLE | Events::WRITABLE);
        // A FIFO's packet mode does not exist.
        let flags = if location.is_some() { flags - OpenFlags::DIRECT } else { flags };
        let at = location.map(|location| Opened::later(location, flags));
        Arc::new(PipeFile { pipe, status: StatusFlags::new(flags), at, writers_before })
    }

    /// The pipe, for F_GETPIPE_SZ and F_SETPIPE_SZ.
    pub fn pipe(&self) -> &Pipe {
        &self.pipe
    }
}

/// open(2) of a FIFO. Waits for the other end unless O_NONBLOCK or both ends are opened; `ENXIO` for a writer that may not wait.
pub fn open_fifo(location: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
    let attachment = location.inode().attachment().ok_or(Errno::ENXIO)?;
    let pipe = attachment.get_or_insert(Pipe::new).ok_or(Errno::ENXIO)?;
    let (reads, writes) = (flags.readable(), flags.writable());
    let nonblocking = flags.contains(OpenFlags::NONBLOCK);
    if writes && !reads && nonblocking && pipe.state.lock().readers == 0 {
        return Err(Errno::ENXIO);
    }
    let (before, alone) = {
        let state = pipe.state.lock();
        if reads {
            (state.writer_opens, state.writers == 0)
        } else {
            (state.reader_opens, state.readers == 0)
        }
    };
    let file = PipeFile::open(pipe.clone(), flags, Some(location.clone()));
    if alone && reads != writes && !nonblocking {
        wait_until(&pipe.pollee, Events::IN | Events::OUT, Deadline::NEVER, || {
            let state = pipe.state.lock();
            let now = if reads { state.writer_opens } else { state.reader_opens };
            (now != before).then_some(())
        })?;
    }
    file.at.iter().for_each(Opened::announce);
    Ok(file)
}

impl Drop for PipeFile {
    fn drop(&mut self) {
        if let Some(locks) = self.locks() {
            locks.release_description(core::ptr::from_ref(self) as usize);
        }
        let flags = self.status.get();
        let mut state = self.pipe.state.lock();
        state.readers -= flags.readable() as usize;
        state.writers -= flags.writable() as usize;
        let (last_reader, last_writer) = (state.readers == 0, state.writers == 0);
        let mut dropped = Default::default();
        if last_reader && last_writer {
            // What was not read goes with the last end, also for a FIFO that is opened again.
            dropped = core::mem::take(&mut state.slots);
            state.bytes = 0;
            state.limit = super::DEFAULT_PAGES;
        }
        drop(state);
        drop(dropped);
        if flags.writable() && last_writer {
            self.pipe.pollee.notify(Events::READABLE | Events::HANG_UP);
        }
        if flags.readable() && last_reader {
            self.pipe.pollee.notify(Events::WRITABLE | Events::ERROR);
        }
    }
}

impl File for PipeFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        match self.location() {
            Some(location) => location.stat(),
            None => Ok(self.pipe.stat),
        }
    }

    fn path_text(&self) -> Vec<u8> {
        match self.location() {
            Some(location) => location.path_text(),
            None => format!("pipe:[{}]", self.pipe.stat.inode).into_bytes(),
        }
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        self.pipe.read(sink, self.status.nonblocking())
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        let flags = self.status.get();
        self.pipe.write(source, flags.contains(OpenFlags::NONBLOCK), flags.contains(OpenFlags::DIRECT))
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        let flags = self.status.get();
        if let Some(poller) = poller {
            let mut wanted = Events::empty();
            if flags.readable() {
                wanted |= Events::READABLE;
            }
            if flags.writable() {
                wanted |= Events::WRITABLE;
            }
            poller.observe(&self.pipe.pollee, wanted);
        }
        self.pipe.readiness(flags.readable(), flags.writable(), self.writers_before)
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        user_space::write_u32(Addr(argument), self.pipe.available() as u32)?;
        Ok(0)
    }

    fn reopen(&self, flags: OpenFlags) -> Result<Arc<dyn File>> {
        Ok(PipeFile::open(self.pipe.clone(), flags, None))
    }

    fn locks(&self) -> Option<&FileLocks> {
        self.location().map_or(Some(&self.pipe.locks), |location| location.inode().locks())
    }

    fn closing(&self, process: &Process) {
        if let Some(locks) = self.locks() {
            locks.release_process(process.pid);
        }
    }

    fn location(&self) -> Option<&Location> {
        self.at.as_ref().map(Opened::place)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
