//! What the members may hold. `casemate build` checks the same before it writes; here nothing is believed.

use alloc::collections::BTreeSet;
use alloc::format;

use crate::error::ManifestError;
use crate::model::*;

const PAGE: u64 = 4096;
/// Linux: MAX_ARG_STRLEN, with the final NUL.
const MAX_STRING_BYTES: usize = 128 << 10;
/// Linux: a quarter of the usual stack limit for arguments and environment together.
const MAX_STRINGS_BYTES: usize = 2 << 20;
/// Linux: PATH_MAX, with the final NUL.
const MAX_PATH_BYTES: usize = 4096;
/// Linux: NGROUPS_MAX.
const MAX_GROUPS: usize = 65536;
const MAX_MOUNTS: usize = 1024;
const ENCLAVE_SIZES: core::ops::RangeInclusive<u64> = 64 << 20..=1 << 46;
const MIN_STACK_BYTES: u64 = 64 << 10;
const MAX_THREADS: u32 = 1 << 16;
/// Made inside by the library OS, or the runtime's own: nothing is mounted there or below.
const RESERVED_TREES: [&str; 3] = ["/proc", "/sys", "/casemate"];
/// Nothing is mounted exactly there.
const RESERVED_PATHS: [&str; 2] = ["/", "/dev"];

pub(crate) type Checked = Result<(), ManifestError>;

pub(crate) fn check(manifest: &Manifest) -> Checked {
    check_sizes(manifest)?;
    check_identity(manifest)?;
    check_strings(manifest)?;
    for path in [("program", &manifest.program), ("cwd", &manifest.cwd)] {
        check_absolute(path.0, path.1)?;
    }
    check_env(&manifest.env)?;
    check_mounts(&manifest.mounts)?;
    check_keys(manifest)?;
    manifest.secrets.as_ref().map_or(Ok(()), |secrets| crate::secrets::check(secrets, &manifest.mounts))
}

fn check_sizes(manifest: &Manifest) -> Checked {
    let size = manifest.enclave_size;
    require("enclave_size", size.is_power_of_two(), "not a power of two")?;
    require("enclave_size", ENCLAVE_SIZES.contains(&size), "not between 64 MiB and 64 TiB")?;
    let stack = manifest.stack_size;
    require("stack_size", stack.is_multiple_of(PAGE), "not a multiple of 4096")?;
    require(
        "stack_size",
        (MIN_STACK_BYTES..=size / 4).contains(&stack),
        "not between 64 KiB and a quarter of enclave_size",
    )?;
    let brk = manifest.brk_max_size;
    require("brk_max_size", brk.is_multiple_of(PAGE), "not a multiple of 4096")?;
    require("brk_max_size", brk <= size, "larger than enclave_size")?;
    require("max_threads", (1..=MAX_THREADS).contains(&manifest.max_threads), "not between 1 and 65536")?;
    let servers = manifest.exitless_threads.unwrap_or(1);
    require("exitless_threads", (1..=MAX_EXITLESS_THREADS).contains(&servers), "not between 1 and 64")?;
    require("fds_limit", (1..=FDS_HARD_LIMIT).contains(&manifest.fds_limit), "not between 1 and 1048576")?;
    require("index.size", manifest.index.size > 0, "0")
}

fn check_identity(manifest: &Manifest) -> Checked {
    // -1 means "leave it" in the calls that set ids, so no user has it.
    require("uid", manifest.uid != u32::MAX, "4294967295 is no user")?;
    require("gid", manifest.gid != u32::MAX, "4294967295 is no group")?;
    require("groups", !manifest.groups.contains(&u32::MAX), "4294967295 is no group")?;
    require("groups", manifest.groups.len() <= MAX_GROUPS, "more than 65536")?;
    require("umask", manifest.umask <= 0o777, "more than 0o777")
}

fn check_strings(manifest: &Manifest) -> Checked {
    let Manifest { argv, default_args, args_from_host, env, runtime_version, .. } = manifest;
    require("argv", !argv.is_empty(), "empty")?;
    require("default_args", *args_from_host || default_args.is_empty(), "given without args_from_host")?;
    let mut total = 0;
    for argument in argv.iter().chain(default_args) {
        check_string("argv", argument)?;
        total += argument.len() + 1;
    }
    for EnvVar { name, value } in env {
        total += name.len() + 2;
        if let EnvValue::Fixed(value) = value {
            check_string("env", value)?;
            total += value.len();
        }
    }
    require("argv", total <= MAX_STRINGS_BYTES, "arguments and environment together have more than 2 MiB")?;
    require(
        "runtime_version",
        !runtime_version.is_empty() && runtime_version.len() <= 64,
        "not 1 to 64 bytes long",
    )
}

pub(crate) fn check_string(member: &'static str, text: &str) -> Checked {
    require(member, !text.contains('\0'), "holds a NUL character")?;
    require(member, text.len() < MAX_STRING_BYTES, "an item has 128 KiB or more")
}

fn check_absolute(member: &'static str, path: &str) -> Checked {
    check_string(member, path)?;
    require(member, path.starts_with('/'), format!("'{path}' is not absolute"))?;
    require(member, path.len() < MAX_PATH_BYTES, "has 4096 bytes or more")
}

fn check_env(env: &[EnvVar]) -> Checked {
    let mut names = BTreeSet::new();
    for EnvVar { name, .. } in env {
        check_string("env", name)?;
        require("env", !name.is_empty() && !name.contains('='), format!("'{name}' is no variable's name"))?;
        require("env", names.insert(name), format!("'{name}' is there twice"))?;
    }
    Ok(())
}

fn check_mounts(mounts: &[Mount]) -> Checked {
    require("mounts", mounts.len() <= MAX_MOUNTS, "more than 1024")?;
    let mut paths = BTreeSet::new();
    for Mount { path, kind } in mounts {
        check_plain("mounts", path)?;
        let below =
            |tree: &str| path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let reserved = RESERVED_PATHS.contains(&path.as_str()) || RESERVED_TREES.into_iter().any(below);
        require("mounts", !reserved, format!("nothing can be mounted at '{path}'"))?;
        require("mounts", paths.insert(path), format!("'{path}' is there twice"))?;
        match kind {
            MountKind::Tmpfs => {}
            MountKind::Host { source, .. } => check_plain("mounts", source)?,
            MountKind::Encrypted { uri, key_name } => {
                check_string("mounts", uri)?;
                let inside = uri.strip_prefix("file:").is_some_and(|rest| !rest.is_empty());
                require(
                    "mounts",
                    inside && uri.len() < MAX_PATH_BYTES,
                    format!("'{uri}' is no 'file:' URI"),
                )?;
                check_key_name(key_name)?;
            }
        }
    }
    Ok(())
}

/// Absolute and in the one form that names it: no empty, `.` or `..` component.
pub(crate) fn check_plain(member: &'static str, path: &str) -> Checked {
    check_absolute(member, path)?;
    let plain = path == "/" || path[1..].split('/').all(|part| !matches!(part, "" | "." | ".."));
    require(member, plain, format!("'{path}' has an empty, '.' or '..' component"))
}

fn check_keys(manifest: &Manifest) -> Checked {
    for (name, key) in &manifest.insecure_keys {
        check_key_name(name)?;
        let sound = key.len() == 32 && key.bytes().all(|digit| crate::wire::hex_digit(digit).is_some());
        require("insecure_keys", sound, format!("the key '{name}' is not 32 lowercase hexadecimal digits"))?;
    }
    Ok(())
}

/// It becomes a file name below `/dev/attestation/keys`.
pub(crate) fn check_key_name(name: &str) -> Checked {
    let sound =
        !name.is_empty() && name.len() <= 255 && !matches!(name, "." | "..") && !name.contains(['/', '\0']);
    require("key_name", sound, format!("'{name}' is no key's name"))
}

pub(crate) fn require(member: &'static str, holds: bool, problem: impl alloc::string::ToString) -> Checked {
    if holds { Ok(()) } else { Err(ManifestError::value(member, problem)) }
}
