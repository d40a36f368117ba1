//! The in-tree driver's device (`/dev/sgx_enclave`, Linux 5.11 and later; EDMM since 6.0).
//!
//! Structures and numbers are those of `arch/x86/include/uapi/asm/sgx.h`; a test compares them with that header
//! through a C compiler. The system call itself is behind [`EnclaveFile`], so that this crate stays pure and the
//! sequence of requests can be tested without the hardware; `docs/hardware.md` says what that leaves open.

use alloc::vec;
use alloc::vec::Vec;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::device::{AlignedPage, Device, DeviceError};
use crate::{LeafError, PAGE_SIZE, PageType, SecInfo, SecInfoFlags, Secs, SigStruct};

/// The node through which enclaves are made.
pub const ENCLAVE_NODE: &str = "/dev/sgx_enclave";
/// The node whose descriptor grants ATTRIBUTES.PROVISIONKEY.
pub const PROVISION_NODE: &str = "/dev/sgx_provision";

/// `enum sgx_page_flags`: EEXTEND every page.
pub const SGX_PAGE_MEASURE: u64 = 1;

const SGX_MAGIC: u32 = 0xa4;
const IOC_WRITE: u32 = 1;
const IOC_READ: u32 = 2;

const fn request<T>(direction: u32, number: u32) -> u32 {
    direction << 30 | (size_of::<T>() as u32) << 16 | SGX_MAGIC << 8 | number
}

/// `SGX_IOC_ENCLAVE_CREATE`.
pub const ENCLAVE_CREATE: u32 = request::<EnclaveCreate>(IOC_WRITE, 0);
/// `SGX_IOC_ENCLAVE_ADD_PAGES`.
pub const ENCLAVE_ADD_PAGES: u32 = request::<EnclaveAddPages>(IOC_READ | IOC_WRITE, 1);
/// `SGX_IOC_ENCLAVE_INIT`.
pub const ENCLAVE_INIT: u32 = request::<EnclaveInit>(IOC_WRITE, 2);
/// `SGX_IOC_ENCLAVE_PROVISION`.
pub const ENCLAVE_PROVISION: u32 = request::<EnclaveProvision>(IOC_WRITE, 3);
/// `SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS`.
pub const ENCLAVE_RESTRICT_PERMISSIONS: u32 = request::<EnclaveRestrictPermissions>(IOC_READ | IOC_WRITE, 5);
/// `SGX_IOC_ENCLAVE_MODIFY_TYPES`.
pub const ENCLAVE_MODIFY_TYPES: u32 = request::<EnclaveModifyTypes>(IOC_READ | IOC_WRITE, 6);
/// `SGX_IOC_ENCLAVE_REMOVE_PAGES`.
pub const ENCLAVE_REMOVE_PAGES: u32 = request::<EnclaveRemovePages>(IOC_READ | IOC_WRITE, 7);

/// Declares one of the header's structures: all fields are `__u64`.
macro_rules! argument {
    ($(#[$doc:meta])* $name:ident, $size:literal, { $($(#[$field_doc:meta])* $field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: u64),* }
        const _: () = assert!(size_of::<$name>() == $size);
    };
}

argument!(/// `struct sgx_enclave_create`.
EnclaveCreate, 8, {
    /// Address of the SECS.
    src,
});
argument!(/// `struct sgx_enclave_add_pages`.
EnclaveAddPages, 48, {
    /// Address of the contents, page-aligned, in memory that could be mapped executable.
    src,
    /// Offset of the first page.
    offset,
    /// Bytes.
    length,
    /// Address of the SECINFO.
    secinfo,
    /// [`SGX_PAGE_MEASURE`] or 0.
    flags,
    /// Out: bytes that were added.
    count,
});
argument!(/// `struct sgx_enclave_init`.
EnclaveInit, 8, {
    /// Address of the SIGSTRUCT.
    sigstruct,
});
argument!(/// `struct sgx_enclave_provision`.
EnclaveProvision, 8, {
    /// Descriptor of [`PROVISION_NODE`].
    fd,
});
argument!(/// `struct sgx_enclave_restrict_permissions`.
EnclaveRestrictPermissions, 40, {
    /// Offset of the first page.
    offset,
    /// Bytes.
    length,
    /// R, W, X as in SECINFO; W only together with R.
    permissions,
    /// 0; out: the code that EMODPR gave.
    result,
    /// 0; out: bytes that were changed.
    count,
});
argument!(/// `struct sgx_enclave_modify_types`.
EnclaveModifyTypes, 40, {
    /// Offset of the first page.
    offset,
    /// Bytes.
    length,
    /// The page type's number.
    page_type,
    /// 0; out: the code that EMODT gave.
    result,
    /// 0; out: bytes that were changed.
    count,
});
argument!(/// `struct sgx_enclave_remove_pages`.
EnclaveRemovePages, 24, {
    /// Offset of the first page.
    offset,
    /// Bytes.
    length,
    /// 0; out: bytes that were removed.
    count,
});

/// `struct sgx_enclave_run`: the state of one `__vdso_sgx_enter_enclave` call.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EnclaveRun {
    /// Address of the TCS.
    pub tcs: u64,
    /// Last ENCLU leaf: [`EENTER`], [`ERESUME`] or [`EEXIT`].
    pub function: u32,
    /// Vector of the exception, when the call returns -EFAULT.
    pub exception_vector: u16,
    /// Its error code.
    pub exception_error_code: u16,
    /// Its address.
    pub exception_addr: u64,
    /// Called at every exit, or 0.
    pub user_handler: u64,
    /// For the handler.
    pub user_data: u64,
    /// Must be 0.
    pub reserved: [u8; 216],
}

const _: () = assert!(size_of::<EnclaveRun>() == 256);

impl EnclaveRun {
    /// For one call on this TCS, without a handler.
    #[must_use]
    pub fn new(tcs: u64) -> Self {
        let mut run: Self = zerocopy::FromZeros::new_zeroed();
        run.tcs = tcs;
        run
    }
}

/// ENCLU leaf numbers that the vDSO function takes and reports (SDM table 34-2).
pub const EENTER: u32 = 2;
/// See [`EENTER`].
pub const ERESUME: u32 = 3;
/// See [`EENTER`].
pub const EEXIT: u32 = 4;

/// Linux's error numbers that mean "call again".
const EINTR: i32 = 4;
const EAGAIN: i32 = 11;
/// How often a request that makes no progress is repeated. The driver answers EAGAIN while it reclaims memory.
const RETRIES: u32 = 1000;

/// An open `/dev/sgx_enclave`.
pub trait EnclaveFile {
    /// `ioctl(fd, request, argument)`; the argument is read and written. `Err` is the positive error number.
    ///
    /// Addresses inside `argument` point to memory that lives during the call.
    fn ioctl(&mut self, request: u32, argument: &mut [u8]) -> Result<(), i32>;
}

/// The driver as a [`Device`].
pub struct KernelDevice<F> {
    file: F,
    /// Contents are copied here when they are not page-aligned, and zeros come from here.
    pages: Vec<AlignedPage>,
}

const BUFFER_PAGES: usize = 64;
const PAGE_MASK: u64 = PAGE_SIZE as u64 - 1;

impl<F: EnclaveFile> KernelDevice<F> {
    /// Takes an open device. The caller maps the enclave's range from the same file afterwards.
    pub fn new(file: F) -> Self {
        Self { file, pages: vec![AlignedPage::ZERO; BUFFER_PAGES] }
    }

    /// Grants ATTRIBUTES.PROVISIONKEY, with an open descriptor of [`PROVISION_NODE`]. Before `init`.
    pub fn provision(&mut self, descriptor: u32) -> Result<(), DeviceError> {
        self.call(ENCLAVE_PROVISION, &mut EnclaveProvision { fd: descriptor.into() })
    }

    /// The file, for mapping and closing.
    pub fn into_file(self) -> F {
        self.file
    }

    fn call<T: IntoBytes + FromBytes>(&mut self, request: u32, argument: &mut T) -> Result<(), DeviceError> {
        for _ in 0..RETRIES {
            match self.file.ioctl(request, argument.as_mut_bytes()) {
                Err(EINTR | EAGAIN) => {}
                other => return other.map_err(DeviceError::System),
            }
        }
        Err(DeviceError::System(EAGAIN))
    }

    /// Repeats a request over a range until all of it is done. `step` makes one call for `(offset, length)` and returns the
    /// bytes done and what went wrong. Every call must make progress or say why not.
    fn over_range(
        &mut self,
        offset: u64,
        length: u64,
        mut step: impl FnMut(&mut Self, u64, u64) -> (u64, Result<(), DeviceError>),
    ) -> Result<(), DeviceError> {
        check_range(offset, length)?;
        let mut done = 0;
        let mut idle = 0;
        while done < length {
            let (count, result) = step(self, offset + done, length - done);
            if count > length - done || count & PAGE_MASK != 0 {
                return Err(DeviceError::Incomplete { done: count, of: length - done });
            }
            done += count;
            idle = if count == 0 { idle + 1 } else { 0 };
            match result {
                Ok(()) if count == 0 => return Err(DeviceError::Incomplete { done, of: length }),
                Ok(()) => {}
                Err(DeviceError::System(EINTR | EAGAIN)) if idle < RETRIES => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn add_run(
        &mut self,
        src: u64,
        offset: u64,
        length: u64,
        flags: SecInfoFlags,
        measure: bool,
    ) -> Result<(), DeviceError> {
        let secinfo = SecInfo::new(flags);
        let page_flags = if measure { SGX_PAGE_MEASURE } else { 0 };
        self.over_range(offset, length, |device, at, rest| {
            let mut argument = EnclaveAddPages {
                src: src + (at - offset),
                offset: at,
                length: rest,
                secinfo: address_of(&secinfo),
                flags: page_flags,
                count: 0,
            };
            let result = device.file.ioctl(ENCLAVE_ADD_PAGES, argument.as_mut_bytes());
            (argument.count, result.map_err(DeviceError::System))
        })
    }
}

impl<F: EnclaveFile> Device for KernelDevice<F> {
    fn create(&mut self, secs: &Secs) -> Result<(), DeviceError> {
        self.call(ENCLAVE_CREATE, &mut EnclaveCreate { src: address_of(secs) })
    }

    fn add_pages(
        &mut self,
        offset: u64,
        contents: &[u8],
        flags: SecInfoFlags,
        measure: bool,
    ) -> Result<(), DeviceError> {
        check_range(offset, contents.len() as u64)?;
        let address = contents.as_ptr().addr() as u64;
        if address & PAGE_MASK == 0 {
            return self.add_run(address, offset, contents.len() as u64, flags, measure);
        }
        for (index, chunk) in contents.chunks(BUFFER_PAGES * PAGE_SIZE).enumerate() {
            self.pages.as_mut_slice().as_mut_bytes()[..chunk.len()].copy_from_slice(chunk);
            let src = self.pages.as_ptr().addr() as u64;
            let at = offset + (index * BUFFER_PAGES * PAGE_SIZE) as u64;
            self.add_run(src, at, chunk.len() as u64, flags, measure)?;
        }
        Ok(())
    }

    fn add_zero_pages(
        &mut self,
        offset: u64,
        length: u64,
        flags: SecInfoFlags,
        measure: bool,
    ) -> Result<(), DeviceError> {
        check_range(offset, length)?;
        self.pages.fill(AlignedPage::ZERO);
        let src = self.pages.as_ptr().addr() as u64;
        let chunk = (BUFFER_PAGES * PAGE_SIZE) as u64;
        for at in (0..length).step_by(BUFFER_PAGES * PAGE_SIZE) {
            self.add_run(src, offset + at, chunk.min(length - at), flags, measure)?;
        }
        Ok(())
    }

    fn init(&mut self, sigstruct: &SigStruct) -> Result<(), DeviceError> {
        self.call(ENCLAVE_INIT, &mut EnclaveInit { sigstruct: address_of(sigstruct) })
    }

    /// The driver adds pages when the enclave first touches them (EACCEPT faults, the driver EAUGs), so there is nothing to ask for.
    fn augment(&mut self, offset: u64, length: u64) -> Result<(), DeviceError> {
        check_range(offset, length)
    }

    fn restrict_permissions(
        &mut self,
        offset: u64,
        length: u64,
        permissions: SecInfoFlags,
    ) -> Result<(), DeviceError> {
        self.over_range(offset, length, |device, offset, length| {
            let permissions = permissions.permissions().bits();
            let mut argument =
                EnclaveRestrictPermissions { offset, length, permissions, result: 0, count: 0 };
            let answer = device.file.ioctl(ENCLAVE_RESTRICT_PERMISSIONS, argument.as_mut_bytes());
            (argument.count, with_result(answer, argument.result))
        })
    }

    fn modify_types(&mut self, offset: u64, length: u64, page_type: PageType) -> Result<(), DeviceError> {
        self.over_range(offset, length, |device, offset, length| {
            let page_type = page_type as u64;
            let mut argument = EnclaveModifyTypes { offset, length, page_type, result: 0, count: 0 };
            let answer = device.file.ioctl(ENCLAVE_MODIFY_TYPES, argument.as_mut_bytes());
            (argument.count, with_result(answer, argument.result))
        })
    }

    fn remove_pages(&mut self, offset: u64, length: u64) -> Result<(), DeviceError> {
        self.over_range(offset, length, |device, offset, length| {
            let mut argument = EnclaveRemovePages { offset, length, count: 0 };
            let answer = device.file.ioctl(ENCLAVE_REMOVE_PAGES, argument.as_mut_bytes());
            (argument.count, answer.map_err(DeviceError::System))
        })
    }
}

/// An SGX result code says more than the error number beside it.
fn with_result(answer: Result<(), i32>, code: u64) -> Result<(), DeviceError> {
    match (answer, LeafError::from_code(code)) {
        (_, Some(error)) => Err(error.into()),
        (answer, None) => answer.map_err(DeviceError::System),
    }
}

fn check_range(offset: u64, length: u64) -> Result<(), DeviceError> {
    if (offset | length) & PAGE_MASK != 0 || length == 0 || offset.checked_add(length).is_none() {
        return Err(DeviceError::Usage("a range of enclave pages is not page-aligned, or empty"));
    }
    Ok(())
}

fn address_of<T>(value: &T) -> u64 {
    core::ptr::from_ref(value).addr() as u64
}
