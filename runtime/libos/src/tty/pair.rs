//! [`Pair`]: what the two ends of a pseudo-terminal share, and the names of slaves in /dev/pts.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::*};

use casemate_platform::sync::{Mutex, Once};

use super::SLAVE_MAJOR;
use super::discipline::Discipline;
use crate::errno::{Errno, Result};
use crate::events::{Events, Pollee};
use crate::fs::Location;
use crate::fs::inode::{NewInode, NewKind};
use crate::fs::mount::make_device;
use crate::fs::stream::StandardStream;
use crate::process::Credentials;

/// Most pseudo-terminals at once (NR_UNIX98_PTY_MAX).
const LIMIT: u32 = 4096;

/// A pseudo-terminal.
pub struct Pair {
    /// Its name in /dev/pts.
    pub number: u32,
    pub discipline: Mutex<Discipline>,
    /// Both ends sleep here: an end's IN is the other's OUT, and a hang-up is everybody's.
    pub pollee: Pollee,
    /// struct winsize: rows, columns, and their sizes in pixels.
    pub window: Mutex<[u16; 4]>,
    /// No slave can be opened (TIOCSPTLCK).
    pub locked: AtomicBool,
    /// Open slaves; a master that had some and has none reads `EIO`.
    pub slaves: AtomicUsize,
    pub lost_slaves: AtomicBool,
    /// Slaves opened before as many hang-ups are dead.
    pub hang_ups: AtomicU32,
    /// The session whose controlling terminal it is, and its foreground process group; 0 for none.
    pub session: AtomicU32,
    pub foreground: AtomicU32,
}

static PAIRS: Mutex<BTreeMap<u32, Arc<Pair>>> = Mutex::new(BTreeMap::new());
static DIRECTORY: Once<Location> = Once::new();

/// /dev/pts: a tree of its own.
pub fn set_directory(root: Location) {
    let _ = DIRECTORY.set(root);
}

/// All pseudo-terminals whose master is open.
pub fn all() -> Vec<Arc<Pair>> {
    PAIRS.lock().values().cloned().collect()
}

/// Where its slave lies.
pub fn place(pair: &Pair) -> Option<Location> {
    DIRECTORY.get()?.child(format!("{}", pair.number).as_bytes()).ok()
}

/// The one with this number.
pub fn find(number: u32) -> Option<Arc<Pair>> {
    PAIRS.lock().get(&number).cloned()
}

impl Pair {
    /// A new one with a name in /dev/pts; `ENOSPC`.
    pub fn new(ids: &Credentials) -> Result<Arc<Pair>> {
        // The host's terminal is shown as /dev/pts/0.
        let first = u32::from(StandardStream::have_terminal());
        let pair = {
            let mut pairs = PAIRS.lock();
            let number = (first..LIMIT).find(|number| !pairs.contains_key(number)).ok_or(Errno::ENOSPC)?;
            let pair = Arc::new(Pair {
                number,
                discipline: Mutex::default(),
                pollee: Pollee::new(),
                window: Mutex::new([0; 4]),
                locked: AtomicBool::new(true),
                slaves: AtomicUsize::new(0),
                lost_slaves: AtomicBool::new(false),
                hang_ups: AtomicU32::new(0),
                session: AtomicU32::new(0),
                foreground: AtomicU32::new(0),
            });
            pairs.insert(number, pair.clone());
            pair
        };
        let device = make_device(SLAVE_MAJOR, pair.number);
        let new = NewInode {
            kind: NewKind::CharacterDevice(device),
            permissions: 0o620,
            uid: ids.fsuid,
            gid: ids.fsgid,
        };
        let directory = DIRECTORY.get().ok_or(Errno::ENXIO)?;
        directory.create(format!("{}", pair.number).as_bytes(), &new)?;
        Ok(pair)
    }

    /// The master is closed: the name goes, whoever has the slave open is cut off.
    pub fn end(&self) {
        if let Some(directory) = DIRECTORY.get() {
            let _ = directory.remove(format!("{}", self.number).as_bytes(), false, |_| Ok(()));
        }
        self.hang_up();
        PAIRS.lock().remove(&self.number);
    }

    /// Cuts the slaves off and tells the session.
    pub fn hang_up(&self) {
        self.hang_ups.fetch_add(1, SeqCst);
        super::session::hang_up(self);
        self.changed();
    }

    /// Tells both ends that something may have become ready.
    pub fn changed(&self) {
        self.pollee.notify(Events::READABLE | Events::WRITABLE | Events::HANG_UP);
    }
}
