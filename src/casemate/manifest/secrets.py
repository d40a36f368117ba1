"""From ``secrets`` of the user's manifest to what ``/casemate/init`` is told, and the mounts that it needs."""

from __future__ import annotations

from casemate.manifest.canonical import CanonicalMount, SecretsRef, TmpfsMount
from casemate.manifest.errors import ManifestError
from casemate.manifest.load import UserManifest
from casemate.manifest.paths import is_within

SECRETS_DIRECTORY = "/run/secrets"
RESULTS_DIRECTORY = "/dev/casemate/results"
MAX_SECRETS = 64


def canonical_secrets(user: UserManifest, mounts: list[CanonicalMount]) -> SecretsRef | None:
    """None without a broker. Adds the mounts of enclave memory that secrets and results lie in."""
    given = user.secrets
    if given.broker is None:
        return None
    placed = {*given.env.values(), *given.args, *given.keys.values(), *given.files.values()}
    required = list(dict.fromkeys([*given.required, *sorted(placed - {*given.required, *given.optional})]))
    optional = list(dict.fromkeys(given.optional))
    files = dict(given.files)
    for name in (*required, *optional):
        if name not in placed:
            files[f"{SECRETS_DIRECTORY}/{name}"] = name
    _check_names(user, required, optional)
    results = [*([RESULTS_DIRECTORY] if given.results else []), *dict.fromkeys(given.result_files)]
    if any(is_within(path, SECRETS_DIRECTORY) for path in files):
        _add_memory(mounts, SECRETS_DIRECTORY)
    if given.results:
        _add_memory(mounts, RESULTS_DIRECTORY)
    for path in files:
        _check_file(user, path, mounts)
    return SecretsRef(
        broker=list(given.broker),
        broker_key=user.broker_key,
        required=required,
        optional=optional,
        env=dict(given.env),
        args=list(given.args),
        keys=dict(given.keys),
        files=files,
        results=results,
        timeout_s=given.timeout,
    )


def _check_names(user: UserManifest, required: list[str], optional: list[str]) -> None:
    where = user.place("secrets")
    both = sorted(set(required) & set(optional))
    if both:
        raise ManifestError(f"the secret '{both[0]}' is both required and optional", where=where, remedy="take one out")
    if len(required) + len(optional) > MAX_SECRETS:
        raise ManifestError(
            f"more than {MAX_SECRETS} secrets are named", where=where, remedy="put several into one file"
        )
    if not (required or optional or user.secrets.results or user.secrets.result_files):
        raise ManifestError(
            "a broker is named, but no secrets and no results", where=where, remedy="name some, or take 'secrets' out"
        )


def _add_memory(mounts: list[CanonicalMount], path: str) -> None:
    if not any(mount.path == path for mount in mounts):
        mounts.append(TmpfsMount(path=path))


def _check_file(user: UserManifest, path: str, mounts: list[CanonicalMount]) -> None:
    """A secret lies in enclave memory, never in a directory of the host."""
    around = [mount for mount in mounts if path != mount.path and is_within(path, mount.path)]
    if not around or not isinstance(max(around, key=lambda mount: len(mount.path)), TmpfsMount):
        raise ManifestError(
            f"the secret's file '{path}' is not in enclave memory",
            where=user.place("secrets", "files"),
            remedy=f"put it below {SECRETS_DIRECTORY}, or mount a tmpfs around it with fs.mounts",
        )
