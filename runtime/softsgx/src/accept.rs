//! Dynamic memory from inside: EACCEPT, EACCEPTCOPY, EMODPE (SDM 38.4).

use casemate_sgx::{Fault, LeafError, PAGE_SIZE, PageType, SecInfo, SecInfoFlags, SgxError};

use crate::build::parse_tcs;
use crate::check::{kept, present, present_code, present_page, require, require_code, require_page};
use crate::epcm::{EpcmFlags, from_permissions, permissions};
use crate::logical::{Inside, LogicalProcessor};
use crate::memory::Memory;
use crate::processor::{Access, PAGE, Processor, ThreadControl, is_page_aligned};

/// "If executed outside an enclave": the dispatch of ENCLU (SDM 38.4).
pub(crate) fn inside(logical: &LogicalProcessor) -> Result<&Inside, Fault> {
    present(logical.inside.as_ref(), "ENCLU: this leaf needs enclave mode")
}

impl Inside {
    /// "DS:x is within CR_ELRANGE".
    pub(crate) fn contains(&self, linear: u64) -> bool {
        linear >= self.base && linear - self.base < self.size
    }
}

impl Processor {
    /// ENCLU[EACCEPT]: RBX is the SECINFO, RCX the page.
    pub fn eaccept(
        &mut self,
        memory: &mut impl Memory,
        logical: &LogicalProcessor,
        secinfo: u64,
        linear: u64,
    ) -> Result<(), SgxError> {
        self.eaccept_like(memory, logical, secinfo, linear, PAGE).map(drop)
    }

    /// EACCEPT of as many pages from `linear` on as are alike, at most `limit` bytes; how many bytes that was.
    pub(crate) fn eaccept_like(
        &mut self,
        memory: &mut impl Memory,
        logical: &LogicalProcessor,
        secinfo: u64,
        linear: u64,
        limit: u64,
    ) -> Result<u64, SgxError> {
        let inside = inside(logical)?;
        require(secinfo & 63 == 0, "EACCEPT: RBX is not 64 byte aligned")?;
        require(inside.contains(secinfo), "EACCEPT: RBX is not within CR_ELRANGE")?;
        let flags = self.fetch_secinfo(memory, inside, secinfo)?;
        require(is_page_aligned(linear), "EACCEPT: RCX is not 4 KiB aligned")?;
        require(inside.contains(linear), "EACCEPT: RCX is not within CR_ELRANGE")?;
        let page = present_page(memory.resolve(linear), linear, "EACCEPT: RCX does not resolve to the EPC")?;
        require(
            is_acceptable(flags),
            "EACCEPT: this combination of PT, PENDING, MODIFIED and PR is not legal",
        )?;
        let (entry, mut length) =
            present_page(self.epcm.like(page, limit), linear, "EACCEPT: EPCM.VALID is 0")?;
        let right_type = matches!(entry.page_type, PageType::Reg | PageType::Tcs | PageType::Trim);
        require_page(right_type, linear, "EACCEPT: EPCM.PT")?;
        require_page(entry.secs == inside.secs, linear, "EACCEPT: EPCM.ENCLAVESECS")?;
        // "Verify that accept request matches current EPC page settings": PR is not compared.
        let compared = SecInfoFlags::RWX | SecInfoFlags::PENDING | SecInfoFlags::MODIFIED;
        let current = SecInfoFlags::from_bits_truncate(entry.flags.bits().into());
        let mismatch = LeafError::PageAttributesMismatch;
        require_code(entry.enclave_address == linear, mismatch, "EACCEPT: EPCM.ENCLAVEADDRESS is not RCX")?;
        let same = current.intersection(compared) == flags.intersection(compared);
        require_code(same, mismatch, "EACCEPT: EPCM has other R, W, X, PENDING or MODIFIED")?;
        require_code(flags.page_type() == Some(entry.page_type), mismatch, "EACCEPT: EPCM.PT is another")?;
        // Only pages that EMODPR or EMODT changed can be in a processor's TLB with what they allowed before.
        let changed = entry.flags.intersects(EpcmFlags::PR | EpcmFlags::MODIFIED);
        let tracked = !changed || self.is_tracked(&entry);
        require_code(tracked, LeafError::NotTracked, "EACCEPT: tracking is not complete")?;
        if entry.page_type == PageType::Tcs {
            self.accept_tcs(memory, page)?;
            length = PAGE;
        }
        let mut accepted = entry;
        accepted.flags.remove(EpcmFlags::PENDING | EpcmFlags::MODIFIED | EpcmFlags::PR);
        self.epcm.update(page, length, |entry| *entry = accepted);
        if accepted.access() != entry.access() {
            memory.protect(page, length, accepted.access());
        }
        Ok(length)
    }

    /// EACCEPT's additional checks of a page that becomes a TCS; its contents move into the processor. Those of FSLIMIT and GSLIMIT are
    /// for 32-bit enclaves, which are never entered here.
    fn accept_tcs(&mut self, memory: &mut impl Memory, page: u64) -> Result<(), SgxError> {
        let mut contents = [0; PAGE_SIZE];
        memory.read_closed(page, &mut contents);
        let tcs = parse_tcs(&contents)?;
        require(tcs.flags & 1 == 0, "EACCEPT: TCS.FLAGS.DBGOPTIN is not 0")?;
        require(tcs.cssa < tcs.nssa, "EACCEPT: TCS.CSSA is not below TCS.NSSA")?;
        require(tcs.aep == 0, "EACCEPT: TCS.AEP is not 0")?;
        require(tcs.state == 0, "EACCEPT: TCS.STATE is not 0")?;
        self.threads.insert(page, ThreadControl { tcs, active: false, entry_epoch: 0 });
        Ok(())
    }

    /// ENCLU[EACCEPTCOPY]: RBX is the SECINFO, RCX the pending page, RDX the page to copy.
    pub fn eacceptcopy(
        &mut self,
        memory: &mut impl Memory,
        logical: &LogicalProcessor,
        secinfo: u64,
        linear: u64,
        source: u64,
    ) -> Result<(), SgxError> {
        self.eacceptcopy_like(memory, logical, secinfo, linear, source, PAGE).map(drop)
    }

    /// EACCEPTCOPY of as many pages as are alike, at most `limit` bytes; how many bytes that was.
    pub(crate) fn eacceptcopy_like(
        &mut self,
        memory: &mut impl Memory,
        logical: &LogicalProcessor,
        secinfo: u64,
        linear: u64,
        source: u64,
        limit: u64,
    ) -> Result<u64, SgxError> {
        let inside = inside(logical)?;
        require(secinfo & 63 == 0, "EACCEPTCOPY: RBX is not 64 byte aligned")?;
        require(is_page_aligned(linear), "EACCEPTCOPY: RCX is not 4 KiB aligned")?;
        require(is_page_aligned(source), "EACCEPTCOPY: RDX is not 4 KiB aligned")?;
        require(inside.contains(secinfo), "EACCEPTCOPY: RBX is not within CR_ELRANGE")?;
        require(inside.contains(linear), "EACCEPTCOPY: RCX is not within CR_ELRANGE")?;
        require(inside.contains(source), "EACCEPTCOPY: RDX is not within CR_ELRANGE")?;
        let page =
            present_page(memory.resolve(linear), linear, "EACCEPTCOPY: RCX does not resolve to the EPC")?;
        let flags = self.fetch_secinfo(memory, inside, secinfo)?;
        let write_only = flags.contains(SecInfoFlags::W) && !flags.contains(SecInfoFlags::R);
        let regular = flags.page_type() == Some(PageType::Reg);
        require(regular, "EACCEPTCOPY: SECINFO.PT is not PT_REG")?;
        require(!write_only, "EACCEPTCOPY: SECINFO has W without R")?;
        let from = self.operand(memory, inside, source, Access::Read)?;
        let fresh = EpcmFlags::R | EpcmFlags::W | EpcmFlags::PENDING;
        let mismatch = LeafError::PageAttributesMismatch;
        let found = self.epcm.like(page, limit);
        let (mut accepted, length) = present_code(found, mismatch, "EACCEPTCOPY: EPCM.VALID is 0")?;
        let is_fresh = accepted.flags.difference(EpcmFlags::PR) == fresh;
        // What EAUG left, and nothing else, is PENDING; so it is PT_REG, too.
        require_code(is_fresh, mismatch, "EACCEPTCOPY: RCX is not as EAUG left it")?;
        require_code(accepted.secs == inside.secs, mismatch, "EACCEPTCOPY: EPCM.ENCLAVESECS")?;
        let here = accepted.enclave_address == linear;
        require_code(here, mismatch, "EACCEPTCOPY: EPCM.ENCLAVEADDRESS is not RCX")?;
        let length = self.epcm.like(from, length).map_or(PAGE, |(_, alike)| alike);
        accepted.flags = from_permissions(flags);
        memory.copy(from, page, length, accepted.access());
        self.epcm.update(page, length, |entry| *entry = accepted);
        Ok(length)
    }

    /// ENCLU[EMODPE]: RBX is the SECINFO with the permissions to add, RCX the page.
    pub fn emodpe(
        &mut self,
        memory: &mut impl Memory,
        logical: &LogicalProcessor,
        secinfo: u64,
        linear: u64,
    ) -> Result<(), Fault> {
        self.emodpe_like(memory, logical, secinfo, linear, PAGE).map(drop)
    }

    /// EMODPE of as many pages as are alike, at most `limit` bytes; how many bytes that was.
    pub(crate) fn emodpe_like(
        &mut self,
        memory: &mut impl Memory,
        logical: &LogicalProcessor,
        secinfo: u64,
        linear: u64,
        limit: u64,
    ) -> Result<u64, Fault> {
        let inside = inside(logical)?;
        require(secinfo & 63 == 0, "EMODPE: RBX is not 64 byte aligned")?;
        require(is_page_aligned(linear), "EMODPE: RCX is not 4 KiB aligned")?;
        require(inside.contains(secinfo), "EMODPE: RBX is not within CR_ELRANGE")?;
        require(inside.contains(linear), "EMODPE: RCX is not within CR_ELRANGE")?;
        let flags = self.fetch_secinfo(memory, inside, secinfo)?;
        let page = self.regular_page(memory, inside.secs, linear, linear)?;
        let (mut extended, length) = kept(self.epcm.like(page, limit), page)?;
        let readable = extended.flags.contains(EpcmFlags::R) || flags.contains(SecInfoFlags::R);
        require(!flags.contains(SecInfoFlags::W) || readable, "EMODPE: SECINFO has W without R")?;
        let before = extended.access();
        extended.flags |= from_permissions(flags);
        debug_assert!(permissions(extended.flags).contains(flags.permissions()));
        self.epcm.update(page, length, |entry| *entry = extended);
        if extended.access() != before {
            memory.protect(page, length, extended.access());
        }
        Ok(length)
    }

    /// SCRATCH_SECINFO ← DS:RBX, after the checks of its page, and "Check for misconfigured SECINFO flags".
    fn fetch_secinfo(
        &self,
        memory: &impl Memory,
        inside: &Inside,
        linear: u64,
    ) -> Result<SecInfoFlags, Fault> {
        let address = self.operand(memory, inside, linear, Access::Read)?;
        let mut bytes = [0; 64];
        memory.read(address, &mut bytes);
        let secinfo: SecInfo = zerocopy::transmute!(bytes);
        present(secinfo.checked_flags(), "SECINFO: a reserved field is not 0")
    }
}

/// "Check that the combination of requested PT, PENDING and MODIFIED is legal".
fn is_acceptable(flags: SecInfoFlags) -> bool {
    let has = |flag| flags.contains(flag);
    match flags.page_type() {
        Some(PageType::Reg) => {
            (has(SecInfoFlags::PR) || has(SecInfoFlags::PENDING)) && !has(SecInfoFlags::MODIFIED)
        }
        Some(PageType::Tcs | PageType::Trim) => {
            !has(SecInfoFlags::PR) && !has(SecInfoFlags::PENDING) && has(SecInfoFlags::MODIFIED)
        }
        _ => false,
    }
}
