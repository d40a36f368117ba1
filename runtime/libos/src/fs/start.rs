//! The file tree of the first process: the image, and what is mounted over it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_index::Index;
use casemate_manifest::{Manifest, MountKind};
use casemate_platform::start::HostFacts;

use super::encrypted::Folder;
use super::host_directory::Volume;
use super::image::{HostStorage, Image};
use super::inode::{Inode, NewInode, NewKind};
use super::mount::{self, Mount};
use super::stream::set_owner;
use super::tree::Tree;
use super::walk::Walk;
use super::{FsView, Location};
use super::{attestation, devices, engine, proc, sys};
use crate::errno::{Errno, Result};
use crate::file::OpenFlags;
use crate::io::Source;
use crate::process::Credentials;
use crate::room;
use crate::stat::FileType;
use crate::syscall::system;
use crate::tty;

/// Builds the tree over the image, mounts what belongs there and opens the working directory in it. The message of an error is for the user.
pub fn first_view(
    index: Index,
    credentials: &Credentials,
    manifest: &Manifest,
    facts: &HostFacts,
) -> Result<FsView, String> {
    let image = Image::new(index, Box::new(HostStorage), room::cache_pages());
    let tree = Tree::new(Some(image));
    let mount = Mount::new(tree.device(), "overlay", b"overlay", false);
    let root = tree.root(0o755).map_err(|error| format!("the image's root directory: {}", error.name()))?;
    let root = Location::root(root, mount);
    mount::register(&root);
    proc::note_start();
    set_owner(credentials.uid, credentials.gid);
    furnish(&root, manifest, facts)?;
    put_engine_files(&root, manifest.names_from_host.then_some(facts))
        .map_err(|error| format!("the files of /etc cannot be put in: {}", error.name()))?;
    let cwd = working_directory(&root, credentials, manifest.cwd.as_bytes())
        .map_err(|error| format!("the working directory {}: {}", manifest.cwd, error.name()))?;
    Ok(FsView::new(root, cwd, manifest.umask))
}

/// Mounts what every program finds, then what the manifest names.
fn furnish(root: &Location, manifest: &Manifest, facts: &HostFacts) -> Result<(), String> {
    let volumes = admit_volumes(&facts.volumes, |path| manifest.takes_volume(path))?;
    mount_system(root)
        .and_then(|()| {
            let seal = manifest.seal_key.unwrap_or_default();
            let (inode, device) = attestation::new(facts.platform, (manifest.uid, manifest.gid), seal);
            let mount = Mount::new(device, "tmpfs", b"tmpfs", false);
            mount_directory(root, b"/dev/attestation", inode, mount)
        })
        .map_err(|error| format!("/dev, /proc and /sys cannot be mounted: {}", error.name()))?;
    set_insecure_keys(manifest)?;
    for entry in &manifest.mounts {
        let cannot = |error: Errno| format!("cannot mount at {}: {}", entry.path, error.name());
        match &entry.kind {
            MountKind::Tmpfs => mount_tmpfs(root, entry.path.as_bytes(), b"tmpfs").map_err(cannot)?,
            MountKind::Encrypted { uri, key_name } => {
                let (source, seal) = (uri.trim_start_matches("file:"), manifest.seal_key.unwrap_or_default());
                let (number, offered) = offered_for(&volumes, &entry.path, source)?;
                let volume = Volume::new(number);
                let mount = Mount::new(volume.device(), "9p", source.as_bytes(), offered == Access::ReadOnly);
                Folder::new(volume, source.as_bytes(), key_name, seal)
                    .root()
                    .and_then(|inode| mount_volume(root, entry, inode, mount))
                    .map_err(cannot)?;
            }
            MountKind::Host { source, read_only } => {
                let (number, offered) = offered_for(&volumes, &entry.path, source)?;
                let volume = Volume::new(number);
                let read_only = *read_only || offered == Access::ReadOnly;
                let mount = Mount::new(volume.device(), "9p", source.as_bytes(), read_only);
                volume.root().and_then(|inode| mount_volume(root, entry, inode, mount)).map_err(cannot)?;
            }
        }
    }
    Ok(())
}

/// The volume for a mount, and how it was offered.
fn offered_for(
    volumes: &BTreeMap<String, (u32, Access)>,
    path: &str,
    source: &str,
) -> Result<(u32, Access), String> {
    volumes.get(path).copied().ok_or_else(|| {
        format!(
            "the manifest shows the host's {source} at {path}, but the host offers no directory for it; \
             run with --volume {source}:{path}"
        )
    })
}

/// Sets the keys that the manifest has for all to read.
fn set_insecure_keys(manifest: &Manifest) -> Result<(), String> {
    for (name, digits) in &manifest.insecure_keys {
        let mut key = [0; attestation::KEY_SIZE];
        for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = core::str::from_utf8(pair).unwrap_or_default();
            *byte =
                u8::from_str_radix(pair, 16).map_err(|_| format!("the key '{name}' is not hexadecimal"))?;
        }
        attestation::set_key(name.as_bytes(), key)
            .map_err(|_| format!("'{name}' (fs.insecure__keys) is no name for a key"))?;
    }
    Ok(())
}

/// How a volume was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    ReadOnly,
    ReadWrite,
}

/// The volumes that the host offers (`PATH[:ro]` each, by number), if the manifest names each of them.
fn admit_volumes(
    offered: &[Vec<u8>],
    is_named: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, (u32, Access)>, String> {
    let mut admitted = BTreeMap::new();
    for (number, volume) in (0..).zip(offered) {
        let (path, access) = match volume.strip_suffix(b":ro") {
            Some(path) => (path, Access::ReadOnly),
            None => (&volume[..], Access::ReadWrite),
        };
        let path = String::from_utf8_lossy(path);
        let path = match path.trim_end_matches('/') {
            "" => "/",
            path => path,
        };
        if !is_named(path) {
            return Err(format!(
                "the host offers a directory for {path}, which the manifest does not admit; \
                 leave the volume away, or add 'file:{path}/' to sgx.allowed_files and build again"
            ));
        }
        if admitted.insert(String::from(path), (number, access)).is_some() {
            return Err(format!("the host offers two directories for {path}; give one volume a path"));
        }
    }
    Ok(admitted)
}

/// Mounts a directory that the host offered.
fn mount_volume(
    root: &Location,
    entry: &casemate_manifest::Mount,
    inode: Arc<dyn Inode>,
    mount: Arc<Mount>,
) -> Result<()> {
    if inode.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    mount_directory(root, entry.path.as_bytes(), inode, mount)
}

fn mount_system(root: &Location) -> Result<()> {
    let dev = Tree::new(None);
    mount_directory(
        root,
        b"/dev",
        devices::populate(&dev)?,
        Mount::new(dev.device(), "tmpfs", b"tmpfs", false),
    )?;
    mount_tmpfs(root, b"/dev/shm", b"shm")?;
    let terminals = Tree::new(None);
    let mount = Mount::new(terminals.device(), "devpts", b"devpts", false);
    mount_directory(root, b"/dev/pts", devices::populate_terminals(&terminals)?, mount)?;
    tty::set_directory(Walk::new(root, &Credentials::new(0, 0, Vec::new())).find(root, b"/dev/pts", true)?);
    let (proc, device) = proc::new();
    mount_directory(root, b"/proc", proc, Mount::new(device, "proc", b"proc", false))?;
    let (sys, device) = sys::new();
    mount_directory(root, b"/sys", sys, Mount::new(device, "sysfs", b"sysfs", true))
}

/// Mounts the engine's files over the image's. Where the host has no say, only what the image lacks is put in.
fn put_engine_files(root: &Location, host: Option<&HostFacts>) -> Result<()> {
    let node = system::host_name();
    let from = |file: fn(&HostFacts) -> &[u8]| host.map_or(&b""[..], file);
    let files = [
        ("resolv.conf", engine::resolv_conf(from(|host| &host.resolv_conf))),
        ("hosts", engine::hosts(from(|host| &host.hosts), &node)),
        ("hostname", [&node[..], b"\n"].concat()),
    ];
    let tree = Tree::new(None);
    let mount = Mount::new(tree.device(), "tmpfs", b"casemate", false);
    let made = Location::root(tree.root(0o755)?, mount.clone());
    let etc = make_directories(root, b"/etc")?;
    for (name, contents) in files {
        let new = NewInode { kind: NewKind::Regular, permissions: 0o644, ..new_directory() };
        let in_image = etc.child(name.as_bytes());
        if host.is_none() && (in_image.is_ok() || contents.is_empty()) {
            continue;
        }
        let file = made.create(name.as_bytes(), &new)?;
        file.inode().open(&file, OpenFlags::WRITE_ONLY)?.write(&mut Source::kernel(&contents))?;
        // A name below the mount, so that listings show it.
        if in_image == Err(Errno::ENOENT) {
            etc.create(name.as_bytes(), &new)?;
        }
        mount::register(&etc.mount_at(name.as_bytes(), file.inode().clone(), mount.clone()));
    }
    Ok(())
}

/// Mounts an empty file system in memory.
fn mount_tmpfs(root: &Location, path: &[u8], source: &[u8]) -> Result<()> {
    let tree = Tree::new(None);
    let mount = Mount::new(tree.device(), "tmpfs", source, false);
    mount_directory(root, path, tree.root(0o1777)?, mount)
}

/// Mounts a directory at `path`; where the image has no such directory it is made, so that listings show it.
pub(super) fn mount_directory(
    root: &Location,
    path: &[u8],
    inode: Arc<dyn Inode>,
    mount: Arc<Mount>,
) -> Result<()> {
    let point = make_directories(root, path)?;
    let (Some(parent), name) = (point.parent(), point.name()) else { return Err(Errno::EBUSY) };
    mount::register(&parent.mount_at(&name, inode, mount));
    Ok(())
}

/// The directory at `path`, made with its parents where they are missing, as container engines do. Links are followed.
fn make_directories(root: &Location, path: &[u8]) -> Result<Location> {
    let engine = Credentials::new(0, 0, Vec::new());
    let mut at = root.clone();
    for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        at = match Walk::new(root, &engine).find(&at, name, true) {
            Ok(found) => found,
            Err(Errno::ENOENT) => at.create(name, &new_directory())?,
            Err(error) => return Err(error),
        };
        if at.kind() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
    }
    Ok(at)
}

fn new_directory() -> NewInode<'static> {
    NewInode { kind: NewKind::Directory, permissions: 0o755, uid: 0, gid: 0 }
}

fn working_directory(root: &Location, credentials: &Credentials, path: &[u8]) -> Result<Location> {
    let find = || Walk::new(root, credentials).find(root, path, true);
    let found = match find() {
        Err(Errno::ENOENT) => {
            make_directories(root, path)?;
            find()?
        }
        outcome => outcome?,
    };
    if found.kind() == FileType::Directory { Ok(found) } else { Err(Errno::ENOTDIR) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::File;
    use crate::io::Sink;

    /// A root without anything in it, as the image `scratch` has.
    fn empty_root() -> Location {
        let tree = Tree::new(None);
        let mount = Mount::new(tree.device(), "overlay", b"overlay", false);
        Location::root(tree.root(0o755).unwrap(), mount)
    }

    fn find(root: &Location, path: &str, follow: bool) -> Result<Location> {
        Walk::new(root, &Credentials::new(0, 0, Vec::new())).find(root, path.as_bytes(), follow)
    }

    fn open(root: &Location, path: &str) -> Arc<dyn File> {
        let place = find(root, path, true).unwrap();
        place.inode().open(&place, OpenFlags::READ_WRITE).unwrap()
    }

    #[test]
    fn devices_are_there_although_the_image_has_no_dev() {
        let root = empty_root();
        mount_system(&root).unwrap();
        let mut bytes = [7; 300];
        assert_eq!(open(&root, "/dev/null").read(&mut Sink::kernel(&mut bytes)), Ok(0));
        assert_eq!(open(&root, "/dev/null").write(&mut Source::kernel(b"gone")), Ok(4));
        assert_eq!(open(&root, "/dev/full").write(&mut Source::kernel(b"x")), Err(Errno::ENOSPC));
        assert_eq!(open(&root, "/dev/zero").read(&mut Sink::kernel(&mut bytes)), Ok(300));
        assert_eq!(bytes, [0; 300]);
        assert_eq!(open(&root, "/dev/urandom").read(&mut Sink::kernel(&mut bytes)), Ok(300));
        assert!(bytes.iter().filter(|&&byte| byte == 0).count() < 30);
        let stat = find(&root, "/dev/zero", true).unwrap().stat().unwrap();
        assert_eq!((stat.mode(), stat.special_device), (0o20666, 0x105));
        let stdout = find(&root, "/dev/stdout", false).unwrap();
        assert_eq!(stdout.inode().read_link().unwrap(), b"/proc/self/fd/1");
        assert_eq!(find(&root, "/dev/shm", true).unwrap().stat().unwrap().mode(), 0o41777);
        assert!(find(&root, "/dev/shm/..", true).unwrap() == find(&root, "/dev", true).unwrap());
    }

    #[test]
    fn without_the_host_the_image_keeps_its_files_and_gets_the_ones_it_lacks() {
        let root = empty_root();
        let file = NewInode { kind: NewKind::Regular, ..new_directory() };
        root.create(b"etc", &new_directory()).unwrap().create(b"hosts", &file).unwrap();
        put_engine_files(&root, None).unwrap();
        assert_eq!(find(&root, "/etc/hosts", true).unwrap().stat().unwrap().size, 0);
        assert_eq!(find(&root, "/etc/resolv.conf", true), Err(Errno::ENOENT));
        assert!(find(&root, "/etc/hostname", true).unwrap().is_mount_root());
        let bare = empty_root();
        put_engine_files(&bare, None).unwrap();
        let mut bytes = [0; 19];
        assert_eq!(open(&bare, "/etc/hosts").read(&mut Sink::kernel(&mut bytes)), Ok(19));
        assert_eq!(&bytes, b"127.0.0.1\tlocalhost");
        assert!(find(&bare, "/etc", true).unwrap().inode().lookup(b"hosts").is_ok());
    }

    #[test]
    fn only_volumes_that_the_manifest_names_are_admitted() {
        let admit = |offered: &[&[u8]]| {
            let offered: Vec<_> = offered.iter().map(|volume| volume.to_vec()).collect();
            admit_volumes(&offered, |path| path == "/data" || path == "/")
        };
        let both = admit(&[b"/data/:ro", b"/"]).unwrap();
        assert_eq!(both["/data"], (0, Access::ReadOnly));
        assert_eq!(both["/"], (1, Access::ReadWrite));
        for other in [&b"/data/x"[..], b"/dat", b"data", b"/data/..", b"/data\xff", b"/data:rw"] {
            assert!(admit(&[other]).unwrap_err().contains("sgx.allowed_files"), "{other:?}");
        }
        assert!(admit(&[b"/data", b"/data:ro"]).unwrap_err().contains("two directories"));
    }

    #[test]
    fn a_mount_point_is_made_with_its_parents_and_links_on_the_way_are_followed() {
        let root = empty_root();
        let link = NewInode { kind: NewKind::Symlink(b"/run"), ..new_directory() };
        root.create(b"run", &new_directory()).unwrap();
        root.create(b"var", &new_directory()).unwrap().create(b"run", &link).unwrap();
        mount_tmpfs(&root, b"/var/run/a/b", b"tmpfs").unwrap();
        let mounted = find(&root, "/run/a/b", true).unwrap();
        assert!(mounted.is_mount_root());
        assert_eq!(mounted.path_text(), b"/run/a/b");
        let file = NewInode { kind: NewKind::Regular, ..new_directory() };
        root.create(b"file", &file).unwrap();
        assert_eq!(mount_tmpfs(&root, b"/file/x", b"tmpfs"), Err(Errno::ENOTDIR));
        assert_eq!(
            working_directory(&root, &Credentials::new(0, 0, Vec::new()), b"/file").err(),
            Some(Errno::ENOTDIR)
        );
        assert_eq!(
            working_directory(&root, &Credentials::new(0, 0, Vec::new()), b"/srv/app").unwrap().path_text(),
            b"/srv/app"
        );
    }
}
