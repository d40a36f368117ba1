//! Platform `sgx`: the enclave lives in EPC, behind the kernel's driver (`Documentation/arch/x86/sgx.rst`).
//!
//! The requests are `casemate_sgx::kernel`'s, the same layout is built by the same function as on `softsgx`; here are the open
//! device, and what host signals and host calls about pages become; mappings and the way in are `casemate-hardware`'s. No
//! machine with SGX has run this: `docs/hardware.md` says what was tested.

use core::ffi::CStr;

use casemate_abi::{EXIT_DONE, EntryReason};
use casemate_hardware::gate::{self, Failure, Found, Outcome, Vdso};
use casemate_hardware::map;
use casemate_sgx::device::{BuildError, Device, DeviceError, build};
use casemate_sgx::kernel::{EnclaveFile, KernelDevice};
use casemate_sgx::layout::{Layout, LayoutBlock};
use casemate_sgx::{Image, PageType, SecInfoFlags, SigStruct};
use linux_raw_sys::general::*;

use crate::arena::Thread;
use crate::lock::Mutex;
use crate::report::{EXIT_INTERNAL, fail};
use crate::signal_frame::Context;
use crate::sys::{self, Errno, Reply};
use crate::{calls, cpuid, refuse, vdso};

const NODE: &CStr = c"/dev/sgx_enclave";
const FUNCTION: &[u8] = b"__vdso_sgx_enter_enclave\0";

/// The one enclave of this process.
static ENCLAVE: Mutex<Option<Enclave>> = Mutex::new(None);

struct Enclave {
    device: KernelDevice<Node>,
    block: LayoutBlock,
}

/// The open device.
struct Node(i32);

impl EnclaveFile for Node {
    fn ioctl(&mut self, request: u32, argument: &mut [u8]) -> Result<(), i32> {
        // SAFETY: the driver reads and writes the argument, which is of the request's size, and reads what it names.
        let result =
            unsafe { sys::call(__NR_ioctl, [self.0 as u64, request.into(), argument.as_mut_ptr() as u64]) };
        result.map(drop).map_err(|error| error.0)
    }
}

/// Whether this machine has the device: what `--platform auto` asks.
pub fn is_there() -> bool {
    // SAFETY: only looks the name up.
    unsafe { sys::call(__NR_access, [NODE.as_ptr() as u64, 0]) }.is_ok()
}

/// Builds the enclave in the reserved range and maps it; ends the run with the reason when that fails.
pub fn create(image: &Image, layout: &Layout, sigstruct: &SigStruct) {
    let node = open().unwrap_or_else(|error| refuse!("{}", NodeError(error)));
    let Some(function) = vdso::function(FUNCTION) else {
        refuse!(
            "sgx: this kernel's vDSO has no __vdso_sgx_enter_enclave: a kernel with CONFIG_X86_SGX is needed"
        )
    };
    gate::adopt(function);
    let mut device = KernelDevice::new(Node(node));
    if let Err(error) = build(&mut device, layout, image, sigstruct, cpuid::xcr0()) {
        refuse!("sgx: {error}; {}", advice(&error));
    }
    for mapping in map::mappings(layout) {
        let flags = MAP_SHARED | MAP_FIXED;
        // SAFETY: the range was reserved for the enclave, and nobody runs in it yet.
        let mapped = unsafe { sys::map(mapping.start, mapping.length, mapping.protection, flags, node, 0) };
        if let Err(error) = mapped {
            refuse!(
                "sgx: the enclave's pages at {:#x} cannot be mapped: {error}; is /dev mounted noexec? (`casemate platform check`)",
                mapping.start
            );
        }
    }
    *ENCLAVE.lock() = Some(Enclave { device, block: *layout.block() });
}

fn open() -> Result<i32, Errno> {
    sys::open(AT_FDCWD, NODE, O_RDWR | O_CLOEXEC, 0)
}

/// Why the device cannot be opened, and what to do.
struct NodeError(Errno);

impl core::fmt::Display for NodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let advice = match self.0 {
            Errno::ENOENT | Errno::ENODEV => {
                "this machine has no SGX, or its kernel no driver for it; `casemate platform check` says which. \
                 --platform softsgx runs the same enclave in a simulation, which protects nothing"
            }
            Errno::EACCES | Errno::EPERM => {
                "this user may not use it: add it to the group that owns the node, or, in a container, pass the device in"
            }
            _ => "`casemate platform check` looks at the machine",
        };
        write!(f, "sgx: cannot open /dev/sgx_enclave: {}; {advice}", self.0)
    }
}

/// What a refusal of the driver most likely means (`arch/x86/kernel/cpu/sgx/ioctl.c`).
fn advice(error: &BuildError) -> &'static str {
    match error {
        BuildError::Init(DeviceError::System(1)) => {
            "EINIT refused the signature: the image was changed after `casemate sign`, or this processor lacks what it asks for"
        }
        BuildError::Create(DeviceError::System(5)) => {
            "ECREATE refused it, most likely because the enclave is larger than this processor allows (sgx.enclave_size; `casemate platform check`)"
        }
        BuildError::Add(_, DeviceError::System(13)) => "/dev is mounted noexec: remount it with exec",
        BuildError::Create(DeviceError::System(12)) | BuildError::Add(_, DeviceError::System(12)) => {
            "there is not enough memory for enclaves (EPC): lower sgx.enclave_size, or use an image with dynamic memory"
        }
        _ => "see the kernel's log",
    }
}

// --- Threads -------------------------------------------------------------------------------------------

/// Runs the first thread. Does not return unless the enclave refuses to start.
pub fn run_first(thread: &Thread, start: u64) -> i64 {
    let tcs = ENCLAVE.lock().as_ref().and_then(|enclave| enclave.block.thread(0)).map(|block| block.tcs);
    let Some(tcs) = tcs else { return -1 };
    run(thread, tcs, [EntryReason::Start as u64, start, &raw const thread.host as u64])
}

/// Runs a thread that the enclave asked for.
pub fn run_thread(thread: &Thread) {
    run(thread, thread.host.area, [EntryReason::Thread as u64, 0, &raw const thread.host as u64]);
}

fn run(thread: &Thread, tcs: u64, words: gate::Words) -> i64 {
    let mut enclu = Vdso::new(&thread.pending);
    let host_call = |number, arguments| calls::host_call(number, arguments as *mut [u64; 6]);
    match gate::drive(&mut enclu, tcs, words, EXIT_DONE, host_call) {
        Ok(result) => result as i64,
        Err(failure) => end(failure),
    }
}

/// A host signal met this thread. When code inside was interrupted, the enclave takes it up at once; the signal handler's
/// return then resumes it. Else it is told at the next entry. Whether it was inside.
pub fn interrupt(thread: &Thread, context: &mut Context) -> bool {
    match gate::found(context.rip, context.rax, context.rbx) {
        Found::Inside { tcs } => {
            if let Err(failure) = gate::take_up(&mut Vdso::new(&thread.pending), tcs, EXIT_DONE) {
                end(failure);
            }
            return true;
        }
        // Also for later: control may be on its way out already.
        Found::Entering => {
            context.r8 = 1;
            thread.pending.store(1, core::sync::atomic::Ordering::SeqCst);
        }
        Found::Outside => thread.pending.store(1, core::sync::atomic::Ordering::SeqCst),
    }
    false
}

fn end(failure: Failure) -> ! {
    let (what, outcome) = match failure {
        Failure::Entry(outcome) => ("it cannot be entered", outcome),
        Failure::Stage(outcome) => ("its exception stage failed", outcome),
        Failure::Storm(outcome) => ("it makes no progress", outcome),
    };
    match outcome {
        Outcome::Exception { leaf, vector, error_code, address } => fail(
            EXIT_INTERNAL,
            format_args!(
                "sgx: the enclave was lost: {what} (ENCLU[{leaf}]: vector {vector}, error {error_code:#x}, address {address:#x}); \
                 after suspend or migration of the machine this is expected"
            ),
        ),
        Outcome::Exit { number, .. } => {
            fail(EXIT_INTERNAL, format_args!("sgx: the enclave was lost: {what} (host call {number})"))
        }
        Outcome::Refused(error) => {
            fail(EXIT_INTERNAL, format_args!("sgx: the enclave was lost: {what} (the vDSO says {error})"))
        }
    }
}

// --- Host calls about pages of an enclave with EDMM -----------------------------------------------------

/// See `casemate_abi::HostCall`. The ranges were checked.
pub mod pages {
    use super::*;

    fn with(work: impl FnOnce(&mut KernelDevice<Node>) -> Result<(), DeviceError>) -> Reply {
        let mut enclave = ENCLAVE.lock();
        let Some(enclave) = enclave.as_mut() else { return Err(Errno::EINVAL) };
        work(&mut enclave.device).map(|()| 0).map_err(|error| reply_of(&error))
    }

    /// Opens the range; the driver adds each page when the enclave's EACCEPT touches it.
    pub fn add(address: u64, length: u64, protection: u32) -> Reply {
        access(address, length, protection | PROT_READ | PROT_WRITE)?;
        with(|device| device.augment(address, length))
    }

    /// EMODPR, and the page tables.
    pub fn restrict(address: u64, length: u64, protection: u32, permissions: SecInfoFlags) -> Reply {
        with(|device| device.restrict_permissions(address, length, permissions))?;
        access(address, length, protection)
    }

    /// EMODT.
    pub fn convert(address: u64, length: u64, page_type: PageType) -> Reply {
        with(|device| device.modify_types(address, length, page_type))
    }

    /// EREMOVE.
    pub fn remove(address: u64, length: u64) -> Reply {
        with(|device| device.remove_pages(address, length))?;
        access(address, length, PROT_NONE)
    }

    fn access(address: u64, length: u64, protection: u32) -> Reply {
        // SAFETY: the range is the enclave's, which asked for it.
        unsafe { sys::protect(address, length, protection) }.map(|_| 0)
    }
}

/// A refusal as the error of a host call: those that the enclave knows what to do with.
fn reply_of(error: &DeviceError) -> Errno {
    match error {
        DeviceError::System(12) => Errno::ENOMEM,
        DeviceError::Usage(_) => Errno::EINVAL,
        _ => Errno::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn a_machine_without_the_device_is_told_what_to_do() {
        let text = format!("{}", NodeError(Errno::ENOENT));
        assert!(text.contains("/dev/sgx_enclave") && text.contains("casemate platform check"), "{text}");
        assert!(format!("{}", NodeError(Errno::EACCES)).contains("group"));
        let is_there = std::path::Path::new("/dev/sgx_enclave").exists();
        assert_eq!(super::is_there(), is_there);
        if !is_there {
            assert_eq!(open(), Err(Errno::ENOENT));
        }
    }

    #[test]
    fn what_the_driver_refuses_has_an_advice() {
        let refusals = [
            (BuildError::Init(DeviceError::System(1)), "casemate sign"),
            (BuildError::Create(DeviceError::System(5)), "larger"),
            (BuildError::Add(0, DeviceError::System(13)), "noexec"),
            (BuildError::Add(0, DeviceError::System(12)), "EPC"),
            (BuildError::Init(DeviceError::System(5)), "log"),
        ];
        for (error, wanted) in refusals {
            assert!(advice(&error).contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_request_goes_to_the_open_file() {
        let mut node = Node(-1);
        assert_eq!(node.ioctl(casemate_sgx::kernel::ENCLAVE_CREATE, &mut [0; 8]), Err(9));
        assert_eq!(reply_of(&DeviceError::System(12)), Errno::ENOMEM);
        assert_eq!(reply_of(&DeviceError::System(14)), Errno::EIO);
    }
}
