"""From an image and a user manifest to the canonical manifest. Nothing here reads files or knows a transport."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from casemate import __version__
from casemate.manifest.canonical import CanonicalManifest, IndexRef, SealKey, canonical_bytes
from casemate.manifest.environment import (
    DEFAULT_PATH,
    Environment,
    canonical_environment,
    image_environment,
    merged_environment,
)
from casemate.manifest.errors import EntryPointError, ManifestError, ManifestWarning
from casemate.manifest.identity import Identity, ReadFile, resolve_user, with_ids
from casemate.manifest.load import UserManifest
from casemate.manifest.mounts import canonical_mounts
from casemate.manifest.paths import joined
from casemate.manifest.program import Lookup, find_program
from casemate.manifest.schema import Edmm, SealKeyMasks, Sgx
from casemate.manifest.secrets import canonical_secrets
from casemate.manifest.sizes import format_size

Warn = Callable[[str], None]
_IN_IMAGE = "the image's configuration"
_UMASK = 0o022  # runc's default
_MAX_BRK_BYTES = 16 << 30
_MISSING_SHOWN = 3


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the derivation must know of an image. Paths are absolute in it."""

    entrypoint: Sequence[str]
    cmd: Sequence[str]
    env: Sequence[str]
    working_dir: str
    user: str
    lookup: Lookup
    read_file: ReadFile
    """Is asked for ``/etc/passwd`` and ``/etc/group`` only."""


@dataclass(frozen=True, slots=True)
class Derived:
    """What the image alone says about running its program. The program is looked for by ``build_canonical``."""

    fixed_args: tuple[str, ...]
    """Entrypoint; the first item of Cmd when there is no Entrypoint."""
    default_args: tuple[str, ...]
    """Cmd, or the rest of it: what ``docker run IMAGE ARGS`` replaces."""
    environment: Environment
    cwd: str
    identity: Identity


def derive(image: ImageFacts, warn: Warn = lambda _text: None) -> Derived:
    """Raises ``UserError`` when the image's User is not in it."""
    words = [*image.entrypoint, *image.cmd]
    fixed = len(image.entrypoint) or min(len(words), 1)
    identity = resolve_user(image.user, image.read_file)
    return Derived(
        fixed_args=tuple(words[:fixed]),
        default_args=tuple(words[fixed:]),
        environment=image_environment(image.env, identity.home, warn),
        cwd=joined("/", image.working_dir),
        identity=identity,
    )


def build_canonical(
    image: ImageFacts,
    user: UserManifest | None,
    *,
    insecure_args: bool,
    index_root: bytes,
    index_size: int,
    runtime_version: str = __version__,
    warn: Warn = lambda _text: None,
) -> CanonicalManifest:
    """The manifest that the enclave gets. ``user`` goes over what the image says.

    ``index_root`` and ``index_size``: the file index's root digest (32 bytes) and its bytes. ``warn`` is told one
    sentence at a time what was passed over (the user manifest's own ``warnings`` come first).
    Raises ``EntryPointError``, ``UserError`` or ``ManifestError``.
    """
    user = user or UserManifest()
    for warning in user.warnings:
        warn(str(warning))
    derived = derive(image, warn)
    loader, sys, sgx = user.loader, user.sys, user.sgx
    cwd = joined("/", user.fs.start_dir) if user.fs.start_dir is not None else derived.cwd
    _check_cwd(cwd, user, image.lookup, warn)
    identity = with_ids(derived.identity, loader.uid, loader.gid, image.read_file)
    # Once more, because HOME is that of the user whom loader.uid names.
    below = image_environment(image.env, identity.home, warn=lambda _text: None)
    environment = merged_environment(below, user)
    fixed, default, program_name, where = _arguments(derived, user)
    args_from_host = insecure_args or loader.insecure__use_cmdline_argv
    program = find_program(
        program_name,
        # A PATH that the host gives at run time cannot decide what runs: the image's does.
        search=environment.get("PATH") or derived.environment["PATH"] or DEFAULT_PATH,
        cwd=cwd,
        who=identity,
        lookup=image.lookup,
        where=where,
    )
    warnings: list[ManifestWarning] = []
    mounts = canonical_mounts(user, cwd, image.lookup, warnings)
    secrets = canonical_secrets(user, mounts)
    for warning in warnings:
        warn(str(warning))
    _check_trusted_files(user, image.lookup, warn)
    manifest = CanonicalManifest(
        runtime_version=runtime_version,
        program=program,
        argv=[*fixed] if args_from_host else [*fixed, *default],
        default_args=[*default] if args_from_host else [],
        args_from_host=args_from_host,
        env=canonical_environment(environment),
        env_from_host_all=loader.insecure__use_host_env,
        cwd=cwd,
        uid=identity.uid,
        gid=identity.gid,
        groups=[*identity.groups],
        umask=_UMASK,
        mounts=mounts,
        insecure_keys={name: key.lower() for name, key in user.fs.insecure__keys.items()},
        names_from_host=sys.enable_extra_runtime_domain_names_conf,
        log_level=loader.log_level,
        disallow_subprocesses=sys.disallow_subprocesses,
        index=IndexRef(root=index_root.hex(), size=index_size),
        enclave_size=sgx.enclave_size,
        stack_size=sys.stack.size,
        brk_max_size=_brk_bytes(user),
        max_threads=sgx.max_threads,
        exitless_threads=sgx.exitless_threads or None,
        fds_limit=sys.fds.limit,
        isv_prod_id=sgx.isvprodid,
        isv_svn=sgx.isvsvn,
        edmm=_edmm(sgx),
        debug=sgx.debug,
        seal_key=_seal_key(sgx),
        secrets=secrets,
    )
    canonical_bytes(manifest)  # refuses what the enclave would refuse
    return manifest


def _arguments(derived: Derived, user: UserManifest) -> tuple[Sequence[str], Sequence[str], str, str]:
    """Fixed arguments, replaceable ones, the program's name, and who named it."""
    entrypoint = user.libos.entrypoint
    if user.argv is not None:
        key = "argv" if user.loader.argv is not None else "argv_src_file"
        place = ("libos", "entrypoint") if entrypoint else ("loader", key)
        return user.argv, (), _as_path(entrypoint) if entrypoint else user.argv[0], user.place(*place)
    if entrypoint is not None:
        return (entrypoint,), (), _as_path(entrypoint), user.place("libos", "entrypoint")
    if not derived.fixed_args:
        raise EntryPointError(
            "the image has neither Entrypoint nor Cmd, so there is nothing to run",
            where=_IN_IMAGE,
            remedy="set one of them in the image, or loader.argv in the manifest",
        )
    return derived.fixed_args, derived.default_args, derived.fixed_args[0], _IN_IMAGE


def _as_path(entrypoint: str) -> str:
    """``libos.entrypoint`` is a path in Gramine and never searched for."""
    return entrypoint if "/" in entrypoint else f"./{entrypoint}"


def _check_cwd(cwd: str, user: UserManifest, lookup: Lookup, warn: Warn) -> None:
    found = lookup(cwd)
    where = user.place("fs", "start_dir") if user.fs.start_dir is not None else _IN_IMAGE
    if found is None:
        warn(f"{where}: the working directory '{cwd}' is not in the image; it is made, empty, at start")
    elif found.kind != "directory":
        raise ManifestError(
            f"the working directory '{cwd}' is of kind '{found.kind}'", where=where, remedy="correct it"
        )


def _brk_bytes(user: UserManifest) -> int:
    """The largest program break; also checks that it and the stack fit the enclave."""
    size, stack, brk = user.sgx.enclave_size, user.sys.stack.size, user.sys.brk.max_size
    if stack > size // 4:
        raise ManifestError(
            f"the stack of {format_size(stack)} is more than a quarter of the enclave's {format_size(size)}",
            where=user.place("sys", "stack", "size"),
            remedy="raise sgx.enclave_size or lower sys.stack.size",
        )
    if brk is None:
        return min(size // 4, _MAX_BRK_BYTES)
    if brk > size:
        raise ManifestError(
            f"the program break of {format_size(brk)} is more than the enclave's {format_size(size)}",
            where=user.place("sys", "brk", "max_size"),
            remedy="raise sgx.enclave_size or lower sys.brk.max_size",
        )
    return brk


def _edmm(sgx: Sgx) -> Edmm:
    if sgx.edmm_enable is None:
        return "auto"
    return "required" if sgx.edmm_enable else "off"


def _seal_key(sgx: Sgx) -> SealKey | None:
    """The masks, unless they are the ones that hold without any."""
    masks = sgx.seal_key
    if masks == SealKeyMasks():
        return None
    return SealKey(flags_mask=masks.flags_mask, misc_mask=masks.misc_mask, xfrm_mask=masks.xfrm_mask)


def _check_trusted_files(user: UserManifest, lookup: Lookup, warn: Warn) -> None:
    """Trusting a file that is not in the image does not bring it in: say so."""
    missing = []
    for number, item in enumerate(user.sgx.trusted_files):
        path = item.uri.removeprefix("file:")
        plain = path.startswith("/") and not any(mark in path for mark in "*?[")
        if plain and lookup(joined("/", path)) is None:
            missing.append((number, path))
    for number, path in missing[:_MISSING_SHOWN]:
        place = user.place("sgx", "trusted_files", number)
        warn(f"{place}: 'sgx.trusted_files': '{path}' is not in the image and will not be there at run time")
    if len(missing) > _MISSING_SHOWN:
        place = user.place("sgx", "trusted_files")
        warn(f"{place}: 'sgx.trusted_files': {len(missing) - _MISSING_SHOWN} more files are not in the image")
