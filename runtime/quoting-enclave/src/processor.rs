//! The instructions that the enclave executes: EREPORT, EGETKEY, RDRAND.

use casemate_quoting::Instructions;
use casemate_sgx::{KeyRequest, Report, TargetInfo};
use zerocopy::{FromBytes, FromZeros};

const EREPORT: u64 = 0;
const EGETKEY: u64 = 1;

#[repr(C, align(512))]
struct Aligned<T>(T);

/// The processor that this code runs on.
pub struct Cpu;

/// ENCLU with these operands; RAX and whether ZF was set.
///
/// # Safety
/// The operands are what the leaf function needs.
unsafe fn enclu(leaf: u64, rbx: *const u8, rcx: *const u8, rdx: *mut u8) -> u64 {
    let result;
    // SAFETY: by the caller's promise. RBX, which the compiler reserves, is put back.
    unsafe {
        core::arch::asm!(
            "xchg rbx, {rbx}",
            ".byte 0x0f, 0x01, 0xd7",
            "xchg rbx, {rbx}",
            rbx = inout(reg) rbx => _,
            inout("rax") leaf => result,
            in("rcx") rcx,
            in("rdx") rdx,
        );
    }
    result
}

impl Instructions for Cpu {
    fn report(&mut self, target: &TargetInfo, data: &[u8; 64]) -> Report {
        let target = Aligned(*target);
        let data = Aligned(*data);
        let mut report = Aligned([0; size_of::<Report>()]);
        // SAFETY: the three operands are inside the enclave, aligned and of the sizes that EREPORT needs.
        unsafe {
            enclu(EREPORT, (&raw const target).cast(), (&raw const data).cast(), (&raw mut report).cast());
        }
        Report::read_from_bytes(&report.0).unwrap_or_else(|_| Report::new_zeroed())
    }

    fn key(&mut self, request: &KeyRequest) -> Option<[u8; 16]> {
        let request = Aligned(*request);
        let mut key = Aligned([0; 16]);
        // SAFETY: both operands are inside the enclave, aligned and of the sizes that EGETKEY needs.
        let code = unsafe {
            enclu(EGETKEY, (&raw const request).cast(), (&raw mut key).cast(), core::ptr::null_mut())
        };
        (code == 0).then_some(key.0)
    }

    fn random(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random_word().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// RDRAND until it delivers: the manual lets it fail for a moment only.
fn random_word() -> u64 {
    loop {
        let (word, delivered): (u64, u8);
        // SAFETY: RDRAND writes its register and the flags. Every processor with SGX has it.
        unsafe {
            core::arch::asm!("rdrand {}", "setc {}", out(reg) word, out(reg_byte) delivered, options(nomem, nostack));
        }
        if delivered != 0 {
            return word;
        }
    }
}
