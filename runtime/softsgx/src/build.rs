//! Building and taking down: ECREATE, EADD, EEXTEND, EINIT, EREMOVE (SDM 38.3).

use alloc::boxed::Box;

use casemate_sgx::measure::EXTEND_SIZE;
use casemate_sgx::{
    AttributesFlags, EinitToken, FRAME_EXTRA_SIZE, Fault, KeyDependencies, KeyName, LeafError, MiscSelect,
    PAGE_SIZE, PageType, SecInfo, SecInfoFlags, Secs, SgxError, SigStruct, Tcs, Xfrm, cmac, keys_equal,
    xsave_size,
};
use zerocopy::IntoBytes;

use crate::attest::is_beyond;
use crate::check::{present, present_page, require, require_code, require_page};
use crate::epcm::{EpcmEntry, EpcmFlags, from_permissions};
use crate::logical::is_canonical;
use crate::memory::Memory;
use crate::processor::{Enclave, PAGE, PageOperands, Processor, ThreadControl, is_page_aligned};

impl Processor {
    /// ENCLS[ECREATE]: makes the SECS at this EPC page from the source page.
    pub fn ecreate(&mut self, operands: &PageOperands<'_>, secs_page: u64) -> Result<(), Fault> {
        require(is_page_aligned(secs_page), "ECREATE: RCX is not 4 KiB aligned")?;
        require(operands.linaddr == 0, "ECREATE: PAGEINFO.LINADDR is not 0")?;
        require(operands.secs == 0, "ECREATE: PAGEINFO.SECS is not 0")?;
        let flags = present(operands.secinfo.checked_flags(), "ECREATE: SECINFO is reserved")?;
        require(flags.page_type() == Some(PageType::Secs), "ECREATE: SECINFO.PT is not PT_SECS")?;
        require_page(self.epcm.get(secs_page).is_none(), secs_page, "ECREATE: EPCM.VALID = 1")?;
        let source = operands.source.unwrap_or(&[0; PAGE_SIZE]);
        let mut secs = Box::new(zerocopy::transmute!(*source));
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
        require(Xfrm::is_legal(xfrm), "ECREATE: XFRM is illegal")?;
        let supported = Xfrm::from_bits(xfrm).is_some_and(|xfrm| self.configuration.xcr0.contains(xfrm));
        require(supported, "ECREATE: XFRM is not a subset of XCR0")?;
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
        require(secs.size >= 8192, "ECREATE: SIZE is below 8192")?;
        require(secs.size.is_power_of_two(), "ECREATE: SIZE is not a power of two")?;
        require(secs.base & (secs.size - 1) == 0, "ECREATE: BASEADDR is not aligned to SIZE")?;
        let unsupported = secs.attributes.flags & !self.configuration.attributes.bits();
        require(unsupported == 0, "ECREATE: ATTRIBUTES has unsupported flags")?;
        require(secs.reserved_is_zero(), "ECREATE: a reserved field of the SECS is not 0")?;
        let kss = secs.attributes.has(AttributesFlags::KSS);
        require(kss || secs.config_id == [0; 64], "ECREATE: CONFIGID without KSS")?;
        require(kss || secs.config_svn == 0, "ECREATE: CONFIGSVN without KSS")
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
        require(is_page_aligned(operands.secs), "EADD: PAGEINFO.SECS is not 4 KiB aligned")?;
        require(is_page_aligned(linear), "EADD: PAGEINFO.LINADDR is not 4 KiB aligned")?;
        let mut flags = present(operands.secinfo.checked_flags(), "EADD: SECINFO is reserved")?;
        let page_type =
            flags.page_type().filter(|page_type| matches!(page_type, PageType::Reg | PageType::Tcs));
        let page_type = present(page_type, "EADD: SECINFO.PT is not PT_REG or PT_TCS")?;
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
            require(is_64_bit || tcs.fslimit & 0xfff == 0xfff, "EADD: FSLIMIT is not 4 KiB aligned")?;
            require(is_64_bit || tcs.gslimit & 0xfff == 0xfff, "EADD: GSLIMIT is not 4 KiB aligned")?;
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
        let entry = present_page(self.epcm.get(page), address, "EEXTEND: EPCM.VALID = 0")?;
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
        let format = sigstruct.check_format();
        require_code(format.is_ok(), LeafError::InvalidSigStruct, "EINIT: the form of SIGSTRUCT")?;
        let signature = sigstruct.check_signature();
        require_code(signature.is_ok(), LeafError::InvalidSignature, "EINIT: the signature of SIGSTRUCT")?;
        let enclave = self.secs_entry(secs_page)?;
        require(!enclave.initialised, "EINIT: the enclave is initialised")?;
        let secs = &enclave.secs;
        let kss = secs.attributes.has(AttributesFlags::KSS);
        let family = kss || sigstruct.isv_family_id == [0; 16];
        require_code(family, LeafError::InvalidSigStruct, "EINIT: ISVFAMILYID without KSS")?;
        let product = kss || sigstruct.isv_ext_prod_id == [0; 16];
        require_code(product, LeafError::InvalidSigStruct, "EINIT: ISVEXTPRODID without KSS")?;
        let mrenclave = enclave.measurement.value();
        let measured = sigstruct.enclave_hash == mrenclave;
        require_code(measured, LeafError::InvalidMeasurement, "EINIT: ENCLAVEHASH is not MRENCLAVE")?;
        let mrsigner = sigstruct.mr_signer();
        let is_launch_key = mrsigner == self.launch_key_hash;
        // CONTROLLED_ATTRIBUTES is 20H: EINITTOKEN_KEY.
        let controlled = is_launch_key || !secs.attributes.has(AttributesFlags::EINITTOKEN_KEY);
        require_code(controlled, LeafError::InvalidAttribute, "EINIT: EINITTOKEN_KEY of another signer")?;
        let mask = sigstruct.attribute_mask;
        let attributes = secs.attributes.masked(mask) == sigstruct.attributes.masked(mask);
        require_code(attributes, LeafError::InvalidAttribute, "EINIT: ATTRIBUTES are not the signed ones")?;
        let misc = secs.miscselect & sigstruct.miscmask == sigstruct.miscselect & sigstruct.miscmask;
        require_code(misc, LeafError::InvalidAttribute, "EINIT: MISCSELECT is not the signed one")?;
        // CET_ATTRIBUTES of the SECS are 0 here: its byte is reserved.
        let cet = sigstruct.cet_attributes & sigstruct.cet_attributes_mask == 0;
        require_code(cet, LeafError::InvalidAttribute, "EINIT: CET_ATTRIBUTES are not the signed ones")?;
        if token.valid & 1 == 0 {
            require_code(is_launch_key, LeafError::InvalidEinitToken, "EINIT: no token, and another signer")?;
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
        let invalid = LeafError::InvalidEinitToken;
        let debug_launch = token.masked_attributes_le.has(AttributesFlags::DEBUG);
        let debug = !debug_launch || secs.attributes.has(AttributesFlags::DEBUG);
        require_code(debug, invalid, "EINIT: the token of a debug launch enclave")?;
        require_code(token.reserved_is_zero(), invalid, "EINIT: a reserved field of the token is not 0")?;
        let current = !is_beyond(&token.cpusvn_le, &self.fuses.cpusvn);
        require_code(current, LeafError::InvalidCpusvn, "EINIT: the token's CPUSVN is beyond the current")?;
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
        let genuine = keys_equal(&token.mac, &cmac(&key, &token.as_bytes()[..192]));
        require_code(genuine, invalid, "EINIT: the token's MAC")?;
        let measured = token.mrenclave == *mrenclave;
        require_code(measured, LeafError::InvalidMeasurement, "EINIT: the token's MRENCLAVE")?;
        let signer = token.mrsigner == *mrsigner;
        require_code(signer, LeafError::InvalidMeasurement, "EINIT: the token's MRSIGNER")?;
        // The manual's SGX_INVALID_EINIT_ATTRIBUTE has no number in its table of codes.
        let attributes = token.attributes == secs.attributes;
        require_code(attributes, LeafError::InvalidAttribute, "EINIT: the token's ATTRIBUTES")
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
            let empty = self.enclaves.get(&page).is_none_or(|enclave| enclave.children == 0);
            require_code(empty, LeafError::ChildPresent, "EREMOVE: the SECS still has pages")?;
            self.enclaves.remove(&page);
            self.epcm.remove(page, PAGE);
            return Ok(());
        }
        let idle = !self.is_active(entry.secs);
        require_code(idle, LeafError::EnclaveAct, "EREMOVE: a thread is inside")?;
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
        self.each_run(first, length, "removal: EPCM.VALID is 0", |processor, page, like, entry| {
            require_page(is_trimmed(&entry), page, "removal: the page was not accepted as PT_TRIM")?;
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
    let tcs: Box<Tcs> = Box::new(zerocopy::transmute!(*page));
    require(tcs.reserved_is_zero(), "TCS: a reserved field is not 0")?;
    Ok(tcs)
}
