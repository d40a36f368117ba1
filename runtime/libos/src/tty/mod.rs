//! Pseudo-terminals: /dev/ptmx, /dev/pts, and the line discipline between their two ends. Terminals of the host are
//! [`crate::fs::stream`]'s.

mod control;
mod discipline;
mod master;
mod pair;
mod session;
mod slave;
mod termios;

pub use master::open_master;
pub use pair::set_directory;
pub use session::{session_ended, shown};
pub use slave::{open_controlling, open_slave};

/// Major number of the slaves in /dev/pts; the minor is the name.
pub const SLAVE_MAJOR: u32 = 136;
