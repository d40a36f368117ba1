//! Choosing, for each `syscall` instruction, the bytes that a jump may overwrite.
//!
//! Rules: whole instructions that run the same anywhere; nothing jumps between them (only to the first, or to a
//! `syscall` that stays intact); patches never touch one another. Preferred is what leaves the `syscall` intact. The
//! restorer of `rt_sigreturn` stays as it is, because unwinders know it by its bytes.

use iced_x86::{Code as Opcode, FlowControl, Instruction};

use super::elf::{Code, Image};
use super::flow::{Flow, decode_at};
use crate::runtime_sites::{RT_SIGRETURN, loaded_number, next_hit, strict_site};
use crate::site::{MAX_CODE, Site};

const JMP_LENGTH: usize = 5;
const SYSCALL_LENGTH: usize = 2;
const MAX_INSTRUCTION: usize = 15;

/// The sites of the image, by their places in the file.
pub(crate) fn choose(image: &Image<'_>) -> Vec<Site> {
    let candidates: Vec<(usize, usize)> = (0..image.code.len())
        .flat_map(|run| possible_instructions(image, run).map(move |at| (run, at)))
        .collect();
    if candidates.is_empty() {
        return Vec::new();
    }
    let flow = Flow::trace(image);
    let mut sites = Vec::new();
    let mut current_run = usize::MAX;
    let mut patched_to = 0; // in the current run
    for (run, at) in candidates {
        if run != current_run {
            (current_run, patched_to) = (run, 0);
        }
        let code = &image.code[run];
        let chooser = Chooser { code, run, flow: &flow, is_whole: image.is_whole, patched_to };
        if let Some(found) = chooser.site(at) {
            patched_to = found.start + found.site.code_length();
            sites.push(found.site);
        }
    }
    sites.sort_unstable_by_key(|site| site.offset());
    sites
}

/// Where `0F 05` stands in a run of code.
fn hits(code: &Code<'_>) -> impl Iterator<Item = usize> {
    let bytes = code.bytes;
    std::iter::successors(next_hit(bytes, 0), move |&hit| next_hit(bytes, hit + 1))
}

/// Quick check, to spare most libraries the tracing of all their code: those hits that decoding on from the last
/// function start known, or from the last hit after it, does not pass over as some other instruction's operand.
fn possible_instructions(image: &Image<'_>, run: usize) -> impl Iterator<Item = usize> {
    let code = &image.code[run];
    let mut decoder = decode_at(code, 0);
    let mut instruction = Instruction::default();
    hits(code).filter(move |&at| {
        let address = code.address + at as u64;
        let known = image.functions.partition_point(|&function| function <= address);
        let function = known.checked_sub(1).map_or(0, |last| image.functions[last]);
        if function > decoder.ip() {
            decoder = decode_at(code, (function - code.address) as usize);
        }
        while decoder.can_decode() && decoder.ip() < address {
            decoder.decode_out(&mut instruction);
        }
        decoder.ip() == address
    })
}

struct Chooser<'a> {
    code: &'a Code<'a>,
    run: usize,
    flow: &'a Flow,
    is_whole: bool,
    /// End of the last site's code.
    patched_to: usize,
}

/// A site, and where in the run of code it begins.
struct Found {
    site: Site,
    start: usize,
}

impl Chooser<'_> {
    /// The site of the `syscall` at byte `at`; `None` when it is not certainly an instruction.
    fn site(&self, at: usize) -> Option<Found> {
        let offset = u32::try_from(self.code.offset + at as u64).ok()?;
        offset.checked_add(MAX_CODE as u32)?;
        if at < self.patched_to {
            return None; // another patch displaced it: cannot be, a syscall is never displaced
        }
        if !self.flow.is_start(self.run, at) {
            return self.strict(at).filter(|found| self.agrees(found.start, at));
        }
        let trap = Found { site: Site::trap(offset), start: at };
        if loaded_number(&self.code.bytes[..at]).is_some_and(|(number, _)| number == RT_SIGRETURN) {
            return Some(trap);
        }
        let certain = || self.strict(at).filter(|_| !self.flow.is_target(self.run, at + SYSCALL_LENGTH));
        Some(self.intact(at).or_else(|| self.covered(at)).or_else(certain).unwrap_or(trap))
    }

    /// Whether decoding from almost anywhere before comes to an instruction at `start` and to the `syscall` at `at`: the bytes of
    /// a strict pattern may also be the end of a longer instruction (`vmovdqu ymm15, [r8 + 0x1e0]` ends in one), and
    /// decoding falls into step with the real instructions within a few of them.
    fn agrees(&self, start: usize, at: usize) -> bool {
        const FARTHEST: usize = 64;
        const NEAREST: usize = 40;
        let mut agreeing = 0;
        let mut tried = 0;
        for distance in NEAREST..FARTHEST {
            let Some(from) = start.checked_sub(distance) else { break };
            let mut decoder = decode_at(self.code, from);
            let (start_ip, at_ip) = (decoder.ip() + distance as u64, decoder.ip() + (at - from) as u64);
            let mut instruction = Instruction::default();
            let mut meets_start = false;
            while decoder.can_decode() && decoder.ip() < at_ip {
                meets_start |= decoder.ip() == start_ip;
                decoder.decode_out(&mut instruction);
            }
            tried += 1;
            agreeing += usize::from(meets_start && decoder.ip() == at_ip);
        }
        agreeing * 8 >= tried * 7 && tried > 0
    }

    /// A pattern that is most likely a system call; [`Self::agrees`] makes sure.
    fn strict(&self, at: usize) -> Option<Found> {
        let site = strict_site(self.code.bytes, at)?;
        let start = site.offset() as usize;
        let shift = u32::try_from(self.code.offset).ok()?;
        (start >= self.patched_to).then_some(Found { site: site.moved(shift)?, start })
    }

    /// Overwrites what stands before the `syscall`, one long instruction or several.
    fn intact(&self, at: usize) -> Option<Found> {
        let mut start = at;
        while at - start < JMP_LENGTH {
            // Between the instructions of the run nothing may land; on the syscall itself it may.
            if start != at && !self.closed_at(start) {
                return None;
            }
            start = self.before(start)?;
        }
        let site = Site::intact(self.file_offset(start)?, (at - start) as u8)?;
        Some(Found { site, start })
    }

    /// Overwrites the `syscall` with what follows it, and as little as possible of what stands before.
    fn covered(&self, at: usize) -> Option<Found> {
        let mut start = at;
        loop {
            let mut end = at + SYSCALL_LENGTH;
            while end - start < JMP_LENGTH {
                match self.after(end) {
                    Some(next) => end = next,
                    None => break,
                }
            }
            if end - start >= JMP_LENGTH {
                let site = Site::covered(self.file_offset(start)?, (at - start) as u8, (end - start) as u8)?;
                return Some(Found { site, start });
            }
            if !self.closed_at(start) {
                return None;
            }
            start = self.before(start)?;
        }
    }

    /// Start of the displaceable instruction that ends at `end` and runs on into what stands there.
    fn before(&self, end: usize) -> Option<usize> {
        let start =
            (end.saturating_sub(MAX_INSTRUCTION)..end).rev().find(|&at| self.flow.is_start(self.run, at))?;
        (start >= self.patched_to && start + self.displaceable(start)? == end).then_some(start)
    }

    /// End of the displaceable instruction at `start`, if nothing lands there.
    fn after(&self, start: usize) -> Option<usize> {
        if !self.closed_at(start) || !self.flow.is_start(self.run, start) {
            return None;
        }
        let end = start + self.displaceable(start)?;
        // Code that overlaps itself is none to touch.
        (start + 1..end).all(|at| !self.flow.is_start(self.run, at)).then_some(end)
    }

    /// Whether it is certain that nothing lands at `at`. Needs the whole file: a pointer may lie anywhere.
    fn closed_at(&self, at: usize) -> bool {
        self.is_whole && !self.flow.is_target(self.run, at)
    }

    /// Length of the instruction at `at`, if it does the same at another address.
    fn displaceable(&self, at: usize) -> Option<usize> {
        let instruction = decode_at(self.code, at).decode();
        let plain = !instruction.is_invalid()
            && instruction.flow_control() == FlowControl::Next
            && !instruction.is_ip_rel_memory_operand()
            && !matches!(instruction.code(), Opcode::Endbr64 | Opcode::Syscall);
        plain.then_some(instruction.len())
    }

    fn file_offset(&self, at: usize) -> Option<u32> {
        u32::try_from(self.code.offset + at as u64).ok()
    }
}
