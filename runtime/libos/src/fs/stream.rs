//! The three standard streams: descriptors of the loader. What they are is the host's word; it decides only how they are shown.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering::*};

use casemate_platform::host::{self, HostFd};
use casemate_platform::sync::Once;
use linux_raw_sys::general::{SEEK_CUR, SEEK_END, SEEK_SET};
use linux_raw_sys::ioctl::*;

use super::mount::make_device;
use crate::errno::{Errno, Result};
use crate::events::{Events, Poller, blocking_on, poll_host};
use crate::file::{File, OpenFlags, StatusFlags, Whence};
use crate::io::{Sink, Source};
use crate::ipc::raise_broken_pipe;
use crate::process::FIRST_PROCESS;
use crate::stat::{FileType, Stat};
use crate::user_space::{self, Addr};

/// What a stream is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Terminal,
    Regular,
    Null,
    Socket,
    /// A pipe, or something that is shown as one.
    Pipe,
}

/// sizeof(struct termios) and struct winsize as the kernel's calls have them.
const TERMIOS_SIZE: usize = 36;
const WINDOW_SIZE: usize = 8;
/// What a terminal is called; there is no such name in /dev.
const TERMINAL_NAME: &[u8] = b"/dev/pts/0";

static KINDS: [Once<Kind>; 3] = [const { Once::new() }; 3];
/// The terminal's foreground process group.
static FOREGROUND: AtomicU32 = AtomicU32::new(FIRST_PROCESS);

/// Whose the streams are: the first program's user's.
static OWNER: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// Gives the streams to a user and group.
pub fn set_owner(uid: u32, gid: u32) {
    OWNER[0].store(uid, Relaxed);
    OWNER[1].store(gid, Relaxed);
}

/// A standard stream.
pub struct StandardStream {
    fd: HostFd,
    status: StatusFlags,
}

fn find_kind(fd: &HostFd) -> Kind {
    let null = make_device(1, 3);
    match host::fd_stat(fd).ok().map(|stat| (FileType::from_mode(stat.mode), stat.rdev)) {
        Some((Some(FileType::CharacterDevice), _))
            if host::fd_ioctl(fd, TCGETS, &mut [0; TERMIOS_SIZE]).is_ok() =>
        {
            Kind::Terminal
        }
        Some((Some(FileType::CharacterDevice), device)) if device == null => Kind::Null,
        Some((Some(FileType::Regular), _)) => Kind::Regular,
        Some((Some(FileType::Socket), _)) => Kind::Socket,
        _ => Kind::Pipe,
    }
}

impl StandardStream {
    /// Standard stream `number` (0 to 2) with this access.
    pub fn open(number: i32, flags: OpenFlags) -> Arc<dyn File> {
        Arc::new(StandardStream { fd: HostFd::standard_stream(number), status: StatusFlags::new(flags) })
    }

    /// Opens the terminal behind the streams, if one of them has one.
    pub fn open_terminal(flags: OpenFlags) -> Option<Arc<dyn File>> {
        let has_one = |number: &i32| {
            let stream =
                StandardStream { fd: HostFd::standard_stream(*number), status: StatusFlags::new(flags) };
            stream.kind() == Kind::Terminal
        };
        (0..3).find(has_one).map(|number| StandardStream::open(number, flags))
    }

    /// Whether one of the streams is a terminal: it is the first session's.
    pub fn have_terminal() -> bool {
        StandardStream::open_terminal(OpenFlags::empty()).is_some()
    }

    fn kind(&self) -> Kind {
        let slot = &KINDS[self.fd.number() as usize % KINDS.len()];
        match slot.get() {
            Some(kind) => *kind,
            None => {
                let kind = find_kind(&self.fd);
                let _ = slot.set(kind);
                kind
            }
        }
    }

    /// `EAGAIN` when a sleep would be needed and is not wanted.
    fn check_ready(&self, wanted: Events) -> Result<()> {
        let ready = || poll_host(&self.fd, wanted).intersects(wanted | Events::ALWAYS);
        if self.status.nonblocking() && !ready() { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    /// An ioctl whose argument is a structure that only goes in or only comes out.
    fn pass_structure(&self, request: u32, argument: Addr, length: usize, goes_in: bool) -> Result<usize> {
        let mut bytes = [0; TERMIOS_SIZE];
        let bytes = &mut bytes[..length];
        if goes_in {
            user_space::copy_in(bytes, argument)?;
        }
        host::fd_ioctl(&self.fd, request, bytes)?;
        if !goes_in {
            user_space::copy_out(argument, bytes)?;
        }
        Ok(0)
    }

    fn terminal_ioctl(&self, request: u32, argument: Addr) -> Result<usize> {
        match request {
            TCGETS => self.pass_structure(request, argument, TERMIOS_SIZE, false),
            TCSETS | TCSETSW | TCSETSF => self.pass_structure(request, argument, TERMIOS_SIZE, true),
            TIOCGWINSZ => self.pass_structure(request, argument, WINDOW_SIZE, false),
            TIOCSWINSZ => self.pass_structure(request, argument, WINDOW_SIZE, true),
            // Process groups are the library OS's own; the host's numbers mean nothing here.
            TIOCGPGRP => user_space::write_u32(argument, FOREGROUND.load(Relaxed)).map(|()| 0),
            TIOCSPGRP => {
                FOREGROUND.store(user_space::read_u32(argument)?, Relaxed);
                Ok(0)
            }
            TCSBRK | TCFLSH | TCXONC => {
                host::fd_ioctl_value(&self.fd, request, argument.0 as u32)?;
                Ok(0)
            }
            TIOCGSID => user_space::write_u32(argument, FIRST_PROCESS).map(|()| 0),
            _ => Err(Errno::ENOTTY),
        }
    }
}

impl File for StandardStream {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        let number = self.fd.number() as u64 + 1;
        let (uid, gid) = (OWNER[0].load(Relaxed), OWNER[1].load(Relaxed));
        let of = |kind, permissions| Stat { uid, gid, ..Stat::anonymous(kind, permissions, number) };
        Ok(match self.kind() {
            Kind::Terminal => {
                Stat { special_device: make_device(136, 0), ..of(FileType::CharacterDevice, 0o620) }
            }
            Kind::Null => Stat { special_device: make_device(1, 3), ..of(FileType::CharacterDevice, 0o666) },
            Kind::Socket => of(FileType::Socket, 0o777),
            Kind::Pipe => of(FileType::Fifo, 0o600),
            Kind::Regular => {
                let size = host::fd_stat(&self.fd)?.size;
                Stat { size, blocks: size.div_ceil(512), ..of(FileType::Regular, 0o600) }
            }
        })
    }

    fn path_text(&self) -> Vec<u8> {
        let number = self.fd.number() + 1;
        match self.kind() {
            Kind::Terminal => TERMINAL_NAME.to_vec(),
            Kind::Null => b"/dev/null".to_vec(),
            Kind::Socket => format!("socket:[{number}]").into_bytes(),
            Kind::Pipe => format!("pipe:[{number}]").into_bytes(),
            Kind::Regular => format!("host:[{number}]").into_bytes(),
        }
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        let length = sink.remaining().min(host::TRANSFER_LIMIT);
        sink.prepare(length)?;
        self.check_ready(Events::IN)?;
        let received = blocking_on(&self.fd, Events::IN, || host::fd_read(&self.fd, length))?;
        sink.put_received(&received)
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        if source.remaining() == 0 {
            return Ok(0);
        }
        self.check_ready(Events::OUT)?;
        let sent = source.send(host::TRANSFER_LIMIT, |bytes| {
            blocking_on(&self.fd, Events::OUT, || host::fd_write(&self.fd, bytes))
        });
        // The loader ignores the host's SIGPIPE: whether the program does is known here.
        sent.inspect_err(|error| {
            if *error == Errno::EPIPE {
                raise_broken_pipe();
            }
        })
    }

    fn read_at(&self, sink: &mut Sink, offset: u64) -> Result<usize> {
        if self.kind() != Kind::Regular {
            return Err(Errno::ESPIPE);
        }
        let length = sink.remaining().min(host::TRANSFER_LIMIT);
        sink.prepare(length)?;
        let received = host::fd_read_at(&self.fd, length, offset)?;
        sink.put_received(&received)
    }

    fn write_at(&self, source: &mut Source, offset: u64) -> Result<usize> {
        match self.kind() {
            Kind::Regular if source.remaining() == 0 => Ok(0),
            Kind::Regular => {
                source.send(host::TRANSFER_LIMIT, |bytes| Ok(host::fd_write_at(&self.fd, bytes, offset)?))
            }
            _ => Err(Errno::ESPIPE),
        }
    }

    fn truncate(&self, size: u64) -> Result<()> {
        match self.kind() {
            Kind::Regular => Ok(host::fd_truncate(&self.fd, size)?),
            _ => Err(Errno::EINVAL),
        }
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        match self.kind() {
            Kind::Regular => Ok(host::fd_sync(&self.fd, data_only)?),
            _ => Err(Errno::EINVAL),
        }
    }

    fn seek(&self, offset: i64, whence: Whence) -> Result<u64> {
        let whence = match whence {
            Whence::Start => SEEK_SET,
            Whence::Current => SEEK_CUR,
            Whence::End => SEEK_END,
            Whence::Data | Whence::Hole => return Err(Errno::EINVAL),
        };
        match self.kind() {
            // The position is the host's: other streams and processes may share it.
            Kind::Regular => Ok(host::fd_seek(&self.fd, offset, whence)?),
            // As the null device does it.
            Kind::Null => Ok(0),
            _ => Err(Errno::ESPIPE),
        }
    }

    fn poll(&self, poller: Option<&mut Poller>) -> Events {
        let wanted = Events::IN | Events::OUT;
        if let Some(poller) = poller {
            poller.observe_host(&self.fd, wanted);
        }
        poll_host(&self.fd, wanted)
    }

    fn can_epoll(&self) -> bool {
        !matches!(self.kind(), Kind::Regular | Kind::Null)
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        match (self.kind(), request) {
            (Kind::Terminal | Kind::Pipe | Kind::Socket | Kind::Regular, FIONREAD) => {
                self.pass_structure(request, Addr(argument), 4, false)
            }
            (Kind::Terminal, _) => self.terminal_ioctl(request, Addr(argument)),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn reopen(&self, flags: OpenFlags) -> Result<Arc<dyn File>> {
        match self.kind() {
            Kind::Socket => Err(Errno::ENXIO),
            _ => Ok(StandardStream::open(self.fd.number(), flags)),
        }
    }

    fn host_fd(&self) -> Option<&HostFd> {
        Some(&self.fd)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
