"""Reading a user manifest: TOML text to checked values, every mistake told with its file, line and key."""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import BaseModel, PrivateAttr, ValidationError
from pydantic_core import ErrorDetails

from casemate.errors import describe_os_error
from casemate.manifest.errors import ManifestError, ManifestWarning, Problem
from casemate.manifest.positions import Path, key_lines
from casemate.manifest.schema import UserManifestModel
from casemate.manifest.unused import RENAMED, TRANSLATED, UNUSED

# A GSC manifest with 20,000 trusted files has 3 MiB.
_MAX_BYTES = 16 << 20
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")


class UserManifest(UserManifestModel):
    """A user manifest as read from a file."""

    _where: str = PrivateAttr("manifest")
    _lines: dict[Path, int] = PrivateAttr(default_factory=dict)
    _warnings: tuple[ManifestWarning, ...] = PrivateAttr(())
    _argv_from_file: list[str] | None = PrivateAttr(None)
    _env_from_file: list[str] | None = PrivateAttr(None)
    _pin_from_file: str | None = PrivateAttr(None)

    @property
    def warnings(self) -> tuple[ManifestWarning, ...]:
        """What was accepted without effect, each with its line and the reason."""
        return self._warnings

    @property
    def argv(self) -> list[str] | None:
        """``loader.argv``, or what ``loader.argv_src_file`` held when the manifest was read."""
        return self._argv_from_file if self._argv_from_file is not None else self.loader.argv

    @property
    def env_from_file(self) -> list[str]:
        """``NAME=VALUE`` items of ``loader.env_src_file``."""
        return self._env_from_file or []

    @property
    def broker_key(self) -> str:
        """The pin of the broker's key, 64 hexadecimal digits; empty where there is no broker."""
        return self._pin_from_file or self.secrets.broker_key or ""

    def place(self, *path: str | int) -> str:
        """``FILE:LINE`` of a key, as exactly as it is known."""
        return _place(self._where, self._lines, path)


def load_user_manifest(path: str | FilePath) -> UserManifest:
    """Reads the manifest at ``path`` and the argument and environment files that it names."""
    where = str(path)
    data = _read(FilePath(path), where)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(
            "the manifest is not UTF-8 text", where=f"{where}:{line}", remedy="save it as UTF-8"
        ) from None
    return parse_user_manifest(text, where=where, directory=FilePath(path).parent)


def parse_user_manifest(text: str, *, where: str, directory: FilePath | None = None) -> UserManifest:
    """Checks a manifest's text. ``where`` names it in messages; files that it names are relative to ``directory``."""
    raw = _parse_toml(text, where)
    lines = key_lines(text)
    warnings = _set_aside_unused(raw, where, lines)
    if found := _find_template(text, where):
        warnings.append(ManifestWarning(found[0], found[1], "taken as it stands, although it looks like a template"))
    try:
        manifest = UserManifest.model_validate(raw)
    except ValidationError as error:
        items = sorted(error.errors(), key=lambda item: _line(lines, item["loc"]) or 0)
        raise ManifestError.of([_problem(item, where, lines) for item in items]) from None
    manifest._where, manifest._lines = where, lines
    manifest._warnings = tuple(warnings) + tuple(_without_effect(manifest))
    loader = manifest.loader
    if loader.argv_src_file is not None:
        manifest._argv_from_file = _read_items(manifest, "argv_src_file", loader.argv_src_file, directory)
    if loader.env_src_file is not None:
        manifest._env_from_file = _read_items(manifest, "env_src_file", loader.env_src_file, directory)
    if manifest.secrets.broker_certificate is not None:
        manifest._pin_from_file = _read_pin(manifest, manifest.secrets.broker_certificate, directory)
    return manifest


# --- The text -------------------------------------------------------------------------------------------


def _read(path: FilePath, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise describe_os_error(error, "the file cannot be read", where) from None
    if len(data) > _MAX_BYTES:
        raise ManifestError("the file has more than 16 MiB", where=where, remedy="name a smaller file")
    return data


def _parse_toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if found := _find_template(text, where):
            raise ManifestError(
                f"'{found[1]}' is Jinja, so this is a template and not a manifest",
                where=found[0],
                remedy="render it first (gramine-manifest) or write the value itself",
            ) from None
        message = str(error)
        match = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
        if match:
            message = message[: match.start()]
            line = match.group(1) or str(max(text.rstrip().count("\n") + 1, 1))
            where = f"{where}:{line}:{match.group(2)}" if match.group(2) else f"{where}:{line}"
        raise ManifestError(
            f"this is not TOML: {message[:1].lower()}{message[1:]}", where=where, remedy="correct the line"
        ) from None
    except RecursionError:
        raise ManifestError("the tables are nested too deeply", where=where, remedy="write them flatter") from None


def _find_template(text: str, where: str) -> tuple[str, str] | None:
    """Gramine's manifests are often written as Jinja templates: the first piece of one, with its place."""
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TEMPLATE.search(line.split("#", 1)[0]):
            return f"{where}:{number}", match.group()
    return None


# --- Keys without a meaning here --------------------------------------------------------------------------


def _set_aside_unused(raw: dict[str, Any], where: str, lines: dict[Path, int]) -> list[ManifestWarning]:
    """Takes the keys of ``UNUSED`` out of ``raw`` and gives those that have another name theirs; a warning for each."""
    warnings = []
    names = {**RENAMED, **TRANSLATED}
    for section, table in raw.items():
        if not isinstance(table, dict):
            continue
        for key in list(table):
            name, place = f"{section}.{key}", _place(where, lines, (section, key))
            if name in UNUSED:
                del table[key]
                warnings.append(ManifestWarning(place, name, f"no effect: {UNUSED[name]}"))
            elif name in names and names[name].partition(".")[2] not in table:
                new = names[name]
                table[new.partition(".")[2]] = table.pop(key)
                lines.setdefault((section, new.partition(".")[2]), lines.get((section, key), 0))
                whose = "the former name" if name in RENAMED else "Gramine's name"
                warnings.append(ManifestWarning(place, name, f"this is {whose} of '{new}'"))
    root = raw.get("fs", {}).get("root") if isinstance(raw.get("fs", {}), dict) else None
    if isinstance(root, dict):
        place = _place(where, lines, ("fs", "root"))
        _check_root(root, place)
        del raw["fs"]["root"]
        warnings.append(ManifestWarning(place, "fs.root", "no effect: the root is always the image"))
    return warnings


def _check_root(root: dict[str, Any], place: str) -> None:
    """Only a root that is the image's anyway may be passed over."""
    kind, uri = root.get("type", "chroot"), root.get("uri", "file:/")
    if kind != "chroot" or uri not in ("file:/", "file:.", "file:./") or root.keys() - {"type", "uri"}:
        raise ManifestError(
            "'fs.root' can only be the image itself",
            where=place,
            remedy="take it out, and mount what you need with 'fs.mounts'",
        )


def _without_effect(manifest: UserManifest) -> Iterator[ManifestWarning]:
    if manifest.sgx.trusted_files:
        reason = "no effect: all files of the image are already vouched for by its file index"
        yield ManifestWarning(manifest.place("sgx", "trusted_files"), "sgx.trusted_files", reason)
    if manifest.sgx.file_check_policy != "strict":
        reason = "no effect: files that nothing vouches for stay out of reach; name them in 'sgx.allowed_files'"
        yield ManifestWarning(manifest.place("sgx", "file_check_policy"), "sgx.file_check_policy", reason)


# --- Files that the manifest names ------------------------------------------------------------------------


def _read_items(manifest: UserManifest, key: str, uri: str, directory: FilePath | None) -> list[str]:
    """The NUL-terminated strings of a file."""
    place = manifest.place("loader", key)
    path = (directory or FilePath()) / uri.removeprefix("file:")
    items = _read(path, f"{place}: {path}").split(b"\0")
    if items.pop():
        raise ManifestError(
            f"'{path}' does not end with a NUL character", where=place, remedy="write it with gramine-argv-serializer"
        )
    try:
        strings = [item.decode() for item in items]
    except UnicodeDecodeError:
        raise ManifestError(f"'{path}' holds text that is not UTF-8", where=place, remedy="use UTF-8") from None
    if key == "argv_src_file" and not strings:
        raise ManifestError(f"'{path}' holds no arguments", where=place, remedy="give argv[0] at least")
    for item in strings if key == "env_src_file" else ():
        if item.find("=") < 1:
            raise ManifestError(f"'{path}' holds '{item}', which is not NAME=VALUE", where=place, remedy="correct it")
    return strings


def _read_pin(manifest: UserManifest, uri: str, directory: FilePath | None) -> str:
    """SHA-256 of the public key (DER SubjectPublicKeyInfo) in a PEM certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from casemate.attestation.chains import MALFORMED

    place = manifest.place("secrets", "broker_certificate")
    path = (directory or FilePath()) / uri.removeprefix("file:")
    try:
        key = x509.load_pem_x509_certificate(_read(path, f"{place}: {path}")).public_key()
    except MALFORMED:
        raise ManifestError(
            f"'{path}' is not a certificate in PEM format", where=place, remedy="name the broker's certificate.pem"
        ) from None
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


# --- Mistakes in words ------------------------------------------------------------------------------------


def _problem(error: ErrorDetails, where: str, lines: dict[Path, int]) -> Problem:
    path = error["loc"]
    key, place, kind = dotted(path), _place(where, lines, path), error["type"]
    if kind == "extra_forbidden":
        near = nearest_key(path)
        return Problem(f"unknown key '{key}'", place, f"did you mean '{near}'?" if near else "take it out")
    if kind == "missing":
        return Problem(f"'{key}' is missing", place, f"add '{path[-1]}'")
    found = _describe(error["input"])
    context = error.get("ctx", {})
    if kind == "value_error":
        text = str(context["error"])
        if path and not isinstance(error["input"], dict) and "found" not in text:
            text = f"{text}, found {found}"
        return Problem(f"'{key}': {text}" if "exclude each other" not in text else text, place, "correct it")
    return Problem(f"'{key}': expected {_expected(kind, context)}, found {found}", place, "correct it")


def _expected(kind: str, context: dict[str, Any]) -> str:
    fixed = {
        "string_type": "a string",
        "int_type": "an integer",
        "bool_type": "true or false",
        "list_type": "an array",
        "dict_type": "a table",
        "model_type": "a table",
        "too_short": "at least one item",
        "string_too_short": "some text",
    }
    if kind in fixed:
        return fixed[kind]
    if kind == "literal_error":
        return f"one of {context['expected']}"
    if kind == "greater_than_equal":
        return f"at least {context['ge']}"
    if kind == "less_than_equal":
        return f"at most {context['le']}"
    if kind == "string_pattern_mismatch":
        digits = re.search(r"\{(\d+)\}", context["pattern"])
        return f"{digits.group(1) if digits else ''} hexadecimal digits".lstrip()
    return f"something else ({kind})"


def _describe(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}…"'
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        return "a table"
    return "an array" if isinstance(value, list) else f"a {type(value).__name__}"


def nearest_key(path: Path) -> str | None:
    """The known key that an unknown one most likely means: first in its own table, then by name anywhere."""
    names = [part for part in path if isinstance(part, str)]
    table, last = names[:-1], names[-1]
    known = [*_schema_keys(UserManifestModel), *(tuple(name.split(".")) for name in UNUSED)]
    siblings = {key[-1]: key for key in known if list(key[:-1]) == table}
    if match := difflib.get_close_matches(last, siblings, 1):
        return dotted(siblings[match[0]])
    everywhere = {dotted(key): key for key in known}
    elsewhere = {key[-1]: dotted(key) for key in known}
    if match := difflib.get_close_matches(last, elsewhere, 1, 0.8):
        return elsewhere[match[0]]
    close = difflib.get_close_matches(dotted(tuple(names)), everywhere, 1, 0.7)
    return close[0] if close else None


def _schema_keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*above, name)
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _schema_keys(inner, (*above, name))


def dotted(path: Path) -> str:
    """A path as it is written: ``fs.mounts[2].uri``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _line(lines: dict[Path, int], path: Path) -> int | None:
    """The line of the path's longest known beginning."""
    known = (lines[path[:length]] for length in range(len(path), 0, -1) if lines.get(path[:length]))
    return next(known, None)


def _place(where: str, lines: dict[Path, int], path: Path) -> str:
    line = _line(lines, path)
    return f"{where}:{line}" if line else where
