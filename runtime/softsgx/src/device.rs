//! The software device as the loader builds an enclave with it: the same trait as the kernel's driver.

use casemate_sgx::device::{Device, DeviceError};
use casemate_sgx::measure::EXTEND_SIZE;
use casemate_sgx::{
    EinitToken, Fault, PAGE_SIZE, PageType, SecInfo, SecInfoFlags, Secs, SgxError, SigStruct,
};
use zerocopy::IntoBytes;

use crate::enclu::ENCLU;
use crate::logical::{LogicalProcessor, Registers};
use crate::memory::Memory;
use crate::processor::{PAGE, PageOperands, Processor};
use crate::xsave::XsaveArea;
use crate::{Event, Flow};

/// EPC address of the SECS: above every linear address, so no mapping leads to it.
const SECS_PAGE: u64 = 1 << 63;

/// One enclave on a software processor. EPC addresses are linear addresses.
pub struct SoftDevice<M> {
    processor: Processor,
    memory: M,
    base: u64,
}

impl<M: Memory> SoftDevice<M> {
    /// A device with no enclave.
    pub fn new(processor: Processor, memory: M) -> Self {
        Self { processor, memory, base: 0 }
    }

    /// Lets the enclave have ATTRIBUTES.PROVISIONKEY (`SGX_IOC_ENCLAVE_PROVISION`). Before `create`.
    pub fn provision(&mut self) {
        self.processor.allow_provisioning();
    }

    /// The processor, for what this device does not offer.
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// The memory.
    pub fn memory(&mut self) -> &mut M {
        &mut self.memory
    }

    /// ENCLU; see [`Processor::enclu`].
    pub fn enclu(
        &mut self,
        logical: &mut LogicalProcessor,
        registers: &mut Registers,
        extended: &mut XsaveArea,
    ) -> Result<Flow, Fault> {
        self.processor.enclu(&mut self.memory, logical, registers, extended)
    }

    /// Whether code inside that goes on at this address finds ENCLU there.
    #[must_use]
    pub fn is_enclu(&self, rip: u64) -> bool {
        let mut code = [0; ENCLU.len()];
        for (offset, byte) in (0..).zip(&mut code) {
            let address = rip.wrapping_add(offset);
            let page = address & !(PAGE - 1);
            let access = self.processor.epcm_entry(page).map(|entry| entry.access());
            let wanted = SecInfoFlags::R | SecInfoFlags::X;
            if self.memory.resolve(page) != Some(page)
                || !access.is_some_and(|access| access.contains(wanted))
            {
                return false;
            }
            self.memory.read(address, core::slice::from_mut(byte));
        }
        code == ENCLU
    }

    /// Gives access to pages anew as the EPCM has it, where the memory has reasons of its own to refuse some.
    pub fn set_access(&mut self, offset: u64, length: u64) {
        let memory = &mut self.memory;
        self.processor.each_valid(self.base + offset, length, |page, like, entry| {
            memory.protect(page, like, entry.access());
        });
    }

    /// ENCLU[EENTER]; see [`Processor::eenter`].
    pub fn eenter(&mut self, logical: &mut LogicalProcessor, registers: &mut Registers) -> Result<(), Fault> {
        self.processor.eenter(&mut self.memory, logical, registers)
    }

    /// ENCLU[ERESUME]; see [`Processor::eresume`].
    pub fn eresume(
        &mut self,
        logical: &mut LogicalProcessor,
        registers: &mut Registers,
        extended: &mut XsaveArea,
    ) -> Result<(), Fault> {
        self.processor.eresume(&mut self.memory, logical, registers, extended)
    }

    /// ENCLU[EEXIT]; see [`Processor::eexit`].
    pub fn eexit(&mut self, logical: &mut LogicalProcessor, registers: &mut Registers) -> Result<(), Fault> {
        self.processor.eexit(logical, registers)
    }

    /// ENCLU[EREPORT] or ENCLU[EGETKEY], by RAX.
    pub fn attest(&mut self, logical: &mut LogicalProcessor, registers: &mut Registers) -> Result<(), Fault> {
        let mut unused = [0; crate::MAX_XSAVE];
        self.processor.enclu(&mut self.memory, logical, registers, &mut unused).map(drop)
    }

    /// EACCEPT, EMODPE or EACCEPTCOPY of `length` bytes of pages one after the other, as ENCLU in a loop would do; see
    /// [`Processor::enclu_range`].
    pub fn enclu_range(
        &mut self,
        logical: &LogicalProcessor,
        registers: &mut Registers,
        length: u64,
    ) -> Result<(), Fault> {
        self.processor.enclu_range(&mut self.memory, logical, registers, length)
    }

    /// An asynchronous exit; see [`Processor::asynchronous_exit`].
    pub fn asynchronous_exit(
        &mut self,
        logical: &mut LogicalProcessor,
        registers: &mut Registers,
        event: Event,
        extended: &[u8],
    ) -> Result<u64, Fault> {
        self.processor.asynchronous_exit(&mut self.memory, logical, registers, event, extended)
    }

    /// Adds pages; contents `None`: zeros. Access is given to all of them at the end.
    fn add(
        &mut self,
        offset: u64,
        length: u64,
        contents: Option<&[u8]>,
        flags: SecInfoFlags,
        measure: bool,
    ) -> Result<(), DeviceError> {
        self.check_range(offset, length)?;
        let secinfo = SecInfo::new(flags);
        for done in (0..length).step_by(PAGE_SIZE) {
            let page = self.base + offset + done;
            let source = contents.and_then(|all| all[done as usize..].first_chunk::<PAGE_SIZE>());
            let operands = PageOperands { linaddr: page, source, secinfo, secs: SECS_PAGE };
            self.processor.eadd_without_access(&mut self.memory, &operands, page).map_err(SgxError::from)?;
            if measure {
                for chunk in (0..PAGE).step_by(EXTEND_SIZE) {
                    self.processor.eextend(&self.memory, SECS_PAGE, page + chunk).map_err(SgxError::from)?;
                }
            }
        }
        let first = self.base + offset;
        if let Some(entry) = self.processor.epcm_entry(first) {
            self.memory.protect(first, length, entry.access());
        }
        Ok(())
    }

    fn check_range(&self, offset: u64, length: u64) -> Result<(), DeviceError> {
        let end = offset.checked_add(length).and_then(|end| self.base.checked_add(end));
        if (offset | length) & (PAGE - 1) != 0 || length == 0 || end.is_none() {
            return Err(DeviceError::Usage("a range of enclave pages is not page-aligned, or empty"));
        }
        Ok(())
    }

    /// What the driver does after changing pages: ETRACK, then make every thread leave and come back.
    fn track(&mut self) -> Result<(), DeviceError> {
        self.processor.etrack(SECS_PAGE)?;
        self.processor.interrupt_all(SECS_PAGE);
        Ok(())
    }
}

impl<M: Memory> Device for SoftDevice<M> {
    fn create(&mut self, secs: &Secs) -> Result<(), DeviceError> {
        let mut page = [0; PAGE_SIZE];
        page.copy_from_slice(secs.as_bytes());
        let secinfo = SecInfo::new(PageType::Secs.flags());
        let operands = PageOperands { linaddr: 0, source: Some(&page), secinfo, secs: 0 };
        self.processor.ecreate(&operands, SECS_PAGE).map_err(SgxError::from)?;
        self.base = secs.base;
        Ok(())
    }

    fn add_pages(
        &mut self,
        offset: u64,
        contents: &[u8],
        flags: SecInfoFlags,
        measure: bool,
    ) -> Result<(), DeviceError> {
        self.add(offset, contents.len() as u64, Some(contents), flags, measure)
    }

    fn add_zero_pages(
        &mut self,
        offset: u64,
        length: u64,
        flags: SecInfoFlags,
        measure: bool,
    ) -> Result<(), DeviceError> {
        self.add(offset, length, None, flags, measure)
    }

    /// With flexible launch control: the launch key is the signer's, as the driver sets it.
    fn init(&mut self, sigstruct: &SigStruct) -> Result<(), DeviceError> {
        self.processor.set_launch_key_hash(sigstruct.mr_signer());
        self.processor.einit(sigstruct, SECS_PAGE, &EinitToken::none())?;
        Ok(())
    }

    fn augment(&mut self, offset: u64, length: u64) -> Result<(), DeviceError> {
        self.check_range(offset, length)?;
        let first = self.base + offset;
        self.processor
            .eaug_range(&mut self.memory, first, length, SECS_PAGE, first)
            .map_err(SgxError::from)?;
        Ok(())
    }

    fn restrict_permissions(
        &mut self,
        offset: u64,
        length: u64,
        permissions: SecInfoFlags,
    ) -> Result<(), DeviceError> {
        let secinfo = SecInfo::new(permissions.permissions());
        self.check_range(offset, length)?;
        self.processor.emodpr_range(&mut self.memory, &secinfo, self.base + offset, length)?;
        self.track()
    }

    fn modify_types(&mut self, offset: u64, length: u64, page_type: PageType) -> Result<(), DeviceError> {
        let secinfo = SecInfo::new(page_type.flags());
        self.check_range(offset, length)?;
        self.processor.emodt_range(&mut self.memory, &secinfo, self.base + offset, length)?;
        self.track()
    }

    /// Only pages whose removal the enclave accepted, as the driver does.
    fn remove_pages(&mut self, offset: u64, length: u64) -> Result<(), DeviceError> {
        self.check_range(offset, length)?;
        self.processor.eremove_trimmed(&mut self.memory, self.base + offset, length)?;
        Ok(())
    }
}
