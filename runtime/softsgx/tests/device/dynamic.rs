//! EAUG, EACCEPT, EACCEPTCOPY, EMODPR, EMODPE, EMODT and tracking: each path, and one refusal for each check.

use crate::common::*;
use casemate_sgx::{EinitToken, LeafError, PAGE_SIZE, PageType, SecInfo, SecInfoFlags, SgxError, SigStruct};
use casemate_softsgx::{EpcmFlags, LogicalProcessor, Registers};
use zerocopy::IntoBytes;

/// Where code inside keeps its SECINFO operand.
const OPERAND: u64 = DATA + 0x40;
const NEW: SecInfoFlags = SecInfoFlags::RW.union(SecInfoFlags::PENDING).union(PageType::Reg.flags());

fn put_secinfo(bench: &mut Bench, secinfo: &SecInfo) {
    bench.put(OPERAND, secinfo.as_bytes());
}

fn accept_at(bench: &mut Bench, flags: SecInfoFlags, operand: u64, linear: u64) -> Result<(), SgxError> {
    put_secinfo(bench, &SecInfo::new(flags));
    let Bench { processor, memory, logical, .. } = bench;
    processor.eaccept(memory, logical, operand, linear)
}

fn accept(bench: &mut Bench, flags: SecInfoFlags, linear: u64) -> Result<(), SgxError> {
    accept_at(bench, flags, OPERAND, linear)
}

fn augment(bench: &mut Bench, linear: u64) {
    bench.processor.eaug(&mut bench.memory, linear, SECS, linear).unwrap();
}

fn track(bench: &mut Bench) {
    bench.processor.etrack(SECS).unwrap();
    bench.processor.interrupt_all(SECS);
}

fn modt(bench: &mut Bench, page_type: PageType, page: u64) -> Result<(), SgxError> {
    bench.processor.emodt(&mut bench.memory, &SecInfo::new(page_type.flags()), page)
}

fn modpr(bench: &mut Bench, flags: SecInfoFlags, page: u64) -> Result<(), SgxError> {
    bench.processor.emodpr(&mut bench.memory, &SecInfo::new(flags), page)
}

#[test]
fn a_page_is_unusable_until_it_is_accepted() {
    let mut bench = Bench::entered();
    augment(&mut bench, FREE);
    assert_eq!(bench.memory.access[&FREE], SecInfoFlags::empty());
    assert_eq!(bench.get(FREE, PAGE_SIZE), vec![0; PAGE_SIZE]);
    assert_eq!(accept(&mut bench, NEW, FREE), Ok(()));
    assert_eq!(bench.memory.access[&FREE], SecInfoFlags::RW);
    // Only once, so that the host cannot swap a used page for a zeroed one unnoticed.
    assert_eq!(accept(&mut bench, NEW, FREE), Err(LeafError::PageAttributesMismatch.into()));
}

#[test]
fn eaug_refuses_each_bad_operand() {
    let mut bench = Bench::new();
    bench.create(&secs()).unwrap();
    let early = bench.processor.eaug(&mut bench.memory, FREE, SECS, FREE);
    refused(why(early), "the enclave is not initialised");
    let mut bench = Bench::started();
    let mut aug = |linear, secs, page| why(bench.processor.eaug(&mut bench.memory, linear, secs, page));
    refused(aug(FREE, SECS, FREE + 1), "RCX is not 4 KiB aligned");
    refused(aug(FREE + 1, SECS, FREE), "LINADDR is not 4 KiB aligned");
    refused(aug(FREE, SECS + 1, FREE), "SECS is not 4 KiB aligned");
    refused(aug(DATA, SECS, DATA), "EPCM.VALID is not 0");
    refused(aug(FREE, DATA, FREE), "PT is not PT_SECS");
    refused(aug(BASE + SIZE, SECS, FREE), "LINADDR is outside the enclave");
    refused(aug(BASE - PAGE, SECS, FREE), "LINADDR is outside the enclave");
    assert_eq!(aug(FREE, SECS, FREE), "ok");
}

#[test]
fn eaccept_refuses_each_bad_operand() {
    let mut bench = Bench::entered();
    augment(&mut bench, FREE);
    let mut refuse = |flags, operand, linear, part| {
        let result = accept_at(&mut bench, flags, operand, linear);
        refused(why_sgx(result), part);
    };
    refuse(NEW, OPERAND + 8, FREE, "RBX is not 64 byte aligned");
    refuse(NEW, BASE + SIZE, FREE, "RBX is not within CR_ELRANGE");
    refuse(NEW, FREE + PAGE, FREE, "EPCM.VALID = 0");
    refuse(NEW, FREE, FREE, "EPCM.PENDING = 1");
    refuse(NEW, TCS, FREE, "EPCM.PT is not PT_REG");
    refuse(NEW, OPERAND, FREE + 1, "RCX is not 4 KiB aligned");
    refuse(NEW, OPERAND, BASE + SIZE, "RCX is not within CR_ELRANGE");
    refuse(NEW, OPERAND, FREE + PAGE, "EPCM.VALID is 0");
    let illegal = [
        SecInfoFlags::RW | PageType::Reg.flags(),
        NEW | SecInfoFlags::MODIFIED,
        SecInfoFlags::PENDING | PageType::Tcs.flags(),
        SecInfoFlags::MODIFIED | SecInfoFlags::PR | PageType::Trim.flags(),
        PageType::Trim.flags(),
        SecInfoFlags::PENDING | PageType::Secs.flags(),
        SecInfoFlags::MODIFIED | PageType::Va.flags(),
    ];
    for flags in illegal {
        refuse(flags, OPERAND, FREE, "this combination");
    }
    let mismatch = "SGX_PAGE_ATTRIBUTES_MISMATCH";
    refuse(SecInfoFlags::R | SecInfoFlags::PENDING | PageType::Reg.flags(), OPERAND, FREE, mismatch);
    refuse(NEW | SecInfoFlags::X, OPERAND, FREE, mismatch);
    refuse(SecInfoFlags::RW | SecInfoFlags::PR | PageType::Reg.flags(), OPERAND, FREE, mismatch);
    refuse(SecInfoFlags::MODIFIED | PageType::Trim.flags(), OPERAND, FREE, mismatch);
    put_secinfo(&mut bench, &SecInfo { flags: NEW.bits(), reserved: [0, 0, 0, 1, 0, 0, 0] });
    let Bench { processor, memory, logical, .. } = &mut bench;
    refused(why_sgx(processor.eaccept(memory, logical, OPERAND, FREE)), "SECINFO: a reserved field");
    refused(why_sgx(processor.eaccept(memory, &LogicalProcessor::default(), OPERAND, FREE)), "enclave mode");
}

#[test]
fn a_page_mapped_elsewhere_is_not_accepted() {
    let mut bench = Bench::entered();
    augment(&mut bench, FREE);
    bench.memory.mapping.insert(FREE + PAGE, Some(FREE));
    assert_eq!(accept(&mut bench, NEW, FREE + PAGE), Err(LeafError::PageAttributesMismatch.into()));
    bench.memory.mapping.insert(FREE, None);
    refused(why_sgx(accept(&mut bench, NEW, FREE)), "does not resolve");
    bench.memory.mapping.insert(FREE, Some(SECS));
    refused(why_sgx(accept(&mut bench, NEW, FREE)), "EACCEPT: EPCM.PT");
}

#[test]
fn pages_of_another_enclave_are_not_accepted() {
    let mut bench = Bench::entered();
    let other = SECS + PAGE;
    let page = page_of(&secs());
    let secinfo = SecInfo::new(PageType::Secs.flags());
    let operands = casemate_softsgx::PageOperands { linaddr: 0, source: Some(&page), secinfo, secs: 0 };
    bench.processor.ecreate(&operands, other).unwrap();
    let theirs = casemate_softsgx::PageOperands {
        linaddr: FREE,
        source: None,
        secinfo: reg(SecInfoFlags::RW),
        secs: other,
    };
    bench.processor.eadd(&mut bench.memory, &theirs, FREE).unwrap();
    refused(why_sgx(accept(&mut bench, NEW, FREE)), "EPCM.ENCLAVESECS");
    refused(why_sgx(accept_at(&mut bench, NEW, FREE, DATA)), "another enclave's");
}

/// Another, empty enclave, which has started.
fn start_another(bench: &mut Bench, other: u64) {
    let page = page_of(&secs());
    let secinfo = SecInfo::new(PageType::Secs.flags());
    let operands = casemate_softsgx::PageOperands { linaddr: 0, source: Some(&page), secinfo, secs: 0 };
    bench.processor.ecreate(&operands, other).unwrap();
    let mut template = bench.template(&secs());
    template.enclave_hash = casemate_sgx::measure::Measurement::create(1, SIZE).value();
    let signed = key::sign(SigStruct::unsigned(&template)).unwrap();
    bench.processor.einit(&signed, other, &EinitToken::none()).unwrap();
}

#[test]
fn a_new_page_of_another_enclave_takes_no_copy() {
    let mut bench = Bench::entered();
    let other = SECS + PAGE;
    start_another(&mut bench, other);
    bench.processor.eaug(&mut bench.memory, FREE, other, FREE).unwrap();
    put_secinfo(&mut bench, &SecInfo::new(SecInfoFlags::RX | PageType::Reg.flags()));
    let Bench { processor, memory, logical, .. } = &mut bench;
    let copied = processor.eacceptcopy(memory, logical, OPERAND, FREE, CODE);
    assert_eq!(copied, Err(LeafError::PageAttributesMismatch.into()));
}

#[test]
fn a_page_is_accepted_as_the_type_that_it_has() {
    let mut bench = Bench::entered();
    modt(&mut bench, PageType::Trim, AREA).unwrap();
    track(&mut bench);
    let as_tcs = accept(&mut bench, SecInfoFlags::MODIFIED | PageType::Tcs.flags(), AREA);
    assert_eq!(as_tcs, Err(LeafError::PageAttributesMismatch.into()));
    assert_eq!(accept(&mut bench, SecInfoFlags::MODIFIED | PageType::Trim.flags(), AREA), Ok(()));
}

#[test]
fn restricted_permissions_need_tracking_before_they_are_accepted() {
    let mut bench = Bench::entered();
    modpr(&mut bench, SecInfoFlags::R, DATA + 5 * PAGE).unwrap(); // AREA
    assert_eq!(bench.memory.access[&AREA], SecInfoFlags::R);
    let restricted = SecInfoFlags::R | SecInfoFlags::PR | PageType::Reg.flags();
    assert_eq!(accept(&mut bench, restricted, AREA), Err(LeafError::NotTracked.into()));
    bench.processor.etrack(SECS).unwrap();
    // This very thread entered before the change.
    assert_eq!(accept(&mut bench, restricted, AREA), Err(LeafError::NotTracked.into()));
    bench.processor.interrupt_all(SECS);
    assert_eq!(accept(&mut bench, restricted, AREA), Ok(()));
    assert!(!bench.processor.epcm_entry(AREA).unwrap().flags.contains(EpcmFlags::PR));
}

#[test]
fn a_thread_that_stays_inside_holds_up_tracking() {
    let mut bench = Bench::entered();
    let mut other = LogicalProcessor::default();
    let mut registers = Registers { rbx: TCS2, rcx: AEP, ..Default::default() };
    bench.processor.eenter(&mut bench.memory, &mut other, &mut registers).unwrap();
    modpr(&mut bench, SecInfoFlags::R, AREA).unwrap();
    bench.processor.etrack(SECS).unwrap();
    assert_eq!(bench.processor.etrack(SECS), Err(LeafError::PrevTrkIncmpl.into()));
    // The accepting thread leaves and comes back; the other one has not yet.
    bench.registers.rbx = 0x40_0000;
    bench.processor.eexit(&mut bench.logical, &mut bench.registers).unwrap();
    bench.enter(TCS).unwrap();
    let restricted = SecInfoFlags::R | SecInfoFlags::PR | PageType::Reg.flags();
    assert_eq!(accept(&mut bench, restricted, AREA), Err(LeafError::NotTracked.into()));
    registers.rbx = 0x40_0000;
    bench.processor.eexit(&mut other, &mut registers).unwrap();
    assert_eq!(accept(&mut bench, restricted, AREA), Ok(()));
    assert_eq!(bench.processor.etrack(SECS), Ok(()));
    refused(why_sgx(bench.processor.etrack(SECS + 1)), "not 4 KiB aligned");
    refused(why_sgx(bench.processor.etrack(DATA)), "not PT_SECS");
}

#[test]
fn emodpr_refuses_each_bad_operand() {
    let mut bench = Bench::started();
    refused(why_sgx(modpr(&mut bench, SecInfoFlags::R, DATA + 1)), "RCX is not 4 KiB aligned");
    refused(why_sgx(modpr(&mut bench, SecInfoFlags::W, DATA)), "W without R");
    refused(why_sgx(modpr(&mut bench, SecInfoFlags::R, FREE)), "EPCM.VALID is 0");
    refused(why_sgx(modpr(&mut bench, SecInfoFlags::R, TCS)), "EPCM.PT is not PT_REG");
    let secinfo = SecInfo { flags: 1, reserved: [1, 0, 0, 0, 0, 0, 0] };
    refused(why_sgx(bench.processor.emodpr(&mut bench.memory, &secinfo, DATA)), "SECINFO is reserved");
    augment(&mut bench, FREE);
    assert_eq!(modpr(&mut bench, SecInfoFlags::R, FREE), Err(LeafError::PageNotModifiable.into()));
    modt(&mut bench, PageType::Trim, AREA).unwrap();
    assert_eq!(modpr(&mut bench, SecInfoFlags::R, AREA), Err(LeafError::PageNotModifiable.into()));
    let mut early = Bench::new();
    early.create(&secs()).unwrap();
    early.add_sample();
    refused(why_sgx(modpr(&mut early, SecInfoFlags::R, DATA)), "ATTRIBUTES.INIT = 0");
    refused(why_sgx(modt(&mut early, PageType::Trim, DATA)), "ATTRIBUTES.INIT = 0");
}

#[test]
fn permissions_are_extended_from_inside_only() {
    let mut bench = Bench::entered();
    put_secinfo(&mut bench, &SecInfo::new(SecInfoFlags::X));
    let mut extend = |operand, linear| {
        let Bench { processor, memory, logical, .. } = &mut bench;
        why(processor.emodpe(memory, logical, operand, linear))
    };
    refused(extend(OPERAND + 1, AREA), "RBX is not 64 byte aligned");
    refused(extend(OPERAND, AREA + 1), "RCX is not 4 KiB aligned");
    refused(extend(OPERAND, BASE + SIZE), "RCX is not within CR_ELRANGE");
    refused(extend(BASE + SIZE, AREA), "RBX is not within CR_ELRANGE");
    refused(extend(OPERAND, FREE), "EPCM.VALID = 0");
    refused(extend(OPERAND, TCS), "EPCM.PT is not PT_REG");
    refused(extend(FREE, AREA), "EPCM.VALID = 0");
    assert_eq!(extend(OPERAND, AREA), "ok");
    assert_eq!(bench.memory.access[&AREA], SecInfoFlags::RWX);
    augment(&mut bench, FREE);
    let Bench { processor, memory, logical, .. } = &mut bench;
    refused(why(processor.emodpe(memory, logical, OPERAND, FREE)), "EPCM.PENDING = 1");
    refused(why(processor.emodpe(memory, &LogicalProcessor::default(), OPERAND, AREA)), "enclave mode");
}

#[test]
fn emodpe_does_not_make_write_only_pages() {
    let mut bench = Bench::entered();
    modpr(&mut bench, SecInfoFlags::empty(), AREA).unwrap();
    track(&mut bench);
    accept(&mut bench, SecInfoFlags::PR | PageType::Reg.flags(), AREA).unwrap();
    assert_eq!(bench.memory.access[&AREA], SecInfoFlags::empty());
    put_secinfo(&mut bench, &SecInfo::new(SecInfoFlags::W));
    let Bench { processor, memory, logical, .. } = &mut bench;
    refused(why(processor.emodpe(memory, logical, OPERAND, AREA)), "W without R");
    put_secinfo(&mut bench, &SecInfo::new(SecInfoFlags::RW));
    let Bench { processor, memory, logical, .. } = &mut bench;
    processor.emodpe(memory, logical, OPERAND, AREA).unwrap();
}

#[test]
fn eacceptcopy_fills_and_restricts_a_new_page_at_once() {
    let mut bench = Bench::entered();
    augment(&mut bench, FREE);
    let flags = SecInfoFlags::RX | PageType::Reg.flags();
    put_secinfo(&mut bench, &SecInfo::new(flags));
    let mut copy = |operand, linear, source| {
        let Bench { processor, memory, logical, .. } = &mut bench;
        why_sgx(processor.eacceptcopy(memory, logical, operand, linear, source))
    };
    refused(copy(OPERAND + 1, FREE, CODE), "RBX is not 64 byte aligned");
    refused(copy(OPERAND, FREE + 1, CODE), "RCX is not 4 KiB aligned");
    refused(copy(OPERAND, FREE, CODE + 1), "RDX is not 4 KiB aligned");
    refused(copy(BASE + SIZE, FREE, CODE), "RBX is not within CR_ELRANGE");
    refused(copy(OPERAND, BASE + SIZE, CODE), "RCX is not within CR_ELRANGE");
    refused(copy(OPERAND, FREE, BASE + SIZE), "RDX is not within CR_ELRANGE");
    refused(copy(OPERAND, FREE, FREE + PAGE), "EPCM.VALID = 0");
    refused(copy(OPERAND, FREE, FREE), "EPCM.PENDING = 1");
    refused(copy(OPERAND, FREE, TCS), "EPCM.PT is not PT_REG");
    refused(copy(OPERAND, AREA, CODE), "SGX_PAGE_ATTRIBUTES_MISMATCH");
    refused(copy(OPERAND, FREE + PAGE, CODE), "SGX_PAGE_ATTRIBUTES_MISMATCH");
    assert_eq!(copy(OPERAND, FREE, CODE), "ok");
    refused(copy(OPERAND, FREE, CODE), "SGX_PAGE_ATTRIBUTES_MISMATCH");
    assert_eq!(bench.memory.access[&FREE], SecInfoFlags::RX);
    assert_eq!(bench.get(FREE, PAGE_SIZE), vec![0x90; PAGE_SIZE]);
    augment(&mut bench, FREE + PAGE);
    let bad = [
        (SecInfoFlags::W | PageType::Reg.flags(), "SECINFO has W without R"),
        (SecInfoFlags::R | PageType::Tcs.flags(), "SECINFO.PT is not PT_REG"),
    ];
    for (flags, part) in bad {
        put_secinfo(&mut bench, &SecInfo::new(flags));
        let Bench { processor, memory, logical, .. } = &mut bench;
        refused(why_sgx(processor.eacceptcopy(memory, logical, OPERAND, FREE + PAGE, CODE)), part);
    }
}

#[test]
fn eacceptcopy_takes_no_page_that_is_mapped_elsewhere() {
    let mut bench = Bench::entered();
    augment(&mut bench, FREE);
    put_secinfo(&mut bench, &SecInfo::new(SecInfoFlags::RX | PageType::Reg.flags()));
    bench.memory.mapping.insert(FREE + PAGE, Some(FREE));
    let copy = |bench: &mut Bench, linear| {
        let Bench { processor, memory, logical, .. } = bench;
        processor.eacceptcopy(memory, logical, OPERAND, linear, CODE)
    };
    assert_eq!(copy(&mut bench, FREE + PAGE), Err(LeafError::PageAttributesMismatch.into()));
    bench.memory.mapping.insert(FREE, None);
    refused(why_sgx(copy(&mut bench, FREE)), "RCX does not resolve");
}

/// A page that becomes a TCS, prepared by code inside.
fn become_tcs(bench: &mut Bench, tcs: &casemate_sgx::Tcs) -> Result<(), SgxError> {
    augment(bench, FREE);
    accept(bench, NEW, FREE).unwrap();
    bench.put(FREE, tcs.as_bytes());
    modt(bench, PageType::Tcs, FREE).unwrap();
    track(bench);
    accept(bench, SecInfoFlags::MODIFIED | PageType::Tcs.flags(), FREE)
}

#[test]
fn a_thread_is_added_and_removed_again() {
    let mut bench = Bench::entered();
    become_tcs(&mut bench, &tcs(SSA2)).unwrap();
    assert_eq!(bench.memory.access[&FREE], SecInfoFlags::empty());
    let mut other = LogicalProcessor::default();
    let mut registers = Registers { rbx: FREE, rcx: AEP, ..Default::default() };
    bench.processor.eenter(&mut bench.memory, &mut other, &mut registers).unwrap();
    assert_eq!(registers.rip, CODE + 0x10);
    registers.rbx = 1;
    bench.processor.eexit(&mut other, &mut registers).unwrap();
    modt(&mut bench, PageType::Trim, FREE).unwrap();
    registers = Registers { rbx: FREE, rcx: AEP, ..Default::default() };
    refused(why(bench.processor.eenter(&mut bench.memory, &mut other, &mut registers)), "EPCM.PT");
    track(&mut bench);
    // Not before it was accepted, while threads are inside.
    assert_eq!(bench.processor.eremove(&mut bench.memory, FREE), Err(LeafError::EnclaveAct.into()));
    accept(&mut bench, SecInfoFlags::MODIFIED | PageType::Trim.flags(), FREE).unwrap();
    bench.processor.eremove(&mut bench.memory, FREE).unwrap();
    assert_eq!(bench.processor.epcm_entry(FREE), None);
    augment(&mut bench, FREE);
}

#[test]
fn a_tcs_made_inside_is_checked_when_it_is_accepted() {
    let edits: Edits<casemate_sgx::Tcs> = &[
        (|t| t.reserved[100] = 1, "a reserved field"),
        (|t| t.flags = 1, "DBGOPTIN"),
        (|t| t.cssa = 2, "CSSA"),
        (|t| (t.cssa, t.nssa) = (0, 0), "CSSA"),
        (|t| t.aep = 1, "AEP"),
        (|t| t.state = 1, "STATE"),
    ];
    for (edit, part) in edits {
        let mut bench = Bench::entered();
        let mut odd = tcs(SSA2);
        edit(&mut odd);
        refused(why_sgx(become_tcs(&mut bench, &odd)), part);
    }
}

#[test]
fn emodt_refuses_each_bad_operand() {
    let mut bench = Bench::started();
    refused(why_sgx(modt(&mut bench, PageType::Trim, DATA + 1)), "RCX is not 4 KiB aligned");
    for page_type in [PageType::Reg, PageType::Secs, PageType::Va] {
        refused(why_sgx(modt(&mut bench, page_type, DATA)), "not PT_TCS or PT_TRIM");
    }
    let reserved = SecInfo { flags: PageType::Trim.flags().bits(), reserved: [0, 0, 0, 0, 0, 0, 1] };
    let refusal = bench.processor.emodt(&mut bench.memory, &reserved, DATA);
    refused(why_sgx(refusal), "SECINFO is reserved");
    refused(why_sgx(modt(&mut bench, PageType::Trim, FREE)), "EPCM.VALID is 0");
    refused(why_sgx(modt(&mut bench, PageType::Tcs, TCS)), "does not allow this change");
    refused(why_sgx(modt(&mut bench, PageType::Trim, SECS)), "does not allow this change");
    modt(&mut bench, PageType::Tcs, DATA).unwrap();
    assert_eq!(bench.memory.access[&DATA], SecInfoFlags::empty());
    assert_eq!(modt(&mut bench, PageType::Trim, DATA), Err(LeafError::PageNotModifiable.into()));
    augment(&mut bench, FREE);
    assert_eq!(modt(&mut bench, PageType::Trim, FREE), Err(LeafError::PageNotModifiable.into()));
}

#[test]
fn a_pending_tcs_is_not_entered() {
    let mut bench = Bench::started();
    modt(&mut bench, PageType::Tcs, DATA).unwrap();
    refused(why(bench.enter(DATA)), "EPCM.MODIFIED = 1");
}
