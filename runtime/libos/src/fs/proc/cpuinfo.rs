//! /proc/cpuinfo, from what the processor says to the program too.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use casemate_platform::cpuid::cpuid;

use crate::syscall::scheduling;

/// Which register of a leaf a flag stands in.
type Register = fn(&[u32; 4]) -> u32;

/// Leaf, subleaf, register, and the names of its bits from 0 on (`-`: no name), as arch/x86/include/asm/cpufeatures.h has them.
const FLAGS: [(u32, u32, Register, &str); 6] = [
    (
        1,
        0,
        |leaf| leaf[3],
        "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe",
    ),
    (
        0x8000_0001,
        0,
        |leaf| leaf[3],
        "- - - - - - - - - - - syscall - - - - - - - - nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow",
    ),
    (
        1,
        0,
        |leaf| leaf[2],
        "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor",
    ),
    (
        0x8000_0001,
        0,
        |leaf| leaf[2],
        "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx - -",
    ),
    (
        7,
        0,
        |leaf| leaf[1],
        "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl",
    ),
    (
        7,
        0,
        |leaf| leaf[2],
        "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - - cldemote - movdiri movdir64b enqcmd sgx_lc -",
    ),
];

fn ascii(registers: &[u32]) -> String {
    let bytes: Vec<u8> = registers.iter().flat_map(|register| register.to_le_bytes()).collect();
    let text = String::from_utf8_lossy(&bytes);
    String::from(text.trim_matches(|c: char| c == '\0' || c == ' '))
}

fn model_name(highest_extended: u32) -> String {
    if highest_extended < 0x8000_0004 {
        return String::from("unknown");
    }
    let parts = [0x8000_0002, 0x8000_0003, 0x8000_0004].map(|leaf| cpuid(leaf, 0));
    ascii(&parts.concat())
}

fn flags(highest: u32, highest_extended: u32) -> String {
    let mut text = String::new();
    for (leaf, subleaf, register, names) in FLAGS {
        let known = if leaf >= 0x8000_0000 { leaf <= highest_extended } else { leaf <= highest };
        if !known {
            continue;
        }
        let bits = register(&cpuid(leaf, subleaf));
        for (bit, name) in names.split(' ').enumerate() {
            if bits >> bit & 1 == 1 && name != "-" {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(name);
            }
        }
    }
    text
}

/// The whole file.
pub(super) fn text() -> Vec<u8> {
    let (first, version) = (cpuid(0, 0), cpuid(1, 0));
    let highest_extended = cpuid(0x8000_0000, 0)[0];
    let count = scheduling::processors();
    let base_family = version[0] >> 8 & 15;
    let family = base_family + if base_family == 15 { version[0] >> 20 & 0xff } else { 0 };
    let high_model = if matches!(base_family, 6 | 15) { version[0] >> 16 & 15 } else { 0 };
    let model = version[0] >> 4 & 15 | high_model << 4;
    let sizes = if highest_extended >= 0x8000_0008 { cpuid(0x8000_0008, 0)[0] } else { 0x3028 };
    let flags = flags(first[0], highest_extended);
    let name = model_name(highest_extended);
    let mut text = String::new();
    for number in 0..count {
        let line = version[1] >> 8 & 0xff;
        text += &format!(
            "processor\t: {number}\nvendor_id\t: {}\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: {name}\n\
             stepping\t: {}\ncpu MHz\t\t: 2000.000\ncache size\t: 1024 KB\nphysical id\t: 0\nsiblings\t: {count}\n\
             core id\t\t: {number}\ncpu cores\t: {count}\napicid\t\t: {number}\nfpu\t\t: yes\nfpu_exception\t: yes\n\
             cpuid level\t: {}\nwp\t\t: yes\nflags\t\t: {flags}\nbogomips\t: 4000.00\nclflush size\t: {}\n\
             cache_alignment\t: 64\naddress sizes\t: {} bits physical, {} bits virtual\npower management:\n\n",
            ascii(&[first[1], first[3], first[2]]),
            version[0] & 15,
            first[0],
            line * 8,
            sizes & 0xff,
            sizes >> 8 & 0xff,
        );
    }
    text.into_bytes()
}
