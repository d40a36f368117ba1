//! Bytes that lie: what does not match the root digest is found when touched, and what does but makes no sense is
//! an error, never a panic.

mod exercise;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use casemate_index::{
    Attributes, Block, BlockSource, Device, Error, FileHasher, Index, InodeNumber, LayerTable, SourceError,
    SpecialKind, find_runtime_sites, merge, survey_elf,
};
use exercise::{exercise, seal};
use proptest::prelude::*;

/// A real program with system calls of its own.
const PROGRAM: &str = "/lib64/ld-linux-x86-64.so.2";

/// A small image with one of everything.
fn sample() -> LayerTable {
    let program = std::fs::read(PROGRAM).unwrap();
    let mut layer = LayerTable::new("");
    let mut attributes = Attributes { permissions: 0o755, ..Attributes::default() };
    attributes.xattrs.insert(b"user.name".to_vec(), vec![7; 5000]);
    layer.add_directory(b"bin", attributes).unwrap();
    for (path, content) in
        [("bin/program", program.as_slice()), ("small", b"abc"), ("empty", b""), ("two", &[5; 8192])]
    {
        let mut hasher = FileHasher::new(content.len() as u64);
        hasher.update(content).unwrap();
        layer.add_file(path.as_bytes(), hasher.finish().unwrap(), Attributes::default()).unwrap();
    }
    layer.add_symlink(b"loop", b"bin/../loop", Attributes::default()).unwrap();
    layer.add_hard_link(b"a/b/c", b"small").unwrap();
    let device = Device { major: 1, minor: 3 };
    layer.add_special(b"null", SpecialKind::CharDevice, device, Attributes::default()).unwrap();
    for i in 0..300 {
        layer.add_directory(format!("many/{i:0100}").as_bytes(), Attributes::default()).unwrap();
    }
    layer
}

/// Everything below the root as text, or the first error.
fn describe(index: &Index) -> Result<String, Error> {
    let mut text = String::new();
    for number in (1..=index.inode_count()).map(InodeNumber) {
        let inode = index.inode(number)?;
        text += &format!("{inode:?} {:?}\n", index.xattrs(number)?);
        for position in 0.. {
            match index.read_dir(number, position) {
                Ok(Some(entry)) => text += &format!("{entry:?}\n"),
                Ok(None) | Err(Error::WrongKind(_)) => break,
                Err(error) => return Err(error),
            }
        }
        match index.symlink_target(number) {
            Ok(target) => text += &format!("{target:?}\n"),
            Err(Error::WrongKind(_)) => {}
            Err(error) => return Err(error),
        }
        if let Ok(sites) = index.syscall_sites(number) {
            for site in sites.in_range(index, 0..u64::MAX) {
                text += &format!("{:?}\n", site?);
            }
        }
    }
    Ok(text)
}

#[test]
fn a_flipped_bit_anywhere_is_found_or_was_never_used() {
    let merged = merge(&[sample()]).unwrap();
    let sound = describe(&Index::open(merged.bytes.clone(), &merged.root_digest).unwrap()).unwrap();
    let mut found = 0;
    // A stride that is no divisor of a block visits every place within a block over the whole.
    let places: Vec<usize> = (0..merged.bytes.len()).step_by(509).collect();
    for &at in &places {
        let mut bytes = merged.bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        match Index::open(bytes, &merged.root_digest).and_then(|index| describe(&index)) {
            Ok(text) => assert_eq!(text, sound, "byte {at} changed an answer"),
            Err(_) => found += 1,
        }
    }
    assert!(found * 2 > places.len(), "most blocks are touched: {found} of {}", places.len());
}

#[test]
fn another_root_digest_and_cut_files_are_refused() {
    let merged = merge(&[sample()]).unwrap();
    let mut digest = merged.root_digest;
    digest[31] ^= 1;
    assert!(matches!(Index::open(merged.bytes.clone(), &digest), Err(Error::Unauthentic { .. })));
    for length in [0, 1, 4095, 4096, 8192, merged.bytes.len() - 4096, merged.bytes.len() - 1] {
        let opened = Index::open(merged.bytes[..length].to_vec(), &merged.root_digest);
        assert!(opened.and_then(|index| describe(&index)).is_err(), "{length} bytes");
    }
}

/// Delivers sound bytes the first time and others from then on, as a host can; counts what it delivers.
struct Fickle {
    bytes: Vec<u8>,
    delivered: AtomicU64,
}

impl BlockSource for Fickle {
    fn read_block(&self, number: u64, out: &mut Block) -> Result<(), SourceError> {
        self.bytes.read_block(number, out)?;
        if number == 0 && self.delivered.fetch_add(1, Ordering::Relaxed) > 0 {
            out[24] ^= 0xff; // the number of inodes
        }
        Ok(())
    }
}

#[test]
fn a_source_that_changes_its_mind_is_found_out() {
    let merged = merge(&[sample()]).unwrap();
    let source = Fickle { bytes: merged.bytes, delivered: AtomicU64::new(0) };
    assert!(matches!(Index::open(source, &merged.root_digest), Err(Error::Unauthentic { block: 0 })));
}

/// Counts the blocks delivered.
struct Counted(Vec<u8>, Arc<AtomicU64>);

impl BlockSource for Counted {
    fn read_block(&self, number: u64, out: &mut Block) -> Result<(), SourceError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read_block(number, out)
    }
}

#[test]
fn opening_reads_a_handful_of_blocks_and_each_block_comes_once() {
    let mut layer = sample();
    for i in 0..20_000 {
        layer.add_directory(format!("wide/{}/{i}", i % 100).as_bytes(), Attributes::default()).unwrap();
    }
    let merged = merge(&[layer]).unwrap();
    let blocks = (merged.bytes.len() / 4096) as u64;
    let delivered = Arc::new(AtomicU64::new(0));
    let index = Index::open(Counted(merged.bytes, Arc::clone(&delivered)), &merged.root_digest).unwrap();
    assert!(delivered.load(Ordering::Relaxed) <= 6, "of {blocks}");
    describe(&index).unwrap();
    describe(&index).unwrap();
    assert!(delivered.load(Ordering::Relaxed) <= blocks + 1, "block 0 comes twice, others once");
}

#[test]
fn threads_share_an_index() {
    let merged = merge(&[sample()]).unwrap();
    let index = Index::open(merged.bytes, &merged.root_digest).unwrap();
    let texts: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| describe(&index).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn sealing_a_body_gives_the_writers_file() {
    let merged = merge(&[sample()]).unwrap();
    let blocks = u64::from_le_bytes(merged.bytes[16..24].try_into().unwrap()) as usize;
    let (file, digest) = seal(&merged.bytes[..blocks * 4096]);
    assert!(file == merged.bytes && digest == merged.root_digest);
}

/// How many inputs each property is tried with; `make test-long` sets more.
fn cases() -> u32 {
    std::env::var("CASEMATE_MUTATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(600)
}

/// Places in the body, and what is put there.
fn mutations() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn authentic_nonsense_is_an_error_and_no_panic(mutations in mutations(), near in any::<bool>()) {
        use std::sync::OnceLock;
        static BODY: OnceLock<Vec<u8>> = OnceLock::new();
        let body = BODY.get_or_init(|| {
            let bytes = merge(&[sample()]).unwrap().bytes;
            let blocks = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
            bytes[..blocks * 4096].to_vec()
        });
        let mut body = body.clone();
        for (place, value, how) in mutations {
            // Half of the time among the header, inodes and first entries, where the structure is.
            let at = if near { place.index(12_000) } else { place.index(body.len()) };
            match how {
                0 => body[at] = value,
                1 => body[at] = 0xff,
                2 => body[at] ^= 1 << (value % 8),
                _ => body[at] = body[at].wrapping_add(1),
            }
        }
        let (file, digest) = seal(&body);
        if let Ok(index) = Index::open(file, &digest) {
            exercise(&index);
        }
    }

    #[test]
    fn random_bytes_open_as_nothing(bytes in prop::collection::vec(any::<u8>(), 0..20_000)) {
        let (mut file, digest) = seal(&bytes);
        prop_assert!(Index::open(file.clone(), &digest).is_err());
        file[..8].copy_from_slice(b"CSMTINDX");
        file[8..16].copy_from_slice(&[1, 0, 0, 0, 0, 16, 0, 0]);
        prop_assert!(Index::open(file, &digest).is_err());
        let _ = LayerTable::from_bytes(&bytes);
        let _ = find_runtime_sites(&bytes).count();
    }

    #[test]
    fn a_damaged_program_is_surveyed_without_a_panic(mutations in mutations(), near in any::<bool>()) {
        let mut program = std::fs::read(PROGRAM).unwrap();
        for (place, value, _) in mutations {
            // Half of the time in the headers: ELF and program headers in front, section headers at the end.
            let at = place.index(if near { 1500 } else { program.len() });
            program[at] = value;
            let from_end = program.len() - 1 - place.index(2000);
            program[from_end] = value;
        }
        for site in survey_elf(&program) {
            let end = site.offset() as usize + site.code_length();
            prop_assert!(end <= program.len());
        }
    }
}
