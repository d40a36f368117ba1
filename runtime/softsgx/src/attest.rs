//! Reports and keys: EREPORT, EGETKEY (SDM 38.4).

use casemate_sgx::{
    Attributes, AttributesFlags, Fault, KeyDependencies, KeyName, KeyPolicy, KeyRequest, LeafError, Report,
    ReportBody, SgxError, TargetInfo, cmac, hardcoded_padding,
};
use zerocopy::IntoBytes;

use crate::accept::inside;
use crate::check::{present_code, require, require_code};
use crate::logical::LogicalProcessor;
use crate::memory::Memory;
use crate::processor::{Access, Enclave, Processor};

/// Whether a CPUSVN is "beyond the current CPU configuration". The manual leaves the order to the processor; ours is
/// that every byte is a component's version.
pub(crate) fn is_beyond(requested: &[u8; 16], current: &[u8; 16]) -> bool {
    requested.iter().zip(current).any(|(requested, current)| requested > current)
}

impl Processor {
    /// ENCLU[EREPORT]: RBX is the TARGETINFO, RCX the REPORTDATA, RDX where the REPORT goes.
    pub fn ereport(
        &mut self,
        memory: &mut impl Memory,
        logical: &LogicalProcessor,
        target_info: u64,
        report_data: u64,
        output: u64,
    ) -> Result<(), Fault> {
        let inside = inside(logical)?;
        require(target_info & 511 == 0, "EREPORT: RBX is not 512 byte aligned")?;
        require(inside.contains(target_info), "EREPORT: RBX is not within CR_ELRANGE")?;
        let target_address = self.operand(memory, inside, target_info, Access::Read)?;
        require(report_data & 127 == 0, "EREPORT: RCX is not 128 byte aligned")?;
        require(inside.contains(report_data), "EREPORT: RCX is not within CR_ELRANGE")?;
        let data_address = self.operand(memory, inside, report_data, Access::Read)?;
        require(output & 511 == 0, "EREPORT: RDX is not 512 byte aligned")?;
        require(inside.contains(output), "EREPORT: RDX is not within CR_ELRANGE")?;
        let output_address = self.operand(memory, inside, output, Access::Write)?;

        let mut bytes = [0; size_of::<TargetInfo>()];
        memory.read(target_address, &mut bytes);
        let target: TargetInfo = zerocopy::transmute!(bytes);
        let mut data = [0; 64];
        memory.read(data_address, &mut data);
        let body = self.report_body(self.secs_entry(inside.secs)?, data);
        let key_id = self.configuration.report_key_id;
        let key = self
            .report_key(target.attributes, &target.measurement, target.miscselect, &key_id)
            .with_configuration(&target.config_id, target.config_svn)
            .derive(&self.fuses.root_key);
        let report = Report { body, key_id, mac: cmac(&key, body.as_bytes()) };
        memory.write(output_address, report.as_bytes());
        Ok(())
    }

    fn report_body(&self, enclave: &Enclave, report_data: [u8; 64]) -> ReportBody {
        let secs = &enclave.secs;
        ReportBody {
            cpusvn: self.fuses.cpusvn,
            miscselect: secs.miscselect,
            cet_attributes: 0,
            reserved1: [0; 11],
            isv_ext_prod_id: enclave.isv_ext_prod_id,
            attributes: enclave.attributes(),
            mrenclave: secs.mrenclave,
            reserved2: [0; 32],
            mrsigner: secs.mrsigner,
            reserved3: [0; 32],
            config_id: secs.config_id,
            isv_prod_id: secs.isv_prod_id,
            isv_svn: secs.isv_svn,
            config_svn: secs.config_svn,
            reserved4: [0; 42],
            isv_family_id: enclave.isv_family_id,
            report_data,
        }
    }

    /// The dependencies of a REPORT_KEY: the same for the enclave that asks for its own and for EREPORT.
    fn report_key(
        &self,
        attributes: Attributes,
        mrenclave: &[u8; 32],
        miscselect: u32,
        key_id: &[u8; 32],
    ) -> ReportKey {
        ReportKey(KeyDependencies {
            sgx_owner_epoch: self.fuses.owner_epoch,
            attributes,
            mrenclave: *mrenclave,
            key_id: *key_id,
            seal_key_fuses: self.fuses.seal_fuses,
            cpusvn: self.fuses.cpusvn,
            padding: hardcoded_padding(),
            miscselect,
            ..KeyDependencies::new(KeyName::Report)
        })
    }

    /// ENCLU[EGETKEY]: RBX is the KEYREQUEST, RCX where the key goes.
    pub fn egetkey(
        &mut self,
        memory: &mut impl Memory,
        logical: &LogicalProcessor,
        request: u64,
        output: u64,
    ) -> Result<(), SgxError> {
        let inside = inside(logical)?;
        require(request & 511 == 0, "EGETKEY: RBX is not 512 byte aligned")?;
        require(inside.contains(request), "EGETKEY: RBX is not within CR_ELRANGE")?;
        let request_address = self.operand(memory, inside, request, Access::Read)?;
        require(output & 15 == 0, "EGETKEY: RCX is not 16 byte aligned")?;
        require(inside.contains(output), "EGETKEY: RCX is not within CR_ELRANGE")?;
        let output_address = self.operand(memory, inside, output, Access::Write)?;
        let mut bytes = [0; size_of::<KeyRequest>()];
        memory.read(request_address, &mut bytes);
        let request: KeyRequest = zerocopy::transmute!(bytes);
        require(request.reserved_is_zero(), "EGETKEY: a reserved field of KEYREQUEST is not 0")?;
        let enclave = self.secs_entry(inside.secs)?;
        let policy = KeyPolicy::from_bits_truncate(request.key_policy);
        let kss = enclave.secs.attributes.has(AttributesFlags::KSS);
        require(kss || !policy.intersects(KeyPolicy::NEEDS_KSS), "EGETKEY: KEYPOLICY without KSS")?;
        require(kss || request.config_svn == 0, "EGETKEY: CONFIGSVN without KSS")?;
        let dependencies = self.key_dependencies(enclave, &request, policy)?;
        let key = dependencies.derive(&self.fuses.root_key);
        memory.write(output_address, &key);
        Ok(())
    }

    /// The CASE over KEYNAME.
    fn key_dependencies(
        &self,
        enclave: &Enclave,
        request: &KeyRequest,
        policy: KeyPolicy,
    ) -> Result<KeyDependencies, LeafError> {
        let name = KeyName::from_number(request.key_name);
        match present_code(name, LeafError::InvalidKeyname, "EGETKEY: KEYNAME names no key")? {
            KeyName::Seal => {
                self.check_versions(enclave, request)?;
                let known = request.config_svn <= enclave.secs.config_svn;
                require_code(known, LeafError::InvalidIsvsvn, "EGETKEY: CONFIGSVN is above the enclave's")?;
                let mut it = self.seal_dependencies(KeyName::Seal, enclave, request, policy);
                it.sgx_owner_epoch = self.fuses.owner_epoch;
                it.key_id = request.key_id;
                if policy.contains(KeyPolicy::MRENCLAVE) {
                    it.mrenclave = enclave.secs.mrenclave;
                }
                if policy.contains(KeyPolicy::MRSIGNER) {
                    it.mrsigner = enclave.secs.mrsigner;
                }
                Ok(it)
            }
            KeyName::Report => {
                let secs = &enclave.secs;
                let key =
                    self.report_key(enclave.attributes(), &secs.mrenclave, secs.miscselect, &request.key_id);
                Ok(key.with_configuration(&secs.config_id, secs.config_svn))
            }
            KeyName::EinitToken => {
                let allowed = enclave.secs.attributes.has(AttributesFlags::EINITTOKEN_KEY);
                let refusal = LeafError::InvalidAttribute;
                require_code(allowed, refusal, "EGETKEY: EINITTOKEN_KEY without the attribute")?;
                self.check_versions(enclave, request)?;
                Ok(KeyDependencies {
                    sgx_owner_epoch: self.fuses.owner_epoch,
                    key_id: request.key_id,
                    seal_key_fuses: self.fuses.seal_fuses,
                    ..provision_dependencies(KeyName::EinitToken, enclave, request)
                })
            }
            KeyName::Provision => {
                let allowed = enclave.secs.attributes.has(AttributesFlags::PROVISION_KEY);
                let refusal = LeafError::InvalidAttribute;
                require_code(allowed, refusal, "EGETKEY: PROVISION_KEY without the attribute")?;
                self.check_versions(enclave, request)?;
                Ok(KeyDependencies {
                    attribute_mask: request.attribute_mask,
                    misc_mask: !request.misc_mask,
                    ..provision_dependencies(KeyName::Provision, enclave, request)
                })
            }
            KeyName::ProvisionSeal => {
                let allowed = enclave.secs.attributes.has(AttributesFlags::PROVISION_KEY);
                let refusal = LeafError::InvalidAttribute;
                require_code(allowed, refusal, "EGETKEY: PROVISION_SEAL_KEY without the attribute")?;
                self.check_versions(enclave, request)?;
                let mut it = self.seal_dependencies(KeyName::ProvisionSeal, enclave, request, policy);
                it.mrsigner = enclave.secs.mrsigner;
                Ok(it)
            }
        }
    }

    /// "CPUSVN is beyond current CPU configuration", "ISVSVN > TMP_CURRENTSECS.ISVSVN".
    fn check_versions(&self, enclave: &Enclave, request: &KeyRequest) -> Result<(), LeafError> {
        let current = !is_beyond(&request.cpusvn, &self.fuses.cpusvn);
        require_code(current, LeafError::InvalidCpusvn, "EGETKEY: CPUSVN is beyond the current")?;
        let known = request.isv_svn <= enclave.secs.isv_svn;
        require_code(known, LeafError::InvalidIsvsvn, "EGETKEY: ISVSVN is above the enclave's")
    }

    /// What SEAL_KEY and PROVISION_SEAL_KEY have in common.
    fn seal_dependencies(
        &self,
        name: KeyName,
        enclave: &Enclave,
        request: &KeyRequest,
        policy: KeyPolicy,
    ) -> KeyDependencies {
        let mut it = KeyDependencies {
            isv_svn: request.isv_svn,
            attributes: masked_attributes(enclave, request),
            attribute_mask: request.attribute_mask,
            seal_key_fuses: self.fuses.seal_fuses,
            cpusvn: request.cpusvn,
            padding: enclave.padding,
            miscselect: enclave.secs.miscselect & request.misc_mask,
            misc_mask: !request.misc_mask,
            key_policy: request.key_policy,
            ..KeyDependencies::new(name)
        };
        if policy.contains(KeyPolicy::ISVFAMILYID) {
            it.isv_family_id = enclave.isv_family_id;
        }
        if !policy.contains(KeyPolicy::NOISVPRODID) {
            it.isv_prod_id = enclave.secs.isv_prod_id;
        }
        if policy.contains(KeyPolicy::CONFIGID) {
            it.config_id = enclave.secs.config_id;
            it.config_svn = request.config_svn;
        }
        if policy.contains(KeyPolicy::ISVEXTPRODID) {
            it.isv_ext_prod_id = enclave.isv_ext_prod_id;
        }
        it
    }
}

/// A report key but for CONFIGID and CONFIGSVN.
struct ReportKey(KeyDependencies);

impl ReportKey {
    fn with_configuration(self, config_id: &[u8; 64], config_svn: u16) -> KeyDependencies {
        KeyDependencies { config_id: *config_id, config_svn, ..self.0 }
    }
}

/// What EINITTOKEN_KEY and PROVISION_KEY have in common.
fn provision_dependencies(name: KeyName, enclave: &Enclave, request: &KeyRequest) -> KeyDependencies {
    KeyDependencies {
        isv_prod_id: enclave.secs.isv_prod_id,
        isv_svn: request.isv_svn,
        attributes: masked_attributes(enclave, request),
        mrsigner: enclave.secs.mrsigner,
        cpusvn: request.cpusvn,
        padding: enclave.padding,
        miscselect: enclave.secs.miscselect & request.misc_mask,
        ..KeyDependencies::new(name)
    }
}

/// TMP_ATTRIBUTES: INIT and DEBUG are always included (REQUIRED_SEALING_MASK is 3).
fn masked_attributes(enclave: &Enclave, request: &KeyRequest) -> Attributes {
    let mask = Attributes { flags: request.attribute_mask.flags | 3, xfrm: request.attribute_mask.xfrm };
    enclave.attributes().masked(mask)
}
