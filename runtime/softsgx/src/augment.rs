//! Dynamic memory from outside: EAUG, EMODPR, EMODT, ETRACK (SDM 38.3).

use casemate_sgx::{Fault, LeafError, PageType, SecInfo, SecInfoFlags, SgxError};

use crate::epcm::{EpcmEntry, EpcmFlags, from_permissions};
use crate::memory::Memory;
use crate::processor::{PAGE, Processor, general_protection, is_page_aligned, require, require_page};

impl Processor {
    /// ENCLS[EAUG]: adds a zeroed page that waits for EACCEPT. PAGEINFO.SRCPGE and SECINFO are 0.
    pub fn eaug(
        &mut self,
        memory: &mut impl Memory,
        linear: u64,
        secs_page: u64,
        page: u64,
    ) -> Result<(), Fault> {
        require(is_page_aligned(page), "EAUG: RCX is not 4 KiB aligned")?;
        let aligned = is_page_aligned(secs_page) && is_page_aligned(linear);
        require(aligned, "EAUG: PAGEINFO.SECS or LINADDR is not 4 KiB aligned")?;
        require_page(!self.epcm.contains_key(&page), page, "EAUG: EPCM.VALID is not 0")?;
        let enclave = self.secs_entry(secs_page)?;
        require(enclave.initialised, "EAUG: the enclave is not initialised")?;
        require(enclave.contains(linear), "EAUG: LINADDR is outside the enclave")?;
        memory.fill(page, None);
        let entry = EpcmEntry {
            page_type: PageType::Reg,
            flags: EpcmFlags::R | EpcmFlags::W | EpcmFlags::PENDING,
            enclave_address: linear,
            secs: secs_page,
            epoch: 0,
        };
        memory.protect(page, PAGE, entry.access());
        self.insert_page(page, entry);
        Ok(())
    }

    /// ENCLS[EMODPR]: takes permissions away.
    pub fn emodpr(&mut self, memory: &mut impl Memory, secinfo: &SecInfo, page: u64) -> Result<(), SgxError> {
        require(is_page_aligned(page), "EMODPR: RCX is not 4 KiB aligned")?;
        let Some(flags) = secinfo.checked_flags() else {
            return Ok(general_protection("EMODPR: SECINFO is reserved")?);
        };
        let write_only = flags.contains(SecInfoFlags::W) && !flags.contains(SecInfoFlags::R);
        require(!write_only, "EMODPR: SECINFO has W without R")?;
        let entry = self.modifiable(page, |entry| {
            if entry.flags.intersects(EpcmFlags::PENDING | EpcmFlags::MODIFIED) {
                return Err(LeafError::PageNotModifiable.into());
            }
            Ok(require_page(entry.page_type == PageType::Reg, page, "EMODPR: EPCM.PT is not PT_REG")?)
        })?;
        let (kept, epoch) = (from_permissions(flags), self.epoch_of(entry.secs)?);
        let changed = self.epcm.get_mut(&page).ok_or(Fault::Page(page, "EMODPR: EPCM.VALID is 0"))?;
        let lost = EpcmFlags::R.union(EpcmFlags::W).union(EpcmFlags::X).difference(kept);
        changed.flags = changed.flags.difference(lost) | EpcmFlags::PR;
        changed.epoch = epoch;
        memory.protect(page, PAGE, changed.access());
        Ok(())
    }

    /// ENCLS[EMODT]: changes the type to PT_TCS or PT_TRIM.
    pub fn emodt(&mut self, memory: &mut impl Memory, secinfo: &SecInfo, page: u64) -> Result<(), SgxError> {
        require(is_page_aligned(page), "EMODT: RCX is not 4 KiB aligned")?;
        let page_type = match secinfo.checked_flags().map(SecInfoFlags::page_type) {
            Some(Some(page_type @ (PageType::Tcs | PageType::Trim))) => page_type,
            _ => return Ok(general_protection("EMODT: SECINFO is reserved, or not PT_TCS or PT_TRIM")?),
        };
        let entry = self.modifiable(page, |entry| {
            let allowed = entry.page_type == PageType::Reg
                || (entry.page_type == PageType::Tcs && page_type == PageType::Trim);
            require_page(allowed, page, "EMODT: EPCM.PT does not allow this change")?;
            if entry.flags.intersects(EpcmFlags::PENDING | EpcmFlags::MODIFIED) {
                return Err(LeafError::PageNotModifiable.into());
            }
            Ok(())
        })?;
        let epoch = self.epoch_of(entry.secs)?;
        let changed = self.epcm.get_mut(&page).ok_or(Fault::Page(page, "EMODT: EPCM.VALID is 0"))?;
        changed.flags = EpcmFlags::MODIFIED;
        changed.page_type = page_type;
        changed.epoch = epoch;
        memory.protect(page, PAGE, changed.access());
        Ok(())
    }

    /// EPCM.VALID, the leaf's own checks, and SECS.ATTRIBUTES.INIT: what EMODPR and EMODT have in common.
    fn modifiable(
        &self,
        page: u64,
        checks: impl FnOnce(&EpcmEntry) -> Result<(), SgxError>,
    ) -> Result<EpcmEntry, SgxError> {
        let entry = self.epcm.get(&page).ok_or(Fault::Page(page, "EPCM.VALID is 0"))?;
        checks(entry)?;
        let initialised = self.enclaves.get(&entry.secs).is_some_and(|enclave| enclave.initialised);
        require(initialised, "SECS.ATTRIBUTES.INIT = 0")?;
        Ok(*entry)
    }

    fn epoch_of(&self, secs: u64) -> Result<u64, Fault> {
        Ok(self.secs_entry(secs)?.epoch)
    }

    /// ENCLS[ETRACK]: begins a tracking cycle (SDM 38.3, ETRACK): it ends when every thread that was inside
    /// has left once.
    pub fn etrack(&mut self, secs_page: u64) -> Result<(), SgxError> {
        require(is_page_aligned(secs_page), "ETRACK: RCX is not 4 KiB aligned")?;
        let epoch = self.secs_entry(secs_page)?.epoch;
        if self.threads_of(secs_page).any(|thread| thread.active && thread.entry_epoch < epoch) {
            return Err(LeafError::PrevTrkIncmpl.into());
        }
        self.enclave(secs_page)?.epoch += 1;
        Ok(())
    }

    /// What an inter-processor interrupt to every processor inside does to tracking: each leaves (AEX) and comes back
    /// (ERESUME) with nothing changed but the epoch in which it entered. The kernel's driver sends one after ETRACK.
    pub fn interrupt_all(&mut self, secs_page: u64) {
        let Some(epoch) = self.enclaves.get(&secs_page).map(|enclave| enclave.epoch) else { return };
        let epcm = &self.epcm;
        for (page, thread) in &mut self.threads {
            if thread.active && epcm.get(page).is_some_and(|entry| entry.secs == secs_page) {
                thread.entry_epoch = epoch;
            }
        }
    }

    /// "Tracking not correct": no cycle was begun after the page changed, or a thread that was inside then has not left yet.
    pub(crate) fn is_tracked(&self, entry: &EpcmEntry) -> bool {
        let Some(enclave) = self.enclaves.get(&entry.secs) else { return false };
        enclave.epoch > entry.epoch
            && !self.threads_of(entry.secs).any(|thread| thread.active && thread.entry_epoch <= entry.epoch)
    }
}
