//! ECREATE, EADD, EEXTEND, EINIT, EREMOVE: that they work, and one refusal for each check.

use crate::common::*;
use casemate_sgx::{
    Attributes, AttributesFlags, EinitToken, LeafError, MiscSelect, PAGE_SIZE, PageType, SecInfo,
    SecInfoFlags, Secs, SgxError, SigStruct, Template,
};
use casemate_softsgx::{Configuration, PageOperands};
use zerocopy::IntoBytes;

#[test]
fn an_enclave_is_built_and_measured_as_signed() {
    let bench = Bench::started();
    let entry = bench.processor.epcm_entry(CODE).unwrap();
    assert_eq!((entry.page_type, entry.enclave_address, entry.secs), (PageType::Reg, CODE, SECS));
    assert_eq!(bench.memory.access[&CODE], SecInfoFlags::RX);
    assert_eq!(bench.memory.access[&DATA], SecInfoFlags::RW);
    assert_eq!(bench.memory.access[&TCS], SecInfoFlags::empty());
    assert!(!bench.memory.pages.contains_key(&TCS), "no software sees a TCS");
}

#[test]
fn ecreate_refuses_each_bad_secs() {
    let edits: Edits<Secs> = &[
        (|s| s.attributes.xfrm = 1, "XFRM lacks x87 or SSE"),
        (|s| s.attributes.xfrm = 3 | 1 << 8, "XFRM is illegal"),
        (|s| s.attributes.xfrm = 3 | 0x20, "XFRM is illegal"),
        (|s| s.attributes.xfrm = 0x2e7, "XFRM is not a subset of XCR0"),
        (|s| s.miscselect = 2, "MISCSELECT is not supported"),
        (|s| s.miscselect = 1 << 31, "MISCSELECT is not supported"),
        (|s| s.ssa_frame_size = 0, "SSAFRAMESIZE is too small"),
        (|s| s.base = 1 << 63, "BASEADDR is not canonical"),
        (|s| (s.attributes.flags, s.base, s.size) = (0, 1 << 32, 8192), "BASEADDR is above 4 GiB"),
        (|s| s.size = 1 << 47, "SIZE is too large"),
        (|s| (s.attributes.flags, s.base, s.size) = (0, 0, 1 << 31), "SIZE is too large"),
        (|s| s.size = 4096, "SIZE is below 8192"),
        (|s| s.size = 12288, "not a power of two"),
        (|s| s.base = BASE + 4096, "BASEADDR is not aligned to SIZE"),
        (|s| s.attributes.flags |= 1, "unsupported flags"),
        (|s| s.attributes.flags |= AttributesFlags::PROVISION_KEY.bits(), "unsupported flags"),
        (|s| s.reserved4[3833] = 1, "a reserved field"),
        (|s| s.config_id[63] = 1, "CONFIGID without KSS"),
        (|s| s.config_svn = 1, "CONFIGSVN without KSS"),
    ];
    for (edit, part) in edits {
        let mut bad = secs();
        edit(&mut bad);
        refused(why(Bench::new().create(&bad)), part);
    }
    for offset in [24, 47, 96, 127, 160, 191, 262] {
        let mut page = page_of(&secs());
        page[offset] = 1;
        refused(why(Bench::new().create(&Secs::parse(&page[..]).unwrap())), "a reserved field");
    }
    let mut amx = secs();
    amx.attributes.xfrm = 0x6_00e7;
    amx.ssa_frame_size = 2;
    let mut bench = Bench::with(Configuration::new(0x6_00e7, [0; 32]), 1);
    refused(why(bench.create(&amx)), "SSAFRAMESIZE is too small");
    amx.ssa_frame_size = 3;
    bench.create(&amx).unwrap();
}

#[test]
fn ecreate_refuses_bad_operands_and_a_second_secs() {
    let page = page_of(&secs());
    let good = PageOperands {
        linaddr: 0,
        source: Some(&page),
        secinfo: SecInfo::new(PageType::Secs.flags()),
        secs: 0,
    };
    let mut bench = Bench::new();
    let mut create = |operands: PageOperands<'_>, at| why(bench.processor.ecreate(&operands, at));
    refused(create(good, SECS + 1), "RCX is not 4 KiB aligned");
    refused(create(PageOperands { linaddr: 0x1000, ..good }, SECS), "LINADDR is not 0");
    refused(create(PageOperands { secs: 0x1000, ..good }, SECS), "PAGEINFO.SECS is not 0");
    refused(create(PageOperands { secinfo: reg(SecInfoFlags::R), ..good }, SECS), "not PT_SECS");
    let reserved = SecInfo { flags: 0, reserved: [1, 0, 0, 0, 0, 0, 0] };
    refused(create(PageOperands { secinfo: reserved, ..good }, SECS), "SECINFO is reserved");
    assert_eq!(create(good, SECS), "ok");
    refused(create(good, SECS), "EPCM.VALID = 1");
}

#[test]
fn eadd_refuses_each_bad_operand() {
    let mut bench = Bench::new();
    bench.create(&secs()).unwrap();
    let zero = [0; PAGE_SIZE];
    let good =
        PageOperands { linaddr: DATA, source: Some(&zero), secinfo: reg(SecInfoFlags::RW), secs: SECS };
    let mut add =
        |operands: PageOperands<'_>, at| why(bench.processor.eadd(&mut bench.memory, &operands, at));
    refused(add(good, DATA + 8), "RCX is not 4 KiB aligned");
    refused(add(PageOperands { linaddr: DATA + 8, ..good }, DATA), "LINADDR is not 4 KiB aligned");
    refused(add(PageOperands { secs: SECS + 8, ..good }, DATA), "PAGEINFO.SECS is not 4 KiB aligned");
    let flags = SecInfo { flags: 1 << 6 | 0x203, reserved: [0; 7] };
    refused(add(PageOperands { secinfo: flags, ..good }, DATA), "SECINFO is reserved");
    let reserved = SecInfo { flags: 0x203, reserved: [0, 0, 0, 0, 0, 0, 1] };
    refused(add(PageOperands { secinfo: reserved, ..good }, DATA), "SECINFO is reserved");
    for page_type in [PageType::Secs, PageType::Va, PageType::Trim, PageType::SsFirst] {
        let secinfo = SecInfo::new(page_type.flags());
        refused(add(PageOperands { secinfo, ..good }, DATA), "not PT_REG or PT_TCS");
    }
    refused(add(PageOperands { secs: SECS + 0x1000, ..good }, DATA), "SECS: EPCM.VALID = 0");
    refused(add(PageOperands { secinfo: reg(SecInfoFlags::W), ..good }, DATA), "W without R");
    refused(add(PageOperands { linaddr: BASE - PAGE, ..good }, DATA), "outside the enclave");
    refused(add(PageOperands { linaddr: BASE + SIZE, ..good }, DATA), "outside the enclave");
    assert_eq!(add(good, DATA), "ok");
    refused(add(good, DATA), "EPCM.VALID is not 0");
    let mut bad = tcs(SSA);
    bad.reserved[4023] = 1;
    refused(why(bench.add(TCS, &page_of(&bad), tcs_secinfo())), "a reserved field");
    let data = PageOperands { secs: DATA, linaddr: FREE, ..good };
    refused(why(bench.processor.eadd(&mut bench.memory, &data, FREE)), "PT is not PT_SECS");
}

#[test]
fn eadd_in_32_bit_mode_checks_limits() {
    let mut bench = Bench::new();
    let mut small = secs();
    small.attributes.flags = 0;
    bench.create(&small).unwrap();
    let edits: Edits<casemate_sgx::Tcs> = &[
        (|t| t.fslimit = 0x1000, "FSLIMIT is not 4 KiB aligned"),
        (|t| t.gslimit = 0x1000, "GSLIMIT is not 4 KiB aligned"),
    ];
    for (edit, part) in edits {
        let mut bad = tcs(SSA);
        edit(&mut bad);
        refused(why(bench.add(TCS, &page_of(&bad), tcs_secinfo())), part);
    }
    bench.add(TCS, &page_of(&tcs(SSA)), tcs_secinfo()).unwrap();
}

#[test]
fn a_tcs_is_added_inactive_whatever_it_says() {
    let mut bench = Bench::new();
    bench.create(&secs()).unwrap();
    let mut odd = tcs(SSA);
    (odd.flags, odd.cssa, odd.aep, odd.state) = (1, 1, 9, 7);
    bench.add(TCS, &page_of(&odd), SecInfo::new(PageType::Tcs.flags() | SecInfoFlags::RWX)).unwrap();
    assert!(bench.processor.epcm_entry(TCS).unwrap().flags.is_empty());
    // Measured without permissions, and the content as the processor keeps it.
    bench.extend(TCS);
    let mut measurement = casemate_sgx::measure::Measurement::create(1, SIZE);
    measurement.add(TCS - BASE, &tcs_secinfo());
    measurement.extend_page(TCS - BASE, &page_of(&tcs(SSA)));
    let template = Template { enclave_hash: measurement.value(), ..bench.template(&secs()) };
    bench.init(&key::sign(SigStruct::unsigned(&template)).unwrap()).unwrap();
}

#[test]
fn eextend_refuses_each_bad_operand() {
    let mut bench = Bench::started();
    let mut extend = |secs, at| why(bench.processor.eextend(&bench.memory, secs, at));
    refused(extend(SECS + 1, DATA), "RBX is not 4 KiB aligned");
    refused(extend(SECS, DATA + 128), "RCX is not 256 byte aligned");
    refused(extend(SECS, FREE), "EPCM.VALID = 0");
    refused(extend(SECS, SECS), "not PT_REG or PT_TCS");
    refused(extend(DATA, DATA), "not the page's SECS");
    refused(extend(SECS, DATA), "the enclave is initialised");
}

#[test]
fn nothing_is_added_after_einit() {
    let mut bench = Bench::started();
    refused(why(bench.add(FREE, &[0; PAGE_SIZE], reg(SecInfoFlags::RW))), "the enclave is initialised");
    let again = key::sign(SigStruct::unsigned(&bench.template(&secs()))).unwrap();
    refused(why_sgx(bench.init(&again)), "the enclave is initialised");
}

fn built() -> Bench {
    let mut bench = Bench::new();
    bench.create(&secs()).unwrap();
    bench.add_sample();
    bench
}

#[track_caller]
fn einit_gives(edit: impl FnOnce(&mut Template), expected: LeafError) {
    let mut bench = built();
    let mut template = bench.template(&secs());
    edit(&mut template);
    let sigstruct = key::sign(SigStruct::unsigned(&template)).unwrap();
    assert_eq!(bench.init(&sigstruct), Err(SgxError::Code(expected)));
    // A refused EINIT leaves an enclave that a good one still starts.
    let good = key::sign(SigStruct::unsigned(&bench.template(&secs()))).unwrap();
    assert_eq!(bench.init(&good), Ok(()));
}

#[test]
fn einit_compares_measurement_attributes_and_miscselect() {
    einit_gives(|t| t.enclave_hash[0] ^= 1, LeafError::InvalidMeasurement);
    einit_gives(|t| t.attributes.0.flags |= AttributesFlags::DEBUG.bits(), LeafError::InvalidAttribute);
    einit_gives(|t| t.attributes.0.flags |= AttributesFlags::INIT.bits(), LeafError::InvalidAttribute);
    einit_gives(|t| t.attributes.0.xfrm |= 4, LeafError::InvalidAttribute);
    einit_gives(|t| t.miscselect.0 = 0, LeafError::InvalidAttribute);
    let mut bench = built();
    let mut template = bench.template(&secs());
    template.attributes = (Attributes { flags: 6, xfrm: 7 }, Attributes { flags: !2, xfrm: !4 });
    template.miscselect = (0, !1);
    bench.init(&key::sign(SigStruct::unsigned(&template)).unwrap()).unwrap();
}

#[test]
fn a_debug_enclave_does_not_start_with_a_production_signature_and_the_reverse() {
    let mut debug = secs();
    debug.attributes.flags |= AttributesFlags::DEBUG.bits();
    let mut bench = Bench::new();
    bench.create(&debug).unwrap();
    bench.add_sample();
    let production = key::sign(SigStruct::unsigned(&bench.template(&secs()))).unwrap();
    assert_eq!(bench.init(&production), Err(LeafError::InvalidAttribute.into()));
    let signed = key::sign(SigStruct::unsigned(&bench.template(&debug))).unwrap();
    assert_eq!(bench.init(&signed), Ok(()));
}

#[test]
fn einit_refuses_flipped_bytes_and_wrong_keys() {
    let mut bench = built();
    let good = key::sign(SigStruct::unsigned(&bench.template(&secs()))).unwrap();
    for (offset, expected) in [
        (0, LeafError::InvalidSigStruct),
        (16, LeafError::InvalidSigStruct),
        (24, LeafError::InvalidSigStruct),
        (60, LeafError::InvalidSigStruct),
        (512, LeafError::InvalidSigStruct),
        (1030, LeafError::InvalidSigStruct),
        (40, LeafError::InvalidSignature),
        (128, LeafError::InvalidSignature),
        (600, LeafError::InvalidSignature),
        (960, LeafError::InvalidSignature),
        (1024, LeafError::InvalidSignature),
        (1040, LeafError::InvalidSignature),
        (1424, LeafError::InvalidSignature),
    ] {
        let mut bytes = good.as_bytes().to_vec();
        bytes[offset] ^= 2;
        assert_eq!(bench.init(&SigStruct::parse(&bytes).unwrap()), Err(expected.into()), "offset {offset}");
    }
    // Without flexible launch control only the launch key's owner starts enclaves.
    bench.processor.set_launch_key_hash([7; 32]);
    let none = EinitToken::none();
    assert_eq!(bench.processor.einit(&good, SECS, &none), Err(LeafError::InvalidEinitToken.into()));
    refused(why_sgx(bench.processor.einit(&good, SECS + 1, &none)), "RCX is not 4 KiB aligned");
    refused(why_sgx(bench.processor.einit(&good, FREE, &none)), "SECS: EPCM.VALID = 0");
    refused(why_sgx(bench.processor.einit(&good, DATA, &none)), "PT is not PT_SECS");
    assert_eq!(bench.init(&good), Ok(()));
}

#[test]
fn one_changed_order_permission_or_byte_is_another_measurement() {
    let good = {
        let bench = built();
        key::sign(SigStruct::unsigned(&bench.template(&secs()))).unwrap()
    };
    let spoilt: [fn(&mut Bench); 4] = [
        |bench| bench.add(FREE, &[0; PAGE_SIZE], reg(SecInfoFlags::R)).unwrap(),
        |bench| bench.extend(DATA),
        |bench| {
            // Two pages in the other order.
            *bench = Bench::new();
            bench.create(&secs()).unwrap();
            bench.add(CODE, &[0x90; PAGE_SIZE], reg(SecInfoFlags::RX)).unwrap();
            bench.add(DATA, &[0; PAGE_SIZE], reg(SecInfoFlags::RW)).unwrap();
        },
        |bench| {
            *bench = Bench::new();
            bench.create(&secs()).unwrap();
            bench.add(DATA, &[0; PAGE_SIZE], reg(SecInfoFlags::RWX)).unwrap();
        },
    ];
    for spoil in spoilt {
        let mut bench = built();
        spoil(&mut bench);
        assert_eq!(bench.init(&good), Err(LeafError::InvalidMeasurement.into()));
    }
}

#[test]
fn features_of_kss_need_kss() {
    for edit in [(|s| s.isv_family_id[0] = 1) as fn(&mut SigStruct), |s| s.isv_ext_prod_id[0] = 1] {
        let mut bench = built();
        let mut unsigned = SigStruct::unsigned(&bench.template(&secs()));
        edit(&mut unsigned);
        let signed = key::sign(unsigned).unwrap();
        assert_eq!(bench.init(&signed), Err(LeafError::InvalidSigStruct.into()));
    }
    let mut unsigned = SigStruct::unsigned(&built().template(&secs()));
    (unsigned.cet_attributes, unsigned.cet_attributes_mask) = (1, 1);
    let signed = key::sign(unsigned).unwrap();
    assert_eq!(built().init(&signed), Err(LeafError::InvalidAttribute.into()));
}

#[test]
fn the_launch_attribute_is_for_the_launch_key_only() {
    let mut configuration = Configuration::new(7, [0; 32]);
    configuration.attributes |= AttributesFlags::EINITTOKEN_KEY;
    configuration.miscselect = MiscSelect::EXINFO;
    let mut launch = secs();
    launch.attributes.flags |= AttributesFlags::EINITTOKEN_KEY.bits();
    let mut bench = Bench::with(configuration, 1);
    bench.create(&launch).unwrap();
    bench.add_sample();
    let signed = key::sign(SigStruct::unsigned(&bench.template(&launch))).unwrap();
    let refusal = bench.processor.einit(&signed, SECS, &EinitToken::none());
    assert_eq!(refusal, Err(LeafError::InvalidAttribute.into()));
    assert_eq!(bench.init(&signed), Ok(()));
}

#[test]
fn tokens_that_this_machine_did_not_make_are_refused() {
    let mut bench = built();
    let good = key::sign(SigStruct::unsigned(&bench.template(&secs()))).unwrap();
    let mut token = EinitToken::none();
    token.valid = 1;
    let mut with = |token: &EinitToken| bench.processor.einit(&good, SECS, token);
    assert_eq!(with(&token), Err(LeafError::InvalidEinitToken.into()), "MAC");
    let mut debug = token;
    debug.masked_attributes_le.flags = 2;
    assert_eq!(with(&debug), Err(LeafError::InvalidEinitToken.into()));
    let mut reserved = token;
    reserved.valid = 3;
    assert_eq!(with(&reserved), Err(LeafError::InvalidEinitToken.into()));
    let mut newer = token;
    newer.cpusvn_le[3] = 2;
    assert_eq!(with(&newer), Err(LeafError::InvalidCpusvn.into()));
}

#[test]
fn tokens_of_a_launch_enclave_are_accepted_for_their_enclave_only() {
    // The launch key as EINIT derives it; no enclave here makes tokens, so the test does.
    let bench = built();
    let good = key::sign(SigStruct::unsigned(&bench.template(&secs()))).unwrap();
    let make = |edit: fn(&mut EinitToken)| {
        let mut token = EinitToken::none();
        token.valid = 1;
        token.attributes = secs().attributes;
        token.mrenclave = expected_measurement();
        token.mrsigner = good.mr_signer();
        edit(&mut token);
        let fuses = fuses(1);
        let dependencies = casemate_sgx::KeyDependencies {
            sgx_owner_epoch: fuses.owner_epoch,
            seal_key_fuses: fuses.seal_fuses,
            mrsigner: [9; 32],
            attributes: token.masked_attributes_le,
            ..casemate_sgx::KeyDependencies::new(casemate_sgx::KeyName::EinitToken)
        };
        token.mac = casemate_sgx::cmac(&dependencies.derive(&fuses.root_key), &token.as_bytes()[..192]);
        let mut bench = built();
        bench.processor.set_launch_key_hash([9; 32]);
        bench.processor.einit(&good, SECS, &token)
    };
    assert_eq!(make(|_| ()), Ok(()));
    assert_eq!(make(|token| token.mrenclave[0] ^= 1), Err(LeafError::InvalidMeasurement.into()));
    assert_eq!(make(|token| token.mrsigner[0] ^= 1), Err(LeafError::InvalidMeasurement.into()));
    assert_eq!(make(|token| token.attributes.flags ^= 2), Err(LeafError::InvalidAttribute.into()));
    // Genuine, and refused for what they say.
    let invalid = Err(LeafError::InvalidEinitToken.into());
    assert_eq!(make(|token| token.masked_attributes_le.flags = 2), invalid);
    assert_eq!(make(|token| token.valid = 3), invalid);
}

#[test]
fn eremove_takes_pages_before_the_secs_and_only_from_idle_enclaves() {
    let mut bench = Bench::entered();
    let mut remove = |page| why_sgx(bench.processor.eremove(&mut bench.memory, page));
    refused(remove(SECS + 1), "RCX is not 4 KiB aligned");
    assert_eq!(remove(SECS), "SGX_CHILD_PRESENT (13)");
    assert_eq!(remove(DATA), "SGX_ENCLAVE_ACT (14)");
    assert_eq!(remove(FREE), "ok");
    bench.registers.rbx = 0x40_0000;
    bench.processor.eexit(&mut bench.logical, &mut bench.registers).unwrap();
    for page in [DATA, CODE, SSA, SSA + PAGE, AREA, SSA2, SSA2 + PAGE, TCS, TCS2] {
        assert_eq!(bench.processor.eremove(&mut bench.memory, page), Ok(()));
        assert_eq!(bench.memory.access[&page], SecInfoFlags::empty());
    }
    assert_eq!(bench.processor.eremove(&mut bench.memory, SECS), Ok(()));
    assert!(bench.memory.pages.is_empty());
    bench.create(&secs()).unwrap();
}
