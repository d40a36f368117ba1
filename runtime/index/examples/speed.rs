//! Prints what the index costs: `cargo run --release -p casemate-index --features std --example speed`

use std::hint::black_box;
use std::time::Instant;

use casemate_index::{Attributes, FileHasher, Follow, Index, LayerTable, merge, verity_digest};

fn main() {
    let mut layer = LayerTable::new("");
    let mut paths = Vec::new();
    for i in 0..100_000 {
        let path = format!("usr/lib/package{}/module{}/file-{i:06}.py", i % 97, i % 11);
        layer.add_directory(path.as_bytes(), Attributes::default()).unwrap();
        paths.push(path.into_bytes());
    }
    let start = Instant::now();
    let merged = merge(&[layer]).unwrap();
    println!("merging 100,000 files: {:.1?}; the index has {} bytes", start.elapsed(), merged.bytes.len());

    let start = Instant::now();
    let index = Index::open(merged.bytes, &merged.root_digest).unwrap();
    println!("opening it: {:.1?}", start.elapsed());
    let start = Instant::now();
    look_up_all(&index, &paths);
    println!(
        "look-up of 5 components, cold (every block authenticated on the way): {:.1?}",
        start.elapsed() / 100_000
    );
    let start = Instant::now();
    look_up_all(&index, &paths);
    println!("look-up of 5 components, warm, all different: {:.1?}", start.elapsed() / 100_000);
    let start = Instant::now();
    (0..100).for_each(|_| look_up_all(&index, &paths[..1000]));
    println!("look-up of 5 components, warm, 1000 in turn: {:.1?}", start.elapsed() / 100_000);
    let start = Instant::now();
    for path in &paths {
        assert!(index.resolve(black_box(path), Follow::Last).unwrap().is_some());
    }
    println!("resolving a path of 5 components: {:.1?}", start.elapsed() / 100_000);

    let data: Vec<u8> = (0..256 << 20).map(|i: u32| (i % 251) as u8).collect();
    let gigabytes = data.len() as f64 / 1e9;
    let start = Instant::now();
    black_box(verity_digest(&data));
    println!("fs-verity digest: {:.2} GB/s", gigabytes / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let mut hasher = FileHasher::new(data.len() as u64);
    data.chunks(1 << 20).for_each(|piece| hasher.update(piece).unwrap());
    let summary = hasher.finish().unwrap();
    println!("FileHasher: {:.2} GB/s", gigabytes / start.elapsed().as_secs_f64());

    let mut layer = LayerTable::new("");
    layer.add_file(b"model", summary, Attributes::default()).unwrap();
    let merged = merge(&[layer]).unwrap();
    let index = Index::open(merged.bytes, &merged.root_digest).unwrap();
    let file = index.resolve(b"model", Follow::Last).unwrap().unwrap();
    let verifier = index.file_verifier(file).unwrap();
    for pass in ["first", "second"] {
        let start = Instant::now();
        verifier.verify_run(&index, 0, &data).unwrap();
        println!("verifying a file, {pass} time: {:.2} GB/s", gigabytes / start.elapsed().as_secs_f64());
    }
}

fn look_up_all(index: &Index, paths: &[Vec<u8>]) {
    for path in paths {
        let mut current = index.root();
        for name in path.split(|&byte| byte == b'/') {
            current = index.lookup(current, black_box(name)).unwrap().unwrap();
        }
        black_box(current);
    }
}
