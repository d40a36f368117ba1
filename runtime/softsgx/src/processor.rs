//! The state that all logical processors share, and what several leaf functions check in the same words.

use alloc::boxed::Box;

use casemate_sgx::measure::Measurement;
use casemate_sgx::{
    Attributes, AttributesFlags, Fault, MiscSelect, PAGE_SIZE, PageType, SecInfo, Secs, Tcs, Xfrm,
    hardcoded_padding, xsave_size,
};
use hashbrown::HashMap;

use crate::check::{kept, present_page, require_page};
use crate::epcm::{Epcm, EpcmEntry, EpcmFlags};
use crate::fuses::Fuses;
use crate::logical::Inside;
use crate::memory::Memory;
use crate::xsave::MAX_FRAME_PAGES;

pub(crate) const PAGE: u64 = PAGE_SIZE as u64;

/// What the processor can do: what CPUID leaf 12H and the MSRs say.
#[derive(Clone, Copy, Debug)]
pub struct Configuration {
    /// Attributes that ECREATE lets pass (CPUID.12H.1). The operating system decides about PROVISIONKEY.
    pub attributes: AttributesFlags,
    /// MISCSELECT bits that exist (CPUID.12H.0:EBX).
    pub miscselect: MiscSelect,
    /// State components that are enabled (XCR0).
    pub xcr0: Xfrm,
    /// Enclaves in 64-bit mode are smaller than two to this power (CPUID.12H.0:EDX[15:8]).
    pub max_size_power: u32,
    /// Random, new at every start (CR_REPORT_KEYID).
    pub report_key_id: [u8; 32],
}

impl Configuration {
    /// SGX2 with KSS and EXINFO, without the right to provisioning keys.
    #[must_use]
    pub fn new(xcr0: u64, report_key_id: [u8; 32]) -> Self {
        Self {
            attributes: AttributesFlags::DEBUG | AttributesFlags::MODE64BIT | AttributesFlags::KSS,
            miscselect: MiscSelect::EXINFO,
            xcr0: Xfrm::from_bits_truncate(xcr0),
            max_size_power: 47,
            report_key_id,
        }
    }
}

/// PAGEINFO with its SECINFO and source page fetched. That the three are aligned (32, 64 and 4096 bytes), which ENCLS leaves
/// check first, is a matter of their types here.
#[derive(Clone, Copy, Debug)]
pub struct PageOperands<'a> {
    /// PAGEINFO.LINADDR.
    pub linaddr: u64,
    /// What PAGEINFO.SRCPGE points to; `None`: a page of zeros.
    pub source: Option<&'a [u8; PAGE_SIZE]>,
    /// What PAGEINFO.SECINFO points to.
    pub secinfo: SecInfo,
    /// PAGEINFO.SECS.
    pub secs: u64,
}

/// An SECS and what belongs to it.
#[derive(Clone)]
pub(crate) struct Enclave {
    pub secs: Box<Secs>,
    /// The measurement under way, until EINIT.
    pub measurement: Measurement,
    pub initialised: bool,
    /// SECS.ISVFAMILYID, SECS.ISVEXTPRODID, SECS.PADDING: reserved space of the SECS in memory.
    pub isv_family_id: [u8; 16],
    pub isv_ext_prod_id: [u8; 16],
    pub padding: [u8; 352],
    /// Pages that belong to it, itself not counted.
    pub children: u64,
    /// ETRACK cycles begun.
    pub epoch: u64,
}

impl Enclave {
    pub(crate) fn new(secs: Box<Secs>) -> Self {
        let measurement = Measurement::create(secs.ssa_frame_size, secs.size);
        Self {
            secs,
            measurement,
            initialised: false,
            isv_family_id: [0; 16],
            isv_ext_prod_id: [0; 16],
            padding: hardcoded_padding(),
            children: 0,
            epoch: 0,
        }
    }

    /// SECS.ATTRIBUTES as keys, reports and EINIT see them: INIT is set once the enclave is initialised.
    pub(crate) fn attributes(&self) -> Attributes {
        let mut attributes = self.secs.attributes;
        if self.initialised {
            attributes.flags |= AttributesFlags::INIT.bits();
        }
        attributes
    }

    pub(crate) fn xfrm(&self) -> Xfrm {
        Xfrm::from_bits_truncate(self.secs.attributes.xfrm)
    }

    pub(crate) fn contains(&self, linear: u64) -> bool {
        linear >= self.secs.base && linear - self.secs.base < self.secs.size
    }
}

/// A TCS page's content, and the thread that uses it.
#[derive(Clone)]
pub(crate) struct ThreadControl {
    pub tcs: Box<Tcs>,
    /// STATE = ACTIVE: a logical processor is inside with it.
    pub active: bool,
    /// SECS epoch when it entered.
    pub entry_epoch: u64,
}

/// A processor package with SGX.
pub struct Processor {
    pub(crate) fuses: Fuses,
    pub(crate) configuration: Configuration,
    /// IA32_SGXLEPUBKEYHASH, writable with flexible launch control.
    pub(crate) launch_key_hash: [u8; 32],
    pub(crate) epcm: Epcm,
    pub(crate) enclaves: HashMap<u64, Enclave>,
    pub(crate) threads: HashMap<u64, ThreadControl>,
}

pub(crate) fn is_page_aligned(address: u64) -> bool {
    address & (PAGE - 1) == 0
}

/// How a page of an SSA frame or an operand is to be usable.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Read,
    Write,
}

impl Processor {
    /// A processor with no enclave.
    #[must_use]
    pub fn new(fuses: Fuses, configuration: Configuration) -> Self {
        Self {
            fuses,
            configuration,
            launch_key_hash: [0; 32],
            epcm: Epcm::default(),
            enclaves: HashMap::new(),
            threads: HashMap::new(),
        }
    }

    /// WRMSR of IA32_SGXLEPUBKEYHASH0 to 3.
    pub fn set_launch_key_hash(&mut self, hash: [u8; 32]) {
        self.launch_key_hash = hash;
    }

    /// XSETBV of XCR0.
    pub fn set_xcr0(&mut self, xcr0: Xfrm) {
        self.configuration.xcr0 = xcr0;
    }

    /// Lets enclaves have ATTRIBUTES.PROVISIONKEY: what the kernel does for who may open `/dev/sgx_provision`.
    pub fn allow_provisioning(&mut self) {
        self.configuration.attributes |= AttributesFlags::PROVISION_KEY;
    }

    /// The EPCM entry of an EPC page, for tests and diagnostics; `None` when it is not valid.
    #[must_use]
    pub fn epcm_entry(&self, page: u64) -> Option<EpcmEntry> {
        self.epcm.get(page)
    }

    /// Adds valid entries and counts them; `entry` is the first page's.
    pub(crate) fn insert_pages(&mut self, page: u64, length: u64, entry: EpcmEntry) {
        if let Some(enclave) = self.enclaves.get_mut(&entry.secs) {
            enclave.children += length / PAGE;
        }
        self.epcm.insert(page, length, entry);
    }

    /// EPCM(page).VALID ← 0, for a range of like pages whose first has this entry.
    pub(crate) fn invalidate(&mut self, memory: &mut impl Memory, page: u64, length: u64, entry: &EpcmEntry) {
        self.epcm.remove(page, length);
        if let Some(enclave) = self.enclaves.get_mut(&entry.secs) {
            enclave.children = enclave.children.saturating_sub(length / PAGE);
        }
        if !self.threads.is_empty() && matches!(entry.page_type, PageType::Tcs | PageType::Trim) {
            self.threads.retain(|tcs, _| !(page..page + length).contains(tcs));
        }
        memory.release(page, length);
    }

    /// Does something to each part of a range of EPC pages that has like entries; the check that the pages are valid has this name.
    pub(crate) fn each_run<E: From<Fault>>(
        &mut self,
        page: u64,
        length: u64,
        valid: &'static str,
        mut leaf: impl FnMut(&mut Self, u64, u64, EpcmEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut done = 0;
        while done < length {
            let at = page + done;
            let (entry, like) = present_page(self.epcm.like(at, length - done), at, valid)?;
            leaf(self, at, like, entry)?;
            done += like;
        }
        Ok(())
    }

    /// Does something to each part of a range of EPC pages that has like entries, up to the first page that is not valid.
    pub(crate) fn each_valid(&self, page: u64, length: u64, mut work: impl FnMut(u64, u64, EpcmEntry)) {
        let mut done = 0;
        while let Some((entry, like)) = self.epcm.like(page + done, length - done).filter(|_| done < length) {
            work(page + done, like, entry);
            done += like;
        }
    }

    /// "EPCM(DS:x).VALID = 0 or EPCM(DS:x).PT ≠ PT_SECS".
    pub(crate) fn secs_entry(&self, page: u64) -> Result<&Enclave, Fault> {
        let entry = present_page(self.epcm.get(page), page, "SECS: EPCM.VALID = 0")?;
        require_page(entry.page_type == PageType::Secs, page, "SECS: EPCM.PT is not PT_SECS")?;
        kept(self.enclaves.get(&page), page)
    }

    /// The enclave whose SECS was found valid before.
    pub(crate) fn enclave(&mut self, page: u64) -> Result<&mut Enclave, Fault> {
        kept(self.enclaves.get_mut(&page), page)
    }

    /// Whether a thread is inside this enclave.
    pub(crate) fn is_active(&self, secs: u64) -> bool {
        self.threads_of(secs).any(|thread| thread.active)
    }

    pub(crate) fn threads_of(&self, secs: u64) -> impl Iterator<Item = &ThreadControl> {
        let belongs = move |page: &u64| self.epcm.get(*page).is_some_and(|entry| entry.secs == secs);
        self.threads.iter().filter(move |(page, _)| belongs(page)).map(|(_, thread)| thread)
    }

    /// The checks of an operand inside the enclave that EREPORT, EGETKEY, EACCEPT, EACCEPTCOPY and EMODPE all make: it
    /// resolves to a valid PT_REG page of this enclave at this address, not PENDING, not MODIFIED, with R or W.
    pub(crate) fn operand(
        &self,
        memory: &impl Memory,
        inside: &Inside,
        linear: u64,
        access: Access,
    ) -> Result<u64, Fault> {
        let page = linear & !(PAGE - 1);
        let epc = self.regular_page(memory, inside.secs, page, linear)?;
        let flags = self.epcm.get(epc).map_or(EpcmFlags::empty(), |entry| entry.flags);
        match access {
            Access::Read => require_page(flags.contains(EpcmFlags::R), linear, "operand: EPCM.R = 0"),
            Access::Write => require_page(flags.contains(EpcmFlags::W), linear, "operand: EPCM.W = 0"),
        }?;
        Ok(epc + (linear - page))
    }

    /// A PT_REG page of this enclave that can be used at this linear page; permissions are the caller's to check.
    pub(crate) fn regular_page(
        &self,
        memory: &impl Memory,
        secs: u64,
        page: u64,
        report: u64,
    ) -> Result<u64, Fault> {
        let epc = present_page(memory.resolve(page), report, "page: does not resolve to an EPC page")?;
        let entry = present_page(self.epcm.get(epc), report, "page: EPCM.VALID = 0")?;
        require_page(!entry.flags.contains(EpcmFlags::PENDING), report, "page: EPCM.PENDING = 1")?;
        require_page(!entry.flags.contains(EpcmFlags::MODIFIED), report, "page: EPCM.MODIFIED = 1")?;
        require_page(entry.page_type == PageType::Reg, report, "page: EPCM.PT is not PT_REG")?;
        require_page(entry.secs == secs, report, "page: EPCM.ENCLAVESECS is another enclave's")?;
        require_page(entry.enclave_address == page, report, "page: EPCM.ENCLAVEADDRESS is another address")?;
        Ok(epc)
    }

    /// EENTER's and ERESUME's loop over the pages of an SSA frame, and its GPRSGX area: the EPC pages that an
    /// asynchronous exit will write to, found once, at entry.
    pub(crate) fn ssa_frame(
        &self,
        memory: &impl Memory,
        secs_page: u64,
        enclave: &Enclave,
        ssa: u64,
    ) -> Result<([u64; MAX_FRAME_PAGES], u64), Fault> {
        let read_write = |page: u64| {
            let epc = self.regular_page(memory, secs_page, page, page)?;
            let flags = self.epcm.get(epc).map_or(EpcmFlags::empty(), |entry| entry.flags);
            require_page(flags.contains(EpcmFlags::R), page, "SSA: EPCM.R = 0")?;
            require_page(flags.contains(EpcmFlags::W), page, "SSA: EPCM.W = 0")?;
            Ok(epc)
        };
        let mut frame = [0; MAX_FRAME_PAGES];
        let xsave_pages = xsave_size(enclave.xfrm()).div_ceil(PAGE_SIZE).min(MAX_FRAME_PAGES);
        for (index, slot) in frame[..xsave_pages].iter_mut().enumerate() {
            *slot = read_write(ssa.wrapping_add(index as u64 * PAGE))?;
        }
        // TMP_GPR ← TMP_SSA + 4096 * SSAFRAMESIZE - sizeof(GPRSGX_AREA): in the frame's last page.
        let last =
            ssa.wrapping_add(u64::from(enclave.secs.ssa_frame_size).wrapping_sub(1).wrapping_mul(PAGE));
        let gpr = read_write(last)? + PAGE - size_of::<casemate_sgx::GprSgx>() as u64;
        Ok((frame, gpr))
    }
}
