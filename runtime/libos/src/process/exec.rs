//! Loading a program into an address space of its own.

use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_platform::context::UserContext;
use casemate_platform::extended_state;
use casemate_platform::pages::Protection;
use casemate_platform::random;
use linux_raw_sys::auxvec as key;

use super::elf::ElfFile;
use super::script::script_interpreter;
use super::stack::StackContents;
use super::{Credentials, ProgramImage};
use crate::errno::{Errno, Result};
use crate::file::{Mappable, OpenFlags};
use crate::fs::access::{self, EXECUTE};
use crate::fs::walk::Walk;
use crate::fs::{FsView, Location};
use crate::mm::{AddressSpace, MapRequest, Name, Placement};
use crate::stat::FileType;

/// Scripts whose interpreters are scripts (BINPRM_MAX_RECURSION).
const SCRIPT_DEPTH: usize = 5;
/// First bytes that are looked at for `#!`.
const HEAD: usize = 256;

/// A program that is ready to run.
pub struct Program {
    /// Its memory.
    pub space: Arc<AddressSpace>,
    /// Its first registers.
    pub registers: UserContext,
    /// What /proc shows of it.
    pub image: ProgramImage,
}

/// What is to run.
pub struct Request<'a> {
    /// Its view of the file tree.
    pub view: &'a FsView,
    /// Whose rights count.
    pub credentials: &'a Credentials,
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
    let mut walk = Walk::new(request.view.root(), request.credentials);
    let found = walk.find(request.view.cwd(), path, true)?;
    if found.kind() != FileType::Regular {
        return Err(Errno::EACCES);
    }
    access::check(&found, request.credentials, EXECUTE)?;
    let mapping = found.inode().open(&found, OpenFlags::empty())?.mapping()?;
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
    elf: ElfFile,
    interpreter: Option<ElfFile>,
}

/// Finds the program and reads its headers. Errors are execve(2)'s.
pub fn prepare(mut request: Request) -> Result<Prepared> {
    let execfn = request.path.clone();
    let (place, file) = resolve(&mut request)?;
    let elf = ElfFile::read(file)?;
    let interpreter = match elf.interpreter()? {
        Some(path) => Some(ElfFile::read(open(&request, &path)?.1)?),
        None => None,
    };
    Ok(Prepared { request, execfn, place, elf, interpreter })
}

/// Where a position-independent program is put: in the second third of the range, so that its heap can grow above it and
/// mappings come from the top; somewhere else at each start.
fn program_base(space: &AddressSpace) -> u64 {
    let bounds = space.bounds();
    let third = bounds.len() / 3;
    bounds.start + third + random::next_u64() % (third / 4).max(1) / 4096 * 4096
}

/// Smallest stack for a signal handler, as Linux computes it: room for the vector state and the largest frame (736 bytes,
/// the compatibility mode's), 112 and 4 bytes that go with the state, and what aligning both may take.
fn minimum_signal_stack() -> u64 {
    (extended_state::image_size() as u64 + 736 + 112 + 4 + 63 + 15).next_multiple_of(16)
}

/// Loads the program and lays out its first stack.
pub fn load(prepared: Prepared) -> Result<Program> {
    let Prepared { request, execfn, place, elf, interpreter } = prepared;
    let space = Arc::new(AddressSpace::new());
    let main = elf.map(&space, program_base(&space))?;
    let (entry, base) = match &interpreter {
        Some(interpreter) => {
            let loaded = interpreter.map(&space, 0)?;
            (loaded.entry, loaded.bias)
        }
        None => (main.entry, 0),
    };
    let limit = request.stack_size.next_multiple_of(4096);
    let stack = space.map(MapRequest {
        name: Name::Stack,
        ..MapRequest::anonymous(Placement::Hint(0), limit, Protection::READ_WRITE)
    })?;
    space.set_heap(main.end, request.brk_limit);
    let ids = request.credentials;
    let vdso = crate::time::vdso::attach(&space);
    let auxiliary = [
        // Without a vDSO: AT_IGNORE.
        vdso.map_or([key::AT_IGNORE as u64, 0], |image| [key::AT_SYSINFO_EHDR as u64, image]),
        [key::AT_MINSIGSTKSZ as u64, minimum_signal_stack()],
        [key::AT_HWCAP as u64, core::arch::x86_64::__cpuid(1).edx as u64],
        [key::AT_PAGESZ as u64, 4096],
        [key::AT_CLKTCK as u64, 100],
        [key::AT_PHDR as u64, main.program_headers],
        [key::AT_PHENT as u64, 56],
        [key::AT_PHNUM as u64, main.program_header_count as u64],
        [key::AT_BASE as u64, base],
        [key::AT_FLAGS as u64, 0],
        [key::AT_ENTRY as u64, main.entry],
        [key::AT_UID as u64, ids.uid as u64],
        [key::AT_EUID as u64, ids.euid as u64],
        [key::AT_GID as u64, ids.gid as u64],
        [key::AT_EGID as u64, ids.egid as u64],
        [key::AT_SECURE as u64, 0],
        [key::AT_RANDOM as u64, 0],
        [key::AT_HWCAP2 as u64, 2],
        [key::AT_EXECFN as u64, 0],
        [key::AT_PLATFORM as u64, 0],
    ];
    let mut seed = [0; 16];
    random::fill(&mut seed);
    let contents = StackContents {
        arguments: &request.arguments,
        environment: &request.environment,
        path: &execfn,
        random: seed,
        padding: 0,
        auxiliary: &auxiliary,
    };
    let initial = contents.build(stack + limit, limit / 4)?;
    space.write_bytes(initial.stack_pointer, &initial.bytes)?;
    let mut registers = UserContext::default();
    registers.regs.rip = entry;
    registers.regs.rsp = initial.stack_pointer;
    let image = ProgramImage {
        executable: place.path_text(),
        location: Some(place),
        arguments: request.arguments,
        environment: request.environment,
        auxiliary: initial.auxiliary,
    };
    Ok(Program { space, registers, image })
}
