//! The vDSO that programs read the clock with: a data page and an ELF image behind it, one pair for all processes.

mod image;

use core::sync::atomic::{AtomicU64, Ordering::*};

use casemate_platform::pages::{self, Protection};
use casemate_platform::sync::{Mutex, Once};
use casemate_platform::vdso::{DATA_BEFORE, code, functions};
use casemate_platform::{clock, user};

use crate::mm::{AddressSpace, Name, PAGE, Span};

/// The data page's address; `None` where there could be no vDSO.
static DATA_PAGE: Once<Option<u64>> = Once::new();
static MAKING: Mutex<()> = Mutex::new(());
/// Generation of the parameters on the data page; the lock is held while they are written.
static WRITTEN: Mutex<()> = Mutex::new(());
static GENERATION: AtomicU64 = AtomicU64::new(0);

const READ: Protection = Protection { read: true, write: false, execute: false };
const READ_EXECUTE: Protection = Protection { read: true, write: false, execute: true };

/// Maps the vDSO into an address space; the image's address for AT_SYSINFO_EHDR. `None` when there is none: the program then
/// makes system calls.
pub fn attach(space: &AddressSpace) -> Option<u64> {
    let data = data_page(space)?;
    let image = data + DATA_BEFORE;
    space.add_system(Span::new(data, image), READ, Name::Vvar).ok()?;
    space.add_system(Span::new(image, image + PAGE), READ_EXECUTE, Name::Vdso).ok()?;
    refresh();
    Some(image)
}

fn data_page(space: &AddressSpace) -> Option<u64> {
    if let Some(page) = DATA_PAGE.get() {
        return *page;
    }
    let span = space.claim_system(DATA_BEFORE + PAGE)?;
    let made = make(span);
    let _making = MAKING.lock();
    if DATA_PAGE.get().is_none() {
        let _ = DATA_PAGE.set(made);
    }
    DATA_PAGE.get().copied().flatten()
}

/// Puts both pages there. The library OS writes the data page; programs find it read-only in /proc/self/maps.
fn make(span: Span) -> Option<u64> {
    let image = image::build(code(), &functions())?;
    pages::map(span.start, span.len(), Protection::READ_WRITE).ok()?;
    let at = span.start + DATA_BEFORE;
    user::copy_out(at, &image).ok()?;
    pages::protect(at, PAGE, READ_EXECUTE).ok()?;
    Some(span.start)
}

/// Brings the data page up to date with the platform's clock. Cheap when it is.
pub fn refresh() {
    let Some(page) = DATA_PAGE.get().copied().flatten() else { return };
    if clock::parameters().generation == GENERATION.load(Acquire) {
        return;
    }
    let _written = WRITTEN.lock();
    let p = clock::parameters();
    // Odd while the others change. The program sees stores in their order, as x86 makes them.
    let words = [p.anchor_ticks, p.valid_ticks, p.factor, p.monotonic_ns, p.realtime_ns, p.boot_offset_ns];
    let mut done = user::write_u64(page, p.generation | 1).is_ok();
    for (word, at) in words.into_iter().zip((page + 8..).step_by(8)) {
        done &= user::write_u64(at, word).is_ok();
    }
    if done && user::write_u64(page, p.generation).is_ok() {
        GENERATION.store(p.generation, Release);
    }
}
