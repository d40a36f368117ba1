//! A small enclave on the device, built leaf by leaf so that every step can be spoilt.
#![allow(dead_code)] // each test file uses a part

#[path = "../../../../sgx/tests/common/image.rs"]
pub mod image;
#[path = "../../../../sgx/tests/common/key.rs"]
pub mod key;

use std::collections::HashMap;

use casemate_sgx::{
    Attributes, EinitToken, Fault, PAGE_SIZE, PageType, SecInfo, SecInfoFlags, Secs, SgxError, SigStruct,
    Tcs, Template,
};
use casemate_softsgx::{
    Configuration, Fuses, LogicalProcessor, MAX_XSAVE, Memory, PageOperands, Processor, Registers, XsaveArea,
};
use zerocopy::IntoBytes;

pub const PAGE: u64 = PAGE_SIZE as u64;
pub const BASE: u64 = 0x10_0000;
pub const SIZE: u64 = 0x10_0000;
pub const SECS: u64 = 1 << 63;

/// Linear addresses of the sample enclave's pages.
pub const DATA: u64 = BASE + 0x1000;
pub const CODE: u64 = BASE + 0x2000;
pub const SSA: u64 = BASE + 0x3000;
pub const TCS: u64 = BASE + 0x5000;
pub const AREA: u64 = BASE + 0x6000;
pub const TCS2: u64 = BASE + 0x7000;
pub const SSA2: u64 = BASE + 0x8000;
/// A page that is not added.
pub const FREE: u64 = BASE + 0x20000;
pub const AEP: u64 = 0x7fff_0000;

/// EPC pages in vectors; linear addresses can be mapped elsewhere, as a hostile kernel would.
#[derive(Default, Clone)]
pub struct TestMemory {
    pub pages: HashMap<u64, Vec<u8>>,
    pub access: HashMap<u64, SecInfoFlags>,
    pub mapping: HashMap<u64, Option<u64>>,
}

impl Memory for TestMemory {
    fn resolve(&self, linear_page: u64) -> Option<u64> {
        self.mapping.get(&linear_page).copied().unwrap_or(Some(linear_page))
    }

    fn fill(&mut self, page: u64, contents: &[u8; PAGE_SIZE]) {
        self.pages.insert(page, contents.to_vec());
    }

    fn zero(&mut self, page: u64, length: u64) {
        for at in (page..page + length).step_by(PAGE_SIZE) {
            self.pages.insert(at, vec![0; PAGE_SIZE]);
        }
    }

    fn read(&self, address: u64, buffer: &mut [u8]) {
        let offset = (address % PAGE) as usize;
        buffer.copy_from_slice(&self.pages[&(address / PAGE * PAGE)][offset..offset + buffer.len()]);
    }

    fn write(&mut self, address: u64, data: &[u8]) {
        let offset = (address % PAGE) as usize;
        let page = self.pages.get_mut(&(address / PAGE * PAGE)).expect("a page of the EPC");
        page[offset..offset + data.len()].copy_from_slice(data);
    }

    fn protect(&mut self, page: u64, length: u64, access: SecInfoFlags) {
        for at in (page..page + length).step_by(PAGE_SIZE) {
            self.access.insert(at, access);
        }
    }

    fn release(&mut self, page: u64, length: u64) {
        self.pages.retain(|at, _| !(page..page + length).contains(at));
        self.protect(page, length, SecInfoFlags::empty());
    }
}

pub struct Bench {
    pub processor: Processor,
    pub memory: TestMemory,
    pub logical: LogicalProcessor,
    pub registers: Registers,
    pub extended: Box<XsaveArea>,
}

pub fn fuses(seed: u8) -> Fuses {
    let mut next = seed;
    Fuses::generate(|bytes| {
        for byte in bytes {
            next = next.wrapping_mul(31).wrapping_add(7);
            *byte = next;
        }
    })
}

pub fn secs() -> Secs {
    let mut secs = Secs::zeroed();
    secs.size = SIZE;
    secs.base = BASE;
    secs.ssa_frame_size = 1;
    secs.miscselect = 1;
    secs.attributes = Attributes { flags: 4, xfrm: 3 };
    secs
}

pub fn tcs(ssa: u64) -> Tcs {
    let mut tcs = Tcs::zeroed();
    tcs.ossa = ssa - BASE;
    tcs.nssa = 2;
    tcs.oentry = CODE - BASE + 0x10;
    tcs.ofsbase = AREA - BASE;
    tcs.ogsbase = AREA - BASE;
    tcs.fslimit = 0xfff;
    tcs.gslimit = 0xfff;
    tcs
}

pub fn page_of<T: IntoBytes + zerocopy::Immutable>(value: &T) -> Box<[u8; PAGE_SIZE]> {
    Box::new(value.as_bytes().try_into().expect("a page"))
}

pub fn reg(flags: SecInfoFlags) -> SecInfo {
    SecInfo::new(flags | PageType::Reg.flags())
}

pub fn tcs_secinfo() -> SecInfo {
    SecInfo::new(PageType::Tcs.flags())
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Configuration::new(0xe7, [0x11; 32]), 1)
    }

    pub fn with(configuration: Configuration, seed: u8) -> Self {
        Self {
            processor: Processor::new(fuses(seed), configuration),
            memory: TestMemory::default(),
            logical: LogicalProcessor::default(),
            registers: Registers {
                rsp: 0x7000_1000,
                rbp: 0x7000_2000,
                fs_base: 0x55,
                gs_base: 0x66,
                ..Default::default()
            },
            extended: Box::new([0; MAX_XSAVE]),
        }
    }

    pub fn create(&mut self, secs: &Secs) -> Result<(), Fault> {
        let page = page_of(secs);
        let operands = PageOperands {
            linaddr: 0,
            source: Some(&page),
            secinfo: SecInfo::new(PageType::Secs.flags()),
            secs: 0,
        };
        self.processor.ecreate(&operands, SECS)
    }

    pub fn add(&mut self, linear: u64, contents: &[u8; PAGE_SIZE], secinfo: SecInfo) -> Result<(), Fault> {
        let operands = PageOperands { linaddr: linear, source: Some(contents), secinfo, secs: SECS };
        self.processor.eadd(&mut self.memory, &operands, linear)
    }

    pub fn extend(&mut self, linear: u64) {
        for chunk in (0..PAGE).step_by(256) {
            self.processor.eextend(&self.memory, SECS, linear + chunk).unwrap();
        }
    }

    /// The sample's pages, each measured.
    pub fn add_sample(&mut self) {
        self.add(DATA, &[0; PAGE_SIZE], reg(SecInfoFlags::RW)).unwrap();
        self.add(CODE, &[0x90; PAGE_SIZE], reg(SecInfoFlags::RX)).unwrap();
        for page in [SSA, SSA + PAGE, AREA, SSA2, SSA2 + PAGE] {
            self.add(page, &[0; PAGE_SIZE], reg(SecInfoFlags::RW)).unwrap();
        }
        self.add(TCS, &page_of(&tcs(SSA)), tcs_secinfo()).unwrap();
        self.add(TCS2, &page_of(&tcs(SSA2)), tcs_secinfo()).unwrap();
        for page in [DATA, CODE, SSA, SSA + PAGE, AREA, SSA2, SSA2 + PAGE, TCS, TCS2] {
            self.extend(page);
        }
    }

    /// A SIGSTRUCT that EINIT accepts for what was built so far.
    pub fn template(&self, secs: &Secs) -> Template {
        Template {
            date: 0x2026_1124,
            swdefined: 0,
            miscselect: (secs.miscselect, u32::MAX),
            attributes: (secs.attributes, Attributes { flags: u64::MAX, xfrm: u64::MAX }),
            enclave_hash: expected_measurement(),
            isv_prod_id: 5,
            isv_svn: 3,
        }
    }

    pub fn init(&mut self, sigstruct: &SigStruct) -> Result<(), SgxError> {
        self.processor.set_launch_key_hash(sigstruct.mr_signer());
        self.processor.einit(sigstruct, SECS, &EinitToken::none())
    }

    /// Created, added, initialised.
    pub fn started() -> Self {
        Self::started_with(Configuration::new(0xe7, [0x11; 32]), 1, &secs())
    }

    pub fn started_with(configuration: Configuration, seed: u8, secs: &Secs) -> Self {
        let mut bench = Self::with(configuration, seed);
        bench.create(secs).unwrap();
        bench.add_sample();
        let sigstruct = key::sign(SigStruct::unsigned(&bench.template(secs))).unwrap();
        bench.init(&sigstruct).unwrap();
        bench
    }

    /// Started and inside, by the first TCS.
    pub fn entered() -> Self {
        let mut bench = Self::started();
        bench.enter(TCS).unwrap();
        bench
    }

    pub fn enter(&mut self, tcs: u64) -> Result<(), Fault> {
        self.registers.rbx = tcs;
        self.registers.rcx = AEP;
        self.registers.rip = 0x40_0000;
        self.processor.eenter(&mut self.memory, &mut self.logical, &mut self.registers)
    }

    /// Writes into the enclave's memory as code inside could.
    pub fn put(&mut self, linear: u64, bytes: &[u8]) {
        self.memory.write(linear, bytes);
    }

    pub fn get(&self, linear: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory.read(linear, &mut bytes);
        bytes
    }
}

/// The sample's measurement, by the crate that signing uses.
pub fn expected_measurement() -> [u8; 32] {
    let mut measurement = casemate_sgx::measure::Measurement::create(1, SIZE);
    let order = [DATA, CODE, SSA, SSA + PAGE, AREA, SSA2, SSA2 + PAGE, TCS, TCS2];
    let contents = |page: u64| match page {
        CODE => (Box::new([0x90; PAGE_SIZE]), reg(SecInfoFlags::RX)),
        TCS => (page_of(&tcs(SSA)), tcs_secinfo()),
        TCS2 => (page_of(&tcs(SSA2)), tcs_secinfo()),
        _ => (Box::new([0; PAGE_SIZE]), reg(SecInfoFlags::RW)),
    };
    for page in order {
        measurement.add(page - BASE, &contents(page).1);
    }
    for page in order {
        measurement.extend_page(page - BASE, &contents(page).0);
    }
    measurement.value()
}

/// Ways to spoil a structure, and what is said about each.
pub type Edits<T> = &'static [(fn(&mut T), &'static str)];

/// What a fault says, or "ok".
pub fn why<T>(result: Result<T, Fault>) -> String {
    result.map_or_else(|fault| fault.to_string(), |_| "ok".to_owned())
}

/// The same for leaves that also return codes.
pub fn why_sgx<T>(result: Result<T, SgxError>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
}

/// Asserts a fault whose text has this part.
#[track_caller]
pub fn refused(text: String, part: &str) {
    assert!(text.contains(part), "{text:?} instead of {part:?}");
}
