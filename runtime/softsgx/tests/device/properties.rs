//! Any sequence of leaf functions: no panic, and what must always hold does.

use std::sync::OnceLock;

use crate::common::*;
use casemate_sgx::{PAGE_SIZE, PageType, SecInfo, SecInfoFlags, SigStruct};
use casemate_softsgx::{EpcmFlags, Event, LogicalProcessor, MAX_XSAVE, Registers};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// Pages that steps choose from: the sample's, and some that are not there.
const PAGES: [u64; 14] = [
    DATA,
    CODE,
    SSA,
    SSA + PAGE,
    TCS,
    AREA,
    TCS2,
    SSA2,
    SSA2 + PAGE,
    FREE,
    FREE + PAGE,
    SECS,
    BASE + SIZE,
    DATA + 8,
];

#[derive(Clone, Debug)]
enum Step {
    Enclu { thread: usize, leaf: u64, rbx: usize, rcx: usize, rdx: usize },
    Interrupt { thread: usize, vector: u8 },
    Secinfo { flags: u64 },
    Garbage { page: usize, byte: u8 },
    Eaug(usize),
    Emodpr(usize, u64),
    Emodt(usize, u64),
    Etrack,
    Ipi,
    Eremove(usize),
    Map(usize, Option<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    let page = 0..PAGES.len();
    let flags = prop_oneof![
        (0u64..64, 0u64..8).prop_map(|(low, kind)| low | kind << 8),
        Just((SecInfoFlags::RW | SecInfoFlags::PENDING | PageType::Reg.flags()).bits()),
        Just((SecInfoFlags::MODIFIED | PageType::Trim.flags()).bits()),
        Just((SecInfoFlags::MODIFIED | PageType::Tcs.flags()).bits()),
        any::<u64>(),
    ];
    prop_oneof![
        8 => (0..2usize, 0u64..9, page.clone(), page.clone(), page.clone())
            .prop_map(|(thread, leaf, rbx, rcx, rdx)| Step::Enclu { thread, leaf, rbx, rcx, rdx }),
        2 => (0..2usize, any::<u8>()).prop_map(|(thread, vector)| Step::Interrupt { thread, vector }),
        2 => flags.clone().prop_map(|flags| Step::Secinfo { flags }),
        1 => (page.clone(), any::<u8>()).prop_map(|(page, byte)| Step::Garbage { page, byte }),
        2 => page.clone().prop_map(Step::Eaug),
        2 => (page.clone(), flags.clone()).prop_map(|(page, flags)| Step::Emodpr(page, flags)),
        2 => (page.clone(), flags).prop_map(|(page, flags)| Step::Emodt(page, flags)),
        1 => Just(Step::Etrack),
        1 => Just(Step::Ipi),
        1 => page.clone().prop_map(Step::Eremove),
        1 => (page.clone(), prop::option::of(page)).prop_map(|(from, to)| Step::Map(from, to)),
    ]
}

/// The sample's SIGSTRUCT, signed once.
fn sigstruct() -> &'static SigStruct {
    static SIGNED: OnceLock<SigStruct> = OnceLock::new();
    SIGNED.get_or_init(|| key::sign(SigStruct::unsigned(&Bench::new().template(&secs()))).unwrap())
}

fn perform(bench: &mut Bench, threads: &mut [(LogicalProcessor, Registers); 2], step: &Step) {
    let Bench { processor, memory, extended, .. } = bench;
    match *step {
        Step::Enclu { thread, leaf, rbx, rcx, rdx } => {
            let (logical, registers) = &mut threads[thread];
            registers.rax = leaf;
            registers.rbx = if matches!(leaf, 5..=7) { DATA + 0x40 } else { PAGES[rbx] };
            registers.rcx = PAGES[rcx];
            registers.rdx = PAGES[rdx];
            let before = (*registers, logical.in_enclave());
            if processor.enclu(memory, logical, registers, extended).is_err() {
                assert_eq!((*registers, logical.in_enclave()), before, "a fault has no effect");
            }
        }
        Step::Interrupt { thread, vector } => {
            let (logical, registers) = &mut threads[thread];
            let event = Event::Exception { vector, error_code: 0, address: DATA };
            let _ = processor.asynchronous_exit(memory, logical, registers, event, &[0; MAX_XSAVE]);
        }
        Step::Secinfo { flags } => {
            if let Some(page) = memory.pages.get_mut(&DATA) {
                page[0x40..0x80].copy_from_slice(SecInfo { flags, reserved: [0; 7] }.as_bytes());
            }
        }
        Step::Garbage { page, byte } => {
            if let Some(page) = memory.pages.get_mut(&PAGES[page]) {
                page.fill(byte);
            }
        }
        Step::Eaug(page) => drop(processor.eaug(memory, PAGES[page], SECS, PAGES[page])),
        Step::Emodpr(page, flags) => {
            let _ = processor.emodpr(memory, &SecInfo { flags, reserved: [0; 7] }, PAGES[page]);
        }
        Step::Emodt(page, flags) => {
            let _ = processor.emodt(memory, &SecInfo { flags, reserved: [0; 7] }, PAGES[page]);
        }
        Step::Etrack => drop(processor.etrack(SECS)),
        Step::Ipi => processor.interrupt_all(SECS),
        Step::Eremove(page) => drop(processor.eremove(memory, PAGES[page])),
        Step::Map(from, to) => drop(memory.mapping.insert(PAGES[from], to.map(|to| PAGES[to] & !0xfff))),
    }
}

fn check(bench: &Bench, threads: &[(LogicalProcessor, Registers); 2]) {
    for (page, access) in &bench.memory.access {
        let expected = bench.processor.epcm_entry(*page).map_or(SecInfoFlags::empty(), |entry| {
            let waiting = entry.flags.intersects(EpcmFlags::PENDING | EpcmFlags::MODIFIED);
            if entry.page_type == PageType::Reg && !waiting { entry.access() } else { SecInfoFlags::empty() }
        });
        assert_eq!(*access, expected, "page {page:#x}");
    }
    if let (Some(first), Some(second)) = (threads[0].0.tcs(), threads[1].0.tcs()) {
        assert_ne!(first, second, "two threads with one TCS");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_sequence_breaks_the_rules(steps in prop::collection::vec(step(), 1..120)) {
        let mut bench = Bench::new();
        bench.create(&secs()).unwrap();
        bench.add_sample();
        bench.init(sigstruct()).unwrap();
        bench.enter(TCS).unwrap();
        let inside = (bench.logical.clone(), bench.registers);
        let mut threads = [inside, (LogicalProcessor::default(), Registers::default())];
        for step in &steps {
            perform(&mut bench, &mut threads, step);
            check(&bench, &threads);
        }
    }

    #[test]
    fn added_pages_have_the_access_they_were_added_with(flags in 0u64..8, contents: u8) {
        let mut bench = Bench::new();
        bench.create(&secs()).unwrap();
        let flags = SecInfoFlags::from_bits_truncate(flags);
        let result = bench.add(FREE, &[contents; PAGE_SIZE], reg(flags));
        let write_only = flags.contains(SecInfoFlags::W) && !flags.contains(SecInfoFlags::R);
        prop_assert_eq!(result.is_err(), write_only);
        if !write_only {
            prop_assert_eq!(bench.memory.access[&FREE], flags);
        }
    }
}
