//! /proc of a process that does not run.

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;
use core::any::Any;

use crate::errno::{Errno, Result};
use crate::file::{DirectorySink, File, OpenFlags, StatusFlags, Whence};
use crate::fs::directory_file::DirectoryFile;
use crate::fs::inode::{LinkTarget, NewInode, NewKind};
use crate::fs::mount::Mount;
use crate::fs::tree::Tree;
use crate::fs::walk::Walk;
use crate::fs::{FsView, Location};
use crate::io::{Sink, Source};
use crate::mm::tests::fake;
use crate::process::{
    Credentials, Fd, FileTable, Limits, Process, ProcessParts, ProgramImage, Thread, new_id,
};
use crate::signal::{ProcessSignals, ThreadSignals};
use crate::stat::{FileType, Stat};

/// Something open without a place in the tree.
struct Nowhere(StatusFlags);

impl Nowhere {
    fn open(flags: OpenFlags) -> Arc<dyn File> {
        Arc::new(Nowhere(StatusFlags::new(flags)))
    }
}

impl File for Nowhere {
    fn status(&self) -> &StatusFlags {
        &self.0
    }

    fn stat(&self) -> Result<Stat> {
        Ok(Stat::anonymous(FileType::Fifo, 0o600, 1))
    }

    fn path_text(&self) -> Vec<u8> {
        b"nowhere:[1]".to_vec()
    }

    fn reopen(&self, flags: OpenFlags) -> Result<Arc<dyn File>> {
        Ok(Nowhere::open(flags))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A root with /proc, /program and a process that has the latter open as descriptor 5.
fn machine() -> (Location, Arc<Process>) {
    let tree = Tree::new(None);
    let mount = Mount::new(tree.device(), "overlay", b"overlay", false);
    let root = Location::root(tree.root(0o755).unwrap(), mount);
    let (inode, device) = super::new();
    root.mount_at(b"proc", inode, Mount::new(device, "proc", b"proc", false));
    let new = NewInode { kind: NewKind::Regular, permissions: 0o755, uid: 0, gid: 0 };
    let program = root.create(b"program", &new).unwrap();
    let files = FileTable::new(64);
    files.add(Nowhere::open(OpenFlags::empty()), false).unwrap();
    let file = program.inode().open(&program, OpenFlags::WRITE_ONLY | OpenFlags::APPEND).unwrap();
    files.replace(Fd(5), file, true).unwrap();
    let image = ProgramImage {
        executable: b"/program".to_vec(),
        location: Some(program),
        arguments: vec![b"program".to_vec(), b"".to_vec(), b"x y".to_vec()],
        ..ProgramImage::default()
    };
    let parts = ProcessParts {
        address_space: Arc::new(fake::space(64).0),
        files: Arc::new(files),
        fs: Arc::new(FsView::new(root.clone(), root.clone(), 0o22)),
        credentials: Arc::new(Credentials::new(7, 8, vec![9])),
        signals: ProcessSignals::default(),
        limits: Limits::new(8 << 20, 64, 128),
        image: Arc::new(image),
        vfork_gate: None,
        exit_signal: 0,
    };
    let process = Process::new(new_id(), Weak::new(), parts);
    let name = b"a (name) b".to_vec();
    let thread = Thread::new(process.pid, process.clone(), name, ThreadSignals::default());
    process.threads.lock().push(thread);
    (root, process)
}

fn find(root: &Location, path: &str, follow: bool) -> Result<Location> {
    Walk::new(root, &Credentials::new(0, 0, vec![])).find(root, path.as_bytes(), follow)
}

fn open(root: &Location, path: &str) -> Arc<dyn File> {
    let place = find(root, path, true).unwrap();
    place.inode().open(&place, OpenFlags::READ_WRITE).unwrap()
}

fn read(root: &Location, path: &str) -> String {
    let mut buffer = vec![0; 65536];
    let count = open(root, path).read(&mut Sink::kernel(&mut buffer)).unwrap();
    String::from_utf8(buffer[..count].to_vec()).unwrap()
}

struct Names(Vec<String>);

impl DirectorySink for Names {
    fn add(&mut self, _inode: u64, _next: u64, _kind: u8, name: &[u8]) -> bool {
        // Two at a time, so that every position is come back to.
        let room = self.0.len() % 3 != 2;
        self.0.push(if room { String::from_utf8(name.to_vec()).unwrap() } else { String::new() });
        room
    }
}

fn list(root: &Location, path: &str) -> Vec<String> {
    let file = DirectoryFile::new(find(root, path, true).unwrap(), OpenFlags::empty());
    let mut all = Vec::new();
    loop {
        let mut names = Names(Vec::new());
        file.read_directory(&mut names).unwrap();
        if names.0.is_empty() {
            return all;
        }
        all.extend(names.0.into_iter().filter(|name| !name.is_empty()));
    }
}

fn path(process: &Process, rest: &str) -> String {
    alloc::format!("/proc/{}/{rest}", process.pid)
}

#[test]
fn a_process_is_described_from_its_objects() {
    let (root, process) = machine();
    let pid = process.pid;
    assert_eq!(read(&root, &path(&process, "cmdline")), "program\0\0x y\0");
    let status = read(&root, &path(&process, "status"));
    for line in [
        "Name:\ta (name) b\n",
        "Umask:\t0022\n",
        "State:\tS (sleeping)\n",
        "Uid:\t7\t7\t7\t7\n",
        "Gid:\t8\t8\t8\t8\n",
        "Groups:\t9 \n",
        "Threads:\t1\n",
        "SigIgn:\t0000000000000000\n",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    assert!(status.contains(&alloc::format!("Pid:\t{pid}\nPPid:\t0\n")));
    assert!(
        read(&root, &path(&process, "limits"))
            .contains("Max open files            64                   128                  files     \n")
    );
    assert!(read(&root, "/proc/sys/kernel/ostype").eq("Linux\n"));
    let stat = find(&root, &path(&process, ""), true).unwrap().stat().unwrap();
    assert_eq!((stat.mode(), stat.uid, stat.gid), (0o40555, 7, 8));
    assert_eq!(find(&root, "/proc/0", true).err(), Some(Errno::ENOENT));
    assert_eq!(find(&root, &alloc::format!("/proc/0{pid}"), true).err(), Some(Errno::ENOENT));
}

#[test]
fn links_lead_to_what_is_open_whatever_its_name_is_now() {
    let (root, process) = machine();
    let link = find(&root, &path(&process, "fd/5"), false).unwrap();
    assert_eq!(link.inode().read_link().unwrap(), b"/program");
    assert_eq!(link.stat().unwrap().mode(), 0o120300);
    root.remove(b"program", false, |_| Ok(())).unwrap();
    assert_eq!(link.inode().read_link().unwrap(), b"/program (deleted)");
    let open = find(&root, &path(&process, "fd/5"), true).unwrap();
    assert_eq!(open.stat().unwrap().links, 0);
    let exe = find(&root, &path(&process, "exe"), true).unwrap();
    assert_eq!(exe.stat().unwrap().inode, open.stat().unwrap().inode);
    assert!(find(&root, &path(&process, "cwd"), true).unwrap() == root);
    assert_eq!(find(&root, &path(&process, "fd/6"), true).err(), Some(Errno::ENOENT));
    assert!(read(&root, &path(&process, "fdinfo/5")).starts_with("pos:\t0\nflags:\t02002001\n"));
    // A stream has no place in the tree; what the link leads to opens the stream again.
    let stream = find(&root, &path(&process, "fd/0"), false).unwrap();
    assert_eq!(stream.inode().read_link().unwrap(), b"nowhere:[1]");
    assert!(matches!(stream.inode().follow(), Ok(LinkTarget::Place(_))));
    let again = find(&root, &path(&process, "fd/0"), true).unwrap();
    assert_eq!(again.kind(), FileType::Fifo);
    let again = again.inode().open(&again, OpenFlags::empty()).unwrap();
    assert!(again.as_any().is::<Nowhere>());
}

#[test]
fn directories_list_what_can_be_looked_up() {
    let (root, process) = machine();
    assert_eq!(list(&root, &path(&process, "fd")), [".", "..", "0", "5"]);
    assert_eq!(list(&root, &path(&process, "task")), [".", "..", &alloc::format!("{}", process.pid)]);
    let top = list(&root, "/proc");
    assert!(top.contains(&alloc::format!("{}", process.pid)) && top.contains(&"meminfo".into()));
    for name in list(&root, &path(&process, "")) {
        find(&root, &path(&process, &name), false).unwrap();
    }
    let parent = find(&root, &path(&process, "fd/.."), true).unwrap();
    assert_eq!(parent.path_text(), path(&process, "").trim_end_matches('/').as_bytes());
}

#[test]
fn a_text_is_read_in_pieces_and_made_again_from_the_start() {
    let (root, process) = machine();
    let comm = open(&root, &path(&process, "comm"));
    let mut bytes = [0; 3];
    assert_eq!(comm.read(&mut Sink::kernel(&mut bytes)), Ok(3));
    assert_eq!(comm.write(&mut Source::kernel(b"a name that is too long")), Ok(23));
    assert_eq!(process.threads.lock()[0].name.lock().as_slice(), b"a name that is ");
    assert_eq!(comm.read_at(&mut Sink::kernel(&mut bytes), 2), Ok(3));
    assert_eq!(&bytes, b"(na");
    assert_eq!(comm.seek(0, Whence::Start), Ok(0));
    let mut all = [0; 40];
    assert_eq!(comm.read(&mut Sink::kernel(&mut all)), Ok(16));
    assert_eq!(comm.seek(0, Whence::End), Err(Errno::EINVAL));
    assert_eq!(open(&root, &path(&process, "cmdline")).write(&mut Source::kernel(b"x")), Err(Errno::EIO));
}

#[test]
fn what_is_gone_says_so() {
    let (root, process) = machine();
    let status = open(&root, &path(&process, "status"));
    let link = find(&root, &path(&process, "exe"), false).unwrap();
    let gone = path(&process, "");
    process.threads.lock().clear();
    drop(process);
    let mut bytes = [0; 10];
    assert_eq!(status.read(&mut Sink::kernel(&mut bytes)), Err(Errno::ESRCH));
    assert_eq!(link.inode().read_link(), Err(Errno::ENOENT));
    assert_eq!(find(&root, &gone, true).err(), Some(Errno::ENOENT));
}

#[test]
fn a_place_that_a_path_leads_to_through_proc_is_not_lasting() {
    let (root, process) = machine();
    let lasting = |path: &str| {
        let user = Credentials::new(0, 0, vec![]);
        let mut walk = Walk::new(&root, &user);
        walk.find(&root, path.as_bytes(), true).unwrap();
        walk.is_lasting()
    };
    assert!(lasting("/program") && lasting("/./program") && lasting("/proc"));
    for path in ["status", "fd/5", "root/program"] {
        assert!(!lasting(&alloc::format!("/proc/{}/{path}", process.pid)), "{path}");
    }
}
