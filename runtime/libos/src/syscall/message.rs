//! send, recv and their relatives: message headers, control messages.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::socket::{get, read_address, write_address};
use super::thread::read_timespec;
use crate::errno::{Errno, Result};
use crate::events::Deadline;
use crate::file::File;
use crate::io::{SEGMENT_MAXIMUM, Sink, Source, read_segments};
use crate::net::control::{self, ControlMessage, HEADER as CONTROL_HEADER};
use crate::net::{ADDRESS_LIMIT, Incoming, Outgoing, as_socket, message};
use crate::process::{Context, Fd};
use crate::room;
use crate::user_space::{self, Addr};

const SCM_RIGHTS: u32 = 1;
const SCM_CREDENTIALS: u32 = 2;
/// Longest control data of a send.
const CONTROL_LIMIT: usize = 20_480;
/// Most descriptors in one message (SCM_MAX_FD).
const RIGHTS_LIMIT: usize = 253;
/// sizeof(struct mmsghdr), and where its msg_len is.
const MULTIPLE_SIZE: u64 = 64;
const MULTIPLE_LENGTH: u64 = 56;
/// Most messages of one sendmmsg or recvmmsg.
const MULTIPLE_LIMIT: u32 = 1024;
/// MSG_WAITFORONE.
const WAIT_FOR_ONE: u32 = 0x10000;

/// struct msghdr.
struct Header {
    at: Addr,
    name: Addr,
    name_length: i32,
    vector: Addr,
    segments: usize,
    control: Addr,
    control_length: usize,
}

impl Header {
    fn read(at: Addr) -> Result<Header> {
        let [name, name_length, vector, segments, control, control_length]: [u64; 6] = user_space::read(at)?;
        if segments > SEGMENT_MAXIMUM as u64 {
            return Err(Errno::EMSGSIZE);
        }
        let name_length = name_length as i32;
        if name_length < 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Header {
            at,
            name: Addr(name),
            name_length: if name == 0 { 0 } else { name_length.min(ADDRESS_LIMIT as i32) },
            vector: Addr(vector),
            segments: segments as usize,
            control: Addr(control),
            control_length: control_length as usize,
        })
    }

    fn field(&self, offset: u64) -> Addr {
        Addr(self.at.0 + offset)
    }
}

/// sendto(2).
pub fn sys_sendto(
    ctx: &Context,
    fd: Fd,
    at: Addr,
    length: usize,
    flags: u32,
    to: Addr,
    to_length: i32,
) -> Result<usize> {
    let file = get(ctx, fd)?;
    let socket = as_socket(&file)?;
    let to = if to.is_null() { None } else { Some(read_address(to, to_length)?) };
    socket.send(&mut Source::user(at, length), Outgoing { to, flags, ..Outgoing::default() })
}

/// recvfrom(2).
pub fn sys_recvfrom(
    ctx: &Context,
    fd: Fd,
    at: Addr,
    length: usize,
    flags: u32,
    from: Addr,
    from_length: Addr,
) -> Result<usize> {
    let file = get(ctx, fd)?;
    let incoming = as_socket(&file)?.receive(&mut Sink::user(at, length), flags)?;
    write_address(&incoming.from, from, from_length)?;
    Ok(incoming.count)
}

/// What the control data of a send holds.
#[derive(Default)]
struct Given {
    /// SCM_RIGHTS.
    files: Vec<Arc<dyn File>>,
    /// Messages of other levels.
    others: Vec<ControlMessage>,
}

/// Takes the control data of a send apart. Credentials are what they are, whatever is claimed: a claim of others' is `EPERM`.
fn read_control(ctx: &Context, header: &Header) -> Result<Given> {
    let mut given = Given::default();
    if header.control.is_null() || header.control_length == 0 {
        return Ok(given);
    }
    if header.control_length > CONTROL_LIMIT {
        return Err(Errno::ENOBUFS);
    }
    let mut control = room::buffer(header.control_length)?;
    user_space::copy_in(&mut control, header.control)?;
    let files = ctx.process().files();
    for message in control::parse(&control).ok_or(Errno::EINVAL)? {
        let words: Vec<u32> =
            message.data.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect();
        match (message.level, message.kind) {
            (control::SOCKET, SCM_RIGHTS) => {
                for fd in words {
                    given.files.push(files.get(Fd(fd as i32))?);
                }
                if given.files.len() > RIGHTS_LIMIT {
                    return Err(Errno::EINVAL);
                }
            }
            (control::SOCKET, SCM_CREDENTIALS) => match words[..] {
                [pid, uid, gid] if message.data.len() == 12 => check_claim(ctx, pid, uid, gid)?,
                _ => return Err(Errno::EINVAL),
            },
            (control::SOCKET, _) => return Err(Errno::EINVAL),
            _ => given.others.push(message),
        }
    }
    Ok(given)
}

fn check_claim(ctx: &Context, pid: u32, uid: u32, gid: u32) -> Result<()> {
    let own = ctx.process().credentials.read().clone();
    let true_claim = pid == ctx.process().pid
        && [own.uid, own.euid, own.suid].contains(&uid)
        && [own.gid, own.egid, own.sgid].contains(&gid);
    if true_claim { Ok(()) } else { Err(Errno::EPERM) }
}

fn send_one(ctx: &Context, fd: Fd, at: Addr, flags: u32) -> Result<usize> {
    let file = get(ctx, fd)?;
    let socket = as_socket(&file)?;
    let header = Header::read(at)?;
    let to =
        if header.name_length == 0 { None } else { Some(read_address(header.name, header.name_length)?) };
    let segments = read_segments(header.vector, header.segments)?;
    let Given { files, others } = read_control(ctx, &header)?;
    socket.send(&mut Source::segments(&segments), Outgoing { to, files, control: others, flags })
}

/// sendmsg(2).
pub fn sys_sendmsg(ctx: &Context, fd: Fd, at: Addr, flags: u32) -> Result<usize> {
    send_one(ctx, fd, at, flags)
}

/// sendmmsg(2).
pub fn sys_sendmmsg(ctx: &Context, fd: Fd, at: Addr, count: u32, flags: u32) -> Result<usize> {
    as_socket(&get(ctx, fd)?)?;
    for index in 0..count.min(MULTIPLE_LIMIT) {
        let entry = Addr(at.0.wrapping_add(index as u64 * MULTIPLE_SIZE));
        let sent = send_one(ctx, fd, entry, flags)
            .and_then(|sent| user_space::write_u32(Addr(entry.0 + MULTIPLE_LENGTH), sent as u32));
        match sent {
            Ok(()) => {}
            Err(error) if index == 0 => return Err(error),
            Err(_) => return Ok(index as usize),
        }
    }
    Ok(count.min(MULTIPLE_LIMIT) as usize)
}

/// Control data of a receive as it is put together.
struct Control {
    bytes: Vec<u8>,
    room: usize,
    truncated: bool,
}

impl Control {
    fn add(&mut self, level: u32, kind: u32, data: &[u8]) {
        let left = self.room - self.bytes.len();
        if left < CONTROL_HEADER {
            self.truncated = true;
            return;
        }
        let length = (CONTROL_HEADER + data.len()).min(left);
        self.truncated |= length < CONTROL_HEADER + data.len();
        self.bytes.extend_from_slice(&(length as u64).to_le_bytes());
        self.bytes.extend_from_slice(&level.to_le_bytes());
        self.bytes.extend_from_slice(&kind.to_le_bytes());
        self.bytes.extend_from_slice(&data[..length - CONTROL_HEADER]);
        let padded = self.bytes.len().next_multiple_of(8).min(self.room);
        self.bytes.resize(padded, 0);
    }
}

/// Puts what came with a message into control data; passed files become descriptors, as many as there is room for.
fn build_control(ctx: &Context, incoming: &mut Incoming, room: usize, close_on_exec: bool) -> Control {
    let mut built = Control { bytes: Vec::new(), room, truncated: false };
    for message in &incoming.control {
        built.add(message.level, message.kind, &message.data);
    }
    if let Some(credentials) = incoming.credentials {
        built.add(control::SOCKET, SCM_CREDENTIALS, &credentials.to_bytes());
    }
    if !incoming.files.is_empty() {
        let fit = (room - built.bytes.len()).saturating_sub(CONTROL_HEADER) / 4;
        built.truncated |= fit < incoming.files.len();
        let mut numbers = Vec::new();
        for file in incoming.files.drain(..).take(fit) {
            match ctx.process().files().add(file, close_on_exec) {
                Ok(fd) => numbers.extend_from_slice(&fd.0.to_le_bytes()),
                Err(_) => built.truncated = true,
            }
        }
        if !numbers.is_empty() {
            built.add(control::SOCKET, SCM_RIGHTS, &numbers);
        }
    }
    built
}

fn receive_one(ctx: &Context, fd: Fd, at: Addr, flags: u32) -> Result<usize> {
    let file = get(ctx, fd)?;
    let socket = as_socket(&file)?;
    let header = Header::read(at)?;
    let segments = read_segments(header.vector, header.segments)?;
    let mut incoming = socket.receive(&mut Sink::segments(&segments), flags)?;
    let room = if header.control.is_null() { 0 } else { header.control_length.min(CONTROL_LIMIT) };
    let close_on_exec = flags & message::CLOSE_ON_EXEC != 0;
    let control = build_control(ctx, &mut incoming, room, close_on_exec);
    let mut shown = incoming.flags | flags & message::CLOSE_ON_EXEC;
    if control.truncated {
        shown |= message::CONTROL_TRUNCATED;
    }
    if !header.name.is_null() {
        let length = incoming.from.len().min(header.name_length as usize);
        user_space::copy_out(header.name, &incoming.from[..length])?;
        user_space::write_u32(header.field(8), incoming.from.len() as u32)?;
    }
    user_space::copy_out(header.control, &control.bytes)?;
    user_space::write_u64(header.field(40), control.bytes.len() as u64)?;
    user_space::write_u32(header.field(48), shown)?;
    Ok(incoming.count)
}

/// recvmsg(2).
pub fn sys_recvmsg(ctx: &Context, fd: Fd, at: Addr, flags: u32) -> Result<usize> {
    receive_one(ctx, fd, at, flags)
}

/// recvmmsg(2). As on Linux, the time-out is looked at after each message, and does not end a wait.
pub fn sys_recvmmsg(ctx: &Context, fd: Fd, at: Addr, count: u32, flags: u32, timeout: Addr) -> Result<usize> {
    as_socket(&get(ctx, fd)?)?;
    let deadline = if timeout.is_null() { Deadline::NEVER } else { Deadline::after(read_timespec(timeout)?) };
    let mut each = flags & !WAIT_FOR_ONE;
    let mut received = 0;
    while received < count.min(MULTIPLE_LIMIT) {
        let entry = Addr(at.0.wrapping_add(received as u64 * MULTIPLE_SIZE));
        let length = receive_one(ctx, fd, entry, each)
            .and_then(|length| user_space::write_u32(Addr(entry.0 + MULTIPLE_LENGTH), length as u32));
        match length {
            Ok(()) => received += 1,
            Err(error) if received == 0 => return Err(error),
            Err(_) => break,
        }
        if flags & WAIT_FOR_ONE != 0 {
            each |= message::DONT_WAIT;
        }
        if deadline.left() == Some(0) {
            break;
        }
    }
    if let Some(left) = deadline.left() {
        user_space::write(timeout, &[left / 1_000_000_000, left % 1_000_000_000])?;
    }
    Ok(received as usize)
}
