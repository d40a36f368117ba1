//! A protected file in a hostile storage: the input is what the storage and the user do. No panic, and what is read is what was
//! written, or an error.
#![no_main]

use casemate_protected_files::{Error, FileKey, NODE_SIZE, Node, ProtectedFile, Storage, nodes_of};

const KEY: FileKey = FileKey([1; 16]);
/// Largest size of a file here.
const MOST: u64 = 600_000;

#[derive(Default)]
struct Memory {
    nodes: Vec<Node>,
    randoms: u64,
}

struct Missing;

impl Storage for &mut Memory {
    type Error = Missing;

    fn read(&mut self, number: u64, node: &mut Node) -> Result<(), Missing> {
        *node = *self.nodes.get(number as usize).ok_or(Missing)?;
        Ok(())
    }

    fn write(&mut self, number: u64, node: &Node) -> Result<(), Missing> {
        assert!(number < nodes_of(MOST + 256));
        let end = self.nodes.len().max(number as usize + 1);
        self.nodes.resize(end, [0; NODE_SIZE]);
        self.nodes[number as usize] = *node;
        Ok(())
    }

    fn cut(&mut self, nodes: u64) -> Result<(), Missing> {
        self.nodes.truncate(nodes as usize);
        Ok(())
    }

    fn random(&mut self, to: &mut [u8]) -> Result<(), Missing> {
        self.randoms += 1;
        for (byte, new) in to.iter_mut().zip(self.randoms.to_le_bytes()) {
            *byte = new;
        }
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut memory = Memory::default();
    let Ok(file) = ProtectedFile::create(&mut memory, KEY, b"path") else { panic!("an empty file") };
    drop(file);
    let mut model = Vec::new();
    // A step opens the file, does up to three things with it, and writes it, or changes what is stored.
    for step in bytes.chunks_exact(16).take(20) {
        let word = |at: usize| u64::from(u32::from_le_bytes([step[at], step[at + 1], step[at + 2], 0]));
        if step[0] & 3 == 0 {
            tamper(&mut memory, word(1), word(4), step[7]);
            continue;
        }
        if use_file(&mut memory, &mut model, step, word).is_err() {
            return;
        }
    }
});

fn tamper(memory: &mut Memory, node: u64, at: u64, byte: u8) {
    let count = memory.nodes.len();
    let (one, other) = (node as usize % count, at as usize % count);
    match byte {
        0 => memory.nodes.swap(one, other),
        1 => memory.nodes[one] = memory.nodes[other],
        2 => memory.nodes.truncate(one + 1),
        _ => memory.nodes[one][at as usize % NODE_SIZE] ^= byte,
    }
}

fn use_file(
    memory: &mut Memory,
    model: &mut Vec<u8>,
    step: &[u8],
    word: impl Fn(usize) -> u64,
) -> Result<(), Error<Missing>> {
    let mut file = ProtectedFile::open(memory, KEY, Some(b"path"))?;
    assert_eq!(file.size(), model.len() as u64);
    if step[0] & 4 != 0 {
        let size = word(1) % MOST;
        file.set_size(size)?;
        model.resize(size as usize, 0);
    }
    if step[0] & 8 != 0 {
        let (offset, bytes) = (word(4) % MOST, vec![step[7]; usize::from(step[8])]);
        file.write(offset, &bytes)?;
        let end = offset as usize + bytes.len();
        if !bytes.is_empty() {
            model.resize(model.len().max(end), 0);
            model[offset as usize..end].copy_from_slice(&bytes);
        }
    }
    let (offset, mut bytes) = ((word(9) % MOST) as usize, vec![0; word(12) as usize % 20_000]);
    let count = file.read(offset as u64, &mut bytes)?;
    let start = offset.min(model.len());
    assert_eq!(bytes[..count], model[start..(start + bytes.len()).min(model.len())]);
    file.flush()
}
