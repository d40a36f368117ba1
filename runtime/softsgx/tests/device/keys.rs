//! EREPORT and EGETKEY: who gets which key, and who does not.

use crate::common::*;
use casemate_sgx::{
    Attributes, AttributesFlags, KeyName, KeyPolicy, KeyRequest, LeafError, PAGE_SIZE, PageType, Report,
    SecInfo, SecInfoFlags, SgxError, SigStruct, TargetInfo,
};
use casemate_softsgx::{Configuration, LogicalProcessor};
use zerocopy::{FromZeros, IntoBytes};

const REQUEST: u64 = DATA;
const OUTPUT: u64 = DATA + 0x400;
const TARGET: u64 = DATA + 0x600;
const REPORT_DATA: u64 = DATA + 0x800;
const REPORT: u64 = DATA + 0xa00;

fn key(bench: &mut Bench, request: &KeyRequest) -> Result<[u8; 16], SgxError> {
    bench.put(REQUEST, request.as_bytes());
    bench.put(OUTPUT, &[0xee; 16]);
    let Bench { processor, memory, logical, .. } = bench;
    let result = processor.egetkey(memory, logical, REQUEST, OUTPUT);
    let output: [u8; 16] = bench.get(OUTPUT, 16).try_into().unwrap();
    assert_eq!(result.is_err(), output == [0xee; 16], "a key is written exactly on success");
    result.map(|()| output)
}

fn request(name: KeyName, edit: impl FnOnce(&mut KeyRequest)) -> KeyRequest {
    let mut request = KeyRequest::new(name);
    request.attribute_mask = Attributes { flags: u64::MAX, xfrm: 0 };
    edit(&mut request);
    request
}

fn seal(policy: KeyPolicy) -> KeyRequest {
    request(KeyName::Seal, |request| request.key_policy = policy.bits())
}

fn report(bench: &mut Bench, target: &TargetInfo) -> Report {
    bench.put(TARGET, target.as_bytes());
    bench.put(REPORT_DATA, &[0x42; 64]);
    let Bench { processor, memory, logical, .. } = bench;
    processor.ereport(memory, logical, TARGET, REPORT_DATA, REPORT).unwrap();
    Report::parse(&bench.get(REPORT, 432)).unwrap()
}

/// Inside an enclave with these attributes, on the machine with these fuses.
fn inside(flags: AttributesFlags, seed: u8) -> Bench {
    let mut secs = secs();
    secs.attributes.flags |= flags.bits();
    let mut configuration = Configuration::new(7, [0x11; 32]);
    configuration.attributes |= flags;
    let mut bench = Bench::started_with(configuration, seed, &secs);
    bench.enter(TCS).unwrap();
    bench
}

#[test]
fn a_report_is_verified_by_its_target_only() {
    let mut bench = Bench::entered();
    let own = report(&mut bench, &TargetInfo::new_zeroed());
    assert_eq!(own.body.mrenclave, expected_measurement());
    assert_eq!(own.body.mrsigner, casemate_sgx::mr_signer(&crate::common::key::modulus()));
    assert_eq!((own.body.isv_prod_id, own.body.isv_svn, own.body.report_data), (5, 3, [0x42; 64]));
    assert_eq!(own.body.attributes.flags, 5, "INIT and MODE64BIT");
    let for_itself = report(&mut bench, &TargetInfo::for_enclave(&own.body));
    let mut ask = KeyRequest::new(KeyName::Report);
    ask.key_id = for_itself.key_id;
    let report_key = key(&mut bench, &ask).unwrap();
    assert!(for_itself.verify(&report_key));
    assert!(!own.verify(&report_key), "that one was for nobody");
    let mut forged = for_itself;
    forged.body.report_data[0] ^= 1;
    assert!(!forged.verify(&report_key));
    // Another machine, another key: with the same enclave and KEYID.
    let mut elsewhere = inside(AttributesFlags::empty(), 2);
    assert!(!for_itself.verify(&key(&mut elsewhere, &ask).unwrap()));
    ask.key_id[0] ^= 1;
    assert!(!for_itself.verify(&key(&mut bench, &ask).unwrap()));
}

#[test]
fn every_field_of_the_target_matters() {
    let mut bench = Bench::entered();
    let base = report(&mut bench, &TargetInfo::new_zeroed());
    for offset in [0, 31, 32, 40, 50, 52, 64, 127] {
        let mut target = TargetInfo::new_zeroed();
        target.as_mut_bytes()[offset] = 1;
        assert_ne!(report(&mut bench, &target).mac, base.mac, "offset {offset}");
    }
}

#[test]
fn ereport_refuses_each_bad_operand() {
    let mut bench = Bench::entered();
    let mut ereport = |target, data, output| {
        let Bench { processor, memory, logical, .. } = &mut bench;
        why(processor.ereport(memory, logical, target, data, output))
    };
    refused(ereport(TARGET + 256, REPORT_DATA, REPORT), "RBX is not 512 byte aligned");
    refused(ereport(BASE + SIZE, REPORT_DATA, REPORT), "RBX is not within CR_ELRANGE");
    refused(ereport(TARGET, REPORT_DATA + 64, REPORT), "RCX is not 128 byte aligned");
    refused(ereport(TARGET, BASE - PAGE, REPORT), "RCX is not within CR_ELRANGE");
    refused(ereport(TARGET, REPORT_DATA, BASE + SIZE), "RDX is not within CR_ELRANGE");
    refused(ereport(TARGET, REPORT_DATA, REPORT + 256), "RDX is not 512 byte aligned");
    refused(ereport(FREE, REPORT_DATA, REPORT), "EPCM.VALID = 0");
    refused(ereport(TCS, REPORT_DATA, REPORT), "EPCM.PT is not PT_REG");
    refused(ereport(TARGET, FREE, REPORT), "EPCM.VALID = 0");
    refused(ereport(TARGET, REPORT_DATA, CODE), "operand: EPCM.W = 0");
    assert_eq!(ereport(TARGET, REPORT_DATA, REPORT), "ok");
    bench.processor.emodpr(&mut bench.memory, &SecInfo::new(SecInfoFlags::empty()), AREA).unwrap();
    let Bench { processor, memory, logical, .. } = &mut bench;
    refused(why(processor.ereport(memory, logical, AREA, REPORT_DATA, REPORT)), "operand: EPCM.R = 0");
    bench.processor.emodt(&mut bench.memory, &SecInfo::new(PageType::Trim.flags()), SSA2).unwrap();
    let Bench { processor, memory, logical, .. } = &mut bench;
    refused(why(processor.ereport(memory, logical, SSA2, REPORT_DATA, REPORT)), "EPCM.MODIFIED = 1");
    bench.memory.mapping.insert(DATA, Some(AREA));
    let Bench { processor, memory, logical, .. } = &mut bench;
    refused(why(processor.ereport(memory, logical, TARGET, REPORT_DATA, REPORT)), "another address");
    let outside = LogicalProcessor::default();
    refused(why(processor.ereport(memory, &outside, TARGET, REPORT_DATA, REPORT)), "enclave mode");
}

#[test]
fn egetkey_refuses_each_bad_operand() {
    let mut bench = Bench::entered();
    bench.put(REQUEST, seal(KeyPolicy::MRENCLAVE).as_bytes());
    let mut egetkey = |request, output| {
        let Bench { processor, memory, logical, .. } = &mut bench;
        why_sgx(processor.egetkey(memory, logical, request, output))
    };
    refused(egetkey(REQUEST + 256, OUTPUT), "RBX is not 512 byte aligned");
    refused(egetkey(BASE + SIZE, OUTPUT), "RBX is not within CR_ELRANGE");
    refused(egetkey(REQUEST, OUTPUT + 8), "RCX is not 16 byte aligned");
    refused(egetkey(REQUEST, BASE - PAGE), "RCX is not within CR_ELRANGE");
    refused(egetkey(FREE, OUTPUT), "EPCM.VALID = 0");
    refused(egetkey(REQUEST, TCS), "EPCM.PT is not PT_REG");
    refused(egetkey(REQUEST, CODE), "operand: EPCM.W = 0");
    assert_eq!(egetkey(REQUEST, OUTPUT), "ok");
    let Bench { processor, memory, .. } = &mut bench;
    refused(
        why_sgx(processor.egetkey(memory, &LogicalProcessor::default(), REQUEST, OUTPUT)),
        "enclave mode",
    );
}

#[test]
fn egetkey_refuses_reserved_bits_and_newer_versions() {
    let mut bench = Bench::entered();
    let edits: Edits<KeyRequest> = &[
        (|r| r.reserved1 = 1, "reserved field of KEYREQUEST"),
        (|r| r.reserved2[433] = 1, "reserved field of KEYREQUEST"),
        (|r| r.key_policy = 1 << 6, "reserved field of KEYREQUEST"),
        (|r| r.key_policy = KeyPolicy::NOISVPRODID.bits(), "KEYPOLICY without KSS"),
        (|r| r.config_svn = 1, "CONFIGSVN without KSS"),
        (|r| r.key_name = 5, "SGX_INVALID_KEYNAME"),
        (|r| r.cpusvn[15] = 2, "SGX_INVALID_CPUSVN"),
        (|r| r.isv_svn = 4, "SGX_INVALID_ISVSVN"),
    ];
    for (edit, part) in edits {
        refused(why_sgx(key(&mut bench, &request(KeyName::Seal, edit))), part);
    }
    let mut kss = inside(AttributesFlags::KSS, 1);
    let newer = request(KeyName::Seal, |r| r.config_svn = 1);
    assert_eq!(key(&mut kss, &newer), Err(LeafError::InvalidIsvsvn.into()));
    for policy in
        [KeyPolicy::NOISVPRODID, KeyPolicy::CONFIGID, KeyPolicy::ISVFAMILYID, KeyPolicy::ISVEXTPRODID]
    {
        key(&mut kss, &seal(policy)).unwrap();
    }
}

#[test]
fn privileged_keys_need_their_attribute() {
    let names = [
        (KeyName::Provision, AttributesFlags::PROVISION_KEY),
        (KeyName::ProvisionSeal, AttributesFlags::PROVISION_KEY),
        (KeyName::EinitToken, AttributesFlags::EINITTOKEN_KEY),
    ];
    let mut plain = Bench::entered();
    for (name, attribute) in names {
        assert_eq!(key(&mut plain, &request(name, |_| ())), Err(LeafError::InvalidAttribute.into()));
        let mut privileged = inside(attribute, 1);
        key(&mut privileged, &request(name, |_| ())).unwrap();
        let newer = request(name, |r| r.isv_svn = 9);
        assert_eq!(key(&mut privileged, &newer), Err(LeafError::InvalidIsvsvn.into()));
        let newer = request(name, |r| r.cpusvn[0] = 9);
        assert_eq!(key(&mut privileged, &newer), Err(LeafError::InvalidCpusvn.into()));
    }
}

#[test]
fn sealing_keys_are_the_same_again_and_differ_by_what_the_policy_names() {
    let mut bench = Bench::entered();
    let by_enclave = key(&mut bench, &seal(KeyPolicy::MRENCLAVE)).unwrap();
    let by_signer = key(&mut bench, &seal(KeyPolicy::MRSIGNER)).unwrap();
    assert_ne!(by_enclave, by_signer);
    let mut again = Bench::entered();
    assert_eq!(key(&mut again, &seal(KeyPolicy::MRENCLAVE)).unwrap(), by_enclave);
    let mut elsewhere = inside(AttributesFlags::empty(), 2);
    assert_ne!(key(&mut elsewhere, &seal(KeyPolicy::MRENCLAVE)).unwrap(), by_enclave);
    // Another version of the program by the same signer.
    let mut next = Bench::new();
    next.create(&secs()).unwrap();
    next.add_sample();
    next.add(FREE, &[0; PAGE_SIZE], reg(SecInfoFlags::R)).unwrap();
    let mut template = next.template(&secs());
    template.enclave_hash = {
        // The sample's records, then one more EADD.
        let mut bench = Bench::new();
        bench.create(&secs()).unwrap();
        measurement_with_one_more()
    };
    template.isv_svn = 4;
    next.init(&crate::common::key::sign(SigStruct::unsigned(&template)).unwrap()).unwrap();
    next.enter(TCS).unwrap();
    assert_ne!(key(&mut next, &seal(KeyPolicy::MRENCLAVE)).unwrap(), by_enclave);
    assert_eq!(key(&mut next, &seal(KeyPolicy::MRSIGNER)).unwrap(), by_signer);
    // Keys of older versions are there for migration, newer ones are not.
    let old = request(KeyName::Seal, |r| (r.key_policy, r.isv_svn) = (2, 3));
    assert_eq!(key(&mut bench, &old).unwrap(), key(&mut next, &old).unwrap());
    let new = request(KeyName::Seal, |r| (r.key_policy, r.isv_svn) = (2, 4));
    assert!(key(&mut next, &new).is_ok());
    assert_eq!(key(&mut bench, &new), Err(LeafError::InvalidIsvsvn.into()));
}

fn measurement_with_one_more() -> [u8; 32] {
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
    measurement.add(FREE - BASE, &reg(SecInfoFlags::R));
    measurement.value()
}

#[test]
fn debug_enclaves_never_share_keys_with_production_ones() {
    let mut production = Bench::entered();
    let mut debug = inside(AttributesFlags::DEBUG, 1);
    // Even with a mask that leaves every attribute out: INIT and DEBUG are always included.
    let careless = request(KeyName::Seal, |r| {
        r.key_policy = KeyPolicy::MRSIGNER.bits();
        r.attribute_mask = Attributes::default();
    });
    assert_ne!(key(&mut production, &careless).unwrap(), key(&mut debug, &careless).unwrap());
}

#[test]
fn wear_out_protection_and_masks_are_inputs() {
    let mut bench = Bench::entered();
    let base = key(&mut bench, &seal(KeyPolicy::MRENCLAVE)).unwrap();
    let edits: [fn(&mut KeyRequest); 5] = [
        |r| r.key_id[31] = 1,
        |r| r.misc_mask = 1,
        |r| r.attribute_mask.xfrm = 3,
        |r| r.cpusvn[0] = 1,
        |r| r.isv_svn = 1,
    ];
    for edit in edits {
        let mut other = seal(KeyPolicy::MRENCLAVE);
        edit(&mut other);
        assert_ne!(key(&mut bench, &other).unwrap(), base);
    }
}

#[test]
fn provisioning_keys_survive_a_new_owner() {
    // OWNEREPOCH is no input to the provisioning keys; it is one to sealing keys.
    let with_epoch = |epoch: u8| {
        let mut secs = secs();
        secs.attributes.flags |= AttributesFlags::PROVISION_KEY.bits();
        let mut configuration = Configuration::new(7, [0x11; 32]);
        configuration.attributes |= AttributesFlags::PROVISION_KEY;
        let mut fuses = fuses(1);
        fuses.owner_epoch = [epoch; 16];
        let mut bench = Bench::with(configuration, 1);
        bench.processor = casemate_softsgx::Processor::new(fuses, configuration);
        bench.create(&secs).unwrap();
        bench.add_sample();
        let signed = crate::common::key::sign(SigStruct::unsigned(&bench.template(&secs))).unwrap();
        bench.init(&signed).unwrap();
        bench.enter(TCS).unwrap();
        bench
    };
    let (mut first, mut second) = (with_epoch(1), with_epoch(2));
    let provision = request(KeyName::Provision, |_| ());
    assert_eq!(key(&mut first, &provision).unwrap(), key(&mut second, &provision).unwrap());
    let sealing = seal(KeyPolicy::MRENCLAVE);
    assert_ne!(key(&mut first, &sealing).unwrap(), key(&mut second, &sealing).unwrap());
}
