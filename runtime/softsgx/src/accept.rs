//! Dynamic memory from inside: EACCEPT, EACCEPTCOPY, EMODPE (SDM 38.4).

use casemate_sgx::{AttributesFlags, Fault, LeafError, PAGE_SIZE, PageType, SecInfo, SecInfoFlags, SgxError};

use crate::build::parse_tcs;
use crate::epcm::{EpcmEntry, EpcmFlags, from_permissions, permissions};
use crate::logical::{Inside, LogicalProcessor};
use crate::memory::Memory;
use crate::processor::{
    Access, PAGE, Processor, ThreadControl, general_protection, is_page_aligned, require, require_page,
};

/// "If executed outside an enclave": the dispatch of ENCLU (SDM 38.4).
pub(crate) fn inside(logical: &LogicalProcessor) -> Result<&Inside, Fault> {
    logical.inside.as_ref().ok_or(Fault::GeneralProtection("this leaf needs enclave mode"))
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
        let page =
            memory.resolve(linear).ok_or(Fault::Page(linear, "EACCEPT: RCX does not resolve to the EPC"))?;
        require(
            is_acceptable(flags),
            "EACCEPT: this combination of PT, PENDING, MODIFIED and PR is not legal",
        )?;
        let (entry, mut length) =
            self.epcm.like(page, limit).ok_or(Fault::Page(linear, "EACCEPT: EPCM.VALID is 0"))?;
        let right_type = matches!(entry.page_type, PageType::Reg | PageType::Tcs | PageType::Trim);
        require_page(
            right_type && entry.secs == inside.secs,
            linear,
            "EACCEPT: EPCM.PT or EPCM.ENCLAVESECS",
        )?;
        // "Verify that accept request matches current EPC page settings": PR is not compared.
        let compared = SecInfoFlags::RWX | SecInfoFlags::PENDING | SecInfoFlags::MODIFIED;
        let current = SecInfoFlags::from_bits_truncate(entry.flags.bits().into());
        if entry.enclave_address != linear
            || current.intersection(compared) != flags.intersection(compared)
            || flags.page_type() != Some(entry.page_type)
        {
            return Err(LeafError::PageAttributesMismatch.into());
        }
        // Only pages that EMODPR or EMODT changed can be in a processor's TLB with what they allowed before.
        let changed = entry.flags.intersects(EpcmFlags::PR | EpcmFlags::MODIFIED);
        if changed && !self.is_tracked(&entry) {
            return Err(LeafError::NotTracked.into());
        }
        if entry.page_type == PageType::Tcs {
            self.accept_tcs(memory, inside, page)?;
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

    /// EACCEPT's additional checks of a page that becomes a TCS; its contents move into the processor.
    fn accept_tcs(&mut self, memory: &mut impl Memory, inside: &Inside, page: u64) -> Result<(), SgxError> {
        let mut contents = [0; PAGE_SIZE];
        memory.read_closed(page, &mut contents);
        let tcs = parse_tcs(&contents)?;
        require(tcs.flags & 1 == 0, "EACCEPT: TCS.FLAGS.DBGOPTIN is not 0")?;
        require(tcs.cssa < tcs.nssa, "EACCEPT: TCS.CSSA is not below TCS.NSSA")?;
        require(tcs.aep == 0, "EACCEPT: TCS.AEP is not 0")?;
        require(tcs.state == 0, "EACCEPT: TCS.STATE is not 0")?;
        let is_64_bit = self.secs_entry(inside.secs)?.secs.attributes.has(AttributesFlags::MODE64BIT);
        let limits = tcs.fslimit & 0xfff == 0xfff && tcs.gslimit & 0xfff == 0xfff;
        require(is_64_bit || limits, "EACCEPT: FSLIMIT or GSLIMIT is not 4 KiB aligned")?;
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
        let aligned = is_page_aligned(linear) && is_page_aligned(source);
        require(aligned, "EACCEPTCOPY: RCX or RDX is not 4 KiB aligned")?;
        let all = inside.contains(secinfo) && inside.contains(linear) && inside.contains(source);
        require(all, "EACCEPTCOPY: an operand is not within CR_ELRANGE")?;
        let page = memory
            .resolve(linear)
            .ok_or(Fault::Page(linear, "EACCEPTCOPY: RCX does not resolve to the EPC"))?;
        let flags = self.fetch_secinfo(memory, inside, secinfo)?;
        let write_only = flags.contains(SecInfoFlags::W) && !flags.contains(SecInfoFlags::R);
        let regular = flags.page_type() == Some(PageType::Reg);
        require(regular && !write_only, "EACCEPTCOPY: SECINFO has W without R, or is not PT_REG")?;
        let from = self.operand(memory, inside, source, Access::Read)?;
        let fresh = EpcmFlags::R | EpcmFlags::W | EpcmFlags::PENDING;
        let matches = |entry: &EpcmEntry| {
            entry.flags.difference(EpcmFlags::PR) == fresh
                && entry.page_type == PageType::Reg
                && entry.secs == inside.secs
                && entry.enclave_address == linear
        };
        let Some((mut accepted, length)) = self.epcm.like(page, limit).filter(|(entry, _)| matches(entry))
        else {
            return Err(LeafError::PageAttributesMismatch.into());
        };
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
        let all = inside.contains(secinfo) && inside.contains(linear);
        require(all, "EMODPE: an operand is not within CR_ELRANGE")?;
        let flags = self.fetch_secinfo(memory, inside, secinfo)?;
        let page = self.regular_page(memory, inside.secs, linear, linear)?;
        let (mut extended, length) =
            self.epcm.like(page, limit).ok_or(Fault::Page(linear, "EPCM.VALID is 0"))?;
        let readable = extended.flags.contains(EpcmFlags::R) || flags.contains(SecInfoFlags::R);
        if flags.contains(SecInfoFlags::W) && !readable {
            return general_protection("EMODPE: SECINFO has W without R");
        }
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
        SecInfo::parse(&bytes)
            .ok()
            .and_then(|secinfo| secinfo.checked_flags())
            .ok_or(Fault::GeneralProtection("SECINFO: a reserved field is not 0"))
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
