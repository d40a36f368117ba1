//! Random numbers: ChaCha20 keyed from RDSEED/RDRAND, never from the host.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::sync::Mutex;

/// Bytes after which the generator takes a new key.
const RESEED_INTERVAL: usize = 1 << 20;

struct Generator {
    rng: Option<ChaCha20Rng>,
    left: usize,
}

static GENERATOR: Mutex<Generator> = Mutex::new(Generator { rng: None, left: 0 });

/// One RDRAND draw; None when the processor gave none in 16 tries (SDM vol. 1, 7.3.17.1).
fn hardware_u64() -> Option<u64> {
    for _ in 0..16 {
        let value: u64;
        let ok: u8;
        // SAFETY: RDRAND only writes the destination and the flags; its presence is checked at start.
        unsafe {
            core::arch::asm!("rdrand {0}", "setc {1}", out(reg) value, out(reg_byte) ok, options(nostack, nomem))
        };
        // All-zero and all-one words are what known-broken implementations return with the carry set.
        if ok == 1 && value != 0 && value != u64::MAX {
            return Some(value);
        }
    }
    None
}

fn seed() -> [u8; 32] {
    let mut seed = [0u8; 32];
    let mut previous = 0;
    for part in seed.chunks_exact_mut(8) {
        match hardware_u64() {
            Some(value) if value != previous => {
                previous = value;
                part.copy_from_slice(&value.to_le_bytes());
            }
            _ => crate::console::fatal("the processor's random number generator gives no usable numbers"),
        }
    }
    seed
}

/// Fills `buffer` with random bytes fit for keys.
pub fn fill(buffer: &mut [u8]) {
    let mut generator = GENERATOR.lock();
    for chunk in buffer.chunks_mut(RESEED_INTERVAL) {
        if generator.left < chunk.len() || generator.rng.is_none() {
            generator.rng = Some(ChaCha20Rng::from_seed(seed()));
            generator.left = RESEED_INTERVAL;
        }
        generator.left -= chunk.len();
        if let Some(rng) = generator.rng.as_mut() {
            rng.fill_bytes(chunk);
        }
    }
}

/// One random number.
pub fn next_u64() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Whether the processor has RDRAND (CPUID.1:ECX[30]).
pub(crate) fn is_available() -> bool {
    crate::cpuid::cpuid(1, 0)[2] >> 30 & 1 == 1
}
