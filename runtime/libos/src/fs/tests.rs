//! The tree over a real index, with the files' data in memory.

extern crate std;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use casemate_index::{Attributes, Digest, FileHasher, Index, LayerTable, merge};
use casemate_platform::sync::Mutex;

use super::directory_file::DirectoryFile;
use super::image::{Image, ImageData, Storage};
use super::inode::{AttributeChange, NewInode, NewKind};
use super::mount::Mount;
use super::node::{Location, RenameHow};
use super::recent::{Moment, Recent};
use super::tree::Tree;
use super::view::FsView;
use super::walk::Walk;
use crate::errno::{Errno, Result};
use crate::file::{DirectorySink, File, OpenFlags, Whence};
use crate::io::{Sink, Source};
use crate::process::Credentials;
use crate::stat::FileType;

type Files = Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>;

/// Files as a host would hold them; tests change them behind the tree's back.
struct Held(Files);

impl Storage for Held {
    fn open(&self, path: &[u8], _digest: &Digest) -> Result<Arc<dyn ImageData>> {
        self.0.lock().get(path).ok_or(Errno::ENOENT)?;
        Ok(Arc::new(Open(self.0.clone(), path.to_vec())))
    }
}

struct Open(Files, Vec<u8>);

impl ImageData for Open {
    fn size(&self) -> u64 {
        self.0.lock()[&self.1].len() as u64
    }

    fn read(&self, offset: u64, to: &mut [u8]) -> bool {
        let files = self.0.lock();
        let from = files[&self.1].get(offset as usize..offset as usize + to.len());
        from.map(|from| to.copy_from_slice(from)).is_some()
    }
}

fn big() -> Vec<u8> {
    (0..20_000u32).map(|n| (n * 7 % 251) as u8).collect()
}

/// `/bin -> usr/bin`, `/usr/bin/{tool,big}`, `/secret` (0700, uid 7) with `key` in it, `/tmp` (1777).
fn image() -> (Location, Files) {
    let files: Files = Default::default();
    let mut layer = LayerTable::new("test");
    let of = |permissions, uid| Attributes { permissions, uid, ..Attributes::default() };
    for (path, permissions, uid) in
        [("usr", 0o755, 0), ("usr/bin", 0o755, 0), ("secret", 0o700, 7), ("tmp", 0o1777, 0)]
    {
        layer.add_directory(path.as_bytes(), of(permissions, uid)).unwrap();
    }
    layer.add_symlink(b"bin", b"usr/bin", of(0o777, 0)).unwrap();
    layer.add_symlink(b"loop", b"loop", of(0o777, 0)).unwrap();
    for (path, data) in [("usr/bin/tool", b"tool".to_vec()), ("usr/bin/big", big()), ("secret/key", vec![1])]
    {
        let mut hasher = FileHasher::new(data.len() as u64);
        hasher.update(&data).unwrap();
        layer.add_file(path.as_bytes(), hasher.finish().unwrap(), of(0o644, 0)).unwrap();
        files.lock().insert([b"/", path.as_bytes()].concat(), data);
    }
    let written = merge([&layer]).unwrap();
    let index = Index::open(written.bytes, &written.root_digest).unwrap();
    let tree = Tree::new(Some(Image::new(index, Box::new(Held(files.clone())), 64)));
    let mount = Mount::new(tree.device(), "overlay", b"overlay", false);
    (Location::root(tree.root(0o755).unwrap(), mount), files)
}

fn root_user() -> Credentials {
    Credentials::new(0, 0, Vec::new())
}

fn find(root: &Location, path: &str) -> Result<Location> {
    Walk::new(root, &root_user()).find(root, path.as_bytes(), true)
}

fn open(root: &Location, path: &str, flags: OpenFlags) -> Arc<dyn File> {
    let place = find(root, path).unwrap();
    place.inode().open(&place, flags).unwrap()
}

fn new(kind: NewKind<'_>) -> NewInode<'_> {
    NewInode { kind, permissions: 0o644, uid: 0, gid: 0 }
}

fn read(file: &dyn File, offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    let count = file.read_at(&mut Sink::kernel(&mut buffer), offset)?;
    buffer.truncate(count);
    Ok(buffer)
}

struct Names(Vec<Vec<u8>>, usize);

impl DirectorySink for Names {
    fn add(&mut self, _inode: u64, _next: u64, _kind: u8, name: &[u8]) -> bool {
        let room = self.0.len() < self.1;
        if room {
            self.0.push(name.to_vec());
        }
        room
    }
}

/// The names of a directory, read `step` at a time, sorted.
fn list(directory: &Location, step: usize) -> Vec<std::string::String> {
    let file = DirectoryFile::new(directory.clone(), OpenFlags::empty());
    let mut all = Vec::new();
    loop {
        let mut names = Names(Vec::new(), step);
        file.read_directory(&mut names).unwrap();
        if names.0.is_empty() {
            break;
        }
        all.extend(names.0);
    }
    let mut all: Vec<_> = all.into_iter().map(|n| std::string::String::from_utf8(n).unwrap()).collect();
    all.sort();
    all
}

#[test]
fn paths_are_walked_as_linux_walks_them() {
    let (root, _) = image();
    assert_eq!(find(&root, "/bin/tool").unwrap().path_text(), b"/usr/bin/tool");
    assert_eq!(find(&root, "bin/../../usr/./bin//tool").unwrap().stat().unwrap().size, 4);
    assert!(find(&root, "/../..").unwrap() == root);
    assert_eq!(find(&root, "/loop").err(), Some(Errno::ELOOP));
    assert_eq!(find(&root, "/usr/bin/tool/").err(), Some(Errno::ENOTDIR));
    assert_eq!(find(&root, "/usr/bin/tool/x").err(), Some(Errno::ENOTDIR));
    assert_eq!(find(&root, "/none/x").err(), Some(Errno::ENOENT));
    assert_eq!(find(&root, "").err(), Some(Errno::ENOENT));
    assert_eq!(find(&root, &"n".repeat(256)).err(), Some(Errno::ENAMETOOLONG));
    let user = root_user();
    let link = Walk::new(&root, &user).find(&root, b"/bin", false).unwrap();
    assert_eq!(link.kind(), FileType::Symlink);
    let through = Walk::new(&root, &user).find(&root, b"/bin/", false).unwrap();
    assert_eq!(through.kind(), FileType::Directory);
}

#[test]
fn only_its_owner_searches_a_private_directory() {
    let (root, _) = image();
    let try_as = |uid| {
        let credentials = Credentials::new(uid, uid, Vec::new());
        Walk::new(&root, &credentials).find(&root, b"/secret/key", true).map(drop)
    };
    assert_eq!(try_as(0), Ok(()));
    assert_eq!(try_as(7), Ok(()));
    assert_eq!(try_as(8), Err(Errno::EACCES));
}

#[test]
fn a_block_that_the_host_changed_is_eio_and_the_others_are_read() {
    let (root, files) = image();
    files.lock().get_mut(&b"/usr/bin/big"[..]).unwrap()[5000] ^= 1;
    let file = open(&root, "/usr/bin/big", OpenFlags::empty());
    assert_eq!(read(&*file, 0, 4096).unwrap(), big()[..4096]);
    assert_eq!(read(&*file, 4096, 10), Err(Errno::EIO));
    // A read that meets it in the middle gives what came before.
    assert_eq!(read(&*file, 4000, 4096).unwrap(), big()[4000..4096]);
    assert_eq!(read(&*file, 8192, 20_000).unwrap(), big()[8192..]);
    assert_eq!(read(&*file, 20_000, 1).unwrap(), b"");
}

#[test]
fn a_file_that_the_host_cut_off_is_eio() {
    let (root, files) = image();
    files.lock().get_mut(&b"/usr/bin/big"[..]).unwrap().truncate(9000);
    assert_eq!(read(&*open(&root, "/usr/bin/big", OpenFlags::empty()), 0, 10), Err(Errno::EIO));
}

#[test]
fn writes_lie_over_the_image_and_cuts_read_as_zeros() {
    let (root, files) = image();
    let file = open(&root, "/usr/bin/big", OpenFlags::READ_WRITE);
    file.write_at(&mut Source::kernel(b"XYZ"), 4095).unwrap();
    let mut expected = big();
    expected[4095..4098].copy_from_slice(b"XYZ");
    assert_eq!(read(&*file, 0, 30_000).unwrap(), expected);
    file.truncate(6000).unwrap();
    file.truncate(9000).unwrap();
    expected.truncate(6000);
    expected.resize(9000, 0);
    assert_eq!(read(&*file, 0, 30_000).unwrap(), expected);
    assert_eq!(file.seek(0, Whence::End).unwrap(), 9000);
    assert!(file.mapping(false).unwrap().sites().is_none());
    // What the host holds is as it was, and another open sees the change.
    assert_eq!(files.lock()[&b"/usr/bin/big"[..]], big());
    drop(file);
    assert_eq!(read(&*open(&root, "/bin/big", OpenFlags::empty()), 4094, 4).unwrap(), expected[4094..4098]);
}

#[test]
fn holes_are_found_and_punched() {
    let (root, _) = image();
    let file = open(&root, "/usr/bin/big", OpenFlags::READ_WRITE);
    let (keep, punch) = (1, 2);
    file.allocate(keep | punch, 3000, 10_000).unwrap();
    let mut expected = big();
    expected[3000..13_000].fill(0);
    assert_eq!(read(&*file, 0, 30_000).unwrap(), expected);
    let made = find(&root, "/tmp").unwrap().create(b"sparse", &new(NewKind::Regular)).unwrap();
    let file = made.inode().open(&made, OpenFlags::READ_WRITE).unwrap();
    file.write_at(&mut Source::kernel(b"x"), 20_000).unwrap();
    assert_eq!(file.seek(0, Whence::Data).unwrap(), 16_384);
    assert_eq!(file.seek(16_384, Whence::Hole).unwrap(), 20_001);
    assert_eq!(file.seek(20_001, Whence::Data), Err(Errno::ENXIO));
}

#[test]
fn names_are_added_removed_and_listed_over_the_index() {
    let (root, _) = image();
    let bin = find(&root, "/usr/bin").unwrap();
    bin.create(b"added", &new(NewKind::Regular)).unwrap();
    assert_eq!(bin.create(b"tool", &new(NewKind::Regular)).err(), Some(Errno::EEXIST));
    bin.remove(b"tool", false, |_| Ok(())).unwrap();
    assert_eq!(find(&root, "/bin/tool").err(), Some(Errno::ENOENT));
    for step in [1, 2, 100] {
        assert_eq!(list(&bin, step), [".", "..", "added", "big"]);
    }
    bin.create(b"tool", &new(NewKind::Symlink(b"big"))).unwrap();
    assert_eq!(find(&root, "/bin/tool").unwrap().path_text(), b"/usr/bin/big");
    assert_eq!(list(&bin, 3), [".", "..", "added", "big", "tool"]);
    let usr = find(&root, "/usr").unwrap();
    assert_eq!(usr.remove(b"bin", true, |_| Ok(())), Err(Errno::ENOTEMPTY));
    assert_eq!(usr.remove(b"bin", false, |_| Ok(())), Err(Errno::EISDIR));
}

#[test]
fn an_unlinked_file_lives_while_it_is_open() {
    let (root, _) = image();
    let bin = find(&root, "/usr/bin").unwrap();
    let file = open(&root, "/usr/bin/tool", OpenFlags::empty());
    bin.remove(b"tool", false, |_| Ok(())).unwrap();
    assert_eq!(read(&*file, 0, 10).unwrap(), b"tool");
    assert_eq!(file.stat().unwrap().links, 0);
    assert_eq!(file.path_text(), b"/usr/bin/tool (deleted)");
}

#[test]
fn hard_links_share_an_inode() {
    let (root, _) = image();
    let (tmp, tool) = (find(&root, "/tmp").unwrap(), find(&root, "/usr/bin/tool").unwrap());
    tmp.link(b"second", &tool).unwrap();
    let change = AttributeChange { permissions: Some(0o600), ..Default::default() };
    find(&root, "/tmp/second").unwrap().inode().set(&change).unwrap();
    let stat = tool.stat().unwrap();
    assert_eq!((stat.links, stat.permissions), (2, 0o600));
    assert_eq!(stat.inode, find(&root, "/tmp/second").unwrap().stat().unwrap().inode);
}

#[test]
fn renames_move_replace_exchange_and_refuse_cycles() {
    let (root, _) = image();
    let (usr, tmp, bin) =
        (find(&root, "/usr").unwrap(), find(&root, "/tmp").unwrap(), find(&root, "/usr/bin").unwrap());
    let go =
        |from: &Location, a: &[u8], to: &Location, b: &[u8], how| from.rename(a, to, b, how, |_, _| Ok(()));
    use RenameHow::*;
    assert_eq!(go(&root, b"usr", &bin, b"inside", Replace), Err(Errno::EINVAL));
    assert_eq!(go(&bin, b"tool", &bin, b"big", NoReplace), Err(Errno::EEXIST));
    assert_eq!(go(&bin, b"tool", &tmp, b"x", Exchange), Err(Errno::ENOENT));
    let links = |place: &Location| place.stat().unwrap().links;
    let before = (links(&usr), links(&tmp));
    go(&usr, b"bin", &tmp, b"moved", Replace).unwrap();
    assert_eq!((links(&usr), links(&tmp)), (before.0 - 1, before.1 + 1));
    assert_eq!(bin.path_text(), b"/tmp/moved");
    assert_eq!(find(&root, "/tmp/moved/tool").unwrap().stat().unwrap().size, 4);
    assert_eq!(find(&root, "/usr/bin").err(), Some(Errno::ENOENT));
    // Data still come from where the image has them.
    assert_eq!(read(&*open(&root, "/tmp/moved/tool", OpenFlags::empty()), 0, 9).unwrap(), b"tool");
    go(&bin, b"tool", &bin, b"big", Exchange).unwrap();
    assert_eq!(find(&root, "/tmp/moved/big").unwrap().stat().unwrap().size, 4);
    go(&bin, b"big", &bin, b"tool", Replace).unwrap();
    assert_eq!(list(&bin, 9), [".", "..", "tool"]);
    root.create(b"empty", &new(NewKind::Directory)).unwrap();
    assert_eq!(go(&tmp, b"moved", &root, b"bin", Replace), Err(Errno::ENOTDIR));
    assert_eq!(go(&root, b"empty", &tmp, b"moved", Replace), Err(Errno::ENOTEMPTY));
    go(&tmp, b"moved", &root, b"empty", Replace).unwrap();
    assert_eq!(find(&root, "/empty/tool").unwrap().stat().unwrap().size, 4);
}

#[test]
fn nothing_is_made_in_a_removed_directory() {
    let (root, _) = image();
    let gone = root.create(b"gone", &new(NewKind::Directory)).unwrap();
    root.remove(b"gone", true, |_| Ok(())).unwrap();
    assert_eq!(gone.create(b"x", &new(NewKind::Regular)).err(), Some(Errno::ENOENT));
    assert_eq!(gone.path_from(&root), Some(b"/gone".to_vec()));
    assert!(!gone.is_attached());
}

#[test]
fn a_changed_inode_is_remembered_when_nobody_uses_it() {
    let (root, _) = image();
    let change = AttributeChange { permissions: Some(0o4711), ..Default::default() };
    find(&root, "/usr/bin/tool").unwrap().inode().set(&change).unwrap();
    // Cached names go: the next look-up asks the tree again.
    find(&root, "/usr/bin").unwrap().shrink();
    find(&root, "/usr").unwrap().shrink();
    assert_eq!(find(&root, "/usr/bin/tool").unwrap().stat().unwrap().permissions, 0o4711);
}

#[test]
fn a_remembered_place_is_void_after_every_change_that_could_move_it() {
    let (root, _) = image();
    let (usr, bin) = (find(&root, "/usr").unwrap(), find(&root, "/usr/bin").unwrap());
    let (path, mut recent) = (&b"/usr/bin/tool"[..], Recent::default());
    let mut remembered_after = |change: &mut dyn FnMut()| {
        let place = find(&root, "/usr/bin/big").unwrap();
        // Any thread may change the tree of another test meanwhile.
        while recent.find(path, true).is_none() {
            recent.note(Moment::now(), path, true, &place);
        }
        assert!(recent.find(path, false).is_none() && recent.find(b"/usr/bin/too", true).is_none());
        change();
        recent.find(path, true).is_some()
    };
    let view = FsView::new(root.clone(), root.clone(), 0);
    let set = |place: &Location, change: AttributeChange| place.inode().set(&change).unwrap();
    let permissions = AttributeChange { permissions: Some(0o700), ..Default::default() };
    let owner = AttributeChange { uid: Some(7), ..Default::default() };
    assert!(!remembered_after(&mut || bin.remove(b"tool", false, |_| Ok(())).unwrap()));
    assert!(!remembered_after(&mut || {
        bin.rename(b"big", &usr, b"big", RenameHow::Replace, |_, _| Ok(())).unwrap();
        usr.rename(b"big", &bin, b"big", RenameHow::Replace, |_, _| Ok(())).unwrap();
    }));
    assert!(!remembered_after(&mut || set(&usr, permissions)));
    assert!(!remembered_after(&mut || set(&usr, owner)));
    assert!(!remembered_after(&mut || view.set_root(usr.clone())));
    assert!(!remembered_after(&mut || view.set_cwd(usr.clone())));
    assert!(!remembered_after(&mut || assert!(bin.shrink() > 0)));
    assert!(!remembered_after(&mut || {
        let tree = Tree::new(None);
        let mount = Mount::new(tree.device(), "tmpfs", b"tmpfs", false);
        usr.mount_at(b"bin", tree.root(0o755).unwrap(), mount);
    }));
}

#[test]
fn a_remembered_place_is_not_kept_alive_and_one_found_too_late_not_remembered() {
    let (root, _) = image();
    let (mut recent, begun) = (Recent::default(), Moment::now());
    let tmp = find(&root, "/tmp").unwrap();
    let made = tmp.create(b"made", &new(NewKind::Regular)).unwrap();
    let inode = Arc::downgrade(made.inode());
    recent.note(Moment::now(), b"/tmp/made", true, &made);
    tmp.remove(b"made", false, |_| Ok(())).unwrap();
    drop(made);
    assert!(inode.upgrade().is_none());
    recent.note(begun, b"/tmp", true, &tmp);
    assert!(recent.find(b"/tmp", true).is_none());
}
