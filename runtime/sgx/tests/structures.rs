//! Structures against data of other implementations, and against any bytes.

#[path = "common/key.rs"]
mod key;
#[path = "common/vectors.rs"]
mod vectors;

use casemate_sgx::quote::{CertificationData, Quote};
use casemate_sgx::{
    Attributes, AttributesFlags, ExitInfo, Image, KeyDependencies, KeyName, KeyRequest, LeafError,
    MiscSelect, Report, SecInfo, SecInfoFlags, Secs, SigStruct, SigStructError, TargetInfo, Tcs, Template,
    Xfrm, cmac, compacted_xsave_size, frame_pages, hardcoded_padding, xsave_components, xsave_size,
};
use proptest::prelude::*;
use zerocopy::IntoBytes;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn template() -> Template {
    Template {
        date: 0x2026_1124,
        swdefined: 0,
        miscselect: (1, u32::MAX),
        attributes: (Attributes { flags: 4, xfrm: 3 }, Attributes { flags: u64::MAX, xfrm: !0xe4 }),
        enclave_hash: [0x5a; 32],
        isv_prod_id: 7,
        isv_svn: 3,
    }
}

#[test]
fn a_sigstruct_of_another_implementation_is_read_and_verified() {
    let Some(bytes) = vectors::read("sigstruct/example.sig") else { return };
    let sigstruct = SigStruct::parse(&bytes).unwrap();
    sigstruct.verify().unwrap();
    assert_eq!(
        hex(&sigstruct.enclave_hash),
        "3e680bfbc5f148f3b334b8fc47605c52981ce1f5a421c55492ac299335803d53"
    );
    assert_eq!(
        hex(&sigstruct.mr_signer()),
        "a99a62455789f22932d4b363bdbe67ba62ba582917432e242d2a815166107943"
    );
    assert_eq!((sigstruct.isv_prod_id, sigstruct.isv_svn), (0, 0));
    assert!(sigstruct.is_debug());
    // Attaching the same signature again computes the same quotients.
    let again = SigStruct::from_to_be_signed(&sigstruct.to_be_signed()).unwrap();
    let again = again.attach(&sigstruct.modulus, &sigstruct.signature).unwrap();
    assert_eq!(again.as_bytes(), &bytes[..]);
}

#[test]
fn a_quote_from_hardware_is_taken_apart() {
    let Some(bytes) = vectors::read("quotes/sgx_quote") else { return };
    let quote = Quote::parse(&bytes).unwrap();
    assert_eq!(
        hex(&quote.body.mrenclave),
        "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb"
    );
    assert_eq!(quote.header.qe_vendor_id, casemate_sgx::quote::INTEL_QE_VENDOR);
    assert_eq!(quote.signed.len(), 432);
    let CertificationData::PckChain(chain) = quote.certification else {
        panic!("type {}", quote.certification.kind())
    };
    assert!(chain.starts_with(b"-----BEGIN CERTIFICATE-----"));
    // Every truncation is an error, not a panic.
    for length in 0..bytes.len().min(2000) {
        assert!(Quote::parse(&bytes[..length]).is_err());
    }
}

#[test]
fn a_signature_belongs_to_every_signed_byte() {
    let good = key::sign(SigStruct::unsigned(&template())).unwrap();
    good.verify().unwrap();
    for offset in (0..128).chain(900..1028) {
        let mut bytes = good.as_bytes().to_vec();
        bytes[offset] ^= 1;
        assert!(SigStruct::parse(&bytes).unwrap().verify().is_err(), "offset {offset}");
    }
    for offset in [128, 511, 516, 899, 1040, 1423, 1424, 1807] {
        let mut bytes = good.as_bytes().to_vec();
        bytes[offset] ^= 1;
        assert_eq!(
            SigStruct::parse(&bytes).unwrap().verify(),
            Err(SigStructError::Signature),
            "offset {offset}"
        );
    }
}

#[test]
fn fixed_fields_are_checked_before_the_signature() {
    let good = key::sign(SigStruct::unsigned(&template())).unwrap();
    let cases =
        [(0, "HEADER"), (17, "VENDOR"), (24, "HEADER2"), (44, "RESERVED (offset 44)"), (512, "EXPONENT")];
    let reserved = [
        (910, "RESERVED (offset 910)"),
        (992, "RESERVED (offset 992)"),
        (1028, "RESERVED (offset 1028)"),
        (1039, "RESERVED (offset 1028)"),
    ];
    for (offset, field) in cases.into_iter().chain(reserved) {
        let mut bytes = good.as_bytes().to_vec();
        bytes[offset] ^= 0x80;
        assert_eq!(SigStruct::parse(&bytes).unwrap().verify(), Err(SigStructError::Format(field)));
    }
}

#[test]
fn a_signature_by_another_key_or_over_other_bytes_cannot_be_attached() {
    let unsigned = SigStruct::unsigned(&template());
    let foreign = key::signature(b"something else");
    assert_eq!(unsigned.clone().attach(&key::modulus(), &foreign), Err(SigStructError::Signature));
    let signature = key::signature(&unsigned.to_be_signed());
    let mut modulus = key::modulus();
    modulus[100] ^= 4;
    assert_eq!(unsigned.clone().attach(&modulus, &signature), Err(SigStructError::Signature));
    assert_eq!(unsigned.attach(&[0; 384], &signature), Err(SigStructError::Signature));
}

#[test]
fn cmac_is_that_of_rfc_4493() {
    let key = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes();
    let message = 0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a_u128.to_be_bytes();
    assert_eq!(hex(&cmac(&key, b"")), "bb1d6929e95937287fa37d129b756746");
    assert_eq!(hex(&cmac(&key, &message)), "070a16b46b4d4144f79bdd9dd04a287c");
}

#[test]
fn the_padding_is_the_manuals() {
    // HARDCODED_PKCS1_5_PADDING[2815:2656] is 2004000501020403650148866009060D30313000H.
    let padding = hardcoded_padding();
    assert_eq!(padding[..2], [0, 1]);
    assert!(padding[2..332].iter().all(|byte| *byte == 0xff));
    let mut top = padding[332..].to_vec();
    top.reverse();
    assert_eq!(hex(&top), "2004000501020403650148866009060d30313000");
}

#[test]
fn a_key_depends_on_every_byte_of_its_dependencies() {
    let base = KeyDependencies::new(KeyName::Seal);
    let root = [9; 16];
    let key = base.derive(&root);
    assert_ne!(key, base.derive(&[8; 16]));
    let changes: [fn(&mut KeyDependencies); 12] = [
        |d| d.key_name = 3,
        |d| d.isv_prod_id = 1,
        |d| d.isv_svn = 1,
        |d| d.mrenclave[31] = 1,
        |d| d.mrsigner[0] = 1,
        |d| d.key_id[5] = 1,
        |d| d.seal_key_fuses[1] = 1,
        |d| d.cpusvn[2] = 1,
        |d| d.attributes.flags = 2,
        |d| d.key_policy = 1,
        |d| d.config_id[63] = 1,
        |d| d.sgx_owner_epoch[15] = 1,
    ];
    for change in changes {
        let mut other = base;
        change(&mut other);
        assert_ne!(key, other.derive(&root));
    }
}

#[test]
fn xfrm_combinations_are_those_of_xcr0() {
    for good in [3, 7, 0x1b, 0x1f, 0xe7, 0x2e7, 0x6_02e7, 0x6_0003] {
        assert!(Xfrm::is_legal(good), "{good:#x}");
    }
    for bad in [0, 1, 2, 0x0b, 0x13, 0x27, 0xe3, 0x103, 0x2_0007, 0x4_0007, 1 << 63 | 3] {
        assert!(!Xfrm::is_legal(bad), "{bad:#x}");
    }
}

#[test]
fn ssa_frames_hold_what_xfrm_names() {
    assert_eq!(xsave_size(Xfrm::LEGACY), 576);
    assert_eq!(xsave_size(Xfrm::LEGACY | Xfrm::AVX), 832);
    assert_eq!(xsave_size(Xfrm::LEGACY | Xfrm::AVX | Xfrm::AVX512), 2688);
    assert_eq!(compacted_xsave_size(Xfrm::LEGACY), 576);
    assert_eq!(compacted_xsave_size(Xfrm::LEGACY | Xfrm::AVX | Xfrm::AVX512), 576 + 256 + 64 + 512 + 1024);
    // The tiles begin at a multiple of 64 bytes: after the 8 of the protection keys.
    let with_keys = Xfrm::LEGACY | Xfrm::AVX | Xfrm::PKRU | Xfrm::AMX;
    assert_eq!(compacted_xsave_size(with_keys), 576 + 256 + 64 + 64 + 8192);
    let numbers: Vec<u32> = xsave_components(with_keys).map(|part| part.number).collect();
    assert_eq!(numbers, [2, 9, 17, 18]);
    assert_eq!(frame_pages(Xfrm::LEGACY | Xfrm::AVX | Xfrm::AVX512), 1);
    assert_eq!(frame_pages(Xfrm::LEGACY | Xfrm::AVX | Xfrm::AVX512 | Xfrm::AMX), 3);
}

#[test]
fn faults_on_memory_are_reported_only_with_exinfo() {
    assert_eq!(ExitInfo::for_vector(14, MiscSelect::empty()).0, 0);
    let info = ExitInfo::for_vector(14, MiscSelect::EXINFO);
    assert!(info.is_valid());
    assert_eq!((info.vector(), info.exit_type()), (14, 3));
    assert_eq!(ExitInfo::for_vector(3, MiscSelect::empty()).exit_type(), 6);
    assert_eq!(ExitInfo::for_vector(32, MiscSelect::all()).0, 0);
}

#[test]
fn codes_and_names_are_a_pair() {
    for error in LeafError::ALL {
        assert_eq!(LeafError::from_code(error as u64), Some(error));
        assert!(error.name().starts_with("SGX_"));
    }
    assert_eq!(LeafError::from_code(0), None);
}

#[test]
fn the_attributes_of_an_enclave_follow_the_processor_within_the_mask() {
    let sigstruct = SigStruct::unsigned(&template());
    let attributes = sigstruct.attributes_for(0x6_02e7);
    assert_eq!(attributes.xfrm, 0xe7);
    assert_eq!(attributes.flags(), AttributesFlags::MODE64BIT);
    assert_eq!(sigstruct.attributes_for(3).xfrm, 3);
}

proptest! {
    #[test]
    fn parsers_accept_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2500)) {
        let _ = Quote::parse(&bytes);
        let _ = Image::parse(&bytes);
        prop_assert_eq!(SigStruct::parse(&bytes).is_ok(), bytes.len() == 1808);
        prop_assert_eq!(Report::parse(&bytes).is_ok(), bytes.len() == 432);
        prop_assert_eq!(KeyRequest::parse(&bytes).is_ok(), bytes.len() == 512);
        prop_assert_eq!(TargetInfo::parse(&bytes).is_ok(), bytes.len() == 512);
        prop_assert_eq!(Secs::parse(&bytes).is_ok(), bytes.len() == 4096);
        prop_assert_eq!(Tcs::parse(&bytes).is_ok(), bytes.len() == 4096);
    }

    #[test]
    fn structures_of_the_right_length_survive_their_accessors(bytes in prop::collection::vec(any::<u8>(), 1808)) {
        let sigstruct = SigStruct::parse(&bytes).unwrap();
        prop_assert_eq!(sigstruct.as_bytes(), &bytes[..]);
        prop_assert!(sigstruct.verify().is_err());
        prop_assert!(sigstruct.check_signature().is_err());
    }

    #[test]
    fn secinfo_flags_refuse_reserved_bits(flags: u64, reserved: u64) {
        let secinfo = SecInfo { flags, reserved: [0, 0, reserved, 0, 0, 0, 0] };
        let known = flags & !SecInfoFlags::all().bits() == 0;
        prop_assert_eq!(secinfo.checked_flags().is_some(), known && reserved == 0);
    }

    #[test]
    fn a_quote_with_one_changed_length_never_panics(position in 432usize..1100, value: u8) {
        let Some(mut bytes) = vectors::read("quotes/sgx_quote") else { return Ok(()) };
        bytes[position] = value;
        let _ = Quote::parse(&bytes);
    }
}
