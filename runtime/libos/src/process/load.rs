//! Loading a program: executable, interpreter, stack and heap into an empty address space.

use alloc::sync::Arc;
use alloc::vec::Vec;

use casemate_platform::console::Level;
use casemate_platform::pages::Protection;
use casemate_platform::{extended_state, log, random};

use super::Credentials;
use super::elf::{ElfFile, LoadedImage};
use super::stack::{StackContents, key};
use super::stage::enter_stage_of;
use crate::errno::{Errno, Result};
use crate::file::Mappable;
use crate::mm::{AddressSpace, MapRequest, Name, PAGE, Placement, Span, page_up};

/// What a program is started with.
pub struct ProgramStart<'a> {
    /// argv.
    pub arguments: &'a [Vec<u8>],
    /// envp.
    pub environment: &'a [Vec<u8>],
    /// Path that was executed (AT_EXECFN).
    pub path: &'a [u8],
    /// Ids for the auxiliary vector.
    pub credentials: &'a Credentials,
    /// AT_SECURE.
    pub secure: bool,
    /// Size of the main thread's stack, bytes.
    pub stack_size: u64,
    /// Largest heap (brk), bytes.
    pub heap_limit: u64,
}

/// An executable and its interpreter, opened and their headers read: what can be refused is refused before anything is loaded.
pub struct Headers {
    executable: ElfFile,
    interpreter: Option<ElfFile>,
}

impl Headers {
    /// Reads the headers; `open_interpreter` opens the path that PT_INTERP names. `ENOEXEC`, `ELIBBAD` and what opening gives.
    pub fn read(
        executable: Arc<dyn Mappable>,
        open_interpreter: impl FnOnce(&[u8]) -> Result<Arc<dyn Mappable>>,
    ) -> Result<Headers> {
        let executable = ElfFile::read(executable)?;
        let interpreter = match executable.interpreter()? {
            None => None,
            Some(path) => {
                let file = open_interpreter(&path)?;
                // A broken interpreter is ELIBBAD, but for one that cannot be read.
                let broken = |error| if error == Errno::EIO { error } else { Errno::ELIBBAD };
                Some(ElfFile::read(file).map_err(broken)?)
            }
        };
        Ok(Headers { executable, interpreter })
    }
}

/// A program that is ready to run.
#[derive(Clone, Debug)]
pub struct LoadedProgram {
    /// First instruction: the interpreter's, if there is one.
    pub entry: u64,
    /// Initial stack pointer.
    pub stack_pointer: u64,
    /// The main thread's stack.
    pub stack: Span,
    /// Where the heap begins.
    pub brk_start: u64,
    /// The executable's own addresses.
    pub image: Span,
    /// The argument strings in memory, for /proc/self/cmdline.
    pub arguments: Span,
    /// The environment strings in memory, for /proc/self/environ.
    pub environment: Span,
    /// The auxiliary vector, for /proc/self/auxv.
    pub auxiliary: Vec<[u64; 2]>,
}

/// Loads a program into `space`, which must be empty.
pub fn load_program(
    space: &Arc<AddressSpace>,
    headers: &Headers,
    start: &ProgramStart,
) -> Result<LoadedProgram> {
    let elf = &headers.executable;
    let stack = map_stack(space, start.stack_size, elf.wants_executable_stack())?;
    if let Some(extent) = elf.fixed_extent() {
        space.take_stage(extent).inspect_err(|_| {
            let path = alloc::string::String::from_utf8_lossy(start.path);
            log!(Level::Warning, "{path}: not position-independent, and its addresses are in use");
        })?;
        enter_stage_of(space);
    }
    let image = elf.map(space, executable_base(space))?;
    let brk_start = place_heap(space, &image, start.heap_limit);
    let interpreter = headers.interpreter.as_ref().map(|elf| elf.map(space, 0)).transpose()?;
    let vdso = crate::time::vdso::attach(space);

    let auxiliary = auxiliary_vector(&image, interpreter.as_ref(), vdso, start);
    let mut random_bytes = [0; 16];
    random::fill(&mut random_bytes);
    let initial = StackContents {
        arguments: start.arguments,
        environment: start.environment,
        path: start.path,
        random: random_bytes,
        padding: random_below(512) * 16,
        auxiliary: &auxiliary,
    }
    .build(stack.end, stack.len())?;
    space.write_bytes(initial.stack_pointer, &initial.bytes)?;

    Ok(LoadedProgram {
        entry: interpreter.map_or(image.entry, |loaded| loaded.entry),
        stack_pointer: initial.stack_pointer,
        stack,
        brk_start,
        image: image.span,
        arguments: initial.arguments,
        environment: initial.environment,
        auxiliary: initial.auxiliary,
    })
}

/// A random number below `limit`.
fn random_below(limit: u64) -> u64 {
    if limit == 0 { 0 } else { random::next_u64() % limit }
}

/// Maps the main thread's stack near the top; everything else then comes to lie below it.
fn map_stack(space: &AddressSpace, size: u64, executable: bool) -> Result<Span> {
    let bounds = space.bounds();
    let size = page_up(size).ok_or(Errno::ENOMEM)?;
    // Linux moves the stack by up to 16 GiB; small enclaves by a 64th of their range.
    let slack = random_below((bounds.len() / 64).min(16 << 30) / PAGE) * PAGE;
    let wish = bounds.end.checked_sub(size + slack).ok_or(Errno::ENOMEM)?;
    let protection = Protection { execute: executable, ..Protection::READ_WRITE };
    let start = space.map(MapRequest {
        name: Name::Stack,
        grows_down: false,
        ..MapRequest::anonymous(Placement::Aligned(PAGE, Some(wish)), size, protection)
    })?;
    space.guard_below(start);
    Ok(Span::new(start, start + size))
}

/// Where position-independent programs go: two thirds up the range (ELF_ET_DYN_BASE) plus up to 2^28 random pages, as Linux
/// does, less where the range is small.
fn executable_base(space: &AddressSpace) -> u64 {
    let bounds = space.bounds();
    let room = (bounds.len() / 8 / PAGE).min(1 << 28);
    (bounds.start + bounds.len() / 3 * 2 + random_below(room) * PAGE) & !(PAGE - 1)
}

/// The heap begins after the executable, up to 32 MiB further on (arch_randomize_brk).
fn place_heap(space: &AddressSpace, image: &LoadedImage, limit: u64) -> u64 {
    let room = (space.bounds().len() / 64).min(32 << 20) / PAGE;
    let distance = random_below(room) * PAGE;
    // What is on a stage is moved at each change, so the heap is not; and only one process can have the addresses behind it.
    let first = space.stage().map_or(image.end, |stage| stage.span().end);
    space.set_heap(first.next_multiple_of(PAGE) + distance, limit)
}

/// In Linux's order (create_elf_tables).
fn auxiliary_vector(
    image: &LoadedImage,
    interpreter: Option<&LoadedImage>,
    vdso: Option<u64>,
    start: &ProgramStart,
) -> Vec<[u64; 2]> {
    let ids = start.credentials;
    alloc::vec![
        // Without a vDSO: AT_IGNORE.
        vdso.map_or([key::IGNORE, 0], |image| [key::SYSINFO_EHDR, image]),
        [key::MINSIGSTKSZ, minimum_signal_stack()],
        [key::HWCAP, processor_features()],
        [key::PAGESZ, PAGE],
        [key::CLKTCK, 100],
        [key::PHDR, image.program_headers],
        [key::PHENT, 56],
        [key::PHNUM, image.program_header_count.into()],
        [key::BASE, interpreter.map_or(0, |loaded| loaded.bias)],
        [key::FLAGS, 0],
        [key::ENTRY, image.entry],
        [key::UID, ids.uid.into()],
        [key::EUID, ids.euid.into()],
        [key::GID, ids.gid.into()],
        [key::EGID, ids.egid.into()],
        [key::SECURE, start.secure.into()],
        [key::RANDOM, 0],
        // HWCAP2_FSGSBASE: checked by the loader before the enclave starts.
        [key::HWCAP2, 2],
        [key::EXECFN, 0],
        [key::PLATFORM, 0],
    ]
}

/// CPUID.1:EDX.
fn processor_features() -> u64 {
    casemate_platform::cpuid::cpuid(1, 0)[3].into()
}

/// Smallest stack for a signal handler, as Linux computes it: room for the vector state and the largest frame (736 bytes,
/// the compatibility mode's), 112 and 4 bytes that go with the state, and what aligning both may take.
fn minimum_signal_stack() -> u64 {
    (extended_state::image_size() as u64 + 736 + 112 + 4 + 63 + 15).next_multiple_of(16)
}

#[cfg(test)]
mod tests;
