//! Platform `softsgx`: the enclave lives on the software device, in this process.
//!
//! The device's checks and state machine are `casemate-softsgx`; here are its memory, the machine's fuses, and what a processor
//! does beside: it moves control (`gate`) and saves state when something interrupts (`interrupt`). In ordinary runs ENCLU is
//! a jump to the loader's code, with `--faithful` the instruction (`faithful`); the enclave's image, its measurement and every check
//! are the same.

mod faithful;
mod fuses;
mod gate;
mod interrupt;
mod memory;

use casemate_sgx::device::{Device, DeviceError, build};
use casemate_sgx::layout::{Layout, LayoutBlock};
use casemate_sgx::{Image, PageType, SecInfoFlags, SigStruct};
use casemate_softsgx::{Configuration, Processor, SoftDevice};

use crate::lock::{Guard, Mutex};
use crate::report::{EXIT_INTERNAL, fail, print};
use crate::{cpuid, refuse};

pub use faithful::{execute, is_enclu, turn_on};
pub use gate::{enclu_address, run_first, run_thread};
pub use interrupt::{Interruption, is_entered, is_inside, note, raise};
use memory::OwnMemory;

/// The one enclave of this process, on its processor.
static DEVICE: Mutex<Option<Soft>> = Mutex::new(None);

struct Soft {
    device: SoftDevice<OwnMemory>,
    block: LayoutBlock,
}

// SAFETY: the device holds addresses and its own collections only; the lock lets one thread use them at a time.
unsafe impl Send for Soft {}

/// The device, locked. No signal handler takes this while the loader's own code is interrupted.
struct Locked(Guard<'static, Option<Soft>>);

impl core::ops::Deref for Locked {
    type Target = Soft;

    fn deref(&self) -> &Soft {
        match &*self.0 {
            Some(soft) => soft,
            None => fail(EXIT_INTERNAL, format_args!("softsgx: there is no enclave")),
        }
    }
}

impl core::ops::DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Soft {
        match &mut *self.0 {
            Some(soft) => soft,
            None => fail(EXIT_INTERNAL, format_args!("softsgx: there is no enclave")),
        }
    }
}

fn device() -> Locked {
    Locked(DEVICE.lock())
}

/// Builds the enclave in the reserved range; ends the run with the reason when the device refuses.
pub fn create(
    image: &Image,
    layout: &Layout,
    sigstruct: &SigStruct,
    fuse_file: Option<&[u8]>,
    environment: &[&[u8]],
) {
    print(format_args!(
        "casemate-host: softsgx: this is a simulation of SGX and protects nothing: whoever runs this machine can read and change everything inside"
    ));
    let fuses = fuses::load(fuse_file, environment);
    let mut key_id = [0; 32];
    fuses::random(&mut key_id);
    let xcr0 = cpuid::xcr0();
    let block = *layout.block();
    let processor = Processor::new(fuses, Configuration::new(xcr0, key_id));
    let mut device = SoftDevice::new(processor, OwnMemory::new(&block));
    if let Err(error) = build(&mut device, layout, image, sigstruct, xcr0) {
        refuse!("softsgx: {error}; was the image changed after `casemate sign`?");
    }
    let added = layout
        .regions()
        .iter()
        .map(|region| (region.offset, region.offset + region.pages * crate::sys::PAGE));
    device.memory().finish(added);
    gate::set_layout(&block);
    *DEVICE.lock() = Some(Soft { device, block });
}

/// What the device refuses, as the error of a host call. An enclave that asks for what cannot be is told that there is no memory.
fn outcome(result: Result<(), DeviceError>) -> crate::sys::Reply {
    match result {
        Ok(()) => Ok(0),
        Err(_) => Err(crate::sys::Errno::ENOMEM),
    }
}

/// Host calls about pages in an enclave with EDMM.
pub mod pages {
    use super::*;
    use crate::sys::Reply;

    /// EAUG.
    pub fn add(address: u64, length: u64, soon: bool) -> Reply {
        let mut soft = device();
        if soon {
            soft.device.memory().expect(address, length);
        }
        outcome(soft.device.augment(address, length))
    }

    /// EMODPR.
    pub fn restrict(address: u64, length: u64, permissions: SecInfoFlags) -> Reply {
        outcome(device().device.restrict_permissions(address, length, permissions))
    }

    /// The page tables alone.
    pub fn hide(address: u64, length: u64, hide: bool) -> Reply {
        let mut soft = device();
        if soft.device.memory().hide(address, length, hide) {
            soft.device.set_access(address, length);
        }
        Ok(0)
    }

    /// EMODT.
    pub fn convert(address: u64, length: u64, page_type: PageType) -> Reply {
        outcome(device().device.modify_types(address, length, page_type))
    }

    /// EREMOVE.
    pub fn remove(address: u64, length: u64) -> Reply {
        outcome(device().device.remove_pages(address, length))
    }
}
