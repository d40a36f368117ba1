//! /dev: a tree in memory with the devices that every container has, and what opening a device number gives.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering::*;

use casemate_platform::random;

use super::Location;
use super::inode::{Inode, NewInode, NewKind};
use super::mount::{make_device, split_device};
use super::notify::Opened;
use super::stream::StandardStream;
use super::tree::Tree;
use crate::errno::{Errno, Result};
use crate::file::{File, Mappable, OpenFlags, StatusFlags, Whence};
use crate::io::{Sink, Source};
use crate::process::FIRST_PROCESS;
use crate::stat::Stat;
use crate::tty;

/// A device without hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Null,
    Zero,
    Full,
    Random,
}

const NULL: u64 = make_device(1, 3);
const ZERO: u64 = make_device(1, 5);
const FULL: u64 = make_device(1, 7);
const RANDOM: u64 = make_device(1, 8);
const URANDOM: u64 = make_device(1, 9);
const TTY: u64 = make_device(5, 0);
const PTMX: u64 = make_device(5, 2);

/// Names in /dev and their numbers (Documentation/admin-guide/devices.txt).
const NAMES: [(&[u8], u64); 7] = [
    (b"null", NULL),
    (b"zero", ZERO),
    (b"full", FULL),
    (b"random", RANDOM),
    (b"urandom", URANDOM),
    (b"tty", TTY),
    (b"ptmx", PTMX),
];

const LINKS: [(&[u8], &[u8]); 4] = [
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
];

/// Fills an empty tree: returns its root.
pub fn populate(tree: &Arc<Tree>) -> Result<Arc<dyn Inode>> {
    let root = tree.root(0o755)?;
    let new = |kind, permissions| NewInode { kind, permissions, uid: 0, gid: 0 };
    for (name, device) in NAMES {
        root.create(name, &new(NewKind::CharacterDevice(device), 0o666))?;
    }
    for (name, target) in LINKS {
        root.create(name, &new(NewKind::Symlink(target), 0o777))?;
    }
    root.create(b"shm", &new(NewKind::Directory, 0o1777))?;
    root.create(b"pts", &new(NewKind::Directory, 0o755))?;
    Ok(root)
}

/// Opens the character device of this number, found at `at`; `ENXIO` when there is no such device.
pub fn open(device: u64, at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
    let device = match device {
        NULL => Device::Null,
        ZERO => Device::Zero,
        FULL => Device::Full,
        RANDOM | URANDOM => Device::Random,
        TTY => return open_controlling_terminal(at, flags),
        PTMX => return tty::open_master(at, flags),
        _ => match split_device(device) {
            (tty::SLAVE_MAJOR, number) => return tty::open_slave(number, at, flags),
            _ => return Err(Errno::ENXIO),
        },
    };
    let opened = Opened::now(at.clone(), flags);
    Ok(Arc::new(DeviceFile { device, at: opened, status: StatusFlags::new(flags) }))
}

/// /dev/tty: the pseudo-terminal that controls the caller's session; the first session's may be the host's terminal.
fn open_controlling_terminal(at: &Location, flags: OpenFlags) -> Result<Arc<dyn File>> {
    let session = crate::process::current_process().session.load(Relaxed);
    if let Some(terminal) = tty::open_controlling(session, at, flags) {
        return terminal;
    }
    match session {
        FIRST_PROCESS => StandardStream::open_terminal(flags).ok_or(Errno::ENXIO),
        _ => Err(Errno::ENXIO),
    }
}

/// What is in /dev/pts before there are pseudo-terminals.
pub fn populate_terminals(tree: &Arc<Tree>) -> Result<Arc<dyn Inode>> {
    let root = tree.root(0o755)?;
    let kind = NewKind::CharacterDevice(PTMX);
    root.create(b"ptmx", &NewInode { kind, permissions: 0o666, uid: 0, gid: 0 })?;
    Ok(root)
}

/// An open device.
struct DeviceFile {
    device: Device,
    at: Opened,
    status: StatusFlags,
}

impl DeviceFile {
    fn fill(&self, sink: &mut Sink) -> Result<usize> {
        match self.device {
            Device::Null => Ok(0),
            Device::Zero | Device::Full => sink.put_zeros(sink.remaining()),
            Device::Random => fill_random(sink),
        }
    }

    fn take(&self, source: &mut Source) -> Result<usize> {
        match self.device {
            Device::Full => Err(Errno::ENOSPC),
            Device::Null | Device::Zero => {
                let length = source.remaining();
                source.skip(length);
                Ok(length)
            }
            // What programs give is not needed: the generator is the processor's.
            Device::Random => {
                let mut chunk = [0; 256];
                while source.remaining() > 0 && source.take(&mut chunk)? > 0 {}
                Ok(source.moved())
            }
        }
    }
}

fn fill_random(sink: &mut Sink) -> Result<usize> {
    let mut chunk = [0; 256];
    let before = sink.moved();
    while sink.remaining() > 0 {
        let step = sink.remaining().min(chunk.len());
        random::fill(&mut chunk[..step]);
        match sink.put(&chunk[..step]) {
            Ok(put) if put == step => {}
            Err(error) if sink.moved() == before => return Err(error),
            _ => break,
        }
    }
    Ok(sink.moved() - before)
}

impl File for DeviceFile {
    fn status(&self) -> &StatusFlags {
        &self.status
    }

    fn stat(&self) -> Result<Stat> {
        self.at.place().stat()
    }

    fn path_text(&self) -> Vec<u8> {
        self.at.place().path_text()
    }

    fn read(&self, sink: &mut Sink) -> Result<usize> {
        self.fill(sink)
    }

    fn write(&self, source: &mut Source) -> Result<usize> {
        self.take(source)
    }

    fn read_at(&self, sink: &mut Sink, _offset: u64) -> Result<usize> {
        self.fill(sink)
    }

    fn write_at(&self, source: &mut Source, _offset: u64) -> Result<usize> {
        self.take(source)
    }

    fn seek(&self, _offset: i64, _whence: Whence) -> Result<u64> {
        Ok(0)
    }

    fn can_epoll(&self) -> bool {
        self.device == Device::Random
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<usize> {
        /// _IOR('R', 0x00, int): entropy in bits.
        const RNDGETENTCNT: u32 = 0x8004_5200;
        match (self.device, request) {
            (Device::Random, RNDGETENTCNT) => {
                crate::user_space::write_u32(crate::user_space::Addr(argument), 256)?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn location(&self) -> Option<&Location> {
        Some(self.at.place())
    }

    fn mapping(&self, _shared: bool) -> Result<Arc<dyn Mappable>> {
        match self.device {
            Device::Zero => Ok(Arc::new(Zeros(self.at.place().clone()))),
            _ => Err(Errno::ENODEV),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// /dev/zero as memory maps it.
struct Zeros(Location);

impl Mappable for Zeros {
    fn size(&self) -> u64 {
        1 << 62
    }

    fn read_pages(&self, _offset: u64, buffer: &mut [u8]) -> Result<()> {
        buffer.fill(0);
        Ok(())
    }

    fn write_pages(&self, _offset: u64, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }

    fn identity(&self) -> (u64, u64) {
        self.0.stat().map_or((0, 0), |stat| (stat.device, stat.inode))
    }

    fn path_text(&self) -> Vec<u8> {
        self.0.path_text()
    }
}
