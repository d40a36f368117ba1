//! ioctl(2) of both ends of a pseudo-terminal (ioctl_tty(2)).

use alloc::sync::Arc;
use core::sync::atomic::Ordering::*;

use linux_raw_sys::general as raw;
use linux_raw_sys::ioctl::*;

use super::pair::Pair;
use super::termios::{SIZE, SIZE_WITH_SPEEDS};
use crate::errno::{Errno, Result};
use crate::events::{Deadline, Events, wait_until};
use crate::signal::Signal;
use crate::user_space::{self, Addr};

/// What both ends answer alike: settings, window, groups.
pub fn common(pair: &Arc<Pair>, is_master: bool, request: u32, argument: Addr) -> Result<usize> {
    match request {
        TCGETS | TCGETS2 => {
            let bytes = pair.discipline.lock().termios().to_bytes();
            let size = if request == TCGETS { SIZE } else { SIZE_WITH_SPEEDS };
            user_space::copy_out(argument, &bytes[..size])?;
        }
        TCSETS | TCSETSW | TCSETSF | TCSETS2 | TCSETSW2 | TCSETSF2 => set_termios(pair, request, argument)?,
        TIOCGWINSZ => {
            let window = *pair.window.lock();
            user_space::write(argument, &window)?;
        }
        TIOCSWINSZ => {
            let new: [u16; 4] = user_space::read(argument)?;
            let old = core::mem::replace(&mut *pair.window.lock(), new);
            if old != new {
                pair.signal(Signal::WINCH);
            }
        }
        TIOCGPGRP if is_master || pair.controls_caller() => {
            user_space::write_u32(argument, pair.foreground.load(SeqCst))?;
        }
        TIOCSPGRP => pair.set_foreground(user_space::read_u32(argument)? as i32)?,
        TIOCGSID if is_master || pair.controls_caller() => {
            let session = pair.session.load(SeqCst);
            if session == 0 {
                return Err(Errno::ENOTTY);
            }
            user_space::write_u32(argument, session)?;
        }
        TCFLSH => flush(pair, is_master, argument.0 as u32)?,
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

fn set_termios(pair: &Arc<Pair>, request: u32, argument: Addr) -> Result<()> {
    let with_speeds = matches!(request, TCSETS2 | TCSETSW2 | TCSETSF2);
    let mut bytes = [0; SIZE_WITH_SPEEDS];
    let size = if with_speeds { SIZE_WITH_SPEEDS } else { SIZE };
    user_space::copy_in(&mut bytes[..size], argument)?;
    if matches!(request, TCSETSW | TCSETSF | TCSETSW2 | TCSETSF2) {
        drain(pair)?;
    }
    let mut discipline = pair.discipline.lock();
    if matches!(request, TCSETSF | TCSETSF2) {
        discipline.flush(true, false);
    }
    let mut termios = *discipline.termios();
    termios.update(&bytes, with_speeds);
    discipline.set_termios(termios);
    drop(discipline);
    pair.changed();
    Ok(())
}

/// Waits until stopped output goes on; what the master has not read yet counts as sent, as on Linux.
pub fn drain(pair: &Arc<Pair>) -> Result<()> {
    let goes_on = || (!pair.discipline.lock().is_stopped()).then_some(());
    wait_until(&pair.pollee, Events::WRITABLE, Deadline::NEVER, goes_on)
}

/// TCFLSH: what comes in at the slave is what goes out at the master.
fn flush(pair: &Arc<Pair>, is_master: bool, which: u32) -> Result<()> {
    let (input, output) = match which {
        raw::TCIFLUSH => (true, false),
        raw::TCOFLUSH => (false, true),
        raw::TCIOFLUSH => (true, true),
        _ => return Err(Errno::EINVAL),
    };
    let (input, output) = if is_master { (output, input) } else { (input, output) };
    pair.discipline.lock().flush(input, output);
    pair.changed();
    Ok(())
}

/// TCXONC at the slave.
pub fn flow(pair: &Arc<Pair>, which: u32) -> Result<()> {
    match which {
        raw::TCOOFF => pair.discipline.lock().stop(true),
        raw::TCOON => pair.discipline.lock().stop(false),
        raw::TCIOFF | raw::TCION => {
            let character = if which == raw::TCIOFF { raw::VSTOP } else { raw::VSTART };
            let mut discipline = pair.discipline.lock();
            let byte = discipline.termios().character(character);
            discipline.send_raw(byte);
        }
        _ => return Err(Errno::EINVAL),
    }
    pair.changed();
    Ok(())
}
