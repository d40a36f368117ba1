//! Random numbers: ChaCha20 keyed from RDRAND and RDSEED, never from the host.

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

/// Tries for one number (SDM volume 1, 7.3.17.1 says 10 for RDRAND; RDSEED may be drained by others for longer).
const TRIES: u32 = 128;

/// One draw by RDRAND, or by RDSEED; None when the processor gave none.
fn draw(by_seed: bool) -> Option<u64> {
    for _ in 0..TRIES {
        let (mut value, mut ok): (u64, u8);
        // SAFETY: both instructions only write the destination and the flags; that they are there was checked.
        unsafe {
            if by_seed {
                core::arch::asm!("rdseed {0}", "setc {1}", out(reg) value, out(reg_byte) ok, options(nostack, nomem));
            } else {
                core::arch::asm!("rdrand {0}", "setc {1}", out(reg) value, out(reg_byte) ok, options(nostack, nomem));
            }
        };
        // All-zero and all-one words are what known-broken implementations return with the carry set.
        if ok == 1 && value != 0 && value != u64::MAX {
            return Some(value);
        }
        core::hint::spin_loop();
    }
    None
}

/// Admits a source's numbers: no two in turn are the same.
fn fresh(value: Option<u64>, previous: &mut u64) -> Option<u64> {
    let value = value.filter(|value| value != previous)?;
    *previous = value;
    Some(value)
}

/// 256 bits of RDRAND, and of RDSEED on top where it is there and has some: neither alone can spoil the key.
fn seed() -> [u8; 32] {
    let has_rdseed = has_rdseed();
    let mut seed = [0u8; 32];
    let (mut last_drawn, mut last_seeded) = (0, 0);
    for part in seed.chunks_exact_mut(8) {
        let Some(drawn) = fresh(draw(false), &mut last_drawn) else {
            crate::console::fatal("the processor's random number generator gives no usable numbers")
        };
        let seeded = if has_rdseed { fresh(draw(true), &mut last_seeded).unwrap_or(0) } else { 0 };
        part.copy_from_slice(&(drawn ^ seeded).to_le_bytes());
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

/// CPUID.(EAX=7,ECX=0):EBX[18]. By the host's word, in an enclave: denied, RDRAND is enough.
fn has_rdseed() -> bool {
    crate::cpuid::cpuid(7, 0)[1] >> 18 & 1 == 1
}

/// Whether the processor has RDRAND (CPUID.1:ECX[30]).
pub(crate) fn is_available() -> bool {
    crate::cpuid::cpuid(1, 0)[2] >> 30 & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_repeats_itself_is_not_believed() {
        let mut previous = 0;
        assert_eq!(fresh(Some(7), &mut previous), Some(7));
        assert_eq!(fresh(Some(7), &mut previous), None);
        assert_eq!(fresh(None, &mut previous), None);
        assert_eq!(fresh(Some(8), &mut previous), Some(8));
    }

    #[test]
    fn both_sources_give_numbers_where_they_are() {
        assert!(draw(false).is_some());
        assert!(!has_rdseed() || draw(true).is_some());
        assert_ne!(seed(), seed());
    }
}
