"""The user manifest: Gramine's keys, with Gramine's meaning where they have one here.

The models are the one description of the keys: they check, they make ``docs/manifest.schema.json`` and the
tables of ``docs/manifest.md``. Keys of Gramine that mean nothing here are in ``unused``; everything else is
refused. Derivation, merging and what the keys become are in ``build`` and the modules it calls.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from casemate.manifest.paths import plain_path
from casemate.manifest.sizes import SIZE_PATTERN, parse_size

LogLevel = Literal["none", "error", "warning", "debug", "trace", "all"]
Edmm = Literal["auto", "required", "off"]
# Linux: MAX_ARG_STRLEN with the final NUL, PATH_MAX likewise.
_MAX_STRING_BYTES = (128 << 10) - 1
_MAX_PATH_BYTES = 4095


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("it holds a NUL character")
    if len(value.encode("utf-8", "surrogatepass")) > _MAX_STRING_BYTES:
        raise ValueError("it is longer than 128 KiB")
    return value


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"expected an absolute path, found '{value}'")
    if len(value.encode()) > _MAX_PATH_BYTES:
        raise ValueError("the path is longer than 4095 bytes")
    return value


def mount_point(value: str) -> str:
    path = plain_path(value)
    if path is None:
        raise ValueError(f"expected an absolute path without '..', found '{value}'")
    reserved = path in ("/", "/dev") or any(
        path == tree or path.startswith(tree + "/") for tree in ("/proc", "/sys", "/casemate")
    )
    if reserved:
        raise ValueError(f"nothing can be mounted at '{path}': it is made inside the enclave")
    return path


def _uri(value: str) -> str:
    scheme, colon, path = value.partition(":")
    if not colon or scheme not in ("file", "dev"):
        raise ValueError(f"expected a URI like 'file:/path', found '{value}'")
    if scheme == "dev":
        raise ValueError(f"'{value}' is a device of the host, which cannot be reached from inside")
    if not path or len(path.encode()) > _MAX_PATH_BYTES:
        raise ValueError("expected a path of 1 to 4095 bytes after 'file:'")
    return value


def _env_name(value: str) -> str:
    if not value or "=" in value:
        raise ValueError(f"'{value}' cannot be a variable's name")
    return value


def _key_name(value: str) -> str:
    if value in ("", ".", "..") or "/" in value or len(value.encode()) > 255:
        raise ValueError(f"'{value}' cannot be a key's name: it becomes a file in /dev/attestation/keys")
    return value


def _env_setting(value: Any) -> Any:
    if isinstance(value, str):
        return {"value": value}
    if isinstance(value, dict):
        return value
    raise ValueError('expected a string, { value = "…" } or { passthrough = true }')


def _trusted_file(value: Any) -> Any:
    return {"uri": value} if isinstance(value, str) else value


def _power_of_two(value: int) -> int:
    if value & (value - 1) or not value:
        raise ValueError("expected a power of two")
    if not 64 << 20 <= value <= 1 << 46:
        raise ValueError("expected 64M to 65536G")
    return value


def _sized(value: int) -> int:
    """A stack size: whole pages."""
    if value < 64 << 10:
        raise ValueError("expected at least 64K")
    return _pages(value)


def _pages(value: int) -> int:
    if value > 1 << 46:
        raise ValueError("expected at most 65536G")
    return -(-value // 4096) * 4096


def _broker(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    plain = all(mark.isascii() and (mark.isalnum() or mark in ".-_:[]") for mark in host)
    if not (colon and host and plain and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"expected HOST:PORT, found '{value}'")
    return value


def _pin(value: str) -> str:
    digits = value.removeprefix("sha256:").lower()
    if len(digits) != 64 or any(digit not in "0123456789abcdef" for digit in digits):
        raise ValueError("expected 'sha256:' and 64 hexadecimal digits, as 'casemate broker identity' prints them")
    return digits


def _mask(value: Any) -> Any:
    """A mask as Gramine writes it: a string of hexadecimal digits after ``0x``."""
    if isinstance(value, str) and re.fullmatch(_MASK_PATTERN, value):
        return int(value, 16)
    raise ValueError('expected a string of hexadecimal digits like "0xff"')


def _plain_file(value: str) -> str:
    path = plain_path(value)
    if path is None or path == "/":
        raise ValueError(f"expected an absolute path without '..', found '{value}'")
    return path


Text = Annotated[str, AfterValidator(_text)]
AbsolutePath = Annotated[Text, AfterValidator(_absolute), WithJsonSchema({"type": "string", "pattern": "^/"})]
MountPoint = Annotated[Text, AfterValidator(mount_point), WithJsonSchema({"type": "string", "pattern": "^/"})]
FileUri = Annotated[Text, AfterValidator(_uri), WithJsonSchema({"type": "string", "pattern": "^file:."})]
EnvName = Annotated[Text, AfterValidator(_env_name)]
KeyName = Annotated[Text, AfterValidator(_key_name)]
HexKey = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{32}$")]
# Engines refuse larger ids too (runc: 0 to 2^31 - 1).
Id = Annotated[int, Field(ge=0, le=(1 << 31) - 1)]
_ADDRESS_SCHEMA = {"type": "string", "pattern": "^[^:]+.*:[0-9]{1,5}$"}
Address = Annotated[str, AfterValidator(_address), WithJsonSchema(_ADDRESS_SCHEMA)]
Brokers = Annotated[
    list[Address],
    BeforeValidator(_broker),
    Field(min_length=1, max_length=16),
    WithJsonSchema({"anyOf": [_ADDRESS_SCHEMA, {"type": "array", "items": _ADDRESS_SCHEMA}]}),
]
Pin = Annotated[str, AfterValidator(_pin), WithJsonSchema({"type": "string", "pattern": "^(sha256:)?[0-9a-fA-F]{64}$"})]
SecretName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
PlainPath = Annotated[Text, AfterValidator(_plain_file), WithJsonSchema({"type": "string", "pattern": "^/."})]
_SIZE_SCHEMA = {"anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 0}]}
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE_SCHEMA)]
EnclaveSize = Annotated[Size, AfterValidator(_power_of_two)]
StackSize = Annotated[Size, AfterValidator(_sized)]
PageSize = Annotated[Size, AfterValidator(_pages)]
_MASK_PATTERN = r"^0[xX][0-9a-fA-F]{1,16}$"
Mask = Annotated[int, BeforeValidator(_mask), WithJsonSchema({"type": "string", "pattern": _MASK_PATTERN})]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class EnvSetting(_Table):
    """One variable: a fixed value, or the host's."""

    value: Text | None = None
    passthrough: bool | None = None

    @model_validator(mode="after")
    def _one(self) -> EnvSetting:
        if self.passthrough is False:
            raise ValueError("passthrough = false means nothing: variables of the host do not come in unless named")
        if (self.value is None) == (self.passthrough is None):
            raise ValueError("expected either value or passthrough")
        return self


EnvValue = Annotated[
    EnvSetting,
    BeforeValidator(_env_setting),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["value"],
                    "properties": {"value": {"type": "string"}},
                },
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["passthrough"],
                    "properties": {"passthrough": {"const": True}},
                },
            ]
        }
    ),
]


class Loader(_Table):
    """What runs, with which arguments, environment and user."""

    argv: list[Text] | None = Field(
        None,
        min_length=1,
        description="Arguments, from `argv[0]` on, in place of the image's Entrypoint and Cmd. The program is "
        "`libos.entrypoint`, or, when that is not given, what `argv[0]` names in the image (by PATH when it has no slash).",
        json_schema_extra={"default_text": "the image's Entrypoint and Cmd"},
    )
    argv_src_file: FileUri | None = Field(
        None,
        description="A file with the arguments, each ended by NUL (as `gramine-argv-serializer` writes it). Read when "
        "the image is built, relative to the manifest's directory; it becomes part of the measured manifest.",
        json_schema_extra={"gramine": "read at start, from a trusted file"},
    )
    insecure__use_cmdline_argv: bool = Field(
        False,
        description="Arguments of the host come after those of the image's Entrypoint, in place of its Cmd, as with "
        "`docker run IMAGE ARGS`. The same as `--insecure-args`.",
        json_schema_extra={"gramine": "`argv[0]` is the host's too"},
    )
    insecure__use_host_env: bool = Field(
        False,
        description="All variables of the host come in, except those that the manifest or the image sets.",
    )
    env: dict[EnvName, EnvValue] = Field(
        default_factory=dict,
        description='Variables by name: a string or `{ value = "…" }`; `{ passthrough = true }` takes the host\'s '
        "value, or leaves the variable unset. Merged over the image's; of `PATH`, `LD_LIBRARY_PATH` and `LD_PRELOAD` the "
        "two values are joined by a colon, this one first.",
        json_schema_extra={"default_text": "the image's Env"},
    )
    env_src_file: FileUri | None = Field(
        None,
        description="A file with variables, `NAME=VALUE` each ended by NUL. Read when the image is built, relative to "
        "the manifest's directory. Merged over the image's variables, under `loader.env`.",
        json_schema_extra={"gramine": "read at start, from a trusted file"},
    )
    uid: Id | None = Field(
        None,
        description="User id. Its supplementary groups are looked up in the image.",
        json_schema_extra={"default_text": "the image's User", "gramine": "default 0"},
    )
    gid: Id | None = Field(
        None,
        description="Group id.",
        json_schema_extra={"default_text": "the user's in the image, else 0", "gramine": "default 0"},
    )
    log_level: LogLevel = Field(
        "warning",
        description="Which messages of the library OS go to standard error. From `debug` on they tell the host what "
        "the program does, which the start-up banner says.",
        json_schema_extra={"gramine": "default `error`"},
    )

    @model_validator(mode="after")
    def _one_source_of_arguments(self) -> Loader:
        given = [
            name
            for name, is_given in (
                ("argv", self.argv is not None),
                ("argv_src_file", self.argv_src_file is not None),
                ("insecure__use_cmdline_argv", self.insecure__use_cmdline_argv),
            )
            if is_given
        ]
        if len(given) > 1:
            raise ValueError(f"'loader.{given[0]}' and 'loader.{given[1]}' exclude each other")
        return self


class LibOs(_Table):
    """The program."""

    entrypoint: Text | None = Field(
        None,
        min_length=1,
        description="The program: a path in the image, relative ones from the working directory. Without `loader.argv` "
        "it is its only argument.",
        json_schema_extra={"default_text": "what the image's Entrypoint and Cmd start"},
    )


class Mount(_Table):
    """Something mounted over the image."""

    type: Literal["chroot", "encrypted", "tmpfs"] = Field(
        "chroot",
        description="`tmpfs`: empty, in enclave memory. `encrypted`: protected files of the host. `chroot`: host files; "
        "what is below `path` then comes from `uri` **if and only if** `sgx.allowed_files` names it.",
    )
    path: MountPoint = Field(description="Where, absolute.", json_schema_extra={"default_text": "required"})
    uri: Text | None = Field(
        None,
        description="`file:PATH` of the host (in a container: of the container's tree). Required except for `tmpfs`. "
        "For `encrypted` it is taken verbatim, because protected files carry their path.",
    )
    key_name: KeyName | None = Field(
        None, description="`encrypted` only: the key's name.", json_schema_extra={"default_text": '`"default"`'}
    )
    read_only: bool | None = Field(
        None,
        description="`chroot` only: writing is refused.",
        json_schema_extra={"gramine": "not there", "default_text": "`false`"},
    )

    @model_validator(mode="after")
    def _fits_type(self) -> Mount:
        if self.type != "tmpfs":
            if self.uri is None:
                raise ValueError(f"a mount of type '{self.type}' needs a 'uri'")
            _uri(self.uri)
        if self.key_name is not None and self.type != "encrypted":
            raise ValueError(f"a mount of type '{self.type}' has no 'key_name'")
        if self.read_only is not None and self.type != "chroot":
            raise ValueError(f"a mount of type '{self.type}' has no 'read_only'")
        return self


class Fs(_Table):
    """Mounts and the working directory."""

    start_dir: AbsolutePath | None = Field(
        None,
        description="Working directory at start. Made when the image does not have it.",
        json_schema_extra={"default_text": "the image's WorkingDir, else `/`", "gramine": "default `/`"},
    )
    mounts: list[Mount] = Field(
        default_factory=list,
        description="What is mounted over the image, in this order. The root is always the image itself.",
        json_schema_extra={"default_text": "none"},
    )
    insecure__keys: dict[KeyName, HexKey] = Field(
        default_factory=dict,
        description="Keys of encrypted mounts by name, 32 hexadecimal digits, for all to read in the image. For tests.",
        json_schema_extra={"default_text": "none"},
    )


class Stack(_Table):
    size: StackSize = Field(
        8 << 20,
        description="Stack of the main thread, and `RLIMIT_STACK`.",
        json_schema_extra={"default_text": '`"8M"`', "gramine": 'of every thread; default `"256K"`'},
    )


class Brk(_Table):
    max_size: PageSize | None = Field(
        None,
        description="Largest program break. Memory is only taken as it is used.",
        json_schema_extra={
            "default_text": 'a quarter of `sgx.enclave_size`, at most `"16G"`',
            "gramine": 'default `"256K"`',
        },
    )


class Fds(_Table):
    limit: int = Field(
        1024,
        ge=1,
        le=1 << 20,
        description="Soft limit of open files (`RLIMIT_NOFILE`); the hard limit is 1048576.",
        json_schema_extra={"gramine": "soft and hard limit, default 900"},
    )


class Sys(_Table):
    """Limits and behaviour of the library OS."""

    stack: Stack = Field(default_factory=Stack)
    brk: Brk = Field(default_factory=Brk)
    fds: Fds = Field(default_factory=Fds)
    disallow_subprocesses: bool = Field(False, description="Creating processes fails.")
    enable_extra_runtime_domain_names_conf: bool = Field(
        True,
        description="The host's name, `/etc/hosts` and `/etc/resolv.conf` come in, parsed and checked field by field.",
        json_schema_extra={"gramine": "default `false`; not `/etc/hosts`"},
    )


class TrustedFile(_Table):
    uri: FileUri
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None


class SealKeyMasks(_Table):
    """What sealing keys depend on beside the enclave's identity: bits that are 0 may differ between enclaves with the same key."""

    flags_mask: Mask = Field(
        (1 << 64) - 1,
        description="Of the enclave's attributes. `INIT` and `DEBUG` count whatever it says.",
        json_schema_extra={"default": "0xffffffffffffffff", "default_text": '`"0xffffffffffffffff"`'},
    )
    xfrm_mask: Mask = Field(
        3,
        description="Of the processor features that the enclave uses. They depend on the processor and its "
        "kernel: with more bits than the default a machine may get another key after an update.",
        json_schema_extra={
            "default": "0x3",
            "default_text": '`"0x3"`',
            "gramine": 'default `"0xfffffffffff9ff1b"`',
        },
    )
    misc_mask: Mask = Field(
        (1 << 32) - 1,
        le=(1 << 32) - 1,
        description="Of MISCSELECT.",
        json_schema_extra={"default": "0xffffffff", "default_text": '`"0xffffffff"`'},
    )


class Sgx(_Table):
    """The enclave."""

    enclave_size: EnclaveSize = Field(
        64 << 30,
        description="The enclave's address range, a power of two. Only addresses are reserved; memory is taken as it is "
        "used, where the platform can (`sgx.edmm_enable`).",
        json_schema_extra={"default_text": '`"64G"`', "gramine": 'default `"256M"`, with EDMM `"1024G"`'},
    )
    max_threads: int = Field(
        256,
        ge=1,
        le=1 << 16,
        description="How many threads may run at a time.",
        json_schema_extra={"gramine": "default 4"},
    )
    exitless_threads: int = Field(
        0,
        ge=0,
        le=64,
        description="How many threads of the host serve short host calls while the caller stays in the enclave; they keep "
        "processors busy. With 0 every host call is an exit. See host-calls.md.",
        json_schema_extra={"gramine": "`sgx.insecure__rpc_thread_num`"},
    )
    debug: bool = Field(
        False, description="A debug enclave: the host can read all of it. Said by the start-up banner and every quote."
    )
    edmm_enable: bool | None = Field(
        None,
        description="Memory is added to the running enclave (SGX2): `true` always, refusing to start elsewhere; `false` never.",
        json_schema_extra={"default_text": "where the platform can", "gramine": "default `false`"},
    )
    isvprodid: int = Field(0, ge=0, le=65535, description="Product id in the signature.")
    isvsvn: int = Field(0, ge=0, le=65535, description="Security version number in the signature.")
    seal_key: SealKeyMasks = Field(default_factory=SealKeyMasks)
    allowed_files: list[FileUri] = Field(
        default_factory=list,
        description="**Insecure.** Files and directories of the host that are shown inside, unverified, readable and "
        "writable: at the same path, and wherever a `chroot` mount shows them. Each is printed at start.",
        json_schema_extra={"default_text": "none"},
    )
    trusted_files: list[Annotated[TrustedFile, BeforeValidator(_trusted_file)]] = Field(
        default_factory=list,
        description="No effect: every file of the image is vouched for by the file index. A name that is not in the "
        "image is warned about.",
        json_schema_extra={"default_text": "none", "gramine": "hashed when signing; nothing else can be read"},
    )
    file_check_policy: Literal["strict", "allow_all_but_log"] = Field(
        "strict",
        description="`allow_all_but_log` has no effect: files that neither the index nor `sgx.allowed_files` names stay "
        "out of reach.",
        json_schema_extra={"gramine": "`allow_all_but_log` lets them in"},
    )


class Secrets(_Table):
    """What comes from a broker before the program starts, and what goes back when it has ended."""

    broker: Brokers | None = Field(
        None,
        description="`HOST:PORT` of the broker, or an array of them, asked in this order. Without it there is no broker.",
    )
    broker_key: Pin | None = Field(
        None,
        description="`sha256:` and the hash of the broker's public key, as `casemate broker identity` prints it: "
        "secrets are taken from its owner only.",
    )
    broker_certificate: FileUri | None = Field(
        None,
        description="The broker's `certificate.pem` in place of `broker_key`. Read when the image is built, relative "
        "to the manifest's directory; only the key in it counts.",
    )
    required: list[SecretName] = Field(
        default_factory=list,
        description="Secrets without which the program does not start. Those that are placed below are required too, "
        "unless they are optional; what is placed nowhere becomes a file in `/run/secrets`.",
        json_schema_extra={"default_text": "none"},
    )
    optional: list[SecretName] = Field(
        default_factory=list,
        description="Secrets that the broker may withhold; their places then stay empty.",
        json_schema_extra={"default_text": "none"},
    )
    env: dict[EnvName, SecretName] = Field(
        default_factory=dict,
        description="Variables that get a secret's value, in place of any other.",
        json_schema_extra={"default_text": "none"},
    )
    args: list[SecretName] = Field(
        default_factory=list,
        description="Secrets whose values follow the program's arguments.",
        json_schema_extra={"default_text": "none"},
    )
    keys: dict[KeyName, SecretName] = Field(
        default_factory=dict,
        description="File keys (16 bytes) by name, as encrypted mounts name them.",
        json_schema_extra={"default_text": "none"},
    )
    files: dict[PlainPath, SecretName] = Field(
        default_factory=dict,
        description="Files that get a secret's value, by path: below `/run/secrets`, or in a `tmpfs` mount.",
        json_schema_extra={"default_text": "none"},
    )
    results: bool = Field(
        False,
        description="Files that the program leaves in `/dev/casemate/results` go to the broker when it has ended.",
    )
    result_files: list[PlainPath] = Field(
        default_factory=list,
        description="Other files, or directories of files, that go to the broker when the program has ended.",
        json_schema_extra={"default_text": "none"},
    )
    timeout: int = Field(
        300, ge=1, le=86400, description="How many seconds the broker is asked, with growing pauses, before giving up."
    )

    @model_validator(mode="after")
    def _whole(self) -> Secrets:
        if self.broker is None:
            if self.model_fields_set:
                raise ValueError("without 'broker' nothing else of it has a meaning")
            return self
        if (self.broker_key is None) == (self.broker_certificate is None):
            raise ValueError("the broker is known by 'broker_key' or by 'broker_certificate'; give one of them")
        return self


class UserManifestModel(_Table):
    """The whole user manifest."""

    loader: Loader = Field(default_factory=Loader)
    libos: LibOs = Field(default_factory=LibOs)
    fs: Fs = Field(default_factory=Fs)
    sys: Sys = Field(default_factory=Sys)
    sgx: Sgx = Field(default_factory=Sgx)
    secrets: Secrets = Field(default_factory=Secrets)
