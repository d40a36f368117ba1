//! The three standard streams: descriptors of the loader.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use casemate_platform::host::{self, HostFd};

use crate::errno::Result;
use crate::events::{Events, Poller, blocking, poll_host};
use crate::file::{File, OpenFlags, StatusFlags};
use crate::io::{Sink, Source};
use crate::stat::{FileType, Stat};

/// A standard stream.
pub struct StandardStream {
    fd: HostFd,
    status: StatusFlags,
}

impl StandardStream {
    /// Standard stream `number` (0 to 2) with this access.
    pub fn open(number: i32, flags: OpenFlags) -> Arc<dyn File> {
        Arc::new(StandardStream { fd: HostFd::standard_stream(number), status: StatusFlags::new(flags) })
    }
}

impl File for StandardStream {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        // Only the type is taken from the host; an unknown one is shown as a pipe.
        let kind = host::fd_stat(&self.fd).ok().and_then(|stat| FileType::from_mode(stat.mode));
        Ok(Stat::anonymous(kind.unwrap_or(FileType::Fifo), 0o600, self.fd.number() as u64 + 1))
    }

    fn path_text(&self) -> Vec<u8> {
        format!("pipe:[{}]", self.fd.number() + 1).into_bytes()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        let length = sink.remaining().min(host::TRANSFER_LIMIT);
        sink.prepare(length)?;
        let received = blocking(|| host::fd_read(&self.fd, length))?;
        sink.put_received(&received)
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        if source.remaining() == 0 {
            return Ok(0);
        }
        source.send(host::TRANSFER_LIMIT, |bytes| blocking(|| host::fd_write(&self.fd, bytes)))
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        let wanted = Events::IN | Events::OUT;
        if let Some(poller) = poller {
            poller.observe_host(&self.fd, wanted);
        }
        poll_host(&self.fd, wanted)
    }

    fn host_fd(&self) -> Option<&HostFd> {
        Some(&self.fd)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
