//! Time as the program sees it: clocks, processor time, timers.

mod clock;
mod cpu;
mod file;
mod process;
mod timer;
pub mod vdso;

pub use clock::{Clock, SECOND, resolution_ns};
pub use cpu::CpuTime;
pub use file::TimerFile;
pub(crate) use process::FROM_TIMER;
pub use process::{Notify, ProcessClocks};
pub use timer::{Setting, Timer};
