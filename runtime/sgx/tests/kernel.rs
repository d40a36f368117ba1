//! The kernel's device: numbers and sizes against the uapi header, and the sequence of requests against a fake driver.

#[path = "common/image.rs"]
mod image;
#[path = "common/key.rs"]
mod key;

use std::path::Path;
use std::process::Command;

use casemate_sgx::device::{BuildError, Device, DeviceError, build};
use casemate_sgx::kernel::*;
use casemate_sgx::layout::{Features, Layout, Parameters};
use casemate_sgx::measure::Measurement;
use casemate_sgx::{
    Image, LeafError, PAGE_SIZE, PageType, SecInfo, SecInfoFlags, Secs, SgxError, SigStruct, Template,
};
use zerocopy::{FromBytes, IntoBytes};

/// Prints what a C program that includes the header sees, one `name value` a line.
const PROGRAM: &str = r#"
#include <stddef.h>
#include <stdio.h>
#include <asm/sgx.h>
#define NUMBER(name) printf(#name " %lu\n", (unsigned long)(name))
#define SIZE(name) printf("sizeof " #name " %zu\n", sizeof(struct name))
#define FIELD(name, field) printf(#name "." #field " %zu\n", offsetof(struct name, field))
int main(void) {
  NUMBER(SGX_IOC_ENCLAVE_CREATE); NUMBER(SGX_IOC_ENCLAVE_ADD_PAGES); NUMBER(SGX_IOC_ENCLAVE_INIT);
  NUMBER(SGX_IOC_ENCLAVE_PROVISION); NUMBER(SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS);
  NUMBER(SGX_IOC_ENCLAVE_MODIFY_TYPES); NUMBER(SGX_IOC_ENCLAVE_REMOVE_PAGES); NUMBER(SGX_PAGE_MEASURE);
  SIZE(sgx_enclave_create); SIZE(sgx_enclave_add_pages); SIZE(sgx_enclave_init); SIZE(sgx_enclave_provision);
  SIZE(sgx_enclave_restrict_permissions); SIZE(sgx_enclave_modify_types); SIZE(sgx_enclave_remove_pages);
  SIZE(sgx_enclave_run);
  FIELD(sgx_enclave_add_pages, secinfo); FIELD(sgx_enclave_add_pages, flags); FIELD(sgx_enclave_add_pages, count);
  FIELD(sgx_enclave_restrict_permissions, permissions); FIELD(sgx_enclave_restrict_permissions, result);
  FIELD(sgx_enclave_restrict_permissions, count); FIELD(sgx_enclave_modify_types, page_type);
  FIELD(sgx_enclave_modify_types, result); FIELD(sgx_enclave_remove_pages, count);
  FIELD(sgx_enclave_run, function); FIELD(sgx_enclave_run, exception_vector);
  FIELD(sgx_enclave_run, exception_error_code); FIELD(sgx_enclave_run, exception_addr);
  FIELD(sgx_enclave_run, user_handler); FIELD(sgx_enclave_run, user_data); FIELD(sgx_enclave_run, reserved);
  return 0;
}
"#;

fn ours() -> String {
    use std::mem::{offset_of, size_of};
    let numbers = [
        ("SGX_IOC_ENCLAVE_CREATE", ENCLAVE_CREATE as usize),
        ("SGX_IOC_ENCLAVE_ADD_PAGES", ENCLAVE_ADD_PAGES as usize),
        ("SGX_IOC_ENCLAVE_INIT", ENCLAVE_INIT as usize),
        ("SGX_IOC_ENCLAVE_PROVISION", ENCLAVE_PROVISION as usize),
        ("SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS", ENCLAVE_RESTRICT_PERMISSIONS as usize),
        ("SGX_IOC_ENCLAVE_MODIFY_TYPES", ENCLAVE_MODIFY_TYPES as usize),
        ("SGX_IOC_ENCLAVE_REMOVE_PAGES", ENCLAVE_REMOVE_PAGES as usize),
        ("SGX_PAGE_MEASURE", SGX_PAGE_MEASURE as usize),
        ("sizeof sgx_enclave_create", size_of::<EnclaveCreate>()),
        ("sizeof sgx_enclave_add_pages", size_of::<EnclaveAddPages>()),
        ("sizeof sgx_enclave_init", size_of::<EnclaveInit>()),
        ("sizeof sgx_enclave_provision", size_of::<EnclaveProvision>()),
        ("sizeof sgx_enclave_restrict_permissions", size_of::<EnclaveRestrictPermissions>()),
        ("sizeof sgx_enclave_modify_types", size_of::<EnclaveModifyTypes>()),
        ("sizeof sgx_enclave_remove_pages", size_of::<EnclaveRemovePages>()),
        ("sizeof sgx_enclave_run", size_of::<EnclaveRun>()),
        ("sgx_enclave_add_pages.secinfo", offset_of!(EnclaveAddPages, secinfo)),
        ("sgx_enclave_add_pages.flags", offset_of!(EnclaveAddPages, flags)),
        ("sgx_enclave_add_pages.count", offset_of!(EnclaveAddPages, count)),
        ("sgx_enclave_restrict_permissions.permissions", offset_of!(EnclaveRestrictPermissions, permissions)),
        ("sgx_enclave_restrict_permissions.result", offset_of!(EnclaveRestrictPermissions, result)),
        ("sgx_enclave_restrict_permissions.count", offset_of!(EnclaveRestrictPermissions, count)),
        ("sgx_enclave_modify_types.page_type", offset_of!(EnclaveModifyTypes, page_type)),
        ("sgx_enclave_modify_types.result", offset_of!(EnclaveModifyTypes, result)),
        ("sgx_enclave_remove_pages.count", offset_of!(EnclaveRemovePages, count)),
        ("sgx_enclave_run.function", offset_of!(EnclaveRun, function)),
        ("sgx_enclave_run.exception_vector", offset_of!(EnclaveRun, exception_vector)),
        ("sgx_enclave_run.exception_error_code", offset_of!(EnclaveRun, exception_error_code)),
        ("sgx_enclave_run.exception_addr", offset_of!(EnclaveRun, exception_addr)),
        ("sgx_enclave_run.user_handler", offset_of!(EnclaveRun, user_handler)),
        ("sgx_enclave_run.user_data", offset_of!(EnclaveRun, user_data)),
        ("sgx_enclave_run.reserved", offset_of!(EnclaveRun, reserved)),
    ];
    numbers.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
}

#[test]
fn numbers_and_structures_are_the_headers() {
    let header = ["/usr/include/x86_64-linux-gnu/asm/sgx.h", "/usr/include/asm/sgx.h"];
    let there = header.iter().any(|path| Path::new(path).exists());
    assert!(there, "asm/sgx.h is not there (Debian: linux-libc-dev)");
    let directory = std::env::temp_dir().join(format!("casemate-sgx-uapi-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (source, program) = (directory.join("uapi.c"), directory.join("uapi"));
    std::fs::write(&source, PROGRAM).unwrap();
    let built = Command::new("cc").arg(&source).arg("-o").arg(&program).status().expect("a C compiler");
    assert!(built.success());
    let output = Command::new(&program).output().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), ours());
}

/// A driver that does what the kernel's documented checks and results are, and records the enclave it was given.
struct FakeDriver {
    secs: Option<Secs>,
    measurement: Option<Measurement>,
    requests: Vec<u32>,
    initialised: bool,
    /// Pages that an add request handles before "a signal" ends it.
    pages_per_call: Option<u64>,
    /// Answers, popped one a call, before the request is looked at.
    interruptions: Vec<i32>,
    /// What EDMM requests answer: (errno, result code).
    edmm_answer: (Result<(), i32>, u64),
    edmm_done: u64,
}

/// Reads a structure from an address that a request names.
fn fetch<T: FromBytes>(address: u64) -> T {
    // SAFETY: the device under test keeps what it names alive during the request.
    let bytes = unsafe { std::slice::from_raw_parts(address as *const u8, size_of::<T>()) };
    T::read_from_bytes(bytes).unwrap()
}

impl FakeDriver {
    fn add_pages(&mut self, argument: &mut EnclaveAddPages) -> Result<(), i32> {
        const EINVAL: i32 = 22;
        let page = PAGE_SIZE as u64;
        let size = self.secs.as_ref().ok_or(EINVAL)?.size;
        if !argument.offset.is_multiple_of(page) || !argument.src.is_multiple_of(page) {
            return Err(EINVAL);
        }
        if argument.length == 0
            || !argument.length.is_multiple_of(page)
            || argument.offset + argument.length > size
        {
            return Err(EINVAL);
        }
        let secinfo: SecInfo = fetch(argument.secinfo);
        let flags = secinfo.checked_flags().ok_or(EINVAL)?;
        match flags.page_type() {
            Some(PageType::Reg) if flags.contains(SecInfoFlags::R) || !flags.contains(SecInfoFlags::W) => {}
            Some(PageType::Tcs) if flags.permissions().is_empty() => {}
            _ => return Err(EINVAL),
        }
        let length = argument.length.min(self.pages_per_call.unwrap_or(u64::MAX).saturating_mul(page));
        let measurement = self.measurement.as_mut().ok_or(EINVAL)?;
        for done in (0..length).step_by(PAGE_SIZE) {
            measurement.add(argument.offset + done, &secinfo);
            if argument.flags & SGX_PAGE_MEASURE != 0 {
                measurement.extend_page(argument.offset + done, &fetch(argument.src + done));
            }
        }
        argument.count = length;
        Ok(())
    }
}

impl EnclaveFile for &mut FakeDriver {
    fn ioctl(&mut self, request: u32, argument: &mut [u8]) -> Result<(), i32> {
        self.requests.push(request);
        assert_eq!(request >> 16 & 0x3fff, argument.len() as u32, "the request's size field");
        if let Some(errno) = self.interruptions.pop() {
            return Err(errno);
        }
        match request {
            ENCLAVE_CREATE => {
                let secs: Secs = fetch(u64::read_from_bytes(argument).unwrap());
                self.measurement = Some(Measurement::create(secs.ssa_frame_size, secs.size));
                self.secs = Some(secs);
                Ok(())
            }
            ENCLAVE_ADD_PAGES => {
                let mut pages = EnclaveAddPages::read_from_bytes(argument).unwrap();
                let answer = self.add_pages(&mut pages);
                argument.copy_from_slice(pages.as_bytes());
                answer
            }
            ENCLAVE_INIT => {
                let sigstruct: SigStruct = fetch(u64::read_from_bytes(argument).unwrap());
                let good = sigstruct.verify().is_ok()
                    && self.measurement.as_ref().is_some_and(|m| m.value() == sigstruct.enclave_hash);
                self.initialised = good;
                if good { Ok(()) } else { Err(1) }
            }
            ENCLAVE_PROVISION => Ok(()),
            ENCLAVE_RESTRICT_PERMISSIONS | ENCLAVE_MODIFY_TYPES => {
                let (answer, result) = self.edmm_answer;
                let [_, length, what, old_result, old_count] =
                    <[u64; 5]>::read_from_bytes(argument).map_err(|_| 14)?;
                let known = if request == ENCLAVE_MODIFY_TYPES {
                    [PageType::Tcs as u64, PageType::Trim as u64].contains(&what)
                } else {
                    // W only together with R, and nothing else.
                    [0, 1, 3, 4, 5, 7].contains(&what)
                };
                if !known || old_result != 0 || old_count != 0 {
                    return Err(22);
                }
                argument[24..32].copy_from_slice(&result.to_le_bytes());
                let done = if answer.is_ok() { length } else { self.edmm_done };
                argument[32..40].copy_from_slice(&done.to_le_bytes());
                answer
            }
            ENCLAVE_REMOVE_PAGES => {
                let (answer, _) = self.edmm_answer;
                let [_, length, old_count] = <[u64; 3]>::read_from_bytes(argument).map_err(|_| 14)?;
                if old_count != 0 {
                    return Err(22);
                }
                argument[16..24].copy_from_slice(&length.to_le_bytes());
                answer
            }
            _ => Err(25),
        }
    }
}

fn driver() -> FakeDriver {
    FakeDriver {
        secs: None,
        measurement: None,
        requests: Vec::new(),
        initialised: false,
        pages_per_call: None,
        interruptions: Vec::new(),
        edmm_answer: (Ok(()), 0),
        edmm_done: 0,
    }
}

fn layout_of(image: &Image<'_>, edmm: bool) -> Layout {
    let parameters = Parameters {
        enclave_size: 64 << 20,
        heap_size: Some(8 << 20),
        max_threads: 2,
        edmm,
        exinfo: edmm,
        features: Features::default(),
        measured: [3; 64],
    };
    Layout::new(image, &parameters).unwrap()
}

fn signed(layout: &Layout, image: &Image<'_>) -> SigStruct {
    let template = Template {
        date: 0x2026_1124,
        swdefined: 0,
        miscselect: (layout.miscselect().bits(), u32::MAX),
        attributes: Features::default().attributes(false),
        enclave_hash: layout.measure(image),
        isv_prod_id: 0,
        isv_svn: 0,
    };
    key::sign(SigStruct::unsigned(&template)).unwrap()
}

#[test]
fn the_driver_measures_what_the_owner_signed() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    for edmm in [false, true] {
        let layout = layout_of(&image, edmm);
        let sigstruct = signed(&layout, &image);
        let mut driver = driver();
        build(&mut KernelDevice::new(&mut driver), &layout, &image, &sigstruct, 0xe7).unwrap();
        assert!(driver.initialised);
        assert_eq!(driver.requests.first(), Some(&ENCLAVE_CREATE));
        assert_eq!(driver.requests.last(), Some(&ENCLAVE_INIT));
        assert_eq!(driver.secs.unwrap().attributes.xfrm, 0xe7);
    }
}

#[test]
fn an_add_that_signals_cut_short_goes_on_where_it_stopped() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let layout = layout_of(&image, true);
    let sigstruct = signed(&layout, &image);
    let mut driver = FakeDriver { pages_per_call: Some(3), interruptions: vec![4, 11, 4], ..driver() };
    build(&mut KernelDevice::new(&mut driver), &layout, &image, &sigstruct, 7).unwrap();
    assert!(driver.initialised);
}

#[test]
fn unaligned_contents_are_copied_first() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let layout = layout_of(&image, true);
    let mut driver = driver();
    let mut device = KernelDevice::new(&mut driver);
    device.create(&layout.secs(Default::default())).unwrap();
    let buffer = vec![9; 70 * PAGE_SIZE + 1];
    device.add_pages(0x10000, &buffer[1..], SecInfoFlags::R | PageType::Reg.flags(), true).unwrap();
    let mut expected = Measurement::create(layout.block().ssa_frame_size, layout.block().enclave_size);
    for page in 0..70 {
        let offset = 0x10000 + page * PAGE_SIZE as u64;
        expected.add(offset, &SecInfo::new(SecInfoFlags::R | PageType::Reg.flags()));
        expected.extend_page(offset, &[9; PAGE_SIZE]);
    }
    assert_eq!(driver.measurement.unwrap().value(), expected.value());
}

#[test]
fn refusals_say_where() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let layout = layout_of(&image, true);
    let mut sigstruct = signed(&layout, &image);
    let mut failing = FakeDriver { interruptions: vec![12], ..driver() };
    let error = build(&mut KernelDevice::new(&mut failing), &layout, &image, &sigstruct, 7).unwrap_err();
    assert_eq!(error, BuildError::Create(DeviceError::System(12)));
    sigstruct.enclave_hash[0] ^= 1;
    let mut refusing = driver();
    let error = build(&mut KernelDevice::new(&mut refusing), &layout, &image, &sigstruct, 7).unwrap_err();
    assert_eq!(error, BuildError::Init(DeviceError::System(1)));
    assert_eq!(error.to_string(), "initialising the enclave: the kernel's SGX driver refused: error 1");
    let mut stuck = FakeDriver { pages_per_call: Some(0), ..driver() };
    let error =
        build(&mut KernelDevice::new(&mut stuck), &layout, &image, &signed(&layout, &image), 7).unwrap_err();
    assert!(matches!(error, BuildError::Add(_, DeviceError::Incomplete { .. })), "{error}");
}

#[test]
fn endless_interruptions_end() {
    let mut driver = FakeDriver { interruptions: vec![11; 5000], ..driver() };
    let mut device = KernelDevice::new(&mut driver);
    assert_eq!(device.create(&Secs::zeroed()), Err(DeviceError::System(11)));
}

#[test]
fn dynamic_memory_requests_carry_code_and_progress() {
    let mut driver = driver();
    let mut device = KernelDevice::new(&mut driver);
    device.provision(9).unwrap();
    device.restrict_permissions(0x1000, 0x3000, SecInfoFlags::R).unwrap();
    device.modify_types(0x1000, 0x1000, PageType::Trim).unwrap();
    device.remove_pages(0x1000, 0x1000).unwrap();
    device.augment(0x1000, 0x1000).unwrap();
    assert_eq!(device.restrict_permissions(0x1000, 0x1000, SecInfoFlags::W), Err(DeviceError::System(22)));
    assert_eq!(device.modify_types(0x1000, 0x1000, PageType::Reg), Err(DeviceError::System(22)));
    assert!(device.remove_pages(0x1001, 0x1000).is_err());
    assert!(device.augment(0x1000, 0).is_err());
    assert_eq!(
        driver.requests,
        [
            ENCLAVE_PROVISION,
            ENCLAVE_RESTRICT_PERMISSIONS,
            ENCLAVE_MODIFY_TYPES,
            ENCLAVE_REMOVE_PAGES,
            ENCLAVE_RESTRICT_PERMISSIONS,
            ENCLAVE_MODIFY_TYPES
        ]
    );
    let mut refusing = FakeDriver { edmm_answer: (Err(14), 20), edmm_done: 0x1000, ..self::driver() };
    let mut device = KernelDevice::new(&mut refusing);
    assert_eq!(
        device.modify_types(0x1000, 0x3000, PageType::Tcs),
        Err(DeviceError::Sgx(SgxError::Code(LeafError::PageNotModifiable)))
    );
}
