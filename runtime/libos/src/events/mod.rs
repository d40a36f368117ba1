//! Readiness and sleeping: [`Pollee`] (something that becomes ready), [`Observer`] (who wants to know), [`Poller`] (a
//! thread that waits for several, host descriptors included), and [`wait_until`].

mod blocking;
mod pollee;
mod poller;
mod several;
mod sleep_mutex;
mod wait;

pub use blocking::{blocking, blocking_on};
pub use pollee::{Events, Observer, Pollee, Registration};
pub use poller::{Poller, poll_host};
pub use several::{Watched, wait_for_any};
pub use sleep_mutex::{SleepGuard, SleepMutex};
pub use wait::{Deadline, Waiter, asleep, sleep_until, sleep_until_signal, sleep_until_woken, wait_until};
