//! Building and taking down: ECREATE, EADD, EEXTEND, EINIT, EREMOVE (SDM 38.3).

use alloc::boxed::Box;

use casemate_sgx::measure::EXTEND_SIZE;
use casemate_sgx::{
    AttributesFlags, EinitToken, FRAME_EXTRA_SIZE, Fault, KeyDependencies, KeyName, LeafError, MiscSelect,
    PAGE_SIZE, PageType, SecInfo, SecInfoFlags, Secs, SgxError, SigStruct, SigStructError, Tcs, Xfrm, cmac,
    keys_equal, xsave_size,
};
use zerocopy::IntoBytes;

use crate::attest::is_beyond;
use crate::epcm::{EpcmEntry, EpcmFlags, from_permissions};
use crate::logical::is_canonical;
use crate::memory::Memory;
use crate::processor::{
    Enclave, PAGE, PageOperands, Processor, ThreadControl, general_protection, is_page_aligned, require,
    require_page,
};

impl Processor {
    /// ENCLS[ECREATE]: makes the SECS at this EPC page from the source page.
    pub fn ecreate(&mut self, operands: &PageOperands<'_>, secs_page: u64) -> Result<(), Fault> {
        require(is_page_aligned(secs_page), "ECREATE: RCX is not 4 KiB aligned")?;
        require(operands.linaddr == 0 && operands.secs == 0, "ECREATE: PAGEINFO.LINADDR or SECS is not 0")?;
        let flags = operands.secinfo.checked_flags();
        let is_secs = flags.and_then(SecInfoFlags::page_type) == Some(PageType::Secs);
        require(is_secs, "ECREATE: SECINFO is reserved or not PT_SECS")?;
        require_page(self.epcm.get(secs_page).is_none(), secs_page, "ECREATE: EPCM.VALID = 1")?;
        let source = operands.source.unwrap_or(&[0; PAGE_SIZE]);
        let mut secs = Box::new(
            Secs::parse(source)
                .map_err(|_| Fault::GeneralProtection("ECREATE: the source page is cut off"))?,
        );
        self.check_secs(&secs)?;
        // "Clear to Uninitialized": the fields that EINIT sets.
        secs.mrenclave = [0; 32];
        secs.mrsigner = [0; 32];
        secs.isv_svn = 0;
        secs.isv_prod_id = 0;
        self.enclaves.insert(secs_page, Enclave::new(secs));
        let entry = EpcmEntry {
            page_type: PageType::Secs,
            flags: EpcmFlags::empty(),
            enclave_address: 0,
            secs: secs_page,
            epoch: 0,
        };
        self.epcm.insert(secs_page, PAGE, entry);
        Ok(())
    }

    /// ECREATE's checks of the SECS, in the manual's order.
    fn check_secs(&self, secs: &Secs) -> Result<(), Fault> {
        let xfrm = secs.attributes.xfrm;
        require(xfrm & 3 == 3, "ECREATE: XFRM lacks x87 or SSE")?;
        let supported = Xfrm::from_bits(xfrm).is_some_and(|xfrm| self.configuration.xcr0.contains(xfrm));
        require(Xfrm::is_legal(xfrm) && supported, "ECREATE: XFRM is illegal")?;
        let misc = MiscSelect::from_bits(secs.miscselect);
        let misc_supported = misc.is_some_and(|misc| self.configuration.miscselect.contains(misc));
        require(misc_supported, "ECREATE: MISCSELECT is not supported")?;
        // TMP_XSIZE: with the largest MISC region, which is what frame_pages() reserves too.
        let needed = xsave_size(Xfrm::from_bits_truncate(xfrm)) + FRAME_EXTRA_SIZE;
        let available = u64::from(secs.ssa_frame_size) * PAGE;
        require(available >= needed as u64, "ECREATE: SSAFRAMESIZE is too small")?;
        let is_64_bit = secs.attributes.has(AttributesFlags::MODE64BIT);
        require(!is_64_bit || is_canonical(secs.base), "ECREATE: BASEADDR is not canonical")?;
        require(is_64_bit || secs.base >> 32 == 0, "ECREATE: BASEADDR is above 4 GiB")?;
        let power = if is_64_bit { self.configuration.max_size_power } else { 31 };
        require(secs.size < 1 << power, "ECREATE: SIZE is too large")?;
        require(
            secs.size >= 8192 && secs.size.is_power_of_two(),
            "ECREATE: SIZE is not a power of two above 8191",
        )?;
        require(secs.base & (secs.size - 1) == 0, "ECREATE: BASEADDR is not aligned to SIZE")?;
        let unsupported = secs.attributes.flags & !self.configuration.attributes.bits();
        require(unsupported == 0, "ECREATE: ATTRIBUTES has unsupported flags")?;
        require(secs.reserved_is_zero(), "ECREATE: a reserved field of the SECS is not 0")?;
        let configured = secs.config_id != [0; 64] || secs.config_svn != 0;
        let kss = secs.attributes.has(AttributesFlags::KSS);
        require(kss || !configured, "ECREATE: CONFIGID or CONFIGSVN without KSS")
    }

    /// ENCLS[EADD]: adds a page and measures its place, type and permissions.
    pub fn eadd(
        &mut self,
        memory: &mut impl Memory,
        operands: &PageOperands<'_>,
        page: u64,
    ) -> Result<(), Fault> {
        self.eadd_without_access(memory, operands, page)?;
        if let Some(entry) = self.epcm.get(page) {
            memory.protect(page, PAGE, entry.access());
        }
        Ok(())
    }

    /// EADD, except that the caller gives access to the page, so that it can do so for many at once.
    pub(crate) fn eadd_without_access(
        &mut self,
        memory: &mut impl Memory,
        operands: &PageOperands<'_>,
        page: u64,
    ) -> Result<(), Fault> {
        let linear = operands.linaddr;
        require(is_page_aligned(page), "EADD: RCX is not 4 KiB aligned")?;
        let aligned = is_page_aligned(operands.secs) && is_page_aligned(linear);
        require(aligned, "EADD: PAGEINFO.SECS or LINADDR is not 4 KiB aligned")?;
        let Some(mut flags) = operands.secinfo.checked_flags() else {
            return general_protection("EADD: SECINFO is reserved");
        };
        let page_type = match flags.page_type() {
            Some(page_type @ (PageType::Reg | PageType::Tcs)) => page_type,
            _ => return general_protection("EADD: SECINFO.PT is not PT_REG or PT_TCS"),
        };
        require_page(self.epcm.get(page).is_none(), page, "EADD: EPCM.VALID is not 0")?;
        self.secs_entry(operands.secs)?;
        let mut tcs = None;
        if page_type == PageType::Tcs {
            tcs = Some(parse_tcs(operands.source.unwrap_or(&[0; PAGE_SIZE]))?);
        } else {
            let write_only = flags.contains(SecInfoFlags::W) && !flags.contains(SecInfoFlags::R);
            require(!write_only, "EADD: SECINFO has W without R")?;
        }
        let enclave = self.enclave(operands.secs)?;
        if let Some(tcs) = &tcs {
            let is_64_bit = enclave.secs.attributes.has(AttributesFlags::MODE64BIT);
            let limits = tcs.fslimit & 0xfff == 0xfff && tcs.gslimit & 0xfff == 0xfff;
            require(is_64_bit || limits, "EADD: FSLIMIT or GSLIMIT is not 4 KiB aligned")?;
        }
        require(enclave.contains(linear), "EADD: LINADDR is outside the enclave")?;
        require(!enclave.initialised, "EADD: the enclave is initialised")?;
        if let Some(mut tcs) = tcs {
            flags.remove(SecInfoFlags::RWX);
            tcs.flags &= !1;
            tcs.cssa = 0;
            tcs.aep = 0;
            tcs.state = 0;
            self.threads.insert(page, ThreadControl { tcs, active: false, entry_epoch: 0 });
        } else {
            match operands.source {
                Some(contents) => memory.fill(page, contents),
                None => memory.zero(page, PAGE),
            }
        }
        let enclave = self.enclave(operands.secs)?;
        enclave.measurement.add(linear - enclave.secs.base, &SecInfo::new(flags));
        let flags = from_permissions(flags);
        self.insert_pages(
            page,
            PAGE,
            EpcmEntry { page_type, flags, enclave_address: linear, secs: operands.secs, epoch: 0 },
        );
        Ok(())
    }

    /// ENCLS[EEXTEND]: measures 256 bytes at this EPC address.
    pub fn eextend(&mut self, memory: &impl Memory, secs_page: u64, address: u64) -> Result<(), Fault> {
        require(is_page_aligned(secs_page), "EEXTEND: RBX is not 4 KiB aligned")?;
        require(address & (EXTEND_SIZE as u64 - 1) == 0, "EEXTEND: RCX is not 256 byte aligned")?;
        let page = address & !(PAGE - 1);
        let entry = self.epcm.get(page).ok_or(Fault::Page(address, "EEXTEND: EPCM.VALID = 0"))?;
        let measurable = matches!(entry.page_type, PageType::Reg | PageType::Tcs);
        require_page(measurable, address, "EEXTEND: EPCM.PT is not PT_REG or PT_TCS")?;
        require(entry.secs == secs_page, "EEXTEND: RBX is not the page's SECS")?;
        let mut chunk = [0; EXTEND_SIZE];
        match self.threads.get(&page) {
            Some(thread) => {
                let start = (address - page) as usize;
                chunk.copy_from_slice(&thread.tcs.as_bytes()[start..start + EXTEND_SIZE]);
            }
            None => memory.read(address, &mut chunk),
        }
        let enclave = self.enclave(secs_page)?;
        require(!enclave.initialised, "EEXTEND: the enclave is initialised")?;
        let offset = entry.enclave_address - enclave.secs.base + (address - page);
        enclave.measurement.extend(offset, &chunk);
        Ok(())
    }

    /// ENCLS[EINIT]: verifies SIGSTRUCT and token, and makes the enclave enterable.
    pub fn einit(
        &mut self,
        sigstruct: &SigStruct,
        secs_page: u64,
        token: &EinitToken,
    ) -> Result<(), SgxError> {
        require(is_page_aligned(secs_page), "EINIT: RCX is not 4 KiB aligned")?;
        match sigstruct.verify() {
            Ok(()) => {}
            Err(SigStructError::Format(_)) => return Err(LeafError::InvalidSigStruct.into()),
            Err(SigStructError::Signature) => return Err(LeafError::InvalidSignature.into()),
        }
        let enclave = self.secs_entry(secs_page)?;
        require(!enclave.initialised, "EINIT: the enclave is initialised")?;
        let secs = &enclave.secs;
        let kss = secs.attributes.has(AttributesFlags::KSS);
        let needs_kss = sigstruct.isv_family_id != [0; 16] || sigstruct.isv_ext_prod_id != [0; 16];
        if needs_kss && !kss {
            return Err(LeafError::InvalidSigStruct.into());
        }
        let mrenclave = enclave.measurement.value();
        if sigstruct.enclave_hash != mrenclave {
            return Err(LeafError::InvalidMeasurement.into());
        }
        let mrsigner = sigstruct.mr_signer();
        // CONTROLLED_ATTRIBUTES is 20H: EINITTOKEN_KEY.
        if secs.attributes.has(AttributesFlags::EINITTOKEN_KEY) && mrsigner != self.launch_key_hash {
            return Err(LeafError::InvalidAttribute.into());
        }
        let mask = sigstruct.attribute_mask;
        if secs.attributes.masked(mask) != sigstruct.attributes.masked(mask) {
            return Err(LeafError::InvalidAttribute.into());
        }
        if secs.miscselect & sigstruct.miscmask != sigstruct.miscselect & sigstruct.miscmask {
            return Err(LeafError::InvalidAttribute.into());
        }
        // CET_ATTRIBUTES of the SECS are 0 here: its byte is reserved.
        if sigstruct.cet_attributes & sigstruct.cet_attributes_mask != 0 {
            return Err(LeafError::InvalidAttribute.into());
        }
        if token.valid & 1 == 0 {
            if mrsigner != self.launch_key_hash {
                return Err(LeafError::InvalidEinitToken.into());
            }
        } else {
            self.check_token(token, secs, &mrenclave, &mrsigner)?;
        }
        let enclave = self.enclave(secs_page)?;
        enclave.secs.mrenclave = mrenclave;
        enclave.secs.mrsigner = mrsigner;
        enclave.secs.isv_prod_id = sigstruct.isv_prod_id;
        enclave.secs.isv_svn = sigstruct.isv_svn;
        enclave.isv_ext_prod_id = sigstruct.isv_ext_prod_id;
        enclave.isv_family_id = sigstruct.isv_family_id;
        enclave.initialised = true;
        Ok(())
    }

    /// EINIT with EINITTOKEN.VALID = 1.
    fn check_token(
        &self,
        token: &EinitToken,
        secs: &Secs,
        mrenclave: &[u8; 32],
        mrsigner: &[u8; 32],
    ) -> Result<(), LeafError> {
        let debug_launch = token.masked_attributes_le.has(AttributesFlags::DEBUG);
        if debug_launch && !secs.attributes.has(AttributesFlags::DEBUG) {
            return Err(LeafError::InvalidEinitToken);
        }
        if !token.reserved_is_zero() {
            return Err(LeafError::InvalidEinitToken);
        }
        if is_beyond(&token.cpusvn_le, &self.fuses.cpusvn) {
            return Err(LeafError::InvalidCpusvn);
        }
        let dependencies = KeyDependencies {
            isv_prod_id: token.isv_prod_id_le,
            isv_svn: token.isv_svn_le,
            sgx_owner_epoch: self.fuses.owner_epoch,
            attributes: token.masked_attributes_le,
            mrsigner: self.launch_key_hash,
            key_id: token.key_id,
            seal_key_fuses: self.fuses.seal_fuses,
            cpusvn: token.cpusvn_le,
            miscselect: token.masked_miscselect_le,
            ..KeyDependencies::new(KeyName::EinitToken)
        };
        let key = dependencies.derive(&self.fuses.root_key);
        if !keys_equal(&token.mac, &cmac(&key, &token.as_bytes()[..192])) {
            return Err(LeafError::InvalidEinitToken);
        }
        if token.mrenclave != *mrenclave || token.mrsigner != *mrsigner {
            return Err(LeafError::InvalidMeasurement);
        }
        // The manual's SGX_INVALID_EINIT_ATTRIBUTE has no number in its table of codes.
        if token.attributes != secs.attributes {
            return Err(LeafError::InvalidAttribute);
        }
        Ok(())
    }

    /// ENCLS[EREMOVE]: takes a page out of its enclave.
    pub fn eremove(&mut self, memory: &mut impl Memory, page: u64) -> Result<(), SgxError> {
        require(is_page_aligned(page), "EREMOVE: RCX is not 4 KiB aligned")?;
        // "if DS:RCX is already unused, nothing to do"
        let Some(entry) = self.epcm.get(page) else { return Ok(()) };
        if is_trimmed(&entry) {
            self.invalidate(memory, page, PAGE, &entry);
            return Ok(());
        }
        if entry.page_type == PageType::Secs {
            if self.enclaves.get(&page).is_some_and(|enclave| enclave.children != 0) {
                return Err(LeafError::ChildPresent.into());
            }
            self.enclaves.remove(&page);
            self.epcm.remove(page, PAGE);
            return Ok(());
        }
        if self.is_active(entry.secs) {
            return Err(LeafError::EnclaveAct.into());
        }
        self.invalidate(memory, page, PAGE, &entry);
        Ok(())
    }

    /// EREMOVE of a range, of pages only that were accepted as PT_TRIM.
    pub(crate) fn eremove_trimmed(
        &mut self,
        memory: &mut impl Memory,
        first: u64,
        length: u64,
    ) -> Result<(), SgxError> {
        let refused = |page| Fault::Page(page, "only a page accepted as PT_TRIM can be removed").into();
        self.each_run(first, length, refused, |processor, page, like, entry| {
            if !is_trimmed(&entry) {
                return Err(refused(page));
            }
            processor.invalidate(memory, page, like, &entry);
            Ok(())
        })
    }
}

/// Whether the enclave has accepted that the page goes.
fn is_trimmed(entry: &EpcmEntry) -> bool {
    entry.page_type == PageType::Trim && !entry.flags.contains(EpcmFlags::MODIFIED)
}

/// A TCS from a page, with EADD's and EACCEPT's first check.
pub(crate) fn parse_tcs(page: &[u8; PAGE_SIZE]) -> Result<Box<Tcs>, Fault> {
    let tcs = Tcs::parse(page).map_err(|_| Fault::GeneralProtection("TCS: the page is cut off"))?;
    require(tcs.reserved_is_zero(), "TCS: a reserved field is not 0")?;
    Ok(Box::new(tcs))
}
