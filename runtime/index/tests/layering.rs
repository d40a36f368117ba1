//! Arbitrary layers are merged, written and read back; the result must be what a plain model of the OCI rules says.

use std::collections::{BTreeMap, BTreeSet};

use casemate_index::{
    Attributes, Device, FileHasher, FileKind, FileSummary, Follow, Index, InodeNumber, LayerError,
    LayerTable, SpecialKind, Timestamp, merge,
};
use proptest::prelude::*;

/// One entry of a layer.
#[derive(Clone, Debug)]
enum Step {
    Directory(String, u32),
    File(String, u32, usize),
    Symlink(String, String),
    Fifo(String),
    Device(String, u32),
    HardLink(String, String),
    Whiteout(String),
    Opaque(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Directory,
    File(usize),
    Symlink(String),
    Fifo,
    Device(u32),
}

#[derive(Clone, Debug)]
struct ModelInode {
    kind: Kind,
    uid: u32,
    permissions: u16,
}

/// Paths to inodes, flat: no tree, no order but the paths'.
#[derive(Clone, Debug, Default)]
struct Model {
    inodes: Vec<ModelInode>,
    names: BTreeMap<String, usize>,
}

impl Model {
    fn kind(&self, path: &str) -> Option<&Kind> {
        self.names.get(path).map(|&inode| &self.inodes[inode].kind)
    }

    fn remove(&mut self, path: &str) {
        self.empty(path);
        self.names.remove(path);
    }

    fn empty(&mut self, path: &str) {
        let below = format!("{path}/");
        self.names.retain(|name, _| !name.starts_with(&below));
    }

    fn hide(&mut self, step: &Step) {
        match step {
            Step::Whiteout(path) => self.remove(path),
            Step::Opaque(path) => self.empty(path),
            _ => {}
        }
    }

    /// Makes the parents; false if one is no directory.
    fn parents(&mut self, path: &str) -> bool {
        path.match_indices('/').all(|(cut, _)| {
            let parent = &path[..cut];
            if self.kind(parent).is_none() {
                self.put(parent, ModelInode { kind: Kind::Directory, uid: 0, permissions: 0o755 });
            }
            self.kind(parent) == Some(&Kind::Directory)
        })
    }

    fn put(&mut self, path: &str, inode: ModelInode) {
        self.inodes.push(inode);
        self.names.insert(path.into(), self.inodes.len() - 1);
    }

    /// False if the entry cannot be.
    fn apply(&mut self, step: &Step) -> bool {
        let (path, kind, uid, permissions) = match step {
            Step::Directory(path, uid) => (path, Kind::Directory, *uid, 0o700),
            Step::File(path, uid, size) => (path, Kind::File(*size), *uid, 0o640),
            Step::Symlink(path, target) => (path, Kind::Symlink(target.clone()), 1, 0o777),
            Step::Fifo(path) => (path, Kind::Fifo, 2, 0o600),
            Step::Device(path, minor) => (path, Kind::Device(*minor), 3, 0o600),
            Step::HardLink(path, target) => return self.link(path, target),
            Step::Whiteout(_) | Step::Opaque(_) => return true,
        };
        if !self.parents(path) {
            return false;
        }
        if kind != Kind::Directory || self.kind(path) != Some(&Kind::Directory) {
            self.remove(path);
        }
        self.put(path, ModelInode { kind, uid, permissions });
        true
    }

    fn link(&mut self, path: &str, target: &str) -> bool {
        let Some(&inode) = self.names.get(target) else { return false };
        if self.inodes[inode].kind == Kind::Directory || !self.parents(path) {
            return false;
        }
        self.remove(path);
        self.names.insert(path.into(), inode);
        true
    }
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 7 + i / 256 + size) as u8).collect()
}

fn summary(size: usize) -> FileSummary {
    let mut hasher = FileHasher::new(size as u64);
    hasher.update(&content(size)).unwrap();
    hasher.finish().unwrap()
}

fn attributes(uid: u32, permissions: u16) -> Attributes {
    let mut attributes = Attributes { permissions, uid, gid: uid + 1, ..Attributes::default() };
    attributes.mtime = Timestamp { seconds: -i64::from(uid), nanoseconds: uid };
    if uid % 3 == 1 {
        attributes.xattrs.insert(b"user.uid".to_vec(), vec![b'x'; uid as usize * 50]);
        attributes.xattrs.insert(b"security.empty".to_vec(), vec![]);
    }
    attributes
}

fn add(table: &mut LayerTable, step: &Step) -> Result<(), LayerError> {
    match step {
        Step::Directory(path, uid) => table.add_directory(path.as_bytes(), attributes(*uid, 0o700)),
        Step::File(path, uid, size) => {
            table.add_file(path.as_bytes(), summary(*size), attributes(*uid, 0o640))
        }
        Step::Symlink(path, target) => {
            table.add_symlink(path.as_bytes(), target.as_bytes(), attributes(1, 0o777))
        }
        Step::Fifo(path) => {
            let none = Device::default();
            table.add_special(path.as_bytes(), SpecialKind::Fifo, none, attributes(2, 0o600))
        }
        Step::Device(path, minor) => {
            let device = Device { major: 1, minor: *minor };
            table.add_special(path.as_bytes(), SpecialKind::CharDevice, device, attributes(3, 0o600))
        }
        Step::HardLink(path, target) => table.add_hard_link(path.as_bytes(), target.as_bytes()),
        Step::Whiteout(path) => table.add_whiteout(path.as_bytes()),
        Step::Opaque(path) => table.add_opaque(path.as_bytes()),
    }
}

fn table(steps: &[Step]) -> LayerTable {
    let mut table = LayerTable::new("test");
    for step in steps {
        add(&mut table, step).unwrap();
    }
    table
}

fn path() -> impl Strategy<Value = String> {
    let long = format!("long-{}", "n".repeat(250));
    let name = prop_oneof![4 => Just("a".to_string()), 4 => Just("b".into()), 2 => Just("c".into()), 1 => Just(long)];
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![Just(0), Just(1), Just(4096), Just(4097), 0..20_000usize, Just(128 * 4096 + 5)];
    prop_oneof![
        4 => (path(), 0..50u32).prop_map(|(path, uid)| Step::Directory(path, uid)),
        4 => (path(), 0..50u32, size).prop_map(|(path, uid, size)| Step::File(path, uid, size)),
        1 => (path(), path()).prop_map(|(path, target)| Step::Symlink(path, target)),
        1 => path().prop_map(Step::Fifo),
        1 => (path(), 0..9u32).prop_map(|(path, minor)| Step::Device(path, minor)),
        1 => (path(), path()).prop_map(|(path, target)| Step::HardLink(path, target)),
        1 => path().prop_map(Step::Whiteout),
        1 => path().prop_map(Step::Opaque),
    ]
}

fn layers() -> impl Strategy<Value = Vec<Vec<Step>>> {
    prop::collection::vec(prop::collection::vec(step(), 0..10), 0..4)
}

/// Every path below `directory` with its inode, in the order in which the index lists them.
fn walk(index: &Index, directory: InodeNumber, prefix: &str, found: &mut Vec<(String, InodeNumber)>) {
    let mut position = 0;
    while let Some(entry) = index.read_dir(directory, position).unwrap() {
        position += 1;
        let path = format!("{prefix}{}", std::str::from_utf8(entry.name).unwrap());
        assert_eq!(index.lookup(directory, entry.name).unwrap(), Some(entry.inode));
        assert_eq!(index.lookup(directory, &entry.name[1..]).unwrap(), None);
        assert_eq!(index.inode(entry.inode).unwrap().kind, entry.kind);
        if entry.kind == FileKind::Directory {
            assert_eq!(index.parent(entry.inode).unwrap(), directory);
            walk(index, entry.inode, &format!("{path}/"), found);
        }
        found.push((path, entry.inode));
    }
}

fn check(index: &Index, model: &Model) {
    let mut found = Vec::new();
    walk(index, index.root(), "", &mut found);
    let paths: BTreeSet<&String> = found.iter().map(|(path, _)| path).collect();
    assert_eq!(paths, model.names.keys().collect::<BTreeSet<_>>());
    assert_eq!(found.len(), paths.len());

    let mut numbers = BTreeMap::new();
    for (path, number) in &found {
        let inode = model.names[path];
        assert_eq!(*numbers.entry(inode).or_insert(*number), *number, "hard links share an inode");
        check_inode(index, *number, model, path);
    }
    let distinct: BTreeSet<_> = numbers.values().collect();
    assert_eq!(distinct.len(), numbers.len(), "other names do not");
    assert_eq!(index.inode_count() as usize, numbers.len() + 1, "nothing unreachable is kept");
}

fn check_inode(index: &Index, number: InodeNumber, model: &Model, path: &str) {
    let inode = index.inode(number).unwrap();
    let expected = &model.inodes[model.names[path]];
    assert_eq!((inode.uid, inode.permissions), (expected.uid, expected.permissions));
    if expected.permissions != 0o755 {
        let attributes = attributes(expected.uid, expected.permissions);
        assert_eq!((inode.gid, inode.mtime), (attributes.gid, attributes.mtime));
        assert_eq!(index.xattrs(number).unwrap(), attributes.xattrs.into_iter().collect::<Vec<_>>());
    }
    let names = model.names.values().filter(|&&other| other == model.names[path]).count() as u32;
    match &expected.kind {
        Kind::Directory => {
            let below = format!("{path}/");
            let is_child = |name: &str| name.strip_prefix(&below).is_some_and(|rest| !rest.contains('/'));
            let is_directory = |inode: usize| model.inodes[inode].kind == Kind::Directory;
            let directories =
                model.names.iter().filter(|(name, inode)| is_child(name) && is_directory(**inode)).count();
            assert_eq!((inode.kind, inode.nlink), (FileKind::Directory, 2 + directories as u32));
        }
        Kind::File(size) => {
            assert_eq!((inode.kind, inode.size, inode.nlink), (FileKind::Regular, *size as u64, names));
            check_content(index, number, &content(*size));
        }
        Kind::Symlink(target) => {
            assert_eq!(
                (inode.kind, inode.size, inode.nlink),
                (FileKind::Symlink, target.len() as u64, names)
            );
            assert_eq!(index.symlink_target(number).unwrap(), target.as_bytes());
        }
        Kind::Fifo => assert_eq!((inode.kind, inode.nlink), (FileKind::Fifo, names)),
        Kind::Device(minor) => {
            assert_eq!(
                (inode.kind, inode.device),
                (FileKind::CharDevice, Device { major: 1, minor: *minor })
            );
        }
    }
}

fn check_content(index: &Index, number: InodeNumber, content: &[u8]) {
    let verifier = index.file_verifier(number).unwrap();
    verifier.verify_run(index, 0, content).unwrap();
    for (block, data) in content.chunks(4096).enumerate() {
        let mut changed = data.to_vec();
        changed[data.len() / 2] ^= 1;
        assert!(verifier.verify_block(index, block as u64, &changed).is_err());
        assert!(verifier.verify_block(index, block as u64, &data[1..]).is_err());
        assert!(verifier.verify_block(index, block as u64 + 1, data).is_err(), "it is another block's data");
    }
}

fn open(layers: &[LayerTable]) -> Result<Index, LayerError> {
    let merged = merge(layers)?;
    Ok(Index::open(merged.bytes, &merged.root_digest).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_read_back_is_what_the_layers_say(layers in layers()) {
        let tables: Vec<LayerTable> = layers.iter().map(|steps| table(steps)).collect();
        let mut model = Model::default();
        let fits = layers.iter().all(|steps| {
            steps.iter().for_each(|step| model.hide(step));
            steps.iter().all(|step| model.apply(step))
        });
        match open(&tables) {
            Ok(index) => {
                prop_assert!(fits);
                check(&index, &model);
            }
            Err(error) => prop_assert!(!fits, "{error}"),
        }
    }

    #[test]
    fn tables_survive_their_bytes_and_merge_to_the_same_index(layers in layers()) {
        let tables: Vec<LayerTable> = layers.iter().map(|steps| table(steps)).collect();
        let again: Vec<LayerTable> =
            tables.iter().map(|table| LayerTable::from_bytes(&table.to_bytes()).unwrap()).collect();
        prop_assert_eq!(&tables, &again);
        prop_assert_eq!(merge(&tables), merge(&again));
    }
}

#[test]
fn resolution_follows_links_inside_the_root_only() {
    let mut layer = LayerTable::new("");
    layer.add_file(b"usr/bin/tool", summary(10), Attributes::default()).unwrap();
    for (link, target) in [
        ("bin", "usr/bin"),
        ("abs", "/../usr/./bin/"),
        ("up", "../../usr"),
        ("loop", "loop"),
        ("gone", "nowhere"),
    ] {
        layer.add_symlink(link.as_bytes(), target.as_bytes(), Attributes::default()).unwrap();
    }
    let index = open(&[layer]).unwrap();
    let tool = index.resolve(b"/usr/bin/tool", Follow::Last).unwrap();
    assert!(tool.is_some());
    for path in ["bin/tool", "/abs/tool", "up/bin/tool", "./bin/../bin//tool", "../../abs/../../bin/tool"] {
        assert_eq!(index.resolve(path.as_bytes(), Follow::NotLast).unwrap(), tool, "{path}");
    }
    for path in ["loop", "loop/x", "gone", "usr/bin/tool/", "usr/bin/tool/x", "usr/none", "bin/tool/.."] {
        assert_eq!(index.resolve(path.as_bytes(), Follow::Last).unwrap(), None, "{path}");
    }
    let link = index.resolve(b"loop", Follow::NotLast).unwrap().unwrap();
    assert_eq!(index.inode(link).unwrap().kind, FileKind::Symlink);
    assert_eq!(index.resolve(b"", Follow::Last).unwrap(), Some(index.root()));
}

#[test]
fn errors_name_layer_and_entry() {
    let mut below = LayerTable::new("sha256:aa");
    below.add_symlink(b"bin", b"usr/bin", Attributes::default()).unwrap();
    let mut above = LayerTable::new("sha256:bb");
    above.add_file(b"bin/tool", summary(1), Attributes::default()).unwrap();
    assert_eq!(
        open(&[below.clone(), above]).unwrap_err().to_string(),
        "layer 2 (sha256:bb): entry 'bin/tool' lies below 'bin', which is a symbolic link; \
         refuse the image or rebuild it"
    );
    let mut above = LayerTable::new("");
    above.add_hard_link(b"x", b"y").unwrap();
    assert_eq!(
        open(&[below, above]).unwrap_err().to_string(),
        "layer 2: entry 'x' is a hard link to 'y', which does not exist; rebuild the image"
    );
}

#[test]
fn equal_contents_share_their_hashes() {
    let one = |count: usize| {
        let steps: Vec<Step> = (0..count).map(|i| Step::File(format!("f{i}"), 0, 1_000_000)).collect();
        merge(&[table(&steps)]).unwrap().bytes.len()
    };
    assert!(one(20) <= one(1) + 4096);
}

#[test]
fn damaged_tables_are_refused() {
    let bytes = table(&[Step::File("a".into(), 1, 9000), Step::Opaque("b".into())]).to_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(LayerTable::from_bytes(&damaged).is_err(), "byte {at}");
        assert!(LayerTable::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
}
