//! [`Opened`]: the place of an open description, of whose opening and closing those who watch are told.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::*};

use casemate_platform::sync::Mutex;

use super::{Mask, happened_to_open};
use crate::file::OpenFlags;
use crate::fs::node::Location;

/// Where an open description was found. Dropping it is the close.
pub struct Opened {
    at: Location,
    writes: bool,
    announced: AtomicBool,
    /// Once memory maps the file: it counts as open until the last mapping is gone.
    mapped: Mutex<Option<Arc<StillOpen>>>,
}

impl Opened {
    /// It is open.
    pub fn now(at: Location, flags: OpenFlags) -> Opened {
        let opened = Opened::later(at, flags);
        opened.announce();
        opened
    }

    /// It will be open once [`Self::announce`] says so.
    pub fn later(at: Location, flags: OpenFlags) -> Opened {
        let writes = flags.writable();
        Opened { at, writes, announced: AtomicBool::new(false), mapped: Mutex::new(None) }
    }

    /// The open succeeded.
    pub fn announce(&self) {
        self.announced.store(true, Relaxed);
        happened_to_open(&self.at, Mask::OPEN);
    }

    /// The place.
    pub fn place(&self) -> &Location {
        &self.at
    }

    /// For a mapping to hold.
    pub fn keep(&self) -> Arc<StillOpen> {
        let make = || Arc::new(StillOpen { at: self.at.clone(), writes: self.writes });
        self.mapped.lock().get_or_insert_with(make).clone()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if *self.announced.get_mut() && self.mapped.get_mut().is_none() {
            closed(&self.at, self.writes);
        }
    }
}

/// Keeps a file from counting as closed.
pub struct StillOpen {
    at: Location,
    writes: bool,
}

impl Drop for StillOpen {
    fn drop(&mut self) {
        closed(&self.at, self.writes);
    }
}

fn closed(at: &Location, writes: bool) {
    happened_to_open(at, if writes { Mask::CLOSE_WRITE } else { Mask::CLOSE_NOWRITE });
}
