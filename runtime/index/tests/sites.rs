//! The survey of real programs, and the patches and stubs made from it, checked with a decoder.

use std::collections::HashSet;
use std::process::Command;

use casemate_index::{
    FileHasher, MAX_CODE, MAX_STUB, PatchError, Site, SiteKind, encode_patch, encode_stub,
    find_runtime_sites, survey_elf,
};
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, OpKind, Register};

const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/x86_64-linux-musl/libc.so";

fn decode(code: &[u8], address: u64) -> Vec<Instruction> {
    Decoder::with_ip(64, code, address, DecoderOptions::NONE).iter().collect()
}

/// Whether the stub and patch of `site` do what the code at the site does. `code` is the site's.
fn check_patch(site: &Site, code: &[u8], patch_address: u64, stub_address: u64) {
    let mut stub = [0; MAX_STUB];
    let length = encode_stub(site, code, patch_address, stub_address, &mut stub).unwrap();
    assert_eq!(length, site.stub_length());
    let stub = &stub[..length];
    let mut patch = [0; MAX_CODE];
    let patch_length = encode_patch(site, patch_address, stub_address, &mut patch).unwrap();
    assert_eq!(patch_length, site.patch_length());

    let jump = decode(&patch[..patch_length], patch_address);
    assert_eq!((jump[0].code(), jump[0].near_branch_target()), (Code::Jmp_rel32_64, stub_address));
    assert!(jump[1..].iter().all(|instruction| instruction.code() == Code::Int3));

    let original = decode(code, patch_address);
    let instructions = decode(stub, stub_address);
    let mut at = 0;
    let mut position = 0;
    for old in &original {
        let (old_at, new_at) =
            ((old.ip() - patch_address) as usize, (instructions[at].ip() - stub_address) as usize);
        if old_at > 0 && old_at < patch_length {
            assert_eq!(site.stub_offset(old_at), Some(new_at), "a program counter is found again");
        }
        assert_eq!(site.code_offset(new_at), Some(old_at));
        if old.code() == Code::Syscall {
            let [lea, enter] = [instructions[at], instructions[at + 1]];
            assert_eq!((lea.code(), lea.op0_register()), (Code::Lea_r64_m, Register::RCX));
            let returns_to = if site.kind() == SiteKind::Covered { enter.next_ip() } else { old.next_ip() };
            assert_eq!(lea.ip_rel_memory_address(), returns_to);
            assert_eq!(enter.code(), Code::Jmp_rm64);
            assert_eq!((enter.memory_segment(), enter.memory_displacement64()), (Register::GS, 8));
            assert_eq!((enter.memory_base(), enter.memory_index()), (Register::None, Register::None));
            assert_eq!(old_at, (site.syscall_offset() - site.offset()) as usize);
            at += 2;
        } else {
            let bytes = &code[old_at..old_at + old.len()];
            assert_eq!(&stub[new_at..new_at + old.len()], bytes, "displaced as it is");
            assert_eq!(old.flow_control(), FlowControl::Next);
            assert!(!old.is_ip_rel_memory_operand());
            at += 1;
        }
        position = old_at + old.len();
    }
    assert_eq!(position, code.len(), "whole instructions");
    if site.kind() == SiteKind::Covered {
        let back = instructions[at];
        assert_eq!(
            (back.code(), back.near_branch_target()),
            (Code::Jmp_rel32_64, patch_address + patch_length as u64)
        );
        at += 1;
    }
    assert_eq!(at, instructions.len());
}

/// Where branches of the code land, by decoding it straight through: another way than the survey's.
fn branch_targets(code: &[u8]) -> HashSet<u64> {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let branches = decoder.iter().filter(|instruction| {
        (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::NearBranch64)
    });
    branches.map(|branch| branch.near_branch_target()).collect()
}

/// Offset and bytes of `.text` (in these files address and offset are equal).
fn text(file: &[u8]) -> (usize, &[u8]) {
    use object::{Object, ObjectSection};
    let elf = object::File::parse(file).unwrap();
    let section = elf.section_by_name(".text").unwrap();
    let (offset, _) = section.file_range().unwrap();
    assert_eq!(offset, section.address());
    (offset as usize, section.data().unwrap())
}

fn check_file(path: &str, least_share: f64) {
    let Ok(file) = std::fs::read(path) else {
        println!("skipped: there is no {path} here");
        return;
    };
    let sites = survey_elf(&file);
    let patchable: Vec<&Site> = sites.iter().filter(|site| site.kind() != SiteKind::Trap).collect();
    let (offset, text) = text(&file);
    let all =
        decode(text, offset as u64).iter().filter(|instruction| instruction.code() == Code::Syscall).count();
    println!(
        "{path}: {} of {all} syscall instructions patchable, {} known to trap",
        patchable.len(),
        sites.len() - patchable.len()
    );
    assert!(patchable.len() as f64 >= least_share * all as f64);

    let targets = branch_targets(text);
    let mut free_from = 0;
    for site in patchable {
        let start = site.offset() as usize;
        assert!(start >= free_from, "patches do not touch");
        free_from = start + site.code_length();
        let overwritten = start + 1..start + site.patch_length();
        assert!(!overwritten.clone().any(|at| targets.contains(&((at - offset) as u64))), "{overwritten:x?}");
        let code = &file[start..free_from];
        check_patch(site, code, 0x7000_0000_0000 + start as u64, 0x7000_1000_0000);
        check_patch(site, code, 0x10_0000, 0x8000_0000);
    }
}

#[test]
fn glibc_is_patched_all_but_the_restorer() {
    check_file(LIBC, 0.99);
    check_file(LOADER, 0.95);
}

#[test]
fn musl_is_patched() {
    check_file(MUSL, 0.95);
}

#[test]
fn go_programs_are_patched() {
    for path in ["/usr/bin/umoci", "/usr/bin/skopeo", "/usr/local/go/bin/go"] {
        let Ok(file) = std::fs::read(path) else {
            println!("skipped: there is no {path} here");
            continue;
        };
        let sites = survey_elf(&file);
        let traps = sites.iter().filter(|site| site.kind() == SiteKind::Trap).count();
        println!("{path}: {} sites, {traps} trap", sites.len());
        assert!(sites.len() >= 30 && traps <= 2);
    }
}

#[test]
fn the_restorer_keeps_its_bytes() {
    let file = std::fs::read(LIBC).unwrap();
    let sites = survey_elf(&file);
    let restorer: Vec<usize> = file
        .windows(9)
        .enumerate()
        .filter(|(_, window)| *window == [0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05])
        .map(|(at, _)| at)
        .collect();
    assert!(!restorer.is_empty());
    for at in restorer {
        for site in sites.iter().filter(|site| site.kind() != SiteKind::Trap) {
            let patched = site.offset() as usize..site.offset() as usize + site.patch_length();
            assert!(patched.end <= at || patched.start >= at + 9);
        }
    }
}

/// Assembles a program of this code, or says why it cannot.
fn assemble(name: &str, source: &str) -> Option<Vec<u8>> {
    let directory = std::env::temp_dir().join(format!("casemate-sites-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (input, output) = (directory.join("in.s"), directory.join("out"));
    std::fs::write(&input, source).unwrap();
    let run = Command::new("gcc").args(["-nostdlib", "-static", "-o"]).args([&output, &input]).status();
    let program = match run {
        Ok(status) if status.success() => Some(std::fs::read(&output).unwrap()),
        _ => {
            println!("skipped: gcc does not assemble here");
            None
        }
    };
    std::fs::remove_dir_all(&directory).unwrap();
    program
}

/// Kinds and patch lengths of the sites of a program of this code.
fn sites_of(name: &str, source: &str) -> Option<Vec<(SiteKind, usize)>> {
    let program = assemble(name, &format!(".globl _start\n.type _start, @function\n_start:\n{source}\n"))?;
    Some(survey_elf(&program).iter().map(|site| (site.kind(), site.patch_length())).collect())
}

#[test]
fn neighbours_are_displaced_only_where_nothing_lands_between_them() {
    type Case<'a> = (&'a str, &'a str, &'a [(SiteKind, usize)]);
    let cases: [Case<'_>; 9] = [
        ("short-before", "mov %edi,%eax\n mov %rsi,%rdi\n syscall\n ret", &[(SiteKind::Intact, 5)]),
        // A jump to the syscall itself is fine, it stays; one between the two is not.
        ("jump-to-it", "mov %edi,%eax\n mov %rsi,%rdi\n1: syscall\n jmp 1b", &[(SiteKind::Intact, 5)]),
        ("jump-between", "mov %edi,%eax\n1: mov %esi,%edi\n syscall\n jmp 1b", &[(SiteKind::Trap, 0)]),
        ("after", "1: syscall\n cmp $-38,%rax\n je 1b\n ret", &[(SiteKind::Covered, 6)]),
        ("around", "mov %edi,%eax\n syscall\n push %rax\n ret", &[(SiteKind::Covered, 5)]),
        ("rip-relative", "mov data(%rip),%eax\n syscall\n ret\ndata: .long 1", &[(SiteKind::Trap, 0)]),
        (
            "twice",
            "mov $1,%eax\n syscall\n mov $2,%eax\n syscall\n ret",
            &[(SiteKind::Intact, 5), (SiteKind::Intact, 5)],
        ),
        ("operand", "mov $0x9090050f,%eax\n ret", &[]),
        ("data", "ret\n .byte 0x0f,0x05,0x90,0x90,0x90,0x90,0x90", &[]),
    ];
    for (name, source, expected) in cases {
        if let Some(sites) = sites_of(name, source) {
            assert_eq!(sites, expected, "{name}");
        }
    }
}

#[test]
fn jump_tables_and_pointers_keep_their_targets() {
    let table = "lea table(%rip),%rdx\n movslq (%rdx,%rdi,4),%rax\n add %rdx,%rax\n jmp *%rax\n\
        first: mov %edi,%eax\nsecond: mov %esi,%edi\n syscall\n ret\n\
        .section .rodata\n.balign 4\ntable: .long first-table, second-table";
    let pointer = "jmp *pointer(%rip)\n first: mov %edi,%eax\nsecond: mov %esi,%edi\n syscall\n ret\n\
        .data\n.balign 8\npointer: .quad second";
    let reached = "test %edi,%edi\n je first\n";
    for (name, source) in [("table", table), ("pointer", pointer)] {
        if let Some(sites) = sites_of(name, &format!("{reached}{source}")) {
            assert_eq!(sites, [(SiteKind::Trap, 0)], "{name}");
        }
        // The same without the table or pointer can be patched.
        let harmless = source.replace("second-table", "0").replace(".quad second", ".quad 0");
        if let Some(sites) = sites_of(name, &format!("{reached}{harmless}")) {
            assert_eq!(sites, [(SiteKind::Covered, 6)], "{name}");
        }
    }
}

#[test]
fn far_or_wrong_stubs_are_refused() {
    let code = [0xb8, 1, 0, 0, 0, 0x0f, 0x05];
    let site = find_runtime_sites(&code).next().unwrap();
    let (mut stub, mut patch) = ([0; MAX_STUB], [0; MAX_CODE]);
    check_patch(&site, &code, 0x8000_0000, 0x10);
    assert_eq!(encode_stub(&site, &code, 0x1_0000_0000, 0x1000, &mut stub), Err(PatchError::TooFar));
    assert_eq!(encode_patch(&site, 0x1000, 0x1_0000_0000, &mut patch), Err(PatchError::TooFar));
    assert_eq!(encode_stub(&site, &code, u64::MAX - 3, u64::MAX - 90, &mut stub), Err(PatchError::TooFar));
    assert_eq!(encode_stub(&site, &code[..6], 0, 0x1000, &mut stub), Err(PatchError::WrongCode));
    assert_eq!(encode_stub(&site, &[0x90; 7], 0, 0x1000, &mut stub), Err(PatchError::WrongCode));
}

#[test]
fn the_survey_is_the_same_however_the_file_streams_by() {
    let file = std::fs::read(LIBC).unwrap();
    for step in [1 << 20, 65_536, 4096, 1013] {
        let mut hasher = FileHasher::new(file.len() as u64);
        file.chunks(step).for_each(|piece| hasher.update(piece).unwrap());
        let summary = hasher.finish().unwrap();
        assert_eq!(summary.sites(), survey_elf(&file));
    }
}

#[test]
fn of_huge_programs_only_the_code_is_held_and_certain_patches_are_chosen() {
    // The real libc with 70 MB of debug information, so to speak, behind it.
    let mut file = std::fs::read(LIBC).unwrap();
    let small = survey_elf(&file).len();
    file.resize(file.len() + (70 << 20), 0);
    let sites = survey_elf(&file);
    let patchable = sites.iter().filter(|site| site.kind() != SiteKind::Trap).count();
    println!("{patchable} of {small} sites of a huge libc are certain");
    assert!(patchable * 10 >= small * 8);
    let code = |site: &Site| &file[site.offset() as usize..][..site.code_length()];
    for site in sites.iter().filter(|site| site.kind() != SiteKind::Trap) {
        check_patch(site, code(site), 0x10_0000, 0x20_0000);
    }
}
