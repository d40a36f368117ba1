//! Loading a program into an address space of its own.

use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_platform::context::UserContext;

use super::load::{Headers, ProgramStart, load_program};
use super::script::script_interpreter;
use super::{Credentials, ProgramImage};
use crate::errno::{Errno, Result};
use crate::file::{Mappable, OpenFlags};
use crate::fs::access::{self, EXECUTE};
use crate::fs::notify;
use crate::fs::tree::{RunningText, TreeInode};
use crate::fs::walk::Walk;
use crate::fs::{FsView, Location};
use crate::mm::AddressSpace;
use crate::stat::FileType;

/// Scripts whose interpreters are scripts (BINPRM_MAX_RECURSION).
const SCRIPT_DEPTH: usize = 5;
/// First bytes that are looked at for `#!`.
const HEAD: usize = 256;
const SET_USER_ID: u32 = 0o4000;
/// Without the group's right to execute the bit means something else (mandatory locks).
const SET_GROUP_ID: u32 = 0o2010;

/// A program that is ready to run.
pub struct Program {
    /// Its memory.
    pub space: Arc<AddressSpace>,
    /// Its first registers.
    pub registers: UserContext,
    /// What /proc shows of it.
    pub image: ProgramImage,
    /// Its rights.
    pub credentials: Credentials,
    /// Whether they are more than those of who started it.
    pub secure: bool,
}

/// What is to run.
pub struct Request<'a> {
    /// Its view of the file tree.
    pub view: &'a FsView,
    /// Whose rights count.
    pub credentials: &'a Credentials,
    /// Whether set-user-id and set-group-id mean nothing (PR_SET_NO_NEW_PRIVS).
    pub no_new_privileges: bool,
    /// The program's path.
    pub path: Vec<u8>,
    /// argv.
    pub arguments: Vec<Vec<u8>>,
    /// envp.
    pub environment: Vec<Vec<u8>>,
    /// RLIMIT_STACK in bytes.
    pub stack_size: u64,
    /// Most bytes of brk memory.
    pub brk_limit: u64,
}

fn open(request: &Request, path: &[u8]) -> Result<(Location, Arc<dyn Mappable>)> {
    let root = request.view.root();
    let found = Walk::new(&root, request.credentials).find(&request.view.cwd(), path, true)?;
    if found.kind() != FileType::Regular {
        return Err(Errno::EACCES);
    }
    access::check(&found, request.credentials, EXECUTE)?;
    let file = found.inode().open(&found, OpenFlags::empty())?;
    notify::accessed(&*file);
    let mapping = file.mapping(false)?;
    Ok((found, mapping))
}

/// Opens the program, going through `#!` interpreters, which change the arguments.
fn resolve(request: &mut Request) -> Result<(Location, Arc<dyn Mappable>)> {
    for _ in 0..SCRIPT_DEPTH {
        let (place, file) = open(request, &request.path.clone())?;
        let mut head = alloc::vec![0; HEAD.min(file.size() as usize)];
        file.read_pages(0, &mut head)?;
        let Some(script) = script_interpreter(&head) else { return Ok((place, file)) };
        let mut arguments = alloc::vec![script.path.clone()];
        arguments.extend(script.argument);
        arguments.push(core::mem::replace(&mut request.path, script.path));
        arguments.extend(request.arguments.drain(..).skip(1));
        request.arguments = arguments;
    }
    Err(Errno::ELOOP)
}

/// A program that was found and looks right; nothing of the caller has changed yet.
pub struct Prepared<'a> {
    request: Request<'a>,
    execfn: Vec<u8>,
    place: Location,
    text: Option<RunningText>,
    headers: Headers,
    /// Its rights, and whether they are more than the caller's.
    rights: (Credentials, bool),
}

/// Finds the program and reads its headers. Errors are execve(2)'s.
pub fn prepare(mut request: Request) -> Result<Prepared> {
    let execfn = request.path.clone();
    let (place, file) = resolve(&mut request)?;
    let inode = place.inode().as_any().downcast_ref::<TreeInode>().and_then(TreeInode::shared);
    let text = inode.map(|inode| inode.run()).transpose()?;
    let (permissions, uid, gid) = place.inode().ownership()?;
    // What lies with the host runs as nobody else, whatever the host says of it.
    let set_id = |bits: u32, id: u32| (text.is_some() && permissions & bits == bits).then_some(id);
    let (user, group) = (set_id(SET_USER_ID, uid), set_id(SET_GROUP_ID, gid));
    let rights = request.credentials.executing(user, group, request.no_new_privileges);
    let headers = Headers::read(file, |path| Ok(open(&request, path)?.1))?;
    Ok(Prepared { request, execfn, place, text, headers, rights })
}

/// Loads the program into an address space of its own.
pub fn load(prepared: Prepared) -> Result<Program> {
    let Prepared { request, execfn, place, text, headers, rights: (credentials, secure) } = prepared;
    let space = Arc::new(AddressSpace::new());
    let start = ProgramStart {
        arguments: &request.arguments,
        environment: &request.environment,
        path: &execfn,
        credentials: &credentials,
        secure,
        stack_size: request.stack_size,
        heap_limit: request.brk_limit,
    };
    let loaded = load_program(&space, &headers, &start)?;
    let mut registers = UserContext::default();
    registers.regs.rip = loaded.entry;
    registers.regs.rsp = loaded.stack_pointer;
    let image = ProgramImage {
        executable: place.path_text(),
        location: Some(place),
        arguments: request.arguments,
        environment: request.environment,
        auxiliary: loaded.auxiliary,
        text,
    };
    Ok(Program { space, registers, image, credentials, secure })
}
