//! Memory: mmap, munmap, mprotect, brk, madvise and their relatives.

use casemate_platform::pages::Protection;
use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::mm::{AddressSpace, Advice, MapRequest, PAGE, Placement, RemapRequest, Span, page_up};
use crate::process::limits::UNLIMITED;
use crate::process::{Context, Fd, Resource};
use crate::room;
use crate::user_space::{self, Access, Addr};

const PROT_KNOWN: u64 = (raw::PROT_READ | raw::PROT_WRITE | raw::PROT_EXEC | raw::PROT_SEM) as u64;
/// Flags that MAP_SHARED_VALIDATE accepts (LEGACY_MAP_MASK).
const FLAGS_KNOWN: u32 = raw::MAP_SHARED
    | raw::MAP_PRIVATE
    | raw::MAP_FIXED
    | raw::MAP_ANONYMOUS
    | raw::MAP_DENYWRITE
    | raw::MAP_EXECUTABLE
    | raw::MAP_UNINITIALIZED
    | raw::MAP_GROWSDOWN
    | raw::MAP_LOCKED
    | raw::MAP_NORESERVE
    | raw::MAP_POPULATE
    | raw::MAP_NONBLOCK
    | raw::MAP_STACK
    | raw::MAP_HUGETLB
    | raw::MAP_32BIT;

fn protection(bits: u64) -> Protection {
    Protection {
        read: bits & raw::PROT_READ as u64 != 0,
        write: bits & raw::PROT_WRITE as u64 != 0,
        execute: bits & raw::PROT_EXEC as u64 != 0,
    }
}

/// mmap(2).
pub fn sys_mmap(
    ctx: &Context,
    address: Addr,
    length: u64,
    prot: u64,
    flags: u32,
    fd: Fd,
    offset: u64,
) -> Result<usize> {
    if !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let file = if flags & raw::MAP_ANONYMOUS == 0 { Some(ctx.process().file(fd)?) } else { None };
    if flags & raw::MAP_HUGETLB != 0 {
        return Err(if file.is_some() { Errno::EINVAL } else { Errno::ENOMEM });
    }
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    let shared = match flags & raw::MAP_TYPE {
        raw::MAP_PRIVATE => false,
        raw::MAP_SHARED => true,
        raw::MAP_SHARED_VALIDATE if file.is_none() => return Err(Errno::EINVAL),
        raw::MAP_SHARED_VALIDATE if flags & !FLAGS_KNOWN != 0 => return Err(Errno::EOPNOTSUPP),
        raw::MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL),
    };
    if flags & raw::MAP_GROWSDOWN != 0 && (shared || file.is_some()) {
        return Err(Errno::EINVAL);
    }
    let protection = protection(prot);
    let mut may_write = true;
    let mut mapped = None;
    if let Some(file) = file {
        let open = file.status().get();
        if !open.readable() || shared && protection.write && !open.writable() {
            return Err(if open.contains(crate::file::OpenFlags::PATH) {
                Errno::EBADF
            } else {
                Errno::EACCES
            });
        }
        may_write = !shared || open.writable();
        let mapping = file.mapping(shared)?;
        if shared && !mapping.may_write_shared() {
            if protection.write {
                return Err(Errno::EPERM);
            }
            may_write = false;
        }
        mapped = Some((mapping, offset));
    }
    check_limits(ctx, length, protection.write && !shared)?;
    let space = ctx.process().address_space();
    let start = space.map(MapRequest {
        placement: placement(address.0, flags),
        length,
        protection,
        shared,
        may_write,
        grows_down: flags & raw::MAP_GROWSDOWN != 0,
        populate: flags & (raw::MAP_POPULATE | raw::MAP_LOCKED) != 0 && flags & raw::MAP_NONBLOCK == 0,
        locked: flags & raw::MAP_LOCKED != 0,
        file: mapped,
        name: crate::mm::Name::None,
    })?;
    Ok(start as usize)
}

fn placement(address: u64, flags: u32) -> Placement {
    if flags & raw::MAP_FIXED_NOREPLACE != 0 {
        Placement::FixedNoReplace(address)
    } else if flags & raw::MAP_FIXED != 0 {
        Placement::Fixed(address)
    } else if flags & raw::MAP_32BIT != 0 {
        Placement::Low(address)
    } else {
        Placement::Hint(address)
    }
}

/// RLIMIT_AS and RLIMIT_DATA, which are looked at only when they are set: the sums are not kept.
fn check_limits(ctx: &Context, length: u64, data: bool) -> Result<()> {
    let limits = &ctx.process().limits;
    let (space_limit, data_limit) = (limits.get(Resource::AddressSpace).0, limits.get(Resource::Data).0);
    if space_limit == UNLIMITED && data_limit == UNLIMITED {
        return Ok(());
    }
    let totals = ctx.process().address_space().totals();
    let beyond = |used: u64, limit: u64| used.checked_add(length).is_none_or(|sum| sum > limit);
    if beyond(totals.mapped, space_limit) || data && beyond(totals.data, data_limit) {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

/// munmap(2).
pub fn sys_munmap(ctx: &Context, address: Addr, length: u64) -> Result<usize> {
    ctx.process().address_space().unmap(address.0, length)?;
    Ok(0)
}

/// mremap(2).
pub fn sys_mremap(
    ctx: &Context,
    address: Addr,
    old_length: u64,
    new_length: u64,
    flags: u32,
    target: u64,
) -> Result<usize> {
    if flags & !(raw::MREMAP_MAYMOVE | raw::MREMAP_FIXED | raw::MREMAP_DONTUNMAP) != 0 {
        return Err(Errno::EINVAL);
    }
    if new_length > old_length {
        // Whether it counts as data depends on a mapping that is looked at later; most that grow do.
        check_limits(ctx, new_length - old_length, true)?;
    }
    let start = ctx.process().address_space().remap(RemapRequest {
        address: address.0,
        old_length,
        new_length,
        may_move: flags & raw::MREMAP_MAYMOVE != 0,
        fixed: (flags & raw::MREMAP_FIXED != 0).then_some(target),
        keep_old: flags & raw::MREMAP_DONTUNMAP != 0,
    })?;
    Ok(start as usize)
}

/// mprotect(2).
pub fn sys_mprotect(ctx: &Context, address: Addr, length: u64, prot: u64) -> Result<usize> {
    let down = raw::PROT_GROWSDOWN as u64;
    let up = raw::PROT_GROWSUP as u64;
    if prot & (down | up) == down | up || !address.0.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    if length == 0 {
        return Ok(0);
    }
    if prot & !(PROT_KNOWN | down | up) != 0 {
        return Err(Errno::EINVAL);
    }
    let space = ctx.process().address_space();
    let (mut start, mut length) = (address.0, length);
    if prot & up != 0 {
        return Err(if space.is_mapped(start) { Errno::EINVAL } else { Errno::ENOMEM });
    }
    if prot & down != 0 {
        let first = space.growing_mapping(start);
        let first = first.ok_or(if space.is_mapped(start) { Errno::EINVAL } else { Errno::ENOMEM })?;
        length = length.saturating_add(start - first);
        start = first;
    }
    let protection = protection(prot);
    let limit = ctx.process().limits.get(Resource::Data).0;
    if protection.write && limit != UNLIMITED {
        let span = page_up(length).and_then(|length| Span::sized(start, length)).ok_or(Errno::ENOMEM)?;
        let more = space.data_to_be(span);
        if more > 0 && space.totals().data.saturating_add(more) > limit {
            return Err(Errno::ENOMEM);
        }
    }
    space.protect(start, length, protection)?;
    Ok(0)
}

/// pkey_mprotect(2): there are no protection keys but the default one.
pub fn sys_pkey_mprotect(ctx: &Context, address: Addr, length: u64, prot: u64, key: i32) -> Result<usize> {
    if key != -1 && key != 0 {
        return Err(Errno::EINVAL);
    }
    sys_mprotect(ctx, address, length, prot)
}

/// pkey_alloc(2): none is left.
pub fn sys_pkey_alloc(_ctx: &Context, flags: u64, rights: u64) -> Result<usize> {
    Err(if flags != 0 || rights & !3 != 0 { Errno::EINVAL } else { Errno::ENOSPC })
}

/// pkey_free(2): none was allocated.
pub fn sys_pkey_free(_ctx: &Context, _key: i32) -> Result<usize> {
    Err(Errno::EINVAL)
}

/// brk(2).
pub fn sys_brk(ctx: &Context, address: Addr) -> Result<usize> {
    let space = ctx.process().address_space();
    let now = space.brk(0);
    let growth = address.0.saturating_sub(now);
    if growth > 0 && (room::check().is_err() || check_limits(ctx, growth, true).is_err()) {
        return Ok(now as usize);
    }
    Ok(space.brk(address.0) as usize)
}

/// msync(2).
pub fn sys_msync(ctx: &Context, address: Addr, length: u64, flags: u32) -> Result<usize> {
    ctx.process().address_space().synchronize(address.0, length, flags)?;
    Ok(0)
}

/// A range given by a page-aligned start and a length; `None` when it is empty.
fn aligned_span(start: u64, length: u64, overflow: Errno) -> Result<Option<Span>> {
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let span = page_up(length).and_then(|length| Span::sized(start, length)).ok_or(overflow)?;
    Ok((!span.is_empty()).then_some(span))
}

/// madvise(2).
pub fn sys_madvise(ctx: &Context, address: Addr, length: u64, advice: u32) -> Result<usize> {
    let advice = match advice {
        raw::MADV_NORMAL
        | raw::MADV_RANDOM
        | raw::MADV_SEQUENTIAL
        | raw::MADV_WILLNEED
        | raw::MADV_DONTFORK
        | raw::MADV_DOFORK
        | raw::MADV_MERGEABLE
        | raw::MADV_UNMERGEABLE
        | raw::MADV_HUGEPAGE
        | raw::MADV_NOHUGEPAGE
        | raw::MADV_DONTDUMP
        | raw::MADV_DODUMP
        | raw::MADV_KEEPONFORK
        | raw::MADV_COLD
        | raw::MADV_PAGEOUT => Advice::Ignored,
        raw::MADV_DONTNEED | raw::MADV_DONTNEED_LOCKED => Advice::Discard,
        raw::MADV_FREE => Advice::Free,
        raw::MADV_REMOVE => Advice::Remove,
        raw::MADV_WIPEONFORK => Advice::PrivateAnonymousOnly,
        raw::MADV_POPULATE_READ => Advice::Populate(Access::Read),
        raw::MADV_POPULATE_WRITE => Advice::Populate(Access::Write),
        _ => return Err(Errno::EINVAL),
    };
    if let Some(span) = aligned_span(address.0, length, Errno::EINVAL)? {
        ctx.process().address_space().advise(span, advice)?;
    }
    Ok(0)
}

/// mincore(2).
pub fn sys_mincore(ctx: &Context, address: Addr, length: u64, vector: Addr) -> Result<usize> {
    /// Pages answered for at a time.
    const STEP: u64 = 4096;
    let Some(span) = aligned_span(address.0, length, Errno::ENOMEM)? else { return Ok(0) };
    let space = ctx.process().address_space();
    let mut at = span.start;
    while at < span.end {
        let end = at.saturating_add(STEP * PAGE).min(span.end);
        let residency = space.residency(Span::new(at, end))?;
        user_space::copy_out(Addr(vector.0.wrapping_add((at - span.start) / PAGE)), &residency)?;
        at = end;
    }
    Ok(0)
}

/// The whole pages that hold `[start, start + length)`; `None` when it is empty.
fn enclosing_span(start: u64, length: u64) -> Result<Option<Span>> {
    let first = start & !(PAGE - 1);
    let length = length.checked_add(start - first).and_then(page_up).ok_or(Errno::EINVAL)?;
    let span = Span::sized(first, length).ok_or(Errno::EINVAL)?;
    Ok((!span.is_empty()).then_some(span))
}

/// RLIMIT_MEMLOCK, which does not bind root.
fn check_lock_limit(ctx: &Context, space: &AddressSpace, length: u64) -> Result<()> {
    if ctx.process().credentials.read().euid == 0 {
        return Ok(());
    }
    match ctx.process().limits.get(Resource::LockedMemory).0 {
        0 => Err(Errno::EPERM),
        limit if space.locked_bytes().saturating_add(length) > limit => Err(Errno::ENOMEM),
        _ => Ok(()),
    }
}

/// mlock(2).
pub fn sys_mlock(ctx: &Context, address: Addr, length: u64) -> Result<usize> {
    let space = ctx.process().address_space();
    if let Some(span) = enclosing_span(address.0, length)? {
        check_lock_limit(ctx, &space, span.len())?;
        space.set_locked(span, true)?;
    }
    Ok(0)
}

/// mlock2(2).
pub fn sys_mlock2(ctx: &Context, address: Addr, length: u64, flags: u32) -> Result<usize> {
    if flags & !raw::MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    sys_mlock(ctx, address, length)
}

/// munlock(2).
pub fn sys_munlock(ctx: &Context, address: Addr, length: u64) -> Result<usize> {
    if let Some(span) = enclosing_span(address.0, length)? {
        ctx.process().address_space().set_locked(span, false)?;
    }
    Ok(0)
}

/// mlockall(2).
pub fn sys_mlockall(ctx: &Context, flags: u32) -> Result<usize> {
    let known = raw::MCL_CURRENT | raw::MCL_FUTURE | raw::MCL_ONFAULT;
    if flags == 0 || flags & !known != 0 || flags == raw::MCL_ONFAULT {
        return Err(Errno::EINVAL);
    }
    let space = ctx.process().address_space();
    let current = flags & raw::MCL_CURRENT != 0;
    check_lock_limit(ctx, &space, if current { space.totals().mapped } else { 0 })?;
    space.lock_all(current, flags & raw::MCL_FUTURE != 0);
    Ok(0)
}

/// munlockall(2).
pub fn sys_munlockall(ctx: &Context) -> Result<usize> {
    ctx.process().address_space().lock_all(false, false);
    Ok(0)
}

/// Modes of memory policies, from MPOL_DEFAULT to MPOL_WEIGHTED_INTERLEAVE.
const POLICY_COUNT: u32 = 7;
const MPOL_F_NODE: u64 = 1;
const MPOL_F_ADDR: u64 = 2;
const MPOL_F_MEMS_ALLOWED: u64 = 4;
/// MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES, MPOL_F_NUMA_BALANCING.
const POLICY_FLAGS: u32 = 1 << 15 | 1 << 14 | 1 << 13;

/// get_mempolicy(2): one node, the default policy.
pub fn sys_get_mempolicy(
    ctx: &Context,
    mode: Addr,
    nodes: Addr,
    node_count: u64,
    address: u64,
    flags: u64,
) -> Result<usize> {
    if flags & !(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED) != 0 {
        return Err(Errno::EINVAL);
    }
    let memory = flags & MPOL_F_MEMS_ALLOWED != 0;
    let by_address = flags & MPOL_F_ADDR != 0;
    if memory && flags != MPOL_F_MEMS_ALLOWED || !by_address && address != 0 && !memory {
        return Err(Errno::EINVAL);
    }
    if flags == MPOL_F_NODE {
        // Only an interleaving policy has a next node.
        return Err(Errno::EINVAL);
    }
    if by_address && !ctx.process().address_space().is_mapped(address) {
        return Err(Errno::EFAULT);
    }
    if !mode.is_null() {
        user_space::write_u32(mode, 0)?;
    }
    if !nodes.is_null() {
        if node_count < 1 {
            return Err(Errno::EINVAL);
        }
        let words = node_count.div_ceil(64).min(512) as usize;
        user_space::zero(nodes, words * 8)?;
        user_space::write_u64(nodes, memory.into())?;
    }
    Ok(0)
}

/// set_mempolicy(2): every policy means the one node.
pub fn sys_set_mempolicy(_ctx: &Context, mode: u32, _nodes: Addr, _node_count: u64) -> Result<usize> {
    if mode & !POLICY_FLAGS >= POLICY_COUNT { Err(Errno::EINVAL) } else { Ok(0) }
}

/// mbind(2): every policy means the one node.
pub fn sys_mbind(
    ctx: &Context,
    address: Addr,
    length: u64,
    mode: u32,
    _nodes: Addr,
    _node_count: u64,
    flags: u32,
) -> Result<usize> {
    if mode & !POLICY_FLAGS >= POLICY_COUNT || flags & !7 != 0 {
        return Err(Errno::EINVAL);
    }
    if let Some(span) = aligned_span(address.0, length, Errno::EINVAL)? {
        ctx.process().address_space().advise(span, Advice::Ignored).map_err(|_| Errno::EFAULT)?;
    }
    Ok(0)
}
