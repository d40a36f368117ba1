//! Following control flow from the functions' starts: which bytes begin instructions, and where jumps may land.

use iced_x86::{Code as Opcode, Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

use super::elf::{Code, Image};

/// Most entries that are read as one jump table.
const MAX_TABLE: usize = 4096;

/// What is known of each byte of each run of code.
pub(crate) struct Flow {
    /// An instruction that control flow reaches begins here.
    starts: Vec<BitSet>,
    /// Something may jump here: a branch, or an address kept in code or data.
    targets: Vec<BitSet>,
}

impl Flow {
    /// Follows all code of the image that is reachable from its functions by direct branches and calls.
    pub fn trace(image: &Image<'_>) -> Self {
        let sets = || image.code.iter().map(|code| BitSet::new(code.bytes.len())).collect();
        let mut tracer = Tracer {
            image,
            flow: Self { starts: sets(), targets: sets() },
            pending: Vec::new(),
            tables: Vec::new(),
        };
        for &function in &image.functions {
            tracer.branch_to(function);
        }
        while let Some(address) = tracer.pending.pop() {
            tracer.run_from(address);
        }
        if image.is_whole {
            tracer.add_pointers();
            tracer.add_tables();
        }
        tracer.flow
    }

    /// Whether an instruction that control flow reaches begins at byte `at` of run `run`.
    pub fn is_start(&self, run: usize, at: usize) -> bool {
        self.starts[run].contains(at)
    }

    /// Whether something may jump to byte `at` of run `run`.
    pub fn is_target(&self, run: usize, at: usize) -> bool {
        self.targets[run].contains(at)
    }
}

struct Tracer<'a> {
    image: &'a Image<'a>,
    flow: Flow,
    /// Addresses where code begins that was not followed yet.
    pending: Vec<u64>,
    /// Addresses outside the code that code computes: jump tables, perhaps.
    tables: Vec<u64>,
}

impl Tracer<'_> {
    /// Marks an address; returns where it lies in the code, if it does.
    fn mark_target(&mut self, address: u64) -> Option<(usize, usize)> {
        let run = self.image.code_at(address)?;
        let at = (address - self.image.code[run].address) as usize;
        self.flow.targets[run].insert(at);
        Some((run, at))
    }

    /// Code begins at `address`: follow it some time.
    fn branch_to(&mut self, address: u64) {
        if let Some((run, at)) = self.mark_target(address)
            && !self.flow.starts[run].contains(at)
        {
            self.pending.push(address);
        }
    }

    /// Follows the code at `address` until it ends, or runs into what was followed before.
    fn run_from(&mut self, address: u64) {
        let Some(run) = self.image.code_at(address) else { return };
        let code = &self.image.code[run];
        let mut decoder = decode_at(code, (address - code.address) as usize);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            let at = decoder.position() + (address - code.address) as usize;
            if self.flow.starts[run].contains(at) {
                return;
            }
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                return;
            }
            self.flow.starts[run].insert(at);
            self.note_addresses(&instruction);
            match instruction.flow_control() {
                FlowControl::Next | FlowControl::IndirectCall => {}
                FlowControl::Call | FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => {
                    self.follow_branch(&instruction);
                }
                FlowControl::UnconditionalBranch => {
                    self.follow_branch(&instruction);
                    return;
                }
                FlowControl::IndirectBranch
                | FlowControl::Return
                | FlowControl::Interrupt
                | FlowControl::Exception => return,
            }
        }
    }

    fn follow_branch(&mut self, instruction: &Instruction) {
        if instruction.op0_kind() == OpKind::NearBranch64 {
            self.branch_to(instruction.near_branch_target());
        }
    }

    /// Addresses that the instruction computes or carries may be jumped to later (but may be data's as well: they are
    /// not followed).
    fn note_addresses(&mut self, instruction: &Instruction) {
        if instruction.is_ip_rel_memory_operand() {
            let address = instruction.ip_rel_memory_address();
            if self.mark_target(address).is_none() && instruction.code() == Opcode::Lea_r64_m {
                self.tables.push(address);
            }
        }
        for operand in 0..instruction.op_count() {
            match instruction.op_kind(operand) {
                OpKind::Immediate64 | OpKind::Immediate32 | OpKind::Immediate32to64 => {
                    self.mark_target(instruction.immediate(operand));
                }
                _ => {}
            }
        }
    }

    /// Every aligned word of the loaded segments that is an address of code: pointers, relocations' addends, symbols.
    fn add_pointers(&mut self) {
        let image = self.image;
        let (Some(first), Some(last)) = (image.code.first(), image.code.last()) else { return };
        for &(address, bytes) in &image.segments {
            let unaligned = (address.wrapping_neg() % 8) as usize;
            for word in bytes.get(unaligned..).unwrap_or_default().as_chunks::<8>().0 {
                let pointer = u64::from_le_bytes(*word);
                if (first.address..last.end()).contains(&pointer) {
                    self.mark_target(pointer);
                }
            }
        }
    }

    /// Jump tables of position-independent code: 32-bit distances from the table's own address.
    fn add_tables(&mut self) {
        self.tables.sort_unstable();
        self.tables.dedup();
        for table in std::mem::take(&mut self.tables) {
            let place = self.image.segments.iter().find_map(|(address, bytes)| {
                bytes.get(usize::try_from(table.checked_sub(*address)?).ok()?..)
            });
            for distance in place.unwrap_or_default().as_chunks::<4>().0.iter().take(MAX_TABLE) {
                let target = table.wrapping_add_signed(i32::from_le_bytes(*distance).into());
                if self.mark_target(target).is_none() {
                    break;
                }
            }
        }
    }
}

/// A decoder of the code from byte `at` on.
pub(crate) fn decode_at<'a>(code: &Code<'a>, at: usize) -> Decoder<'a> {
    Decoder::with_ip(64, &code.bytes[at..], code.address + at as u64, DecoderOptions::NONE)
}

/// One bit for each byte of a run of code.
struct BitSet(Vec<u64>);

impl BitSet {
    fn new(bits: usize) -> Self {
        Self(vec![0; bits.div_ceil(64)])
    }

    fn insert(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn contains(&self, bit: usize) -> bool {
        self.0.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }
}
