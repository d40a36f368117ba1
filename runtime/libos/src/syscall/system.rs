//! uname, sysinfo, getrandom, sethostname and others about the whole system.

use alloc::vec::Vec;

use casemate_platform::sync::Mutex;
use casemate_platform::{clock, random};

use crate::errno::{Errno, Result};
use crate::process::{Context, all_processes};
use crate::user_space::{self, Addr};

/// The release shown: glibc checks only that it is recent enough.
pub const RELEASE: &str = "6.1.0-casemate";
/// The version line shown.
pub const VERSION: &str = concat!("#1 SMP Casemate library OS ", env!("CARGO_PKG_VERSION"));

static HOST_NAME: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Sets the node name; at most 64 bytes.
pub fn set_host_name(name: &[u8]) {
    *HOST_NAME.lock() = name[..name.len().min(64)].to_vec();
}

/// The node name.
pub fn host_name() -> Vec<u8> {
    HOST_NAME.lock().clone()
}

/// uname(2).
pub fn sys_uname(_ctx: &Context, at: Addr) -> Result<usize> {
    const FIELD: usize = 65;
    let name = host_name();
    let fields: [&[u8]; 6] = [b"Linux", &name, RELEASE.as_bytes(), VERSION.as_bytes(), b"x86_64", b"(none)"];
    let mut bytes = [0u8; 6 * FIELD];
    for (field, place) in fields.into_iter().zip(bytes.chunks_exact_mut(FIELD)) {
        let length = field.len().min(FIELD - 1);
        place[..length].copy_from_slice(&field[..length]);
    }
    user_space::copy_out(at, &bytes)?;
    Ok(0)
}

/// sethostname(2).
pub fn sys_sethostname(ctx: &Context, at: Addr, length: usize) -> Result<usize> {
    if ctx.process().credentials.read().euid != 0 {
        return Err(Errno::EPERM);
    }
    if length > 64 {
        return Err(Errno::EINVAL);
    }
    let mut name = alloc::vec![0; length];
    user_space::copy_in(&mut name, at)?;
    set_host_name(&name);
    Ok(0)
}

/// Memory shown as the machine's: the whole program range.
pub fn total_memory() -> u64 {
    let (base, top) = casemate_platform::user::range();
    top - base
}

/// sysinfo(2).
pub fn sys_sysinfo(_ctx: &Context, at: Addr) -> Result<usize> {
    let total = total_memory();
    let processes: usize = all_processes().iter().map(|process| process.threads.lock().len()).sum();
    // uptime, loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap, procs, totalhigh, freehigh, mem_unit
    let mut words = [0u64; 14];
    words[0] = clock::now().boottime_ns / 1_000_000_000;
    words[4] = total;
    words[5] = total / 2;
    words[10] = processes as u64;
    words[13] = 1;
    user_space::write(at, &words)?;
    Ok(0)
}

/// getrandom(2): never blocks, never short.
pub fn sys_getrandom(_ctx: &Context, at: Addr, length: usize, flags: u32) -> Result<usize> {
    const GRND_RANDOM: u32 = 2;
    const GRND_INSECURE: u32 = 4;
    if flags > 7 || flags & (GRND_RANDOM | GRND_INSECURE) == GRND_RANDOM | GRND_INSECURE {
        return Err(Errno::EINVAL);
    }
    let length = length.min(i32::MAX as usize);
    let mut chunk = [0u8; 256];
    let mut done = 0;
    while done < length {
        let step = (length - done).min(chunk.len());
        random::fill(&mut chunk[..step]);
        match user_space::copy_out(Addr(at.0 + done as u64), &chunk[..step]) {
            Ok(()) => done += step,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// rseq(2): not offered; C libraries go on without it, so it is not reported as missing.
pub fn sys_rseq(_ctx: &Context, _at: Addr, _length: u32, _flags: i32, _signature: u32) -> Result<usize> {
    Err(Errno::ENOSYS)
}
