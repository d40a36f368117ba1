"""The environment: the image's, what an engine adds to it, and the user manifest's over both."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from casemate.manifest.canonical import EnvVar
from casemate.manifest.load import UserManifest

# What Docker and Podman set when the image does not.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# GSC joins these two by a colon, the user's first.
JOINED = ("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD")

Environment = dict[str, str | None]
"""Value by name, in order; None: the host's value."""


def image_environment(items: Iterable[str], home: str, warn: Callable[[str], None]) -> Environment:
    """The image's Env as an engine passes it on: with PATH first and HOME last when it does not set them.

    Of a name that is there twice the last value counts. HOSTNAME and TERM, which engines also set, are the
    host's to choose and not taken.
    """
    given: Environment = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not name or not equals:
            warn(f"the image's Env has '{item}', which is not NAME=VALUE and is left out")
            continue
        given[name] = value
    environment: Environment = {} if "PATH" in given else {"PATH": DEFAULT_PATH}
    environment.update(given)
    environment.setdefault("HOME", home)
    return environment


def merged_environment(image: Environment, user: UserManifest | None) -> Environment:
    """``loader.env`` over ``loader.env_src_file`` over the image's. Replaced variables keep their place."""
    merged = dict(image)
    if user is None:
        return merged
    for item in user.env_from_file:
        name, _, value = item.partition("=")
        merged[name] = _joined(name, value, image.get(name))
    for name, setting in user.loader.env.items():
        merged[name] = _joined(name, setting.value, image.get(name)) if setting.value is not None else None
    return merged


def _joined(name: str, value: str, below: str | None) -> str:
    if name not in JOINED or not below or value == below:
        return value
    return f"{value}:{below}" if value else below


def canonical_environment(environment: Environment) -> list[EnvVar]:
    return [
        EnvVar(name=name, from_host=True) if value is None else EnvVar(name=name, value=value)
        for name, value in environment.items()
    ]
