//! The file tree of the first process: the image, and what is mounted over it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use casemate_index::Index;
use casemate_manifest::{Manifest, MountKind};
use casemate_platform::start::HostFacts;

use super::image::{HostStorage, Image};
use super::inode::{Inode, NewInode, NewKind};
use super::mount::{self, Mount};
use super::stream::set_owner;
use super::tree::Tree;
use super::walk::Walk;
use super::{FsView, Location};
use super::{devices, engine, proc, sys};
use crate::errno::{Errno, Result};
use crate::file::OpenFlags;
use crate::io::Source;
use crate::process::Credentials;
use crate::stat::FileType;
use crate::syscall::system;

/// Pages of image files kept in memory (256 MiB).
const CACHE_PAGES: usize = 65_536;

/// Builds the tree over the image, mounts what belongs there and opens the working directory in it. The message of an error is for the user.
pub fn first_view(
    index: Index,
    credentials: &Credentials,
    manifest: &Manifest,
    facts: &HostFacts,
) -> Result<FsView, String> {
    let image = Image::new(index, Box::new(HostStorage), CACHE_PAGES);
    let tree = Tree::new(Some(image));
    let mount = Mount::new(tree.device(), "overlay", b"overlay", false);
    let root = tree.root(0o755).map_err(|error| format!("the image's root directory: {}", error.name()))?;
    let root = Location::root(root, mount);
    mount::register(&root);
    proc::note_start();
    set_owner(credentials.uid, credentials.gid);
    furnish(&root, manifest)?;
    put_engine_files(&root, manifest.names_from_host.then_some(facts))
        .map_err(|error| format!("the files of /etc cannot be put in: {}", error.name()))?;
    let cwd = working_directory(&root, credentials, manifest.cwd.as_bytes())
        .map_err(|error| format!("the working directory {}: {}", manifest.cwd, error.name()))?;
    Ok(FsView::new(root, cwd, manifest.umask))
}

/// Mounts what every program finds, then what the manifest names.
fn furnish(root: &Location, manifest: &Manifest) -> Result<(), String> {
    mount_system(root)
        .map_err(|error| format!("/dev, /proc and /sys cannot be mounted: {}", error.name()))?;
    for entry in &manifest.mounts {
        let cannot = |error: Errno| format!("cannot mount at {}: {}", entry.path, error.name());
        match &entry.kind {
            MountKind::Tmpfs => mount_tmpfs(root, entry.path.as_bytes(), b"tmpfs").map_err(cannot)?,
            MountKind::Encrypted { .. } => {
                return Err(format!(
                    "the manifest mounts an encrypted directory at {}, which this runtime cannot do yet; remove the mount",
                    entry.path
                ));
            }
            MountKind::Host { source, .. } => {
                return Err(format!(
                    "the manifest mounts the host's {source} at {}, which this runtime cannot do yet; remove the mount",
                    entry.path
                ));
            }
        }
    }
    Ok(())
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
    let engine = Credentials::default();
    let mut at = root.clone();
    for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        at = match Walk::new(root.clone(), &engine).find(at.clone(), name, true) {
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
    let find = || Walk::new(root.clone(), credentials).find(root.clone(), path, true);
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
        Walk::new(root.clone(), &Credentials::default()).find(root.clone(), path.as_bytes(), follow)
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
        assert_eq!(working_directory(&root, &Credentials::default(), b"/file").err(), Some(Errno::ENOTDIR));
        assert_eq!(
            working_directory(&root, &Credentials::default(), b"/srv/app").unwrap().path_text(),
            b"/srv/app"
        );
    }
}
