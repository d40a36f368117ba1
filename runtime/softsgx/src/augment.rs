//! Dynamic memory from outside: EAUG, EMODPR, EMODT, ETRACK (SDM 38.3).

use casemate_sgx::{Fault, LeafError, PageType, SecInfo, SecInfoFlags, SgxError};

use crate::check::{present, require, require_code, require_page};
use crate::epcm::{EpcmEntry, EpcmFlags, from_permissions};
use crate::memory::Memory;
use crate::processor::{PAGE, Processor, is_page_aligned};

impl Processor {
    /// ENCLS[EAUG]: adds a zeroed page that waits for EACCEPT. PAGEINFO.SRCPGE and SECINFO are 0.
    pub fn eaug(
        &mut self,
        memory: &mut impl Memory,
        linear: u64,
        secs_page: u64,
        page: u64,
    ) -> Result<(), Fault> {
        self.eaug_range(memory, linear, PAGE, secs_page, page)
    }

    /// EAUG of a range of pages, one after the other; none of them is added when one cannot be.
    pub(crate) fn eaug_range(
        &mut self,
        memory: &mut impl Memory,
        linear: u64,
        length: u64,
        secs_page: u64,
        page: u64,
    ) -> Result<(), Fault> {
        require(is_page_aligned(page), "EAUG: RCX is not 4 KiB aligned")?;
        require(is_page_aligned(secs_page), "EAUG: PAGEINFO.SECS is not 4 KiB aligned")?;
        require(is_page_aligned(linear), "EAUG: PAGEINFO.LINADDR is not 4 KiB aligned")?;
        require_page(!self.epcm.overlaps(page, length), page, "EAUG: EPCM.VALID is not 0")?;
        let enclave = self.secs_entry(secs_page)?;
        require(enclave.initialised, "EAUG: the enclave is not initialised")?;
        let ends_inside = linear.checked_add(length - 1).is_some_and(|last| enclave.contains(last));
        require(enclave.contains(linear), "EAUG: LINADDR is outside the enclave")?;
        require(ends_inside, "EAUG: a range of pages ends outside the enclave")?;
        memory.zero(page, length);
        let entry = EpcmEntry {
            page_type: PageType::Reg,
            flags: EpcmFlags::R | EpcmFlags::W | EpcmFlags::PENDING,
            enclave_address: linear,
            secs: secs_page,
            epoch: 0,
        };
        memory.protect(page, length, entry.access());
        self.insert_pages(page, length, entry);
        Ok(())
    }

    /// ENCLS[EMODPR]: takes permissions away.
    pub fn emodpr(&mut self, memory: &mut impl Memory, secinfo: &SecInfo, page: u64) -> Result<(), SgxError> {
        self.emodpr_range(memory, secinfo, page, PAGE)
    }

    /// EMODPR of a range of pages, one after the other.
    pub(crate) fn emodpr_range(
        &mut self,
        memory: &mut impl Memory,
        secinfo: &SecInfo,
        first: u64,
        length: u64,
    ) -> Result<(), SgxError> {
        require(is_page_aligned(first), "EMODPR: RCX is not 4 KiB aligned")?;
        let flags = present(secinfo.checked_flags(), "EMODPR: SECINFO is reserved")?;
        let write_only = flags.contains(SecInfoFlags::W) && !flags.contains(SecInfoFlags::R);
        require(!write_only, "EMODPR: SECINFO has W without R")?;
        let lost = EpcmFlags::R.union(EpcmFlags::W).union(EpcmFlags::X).difference(from_permissions(flags));
        self.each_run(first, length, "EMODPR: EPCM.VALID is 0", |processor, page, like, mut entry| {
            let pending = entry.flags.contains(EpcmFlags::PENDING);
            require_code(!pending, LeafError::PageNotModifiable, "EMODPR: EPCM.PENDING = 1")?;
            let modified = entry.flags.contains(EpcmFlags::MODIFIED);
            require_code(!modified, LeafError::PageNotModifiable, "EMODPR: EPCM.MODIFIED = 1")?;
            require_page(entry.page_type == PageType::Reg, page, "EMODPR: EPCM.PT is not PT_REG")?;
            entry.flags = entry.flags.difference(lost) | EpcmFlags::PR;
            processor.modify(memory, page, like, entry)
        })
    }

    /// ENCLS[EMODT]: changes the type to PT_TCS or PT_TRIM.
    pub fn emodt(&mut self, memory: &mut impl Memory, secinfo: &SecInfo, page: u64) -> Result<(), SgxError> {
        self.emodt_range(memory, secinfo, page, PAGE)
    }

    /// EMODT of a range of pages, one after the other.
    pub(crate) fn emodt_range(
        &mut self,
        memory: &mut impl Memory,
        secinfo: &SecInfo,
        first: u64,
        length: u64,
    ) -> Result<(), SgxError> {
        require(is_page_aligned(first), "EMODT: RCX is not 4 KiB aligned")?;
        let flags = present(secinfo.checked_flags(), "EMODT: SECINFO is reserved")?;
        let page_type =
            flags.page_type().filter(|page_type| matches!(page_type, PageType::Tcs | PageType::Trim));
        let page_type = present(page_type, "EMODT: SECINFO.PT is not PT_TCS or PT_TRIM")?;
        self.each_run(first, length, "EMODT: EPCM.VALID is 0", |processor, page, like, mut entry| {
            let allowed = entry.page_type == PageType::Reg
                || (entry.page_type == PageType::Tcs && page_type == PageType::Trim);
            require_page(allowed, page, "EMODT: EPCM.PT does not allow this change")?;
            let pending = entry.flags.contains(EpcmFlags::PENDING);
            require_code(!pending, LeafError::PageNotModifiable, "EMODT: EPCM.PENDING = 1")?;
            let modified = entry.flags.contains(EpcmFlags::MODIFIED);
            require_code(!modified, LeafError::PageNotModifiable, "EMODT: EPCM.MODIFIED = 1")?;
            entry.flags = EpcmFlags::MODIFIED;
            entry.page_type = page_type;
            processor.modify(memory, page, like, entry)
        })
    }

    /// SECS.ATTRIBUTES.INIT, and then what EMODPR and EMODT decided; both note the epoch.
    fn modify(
        &mut self,
        memory: &mut impl Memory,
        page: u64,
        length: u64,
        mut entry: EpcmEntry,
    ) -> Result<(), SgxError> {
        let initialised = self.enclaves.get(&entry.secs).is_some_and(|enclave| enclave.initialised);
        require(initialised, "EMODPR or EMODT: SECS.ATTRIBUTES.INIT = 0")?;
        entry.epoch = self.secs_entry(entry.secs)?.epoch;
        let before = self.epcm.get(page).map(|before| before.access());
        self.epcm.update(page, length, |changed| *changed = entry);
        if before != Some(entry.access()) {
            memory.protect(page, length, entry.access());
        }
        Ok(())
    }

    /// ENCLS[ETRACK]: begins a tracking cycle (SDM 38.3, ETRACK): it ends when every thread that was inside
    /// has left once.
    pub fn etrack(&mut self, secs_page: u64) -> Result<(), SgxError> {
        require(is_page_aligned(secs_page), "ETRACK: RCX is not 4 KiB aligned")?;
        let epoch = self.secs_entry(secs_page)?.epoch;
        let complete = !self.threads_of(secs_page).any(|thread| thread.active && thread.entry_epoch < epoch);
        require_code(complete, LeafError::PrevTrkIncmpl, "ETRACK: the previous cycle is not complete")?;
        self.enclave(secs_page)?.epoch += 1;
        Ok(())
    }

    /// What an inter-processor interrupt to every processor inside does to tracking: each leaves (AEX) and comes back
    /// (ERESUME) with nothing changed but the epoch in which it entered. The kernel's driver sends one after ETRACK.
    pub fn interrupt_all(&mut self, secs_page: u64) {
        let Some(epoch) = self.enclaves.get(&secs_page).map(|enclave| enclave.epoch) else { return };
        let epcm = &self.epcm;
        for (page, thread) in &mut self.threads {
            if thread.active && epcm.get(*page).is_some_and(|entry| entry.secs == secs_page) {
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
