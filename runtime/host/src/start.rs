//! The start: from the kernel's initial stack to the first entry into the enclave.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use casemate_abi::{ABI_VERSION, Blob, EntryReason, Platform, START_MAGIC, StartBlock, StartFlags};
use casemate_sgx::Image;
use casemate_sgx::{Settings, Variant};
use linux_raw_sys::general::*;
use linux_raw_sys::system::new_utsname;
use object::LittleEndian;
use object::elf::{PF_X, PT_GNU_RELRO, PT_LOAD, ProgramHeader64};
use object::read::elf::ProgramHeader;

use crate::arena::{self, SIGNAL_STACK_SIZE, Thread};
use crate::arguments::{Arguments, Choice, Source, Volume, listed_volumes};
use crate::boot::Boot;
use crate::bundle::{self, as_slice, join, read_small};
use crate::image::signed_variant;
use crate::manifest::Limits;
use crate::report::{Text, print};
use crate::sys::{self, Errno, PAGE};
use crate::{
    calls, cpuid, descriptors, exitless, hardware, memory, refuse, run, signal, soft, stats, thread, vdso,
};

/// The start-up block: written before the first entry, read by the enclave.
static BLOCK: AtomicU64 = AtomicU64::new(0);
/// How many servers of exitless host calls the manifest asks for.
static SERVERS: AtomicU32 = AtomicU32::new(0);

/// HWCAP2_FSGSBASE (arch/x86/include/uapi/asm/hwcap2.h).
const FSGSBASE: u64 = 2;
/// Space that the handlers themselves need on a signal stack, beside the kernel's frame.
const HANDLER_SPACE: u64 = 64 * 1024;

/// Starts the run; `base` is where the loader is loaded.
///
/// # Safety
/// Called once, by the entry point, with the initial stack pointer, after relocation.
pub unsafe fn start(stack: *const u64, base: u64) -> ! {
    // SAFETY: the caller passes the initial stack.
    let boot =
        unsafe { Boot::read(stack) }.unwrap_or_else(|error| refuse!("cannot read the arguments: {error}"));
    let arguments = boot.arguments.get(1..).unwrap_or_default();
    let arguments = Arguments::parse(arguments).unwrap_or_else(|refusal| refuse!("{refusal}"));
    check_machine(&boot);
    find_itself(&boot, base);
    // SAFETY: the address is the auxiliary vector's.
    unsafe { vdso::adopt(boot.vdso) };
    let block = prepare(&boot, &arguments);
    #[cfg(feature = "hostile")]
    let block = crate::hostile::begin(boot.environment, block);
    match sys::map_anonymous(size_of::<StartBlock>() as u64, sys::READ_WRITE) {
        Ok(address) => {
            // SAFETY: the mapping is new and large enough.
            unsafe { (address as *mut StartBlock).write(block) };
            BLOCK.store(address, Relaxed);
        }
        Err(error) => refuse!("cannot map the start-up block: {error}"),
    }
    let Err(error) = thread::become_first(enter);
    refuse!("cannot set up the first thread: {error}")
}

/// Goes on in the main thread's slot: from here signals can be handled.
extern "C" fn enter(thread: &'static Thread) -> ! {
    thread::open(thread);
    signal::block();
    if let Err(error) = exitless::start(SERVERS.load(Relaxed)) {
        refuse!("cannot start the servers of exitless host calls (sgx.exitless_threads): {error}");
    }
    if let Err(error) = signal::install() {
        refuse!("cannot install signal handlers: {error}");
    }
    match thread::arm(thread) {
        Ok(()) => {}
        Err(Errno::EINVAL) => refuse!(
            "this kernel has no Syscall User Dispatch (Linux 5.11 with CONFIG_GENERIC_ENTRY): platform 'direct' cannot run here"
        ),
        Err(error) => refuse!("cannot turn Syscall User Dispatch on: {error}"),
    }
    #[cfg(feature = "hostile")]
    crate::hostile::start();
    let block = &raw const thread.host;
    let result = if run::is_enclave() {
        if run::is_hardware() {
            hardware::run_first(thread, BLOCK.load(Relaxed))
        } else {
            soft::run_first(thread, BLOCK.load(Relaxed))
        }
    } else {
        // SAFETY: the block was filled by `prepare`; the thread's block lives in its slot.
        unsafe { run::enter(EntryReason::Start, BLOCK.load(Relaxed), block as u64) }
    };
    refuse!(
        "the enclave refused to start (result {result}): loader and enclave image are of different versions"
    )
}

fn check_machine(boot: &Boot) {
    if !cpuid::has_required_features() {
        refuse!(
            "this processor lacks SSE4.1, PCLMULQDQ, AES-NI, SHA extensions or RDRAND: it is too old for Casemate"
        );
    }
    if boot.hwcap2 & FSGSBASE == 0 {
        refuse!("this kernel or processor has no FSGSBASE (Linux 5.9 on a processor since 2013)");
    }
    if boot.minimal_signal_stack + HANDLER_SPACE > SIGNAL_STACK_SIZE {
        refuse!(
            "this processor needs signal stacks of {} bytes, more than the loader has",
            boot.minimal_signal_stack
        );
    }
}

/// Notes where the loader's code is, and makes its relocated pointers read-only.
fn find_itself(boot: &Boot, base: u64) {
    // SAFETY: the kernel names the loader's own program headers, which are mapped.
    let headers = unsafe {
        core::slice::from_raw_parts(
            boot.headers as *const ProgramHeader64<LittleEndian>,
            boot.header_count as usize,
        )
    };
    let endian = LittleEndian;
    let mut text = (0, 0);
    for header in headers {
        let start = base + header.p_vaddr(endian);
        let end = start + header.p_memsz(endian);
        match header.p_type(endian) {
            PT_LOAD if header.p_flags(endian) & PF_X != 0 => text = (start, end),
            PT_GNU_RELRO => {
                let start = start / PAGE * PAGE;
                // SAFETY: these pages were relocated and are not written again. Failing is harmless.
                let _ = unsafe { sys::protect(start, end / PAGE * PAGE - start, PROT_READ) };
            }
            _ => {}
        }
    }
    // SAFETY: touches no memory.
    let process = unsafe { sys::call(__NR_getpid, []) }.unwrap_or(0);
    run::set_loader(base, text.0, text.1, process as u32);
}

/// Reads the bundle, makes the enclave, and fills the start-up block.
fn prepare(boot: &Boot, arguments: &Arguments<'static>) -> StartBlock {
    let bundle = open_directory(arguments.bundle);
    let map = |name| bundle::map_file(bundle, arguments.bundle, name);
    let (image_file, manifest, index, measured) =
        (map(c"enclave"), map(c"manifest.json"), map(c"index"), map(c"measured"));
    for file in [&index, &manifest, &measured] {
        sys::close(file.fd);
    }
    let limits = Limits::read(manifest.bytes())
        .unwrap_or_else(|reason| refuse!("{}/manifest.json: {reason}", Text(arguments.bundle)));
    let image = Image::parse(image_file.bytes())
        .unwrap_or_else(|reason| refuse!("{}/enclave: {reason}", Text(arguments.bundle)));
    let Ok(measured) = measured.bytes().try_into() else {
        refuse!("{}/measured: it does not have 64 bytes", Text(arguments.bundle))
    };
    let signed = signed_variant(bundle, limits.edmm);
    let platform = choose(arguments.platform, signed.is_some());
    if arguments.faithful {
        be_faithful(platform);
    }
    let variant = match (&signed, platform) {
        (Some((variant, _)), _) => *variant,
        _ => limits.edmm.variants()[0],
    };
    let Limits { enclave_size, max_threads, edmm, exitless_threads } = limits;
    let settings = Settings { enclave_size, max_threads, edmm, measured };
    let layout = settings.layout(&image, variant).unwrap_or_else(|error| refuse!("{error}"));
    let lowest = memory::reserve(layout.block().enclave_size);
    match (platform, signed) {
        (Platform::SoftSgx, Some((_, Ok(sigstruct)))) => {
            soft::create(&image, &layout, &sigstruct, arguments.fuses, boot.environment);
            run::set_device(layout.block().image_base, variant == Variant::Edmm);
        }
        (Platform::Sgx, Some((_, Ok(sigstruct)))) => {
            hardware::create(&image, &layout, &sigstruct);
            run::set_device(layout.block().image_base, variant == Variant::Edmm);
            run::set_hardware();
        }
        (Platform::Sgx | Platform::SoftSgx, Some((_, Err(reason)))) => {
            refuse!("{}/sigstruct: {reason}", Text(arguments.bundle))
        }
        _ => {
            memory::map_own(&layout, &image);
            memory::map_image(&image, &layout, image_file.fd);
        }
    }
    sys::close(image_file.fd);
    run::set_enclave(layout.block().entry, lowest, layout.block().user_top);
    // SAFETY: the file was mapped for building the enclave only; `image` is not used any more.
    unsafe { sys::unmap(image_file.blob.address, image_file.blob.length) };
    if let Err(error) = arena::reserve(max_threads.saturating_add(exitless_threads)) {
        refuse!("cannot reserve memory for {max_threads} threads: {error}");
    }
    set_process_up();
    let volumes = open_files(arguments);
    if let Some(socket) = arguments.aesm {
        calls::set_service(socket);
    }
    let mut block = facts(boot, arguments, volumes);
    set_platform(&mut block, platform);
    block.lowest_address = lowest;
    if exitless_threads > 0 {
        SERVERS.store(exitless_threads, Relaxed);
        block.ring = exitless::make_ring()
            .unwrap_or_else(|error| refuse!("cannot map the ring of exitless host calls: {error}"));
    }
    (block.manifest, block.index) = (manifest.blob, index.blob);
    block
}

/// Where to run.
fn choose(choice: Choice, signed: bool) -> Platform {
    match choice {
        Choice::Direct => Platform::Direct,
        Choice::SoftSgx | Choice::Sgx if !signed => {
            refuse!(
                "the image is not signed, so no enclave can be made of it: run `casemate sign` (or use --platform direct)"
            )
        }
        Choice::SoftSgx => Platform::SoftSgx,
        Choice::Sgx => Platform::Sgx,
        Choice::Auto if signed && hardware::is_there() => Platform::Sgx,
        Choice::Auto if signed => Platform::SoftSgx,
        Choice::Auto => {
            print(format_args!(
                "casemate-host: direct: the image is not signed, so it runs without an enclave and without any protection (`casemate sign`)"
            ));
            Platform::Direct
        }
    }
}

/// `--faithful`.
fn be_faithful(platform: Platform) {
    if platform != Platform::SoftSgx {
        refuse!("--faithful is for the software device: add --platform softsgx, with a signed image");
    }
    soft::turn_on();
}

/// How the enclave gets out again.
fn set_platform(block: &mut StartBlock, platform: Platform) {
    block.platform = platform as u32;
    if platform == Platform::Direct {
        block.host_call = calls::host_call as *const () as u64;
        return;
    }
    if platform == Platform::SoftSgx {
        block.enclu = soft::enclu_address();
    }
    block.cpuid = cpuid::table().unwrap_or_else(|error| refuse!("cannot map the CPUID table: {error}"));
}

fn open_directory(name: &[u8]) -> i32 {
    bundle::with_c_string(name, calls::open_directory)
        .unwrap_or_else(|error| refuse!("{}: {error}", Text(name)))
}

/// Which directories a container's loader offers, see `offered_volumes` in src/casemate/image/shielded.py.
const LISTED: &core::ffi::CStr = c"/casemate/volumes";

/// Opens the image's source and the volumes; returns the volumes' names.
fn open_files(arguments: &Arguments<'static>) -> Blob {
    let (name, by_digest) = match arguments.source {
        Source::Root(name) => (name, false),
        Source::Store(name) => (name, true),
    };
    let source = open_directory(name);
    calls::detect_openat2(source);
    calls::set_source(source, by_digest);
    let mut offered = [None; calls::VOLUME_LIMIT];
    let mut places = offered.iter_mut();
    let mut offer = |volume: Volume<'static>, directory| match places.next() {
        Some(place) if calls::add_volume(directory, volume.read_only) => *place = Some(volume),
        _ => refuse!("too many volumes: at most {}", calls::VOLUME_LIMIT),
    };
    for volume in arguments.volumes() {
        offer(volume, open_directory(volume.host));
    }
    if !arguments.has_options {
        // What is not in the container is not offered; the library OS says so.
        for volume in listed_volumes(as_slice(read_small(LISTED))) {
            if let Ok(directory) = bundle::with_c_string(volume.host, calls::open_directory) {
                offer(volume, directory);
            }
        }
    }
    let names =
        offered.iter().flatten().map(|volume| [volume.inside, if volume.read_only { b":ro" } else { b"" }]);
    strings(join(names))
}

fn strings(joined: Result<Blob, Errno>) -> Blob {
    joined.unwrap_or_else(|error| refuse!("cannot map the arguments: {error}"))
}

/// What the enclave is told of the host and of the command line.
fn facts(boot: &Boot, arguments: &Arguments, volumes: Blob) -> StartBlock {
    if arguments.stats {
        stats::enable();
    }
    let flag = |set, bit| if set { bit } else { 0 };
    let inherited = boot.environment.iter().copied().filter(|setting| !arguments.overrides(setting));
    StartBlock {
        magic: START_MAGIC,
        version: ABI_VERSION,
        flags: flag(arguments.trace, StartFlags::TRACE) | flag(arguments.stats, StartFlags::STATS),
        processors: count_processors(),
        arguments: strings(join(arguments.program.iter().map(|argument| [*argument]))),
        environment: strings(join(inherited.chain(arguments.environment()).map(|setting| [setting]))),
        volumes,
        resolv_conf: read_small(c"/etc/resolv.conf"),
        hosts: read_small(c"/etc/hosts"),
        hostname: hostname(arguments),
        // Linux's default, where /proc is not mounted.
        mappings: bundle::read_number(c"/proc/sys/vm/max_map_count").unwrap_or(65_530),
        ..StartBlock::default()
    }
}

/// `--hostname`, else the kernel's node name.
fn hostname(arguments: &Arguments) -> Blob {
    let name = |bytes: &[u8]| {
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let joined = strings(join(core::iter::once([&bytes[..length]])));
        Blob { length: length as u64, ..joined }
    };
    if let Some(given) = arguments.hostname {
        return name(given);
    }
    // SAFETY: the structure holds bytes only; the kernel fills it.
    let system: new_utsname = unsafe {
        let mut system = core::mem::zeroed();
        let _ = sys::call(__NR_uname, [&raw mut system as u64]);
        system
    };
    name(&system.nodename.map(|byte| byte as u8))
}

/// Processors that this process may use.
fn count_processors() -> u32 {
    let mut mask = [0u64; 128];
    let args = [0, size_of_val(&mask) as u64, mask.as_mut_ptr() as u64];
    // SAFETY: the kernel fills the local mask.
    match unsafe { sys::call(__NR_sched_getaffinity, args) } {
        Ok(_) => mask.iter().map(|word| word.count_ones()).sum::<u32>().max(1),
        Err(_) => 1,
    }
}

/// Modes are the enclave's to decide, and it may need as many descriptors as it can get.
fn set_process_up() {
    // SAFETY: touches no memory.
    let _ = unsafe { sys::call(__NR_umask, [0]) };
    descriptors::raise_limit();
}
