//! Both enclaves over a processor on paper: what they do for each other, and what they refuse.

use casemate_quoting::{AUTH_DATA, Fields, Instructions, Reply, Role, Status, operation, serve};
use casemate_sgx::quote::{CertificationData, Quote};
use casemate_sgx::{Attributes, KeyDependencies, KeyName, KeyRequest, Report, ReportBody, TargetInfo, cmac};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

const PROVISION_KEY: u64 = 0x10;
const DEBUG: u64 = 2;

/// One machine's processor, running one enclave.
#[derive(Clone)]
struct Paper {
    root: [u8; 16],
    body: ReportBody,
    random: u8,
}

impl Paper {
    fn new(machine: u8, mrenclave: u8, product: u16) -> Self {
        let mut body = ReportBody::new_zeroed();
        body.cpusvn = [1; 16];
        body.mrenclave = [mrenclave; 32];
        body.mrsigner = [9; 32];
        body.isv_prod_id = product;
        body.isv_svn = 1;
        body.attributes = Attributes { flags: 5 | PROVISION_KEY, xfrm: 3 };
        Self { root: [machine; 16], body, random: 0 }
    }

    fn report_key(&self, target: &TargetInfo, key_id: &[u8; 32]) -> [u8; 16] {
        KeyDependencies {
            mrenclave: target.measurement,
            attributes: target.attributes,
            key_id: *key_id,
            ..KeyDependencies::new(KeyName::Report)
        }
        .derive(&self.root)
    }
}

impl Instructions for Paper {
    fn report(&mut self, target: &TargetInfo, data: &[u8; 64]) -> Report {
        let body = ReportBody { report_data: *data, ..self.body };
        let key_id = [3; 32];
        Report { body, key_id, mac: cmac(&self.report_key(target, &key_id), body.as_bytes()) }
    }

    fn key(&mut self, request: &KeyRequest) -> Option<[u8; 16]> {
        let name = KeyName::from_number(request.key_name)?;
        if name == KeyName::Report {
            return Some(self.report_key(&TargetInfo::for_enclave(&self.body), &request.key_id));
        }
        if request.isv_svn > self.body.isv_svn || (name == KeyName::Provision && !self.may_provision()) {
            return None;
        }
        let dependencies = KeyDependencies {
            mrsigner: self.body.mrsigner,
            isv_prod_id: self.body.isv_prod_id,
            isv_svn: request.isv_svn,
            cpusvn: request.cpusvn,
            key_id: request.key_id,
            ..KeyDependencies::new(name)
        };
        Some(dependencies.derive(&self.root))
    }

    fn random(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.random = self.random.wrapping_mul(5).wrapping_add(17);
            *byte = self.random;
        }
    }
}

impl Paper {
    fn may_provision(&self) -> bool {
        self.body.attributes.flags & PROVISION_KEY != 0
    }

    fn ask(&mut self, role: Role, number: u32, fields: &[&[u8]]) -> Result<Vec<Vec<u8>>, Status> {
        let request = fields.iter().fold(Reply::new(number), |request, field| request.field(field));
        let reply = serve(role, self, &request.into_bytes());
        let (status, mut found) = Fields::of(&reply).expect("a reply");
        match Status::from_number(status).expect("a status") {
            Status::Done => {}
            refusal => return Err(refusal),
        }
        let mut values = Vec::new();
        while found.end().is_err() {
            values.push(found.take().expect("a field").to_vec());
        }
        Ok(values)
    }
}

struct Machine {
    pce: Paper,
    qe: Paper,
    sealed: Vec<u8>,
    qe_report: Vec<u8>,
    certification: Vec<u8>,
}

fn machine(number: u8) -> Machine {
    let (mut pce, mut qe) = (Paper::new(number, 1, 0), Paper::new(number, 2, 1));
    let target = TargetInfo::for_enclave(&pce.body);
    let made = qe.ask(Role::Qe, operation::NEW_KEY, &[target.as_bytes()]).expect("a key");
    let [sealed, qe_report] = made.try_into().expect("two fields");
    let signed = pce.ask(Role::Pce, operation::CERTIFY, &[&qe_report]).expect("certified");
    Machine { pce, qe, sealed, qe_report, certification: signed[0].clone() }
}

impl Machine {
    fn report(&self) -> Report {
        let mut enclave = Paper::new(self.qe.root[0], 7, 3);
        enclave.report(&TargetInfo::for_enclave(&self.qe.body), &[8; 64])
    }

    fn quote(&mut self, report: &[u8]) -> Result<Vec<Vec<u8>>, Status> {
        let fields: [&[u8]; 7] =
            [&self.sealed, &self.qe_report[..384], &self.certification, b"chain", report, &[], &[]];
        self.qe.ask(Role::Qe, operation::QUOTE, &fields)
    }
}

fn verify(point: &[u8; 64], message: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey::from_sec1_bytes(&[&[4], &point[..]].concat()).expect("a key");
    key.verify(message, &Signature::from_slice(signature).expect("a signature")).is_ok()
}

#[test]
fn a_quote_is_signed_by_a_key_that_the_platform_certified() {
    let mut machine = machine(1);
    let report = machine.report();
    let quote = machine.quote(report.as_bytes()).expect("a quote").remove(0);
    let parsed = Quote::parse(&quote).expect("a quote");
    assert_eq!(parsed.body, report.body);
    assert_eq!(parsed.certification, CertificationData::PckChain(b"chain\0"));
    assert!(verify(&parsed.signature.attestation_key, parsed.signed, &parsed.signature.signature));
    let hash =
        Sha256::new().chain_update(parsed.signature.attestation_key).chain_update(AUTH_DATA).finalize();
    assert_eq!(parsed.signature.qe_report.report_data[..32], hash[..]);
    let registration = machine.pce.ask(Role::Pce, operation::REGISTER, &[]).expect("registered").remove(0);
    let pck: &[u8; 64] = registration[48..112].try_into().expect("a point");
    assert!(verify(pck, &registration[..132], &registration[132..]));
    assert!(verify(pck, parsed.signature.qe_report.as_bytes(), &parsed.signature.qe_report_signature));
}

#[test]
fn a_report_with_one_bit_changed_is_refused() {
    let mut machine = machine(1);
    let good = machine.report();
    for bit in 0..8 * size_of::<Report>() {
        let mut changed = good.as_bytes().to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(machine.quote(&changed), Err(Status::NotForUs));
    }
}

#[test]
fn a_report_of_another_machine_is_refused() {
    let report = machine(2).report();
    assert_eq!(machine(1).quote(report.as_bytes()), Err(Status::NotForUs));
}

#[test]
fn a_sealed_key_opens_only_where_it_was_sealed_and_only_whole() {
    let mut machine = machine(1);
    let report = machine.report();
    let good = machine.sealed.clone();
    for bit in 0..8 * good.len() {
        machine.sealed = good.clone();
        machine.sealed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(machine.quote(report.as_bytes()), Err(Status::NotSealedHere), "bit {bit}");
    }
    machine.sealed = machine_of_another().sealed;
    assert_eq!(machine.quote(report.as_bytes()), Err(Status::NotSealedHere));
}

#[test]
fn a_certification_for_another_key_is_refused() {
    let mut machine = machine(1);
    let report = machine.report();
    machine.qe.random = 99;
    let target = TargetInfo::for_enclave(&machine.pce.body);
    let other = machine.qe.ask(Role::Qe, operation::NEW_KEY, &[target.as_bytes()]).expect("a key");
    machine.qe_report = other[1].clone();
    assert_eq!(machine.quote(report.as_bytes()), Err(Status::NotCertified));
}

#[test]
fn only_the_vendors_quoting_enclave_is_certified() {
    let machine = machine(1);
    let target = TargetInfo::for_enclave(&machine.pce.body);
    let changes: [fn(&mut ReportBody); 4] = [
        |body| body.mrsigner[0] ^= 1,
        |body| body.isv_prod_id = 0,
        |body| body.attributes.flags |= DEBUG,
        |body| body.attributes.flags &= !PROVISION_KEY,
    ];
    for change in changes {
        let mut other = machine.qe.clone();
        change(&mut other.body);
        let report = other.report(&target, &[0; 64]);
        let mut pce = machine.pce.clone();
        let refused = pce.ask(Role::Pce, operation::CERTIFY, &[report.as_bytes()]);
        assert_eq!(refused, Err(Status::NotQuotingEnclave));
    }
}

#[test]
fn an_enclave_without_the_right_to_provisioning_keys_certifies_nothing() {
    let mut pce = Paper::new(1, 1, 0);
    pce.body.attributes.flags &= !PROVISION_KEY;
    assert_eq!(pce.ask(Role::Pce, operation::REGISTER, &[]), Err(Status::NoKey));
}

#[test]
fn the_platform_keeps_its_name_when_its_tcb_changes_and_gets_another_key() {
    let mut pce = Paper::new(1, 1, 0);
    let before = pce.ask(Role::Pce, operation::REGISTER, &[]).expect("registered").remove(0);
    pce.body.cpusvn = [2; 16];
    let after = pce.ask(Role::Pce, operation::REGISTER, &[]).expect("registered").remove(0);
    assert_eq!(before[16..32], after[16..32]);
    assert_ne!(before[48..112], after[48..112]);
}

#[test]
fn a_report_about_a_quote_is_for_the_target_that_asked() {
    let machine = machine(1);
    let report = machine.report();
    let target = TargetInfo::for_enclave(&report.body);
    let fields: [&[u8]; 7] = [
        &machine.sealed,
        &machine.qe_report[..384],
        &machine.certification,
        b"chain",
        report.as_bytes(),
        target.as_bytes(),
        &[6; 16],
    ];
    let found = machine.qe.clone().ask(Role::Qe, operation::QUOTE, &fields).expect("a quote");
    let about = Report::read_from_bytes(&found[1]).expect("a report");
    assert!(about.verify(&machine.qe.report_key(&target, &about.key_id)));
    assert_eq!(
        about.body.report_data[..32],
        Sha256::new().chain_update([6; 16]).chain_update(&found[0]).finalize()[..]
    );
}

#[test]
fn each_role_refuses_the_others_operations() {
    let mut cpu = Paper::new(1, 1, 0);
    for (role, number) in
        [(Role::Pce, 4), (Role::Pce, 5), (Role::Qe, 2), (Role::Qe, 3), (Role::Qe, 0), (Role::Pce, 6)]
    {
        assert_eq!(cpu.ask(role, number, &[]), Err(Status::Malformed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_makes_an_enclave_panic(
        number in 0u32..7,
        fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let request = fields.iter().fold(Reply::new(number), |request, field| request.field(field)).into_bytes();
        for role in [Role::Pce, Role::Qe] {
            for request in [&request[..], &request[..cut.index(request.len())]] {
                let reply = serve(role, &mut Paper::new(1, 1, 0), request);
                let (status, _) = Fields::of(&reply).expect("a reply");
                prop_assert!(Status::from_number(status).is_some());
            }
        }
    }
}

fn machine_of_another() -> Machine {
    machine(2)
}
