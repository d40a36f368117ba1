//! The survey of an ELF file's `syscall` instructions: where they are, and which bytes a patch may overwrite.
//!
//! Done once, when the image is built, with a real decoder: most `0F 05` byte pairs in executables are data or operands.
//! An instruction counts only when control flow reaches it from a function's start ([`flow`]), or when the bytes around
//! it form one of the strict patterns of [`crate::find_runtime_sites`]. When in doubt, a site is left to trap.

mod elf;
mod flow;
mod held;
mod patch;

use elf::Image;
use held::HeldBytes;

use crate::runtime_sites::next_hit;
use crate::site::Site;

/// Changes whenever a file's sites would be chosen differently.
pub const SURVEY_VERSION: u32 = 2;

/// ELF files up to this size are held whole while they stream by. Of larger ones only the executable parts are, if those
/// are not larger than this; then only patches that need no knowledge of the rest are chosen.
const MAX_HELD: u64 = 64 << 20;
/// What is held of a file until its program headers are known.
const HEAD: u64 = 64 << 10;

/// Watches a file stream by and holds what the survey needs of it.
pub(crate) struct Surveyor {
    size: u64,
    state: State,
}

enum State {
    /// It may become an ELF file: the bytes so far.
    Head(Vec<u8>),
    /// It is one.
    Held(HeldBytes),
    /// Nothing to survey.
    Off,
}

impl Surveyor {
    pub fn new(size: u64) -> Self {
        // The smallest ELF file with a program header has 120 bytes.
        Self { size, state: if size < 120 { State::Off } else { State::Head(Vec::new()) } }
    }

    /// Takes the bytes at `offset`, which is where the last ones ended.
    pub fn update(&mut self, offset: u64, data: &[u8]) {
        match &mut self.state {
            State::Off => {}
            State::Held(held) => held.take(offset, data),
            State::Head(head) => {
                let wanted = self.size.min(HEAD) as usize - head.len();
                let (mine, rest) = data.split_at(data.len().min(wanted));
                head.extend_from_slice(mine);
                if !elf::may_be_program(head) {
                    self.state = State::Off;
                } else if mine.len() == wanted {
                    let head = core::mem::take(head);
                    self.state = match elf::parts_to_hold(&head, self.size, MAX_HELD) {
                        Some(parts) => {
                            let mut held = HeldBytes::new(self.size, &parts);
                            held.take(0, &head);
                            held.take(offset + mine.len() as u64, rest);
                            State::Held(held)
                        }
                        None => State::Off,
                    };
                }
            }
        }
    }

    /// The sites, once the whole file has come.
    pub fn finish(self) -> Vec<Site> {
        match self.state {
            State::Held(held) => survey(&held),
            _ => Vec::new(),
        }
    }
}

/// The sites of the ELF file that `bytes` are, in order; none if it is no x86-64 program or library.
pub fn survey_elf(bytes: &[u8]) -> Vec<Site> {
    let mut surveyor = Surveyor::new(bytes.len() as u64);
    surveyor.update(0, bytes);
    surveyor.finish()
}

fn survey(held: &HeldBytes) -> Vec<Site> {
    match Image::parse(held) {
        Some(image) if image.code.iter().any(|code| next_hit(code.bytes, 0).is_some()) => {
            patch::choose(&image)
        }
        _ => Vec::new(),
    }
}
