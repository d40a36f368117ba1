//! EENTER, EEXIT, asynchronous exits and ERESUME: the life of a TCS, and one refusal for each check.

use crate::common::*;
use casemate_sgx::{
    ExInfo, GprSgx, MiscSelect, PAGE_SIZE, SecInfo, SecInfoFlags, SigStruct, Tcs, Template, Xfrm,
};
use casemate_softsgx::{Configuration, Event, Flow, LogicalProcessor, MAX_XSAVE, Memory, Registers};
use zerocopy::FromBytes;

const TF: u64 = 1 << 8;

fn gpr(bench: &Bench, frame: u64) -> GprSgx {
    GprSgx::read_from_bytes(&bench.get(frame + PAGE - 184, 184)).unwrap()
}

fn fault(vector: u8, address: u64) -> Event {
    Event::Exception { vector, error_code: 6, address }
}

fn interrupt(bench: &mut Bench, event: Event) -> u64 {
    let extended = vec![0; MAX_XSAVE];
    let Bench { processor, memory, logical, registers, .. } = bench;
    processor.asynchronous_exit(memory, logical, registers, event, &extended).unwrap()
}

fn resume(bench: &mut Bench) -> String {
    let Bench { processor, memory, logical, registers, extended } = bench;
    why(processor.eresume(memory, logical, registers, extended))
}

#[test]
fn entering_and_leaving_swap_what_the_manual_says() {
    let mut bench = Bench::started();
    bench.registers.rflags = 0x202 | TF;
    bench.enter(TCS).unwrap();
    assert!(bench.logical.in_enclave());
    let inside = bench.registers;
    assert_eq!((inside.rip, inside.rax, inside.rcx), (CODE + 0x10, 0, 0x40_0003));
    assert_eq!((inside.fs_base, inside.gs_base), (AREA, AREA));
    assert_eq!(inside.rflags & TF, 0);
    let saved = gpr(&bench, SSA);
    assert_eq!((saved.ursp, saved.urbp), (0x7000_1000, 0x7000_2000));
    bench.registers.rbx = 0x40_0003;
    bench.processor.eexit(&mut bench.logical, &mut bench.registers).unwrap();
    assert!(!bench.logical.in_enclave());
    let outside = bench.registers;
    assert_eq!((outside.rip, outside.rcx), (0x40_0003, AEP));
    assert_eq!((outside.fs_base, outside.gs_base), (0x55, 0x66));
    assert_eq!(outside.rflags & TF, TF);
    bench.enter(TCS).unwrap();
}

#[test]
fn a_tcs_serves_one_thread_at_a_time() {
    let mut bench = Bench::entered();
    let mut other = LogicalProcessor::default();
    let mut registers = Registers { rbx: TCS, rcx: AEP, ..Default::default() };
    let busy = bench.processor.eenter(&mut bench.memory, &mut other, &mut registers);
    assert_eq!(busy, Err(casemate_softsgx::BUSY));
    assert!(!other.in_enclave());
    registers.rbx = TCS2;
    bench.processor.eenter(&mut bench.memory, &mut other, &mut registers).unwrap();
    refused(why(bench.enter(TCS2)), "EENTER: executed in enclave mode");
    refused(resume(&mut bench), "ERESUME: executed in enclave mode");
}

#[test]
fn eenter_refuses_each_bad_operand() {
    let mut bench = Bench::started();
    refused(why(bench.enter(TCS + 8)), "RBX is not 4 KiB aligned");
    refused(why(bench.enter(FREE)), "EPCM.VALID = 0");
    refused(why(bench.enter(DATA)), "EPCM.PT is not PT_TCS");
    bench.registers = Registers { rbx: TCS, rcx: 1 << 50, ..Default::default() };
    let Bench { processor, memory, logical, registers, .. } = &mut bench;
    refused(why(processor.eenter(memory, logical, registers)), "AEP is not canonical");
    // A hostile kernel maps the TCS's address to another TCS, or to nothing.
    bench.memory.mapping.insert(TCS, Some(TCS2));
    refused(why(bench.enter(TCS)), "EPCM.ENCLAVEADDRESS is not RBX");
    bench.memory.mapping.insert(TCS, None);
    refused(why(bench.enter(TCS)), "does not resolve to the EPC");
}

/// An enclave whose first TCS is this one.
fn with_tcs(edit: impl FnOnce(&mut Tcs)) -> Bench {
    let mut bench = Bench::new();
    bench.create(&secs()).unwrap();
    let mut odd = tcs(SSA);
    edit(&mut odd);
    let mut measurement = casemate_sgx::measure::Measurement::create(1, SIZE);
    for page in [SSA, SSA + PAGE, AREA] {
        bench.add(page, &[0; PAGE_SIZE], reg(SecInfoFlags::RW)).unwrap();
        measurement.add(page - BASE, &reg(SecInfoFlags::RW));
    }
    bench.add(CODE, &[0; PAGE_SIZE], reg(SecInfoFlags::RX)).unwrap();
    measurement.add(CODE - BASE, &reg(SecInfoFlags::RX));
    bench.add(TCS, &page_of(&odd), tcs_secinfo()).unwrap();
    measurement.add(TCS - BASE, &tcs_secinfo());
    let template = Template { enclave_hash: measurement.value(), ..bench.template(&secs()) };
    bench.init(&key::sign(SigStruct::unsigned(&template)).unwrap()).unwrap();
    bench
}

#[test]
fn eenter_refuses_each_bad_tcs() {
    let edits: Edits<Tcs> = &[
        (|t| t.ossa += 8, "OSSA is not 4 KiB aligned"),
        (|t| t.ofsbase += 8, "OFSBASE is not 4 KiB aligned"),
        (|t| t.ogsbase += 8, "OGSBASE is not 4 KiB aligned"),
        (|t| t.ofsbase = 1 << 50, "EENTER: FS base is not canonical"),
        (|t| t.ogsbase = 1 << 50, "EENTER: GS base is not canonical"),
        (|t| t.flags = 2, "reserved bit of FLAGS"),
        (|t| t.flags = 1 << 40, "reserved bit of FLAGS"),
        (|t| t.nssa = 0, "CSSA is not below TCS.NSSA"),
        (|t| t.ossa = FREE - BASE, "EPCM.VALID = 0"),
        (|t| t.ossa = CODE - BASE, "SSA: EPCM.W = 0"),
        (|t| t.ossa = TCS - BASE, "EPCM.PT is not PT_REG"),
        (|t| t.oentry = 1 << 50, "EENTER: the target is not canonical"),
    ];
    for (edit, part) in edits {
        refused(why(with_tcs(edit).enter(TCS)), part);
    }
    with_tcs(|_| ()).enter(TCS).unwrap();
}

#[test]
fn a_frame_that_cannot_be_read_is_not_entered() {
    let mut bench = Bench::started();
    let nothing = SecInfo::new(SecInfoFlags::empty());
    bench.processor.emodpr(&mut bench.memory, &nothing, SSA).unwrap();
    refused(why(bench.enter(TCS)), "SSA: EPCM.R = 0");
}

#[test]
fn an_enclave_is_entered_only_while_its_state_components_are_enabled() {
    let mut bench = Bench::started();
    bench.processor.set_xcr0(Xfrm::empty());
    refused(why(bench.enter(TCS)), "XFRM is not a subset of XCR0");
    bench.processor.set_xcr0(Xfrm::from_bits_truncate(3));
    bench.enter(TCS).unwrap();
}

#[test]
fn an_enclave_is_not_entered_before_einit() {
    let mut bench = Bench::new();
    bench.create(&secs()).unwrap();
    bench.add_sample();
    refused(why(bench.enter(TCS)), "the enclave is not initialised");
}

#[test]
fn an_enclave_for_32_bit_mode_is_not_entered() {
    let mut small = secs();
    small.attributes.flags = 0;
    let mut bench = Bench::started_with(Configuration::new(7, [0; 32]), 1, &small);
    refused(why(bench.enter(TCS)), "not for 64-bit mode");
}

#[test]
fn ssa_pages_that_the_kernel_moved_are_noticed() {
    for (mapping, part) in [
        (Some(SSA2), "EPCM.ENCLAVEADDRESS"),
        (Some(TCS2), "EPCM.PT"),
        (Some(FREE), "EPCM.VALID = 0"),
        (None, "does not resolve"),
    ] {
        let mut bench = Bench::started();
        bench.memory.mapping.insert(SSA, mapping);
        refused(why(bench.enter(TCS)), part);
    }
}

#[test]
fn an_asynchronous_exit_hides_everything_and_eresume_brings_it_back() {
    let mut bench = Bench::entered();
    let state = Registers {
        rax: 1,
        rbx: 2,
        rcx: 3,
        rdx: 4,
        rsi: 5,
        rdi: 6,
        rbp: 7,
        rsp: 8,
        r8: 9,
        r9: 10,
        r10: 11,
        r11: 12,
        r12: 13,
        r13: 14,
        r14: 15,
        r15: 16,
        rip: CODE + 0x44,
        rflags: 0x246,
        fs_base: 0x1234,
        gs_base: 0x5678,
    };
    bench.registers = state;
    let mut extended = vec![0; MAX_XSAVE];
    extended[160] = 0xaa; // XMM0
    extended[576] = 0xbb; // AVX state, which this enclave's XFRM does not name
    extended[512] = 7; // XSTATE_BV
    let Bench { processor, memory, logical, registers, .. } = &mut bench;
    let seen =
        processor.asynchronous_exit(memory, logical, registers, fault(14, DATA + 0x123), &extended).unwrap();
    assert_eq!(seen, DATA, "the kernel sees the page only");
    let synthetic = Registers {
        rax: 3,
        rbx: TCS,
        rcx: AEP,
        rsp: 0x7000_1000,
        rbp: 0x7000_2000,
        rip: AEP,
        rflags: 0x202,
        fs_base: 0x55,
        gs_base: 0x66,
        ..Default::default()
    };
    assert_eq!(bench.registers, synthetic);
    let saved = gpr(&bench, SSA);
    assert_eq!((saved.rax, saved.r15, saved.rip, saved.fsbase), (1, 16, CODE + 0x44, 0x1234));
    assert_eq!((saved.exitinfo.vector(), saved.exitinfo.is_valid()), (14, true));
    let exinfo = ExInfo::read_from_bytes(&bench.get(SSA + PAGE - 200, 16)).unwrap();
    assert_eq!((exinfo.maddr, exinfo.errcd), (DATA + 0x123, 6));
    bench.registers.r8 = 0xdead;
    assert_eq!(resume(&mut bench), "ok");
    assert_eq!(bench.registers, state);
    assert_eq!((bench.extended[160], bench.extended[512], bench.extended[576]), (0xaa, 3, 0));
}

#[test]
fn a_handler_is_entered_on_the_next_frame_and_resumes_the_first() {
    let mut bench = Bench::entered();
    bench.registers.rip = CODE + 0x20;
    interrupt(&mut bench, fault(6, 0));
    bench.enter(TCS).unwrap();
    assert_eq!(bench.registers.rax, 1, "RAX is CSSA");
    // The handler itself is interrupted, and there is no third frame.
    interrupt(&mut bench, Event::Interrupt);
    assert!(!gpr(&bench, SSA + PAGE).exitinfo.is_valid());
    refused(why(bench.enter(TCS)), "CSSA is not below TCS.NSSA");
    bench.registers.rbx = TCS;
    bench.registers.rcx = AEP;
    assert_eq!(resume(&mut bench), "ok");
    bench.registers.rbx = 0x40_0000;
    bench.processor.eexit(&mut bench.logical, &mut bench.registers).unwrap();
    bench.registers.rbx = TCS;
    bench.registers.rcx = AEP;
    assert_eq!(resume(&mut bench), "ok");
    assert_eq!(bench.registers.rip, CODE + 0x20);
    interrupt(&mut bench, Event::Interrupt);
    assert_eq!(resume(&mut bench), "ok");
}

#[test]
fn eresume_refuses_each_bad_frame() {
    let edits: [(&str, u64, u64, &str); 3] = [
        ("rip", 136, 1 << 50, "ERESUME: the target is not canonical"),
        ("fsbase", 168, 1 << 50, "ERESUME: FS base is not canonical"),
        ("gsbase", 176, 1 << 50, "ERESUME: GS base is not canonical"),
    ];
    for (name, offset, value, part) in edits {
        let mut bench = Bench::entered();
        interrupt(&mut bench, Event::Interrupt);
        bench.memory.write(SSA + PAGE - 184 + offset, &value.to_le_bytes());
        let text = resume(&mut bench);
        assert!(text.contains(part), "{name}: {text}");
    }
    for (offset, name) in
        [(512, "XSTATE_BV beyond XFRM"), (520, "XCOMP_BV"), (575, "reserved header"), (26, "MXCSR")]
    {
        let mut bench = Bench::entered();
        interrupt(&mut bench, Event::Interrupt);
        bench.memory.write(SSA + offset, &[0x84]);
        let text = resume(&mut bench);
        assert!(text.contains("XRSTOR failed"), "{name}: {text}");
        assert!(!bench.logical.in_enclave());
        // The TCS is not stuck.
        bench.memory.write(SSA + offset, &[0]);
        assert_eq!(resume(&mut bench), "ok");
    }
    let mut bench = Bench::started();
    bench.registers.rbx = TCS;
    refused(resume(&mut bench), "TCS.CSSA is 0");
}

#[test]
fn eresume_refuses_a_busy_tcs_and_pages_that_moved() {
    let mut bench = Bench::entered();
    interrupt(&mut bench, fault(6, 0));
    let aside = bench.registers;
    bench.enter(TCS).unwrap();
    let mut other = LogicalProcessor::default();
    let mut registers = aside;
    let Bench { processor, memory, extended, .. } = &mut bench;
    refused(why(processor.eresume(memory, &mut other, &mut registers, extended)), "ERESUME: TCS.STATE");
    let mut bench = Bench::entered();
    interrupt(&mut bench, Event::Interrupt);
    bench.memory.mapping.insert(SSA, Some(SSA2));
    refused(resume(&mut bench), "EPCM.ENCLAVEADDRESS");
}

#[test]
fn eexit_needs_an_enclave_and_a_canonical_target() {
    let mut bench = Bench::started();
    refused(why(bench.processor.eexit(&mut bench.logical, &mut bench.registers)), "needs enclave mode");
    bench.enter(TCS).unwrap();
    bench.registers.rbx = 1 << 60;
    refused(why(bench.processor.eexit(&mut bench.logical, &mut bench.registers)), "RBX is not canonical");
    assert!(bench.logical.in_enclave());
}

#[test]
fn exceptions_on_memory_are_hidden_without_exinfo() {
    let mut plain = secs();
    plain.miscselect = 0;
    let mut bench = Bench::started_with(Configuration::new(7, [0; 32]), 1, &plain);
    bench.enter(TCS).unwrap();
    interrupt(&mut bench, fault(14, DATA));
    assert_eq!(gpr(&bench, SSA).exitinfo.0, 0);
    assert_eq!(bench.get(SSA + PAGE - 200, 16), [0; 16]);
    assert_eq!(resume(&mut bench), "ok");
    interrupt(&mut bench, fault(0, 0));
    assert_eq!(gpr(&bench, SSA).exitinfo.vector(), 0);
    assert!(gpr(&bench, SSA).exitinfo.is_valid());
    assert!(MiscSelect::from_bits(plain.miscselect).is_some());
}

#[test]
fn enclu_dispatches_by_eax_and_mode() {
    let mut bench = Bench::started();
    let enclu = |bench: &mut Bench, leaf: u64| {
        bench.registers.rax = leaf;
        let Bench { processor, memory, logical, registers, extended } = bench;
        processor.enclu(memory, logical, registers, extended)
    };
    for leaf in [8, 9, 255, 0xffff_ffff] {
        refused(why(enclu(&mut bench, leaf)), "no leaf function");
    }
    for leaf in [0, 1, 4, 5, 6, 7] {
        refused(why(enclu(&mut bench, leaf)), "needs enclave mode");
    }
    bench.registers.rbx = TCS;
    bench.registers.rcx = AEP;
    assert_eq!(enclu(&mut bench, 2), Ok(Flow::Entered));
    refused(why(enclu(&mut bench, 2)), "executed in enclave mode");
    refused(why(enclu(&mut bench, 3)), "executed in enclave mode");
    bench.registers.rbx = 0x40_0003;
    assert_eq!(enclu(&mut bench, 4), Ok(Flow::Exited));
    bench.registers.rbx = TCS;
    bench.registers.rcx = AEP;
    assert_eq!(enclu(&mut bench, 2), Ok(Flow::Entered));
    interrupt(&mut bench, Event::Interrupt);
    assert_eq!(bench.registers.rax, 3, "the AEP's ENCLU is ERESUME");
    assert_eq!(enclu(&mut bench, 3), Ok(Flow::Resumed));
}

#[test]
fn faults_leave_registers_and_mode_alone() {
    let mut bench = Bench::started();
    bench.registers = Registers { rax: 2, rbx: DATA, rcx: AEP, rip: 5, ..Default::default() };
    let before = bench.registers;
    let Bench { processor, memory, logical, registers, extended } = &mut bench;
    assert!(processor.enclu(memory, logical, registers, extended).is_err());
    assert_eq!(bench.registers, before);
    assert!(!bench.logical.in_enclave());
}
