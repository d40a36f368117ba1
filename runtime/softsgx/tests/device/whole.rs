//! The device as the loader uses it, and the fuse file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::common::{BASE, PAGE, SIZE, TestMemory, fuses, image, key, secs};
use casemate_sgx::device::{BuildError, Device, DeviceError, build};
use casemate_sgx::layout::{Features, Layout, Parameters};
use casemate_sgx::{Image, LeafError, PageType, SecInfo, SecInfoFlags, SgxError, SigStruct, Template};
use casemate_softsgx::{
    Configuration, Event, Flow, FuseError, FuseStore, Fuses, LogicalProcessor, MAX_XSAVE, Memory, Processor,
    Registers, SoftDevice, StoredFuses,
};
use zerocopy::IntoBytes;

fn parameters(edmm: bool) -> Parameters {
    Parameters {
        enclave_size: 64 << 20,
        heap_size: Some(8 << 20),
        max_threads: 3,
        edmm,
        exinfo: edmm,
        features: Features::default(),
        measured: [3; 64],
    }
}

fn device() -> SoftDevice<TestMemory> {
    SoftDevice::new(Processor::new(fuses(1), Configuration::new(0xe7, [5; 32])), TestMemory::default())
}

fn signed(layout: &Layout, image: &Image<'_>, debug: bool) -> SigStruct {
    let template = Template {
        date: 0x2026_1124,
        swdefined: 0,
        miscselect: (layout.miscselect().bits(), u32::MAX),
        attributes: Features::default().attributes(debug),
        enclave_hash: layout.measure(image),
        isv_prod_id: 0,
        isv_svn: 0,
    };
    key::sign(SigStruct::unsigned(&template)).unwrap()
}

#[test]
fn the_device_measures_what_the_owner_signed_and_runs_it() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    for edmm in [false, true] {
        let layout = Layout::new(&image, &parameters(edmm)).unwrap();
        let mut device = device();
        build(&mut device, &layout, &image, &signed(&layout, &image, false), 0xe7).unwrap();
        let access: BTreeMap<u64, SecInfoFlags> =
            device.memory().access.iter().map(|(k, v)| (*k, *v)).collect();
        for region in layout.regions() {
            let expected = match region.flags.page_type() {
                Some(PageType::Tcs) => SecInfoFlags::empty(),
                _ => region.flags.permissions(),
            };
            assert!((0..region.pages).all(|index| access[&(region.offset + index * PAGE)] == expected));
        }
        let mut logical = LogicalProcessor::default();
        let tcs = layout.block().thread(0).unwrap().tcs;
        let mut registers = Registers { rax: 2, rbx: tcs, rcx: 0x1000, ..Default::default() };
        let mut extended = Box::new([0; MAX_XSAVE]);
        assert_eq!(device.enclu(&mut logical, &mut registers, &mut extended), Ok(Flow::Entered));
        assert_eq!(registers.rip, layout.block().entry);
        assert_eq!(registers.gs_base, layout.block().thread(0).unwrap().area.start);
        device.asynchronous_exit(&mut logical, &mut registers, Event::Interrupt, &[0; 576]).unwrap();
        assert_eq!(device.enclu(&mut logical, &mut registers, &mut extended), Ok(Flow::Resumed));
    }
}

#[test]
fn an_image_with_one_flipped_byte_does_not_start() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let layout = Layout::new(&image, &parameters(true)).unwrap();
    let sigstruct = signed(&layout, &image, false);
    let mut flipped = bytes.clone();
    flipped[0x1100] ^= 1;
    let error = build(&mut device(), &layout, &Image::parse(&flipped).unwrap(), &sigstruct, 7).unwrap_err();
    assert_eq!(error, BuildError::Init(LeafError::InvalidMeasurement.into()));
    assert_eq!(
        error.to_string(),
        "initialising the enclave: the SGX device refused: SGX_INVALID_MEASUREMENT (4)"
    );
    let other = Layout::new(&image, &Parameters { max_threads: 4, ..parameters(true) }).unwrap();
    let error = build(&mut device(), &other, &image, &sigstruct, 7).unwrap_err();
    assert_eq!(error, BuildError::Init(LeafError::InvalidMeasurement.into()));
}

#[test]
fn memory_and_threads_grow_and_shrink_as_on_the_kernels_device() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let layout = Layout::new(&image, &parameters(true)).unwrap();
    let mut device = device();
    build(&mut device, &layout, &image, &signed(&layout, &image, true), 7).unwrap();
    let block = *layout.block();
    let (mut logical, mut extended) = (LogicalProcessor::default(), Box::new([0; MAX_XSAVE]));
    let tcs = block.thread(0).unwrap().tcs;
    let mut registers = Registers { rax: 2, rbx: tcs, rcx: 0x1000, ..Default::default() };
    device.enclu(&mut logical, &mut registers, &mut extended).unwrap();
    let operand = block.heap_base;
    let mut accept = |device: &mut SoftDevice<TestMemory>, flags: SecInfoFlags, page: u64| {
        device.memory().write(operand, SecInfo::new(flags).as_bytes());
        let mut registers = Registers { rax: 5, rbx: operand, rcx: page, ..Default::default() };
        device.enclu(&mut logical, &mut registers, &mut extended).unwrap();
        registers.rax
    };
    let new = SecInfoFlags::RW | SecInfoFlags::PENDING | PageType::Reg.flags();
    // A second thread's block, as the platform layer builds it.
    let thread = block.thread(1).unwrap();
    device.augment(thread.stack.start, thread.tcs + PAGE - thread.stack.start).unwrap();
    for page in (thread.ssa.start..=thread.tcs).step_by(4096) {
        assert_eq!(accept(&mut device, new, page), 0);
    }
    device.memory().write(thread.tcs, block.tcs(1).as_bytes());
    device.modify_types(thread.tcs, PAGE, PageType::Tcs).unwrap();
    assert_eq!(accept(&mut device, SecInfoFlags::MODIFIED | PageType::Tcs.flags(), thread.tcs), 0);
    let mut second = LogicalProcessor::default();
    let mut entry = Registers { rax: 2, rbx: thread.tcs, rcx: 0x1000, ..Default::default() };
    let mut area = Box::new([0; MAX_XSAVE]);
    assert_eq!(device.enclu(&mut second, &mut entry, &mut area), Ok(Flow::Entered));
    // Permissions down, and pages away again.
    device.augment(block.user_base, 2 * PAGE).unwrap();
    assert_eq!(accept(&mut device, new, block.user_base), 0);
    device.restrict_permissions(block.user_base, PAGE, SecInfoFlags::R).unwrap();
    assert_eq!(
        accept(&mut device, SecInfoFlags::R | SecInfoFlags::PR | PageType::Reg.flags(), block.user_base),
        0
    );
    assert!(device.remove_pages(block.user_base, PAGE).is_err());
    let nothing = device.remove_pages(block.user_base + 8 * PAGE, PAGE).unwrap_err();
    assert!(nothing.to_string().contains("EPCM.VALID is 0"), "{nothing}");
    device.modify_types(block.user_base, PAGE, PageType::Trim).unwrap();
    let early = device.remove_pages(block.user_base, PAGE);
    assert!(matches!(early, Err(DeviceError::Sgx(SgxError::Fault(_)))), "not before the enclave accepted it");
    assert_eq!(accept(&mut device, SecInfoFlags::MODIFIED | PageType::Trim.flags(), block.user_base), 0);
    device.remove_pages(block.user_base, PAGE).unwrap();
    device.augment(block.user_base, PAGE).unwrap();
    assert!(device.augment(block.user_base, PAGE).is_err());
    assert!(device.augment(1, PAGE).is_err());
    assert!(device.augment(0u64.wrapping_sub(PAGE), PAGE).is_err());
}

/// An enclave with one page of code that ends in ENCLU, then one of data with ENCLU in it, then nothing.
fn small() -> SoftDevice<TestMemory> {
    let mut device = device();
    device.create(&secs()).unwrap();
    let mut page = [0x90; 4096];
    page[4092..4095].copy_from_slice(&[0x0f, 0x01, 0xd7]);
    page[4095] = 0x0f;
    let [code, data] = [SecInfoFlags::RX, SecInfoFlags::RW].map(|rights| rights | PageType::Reg.flags());
    device.add_pages(0, &page, code, false).unwrap();
    device.add_pages(PAGE, &[0x01, 0xd7, 0x0f, 0x01, 0xd7].repeat(820)[..4096], data, false).unwrap();
    let mut measurement = casemate_sgx::measure::Measurement::create(1, SIZE);
    measurement.add(0, &SecInfo::new(code));
    measurement.add(PAGE, &SecInfo::new(data));
    let template = Template {
        date: 0x2026_1124,
        swdefined: 0,
        miscselect: (1, u32::MAX),
        attributes: (secs().attributes, casemate_sgx::Attributes { flags: u64::MAX, xfrm: u64::MAX }),
        enclave_hash: measurement.value(),
        isv_prod_id: 0,
        isv_svn: 0,
    };
    device.init(&key::sign(SigStruct::unsigned(&template)).unwrap()).unwrap();
    device
}

#[test]
fn enclu_is_found_where_code_inside_can_fetch_and_read_it() {
    let mut device = small();
    assert!(device.is_enclu(BASE + 4092));
    assert!(!device.is_enclu(BASE + 4091));
    // It goes on in the next page, which is data.
    assert!(!device.is_enclu(BASE + 4095));
    assert!(!device.is_enclu(BASE + PAGE + 2));
    assert!(!device.is_enclu(BASE + 8 * PAGE) && !device.is_enclu(u64::MAX));
    device.memory().mapping.insert(BASE, None);
    assert!(!device.is_enclu(BASE + 4092), "the page tables hide it");
}

#[test]
fn ranges_end_inside_and_are_for_leaves_that_take_one() {
    let mut device = small();
    let beyond = device.augment(SIZE - PAGE, 2 * PAGE).unwrap_err();
    assert!(beyond.to_string().contains("ends outside the enclave"), "{beyond}");
    device.augment(SIZE - PAGE, PAGE).unwrap();
    let mut registers = Registers { rax: 0, ..Default::default() };
    let refusal = device.enclu_range(&LogicalProcessor::default(), &mut registers, PAGE).unwrap_err();
    assert!(refusal.to_string().contains("takes no range"), "{refusal}");
}

#[test]
fn provisioning_is_granted_before_creation_or_not_at_all() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let layout = Layout::new(&image, &parameters(true)).unwrap();
    let secs = layout.secs(casemate_sgx::Attributes { flags: 0x14, xfrm: 3 });
    assert!(device().create(&secs).is_err());
    let mut granted = device();
    granted.provision();
    granted.create(&secs).unwrap();
}

/// A fuse file on a real file system.
struct File(PathBuf);

impl FuseStore for File {
    fn read(&mut self) -> Result<Option<StoredFuses>, i32> {
        // O_NOFOLLOW
        match fs::OpenOptions::new().read(true).custom_flags(0x20000).open(&self.0) {
            Ok(mut file) => {
                let status = file.metadata().unwrap();
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                Ok(Some(StoredFuses {
                    bytes,
                    mode: status.mode() & 0o7777,
                    own_regular_file: status.is_file(),
                }))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.raw_os_error().unwrap_or(5)),
        }
    }

    fn create(&mut self, bytes: &[u8]) -> Result<bool, i32> {
        let beside = self.0.with_extension("new");
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).unwrap();
        file.write_all(bytes).unwrap();
        let linked = fs::hard_link(&beside, &self.0);
        fs::remove_file(&beside).unwrap();
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.raw_os_error().unwrap_or(5)),
        }
    }
}

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("casemate-fuses-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn load(path: &Path, fill: u8) -> Result<Fuses, FuseError> {
    Fuses::load(&mut File(path.to_owned()), |bytes| bytes.fill(fill))
}

#[test]
fn fuses_are_made_once_and_kept() {
    let directory = directory("once");
    let path = directory.join("fuses");
    let first = load(&path, 1).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(load(&path, 2).unwrap(), first);
    assert!(!format!("{first:?}").contains("[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], s"));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn exposed_and_damaged_fuses_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let directory = directory("bad");
    let path = directory.join("fuses");
    load(&path, 1).unwrap();
    let good = fs::read(&path).unwrap();
    for position in [0, 8, 12, 16, 79, 80, 111] {
        let mut bytes = good.clone();
        bytes[position] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(load(&path, 2), Err(FuseError::Damaged));
    }
    fs::write(&path, &good[..100]).unwrap();
    assert_eq!(load(&path, 2), Err(FuseError::Damaged));
    fs::write(&path, &good).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = load(&path, 2).unwrap_err();
    assert_eq!(error, FuseError::Exposed { mode: 0o640 });
    assert!(error.to_string().contains("chmod 600"));
    let link = directory.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(load(&link, 2), Err(FuseError::System(_))), "links are not followed");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn two_first_starts_at_once_agree() {
    struct Race(Vec<Option<StoredFuses>>);
    impl FuseStore for Race {
        fn read(&mut self) -> Result<Option<StoredFuses>, i32> {
            Ok(self.0.remove(0))
        }
        fn create(&mut self, _: &[u8]) -> Result<bool, i32> {
            Ok(false)
        }
    }
    let theirs = fuses(9);
    let stored = StoredFuses { bytes: theirs.to_bytes().to_vec(), mode: 0o600, own_regular_file: true };
    assert_eq!(Fuses::load(&mut Race(vec![None, Some(stored)]), |_| ()), Ok(theirs));
}
