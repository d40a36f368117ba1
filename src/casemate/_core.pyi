"""The Rust core: fs-verity digests, layer tables, the image's file index, checks of the canonical manifest;
the enclave's layout and SIGSTRUCT.

Private to the package; `docs/formats/index.md` describes the index's bytes. Paths, link targets and
extended attributes are `bytes`, as in the image. Every problem with what an image or a file holds is an
`IndexFormatError` whose text is one sentence for the user.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, final

from typing_extensions import Buffer

BLOCK_SIZE: Final[int]
"""4096: the block of every Merkle tree here."""

SURVEY_VERSION: Final[int]
"""Changes whenever a file's system-call sites would be chosen differently; part of a layer table's bytes."""

FileKind = Literal["file", "directory", "symlink", "char", "block", "fifo", "socket"]

class IndexFormatError(ValueError):
    """A layer entry, layer table or index is not acceptable; the message says which and why."""

def verity_digest(data: Buffer, /) -> bytes:
    """The 32-byte fs-verity digest (SHA-256, 4 KiB blocks, no salt): what `fsverity digest` prints."""

@final
class FileSummary:
    """What the index keeps of one regular file's content. Immutable; may be added under several names."""

    @property
    def size(self) -> int: ...
    @property
    def digest(self) -> bytes:
        """fs-verity digest, 32 bytes."""
    @property
    def site_count(self) -> int:
        """System-call instructions found (0 unless the file is an x86-64 ELF program or library)."""
    @property
    def patchable_site_count(self) -> int:
        """Those of them that loading rewrites; the others trap."""

@final
class FileHasher:
    """Reads one file's content in pieces of any size, in order. Holds no content unless it is an ELF file."""

    def __init__(self, size: int) -> None:
        """`size`: the file's exact size in bytes."""
    def update(self, data: Buffer, /) -> None:
        """Take the next bytes. Raises when they go beyond the size. Releases the GIL."""
    def finish(self) -> FileSummary:
        """The summary. Raises when bytes are missing, or when called twice. Releases the GIL."""

@final
class LayerTable:
    """The entries of one layer, in the layer's order; also the file format of the layer cache.

    Paths are relative to the root, `./` and trailing `/` are allowed, `b"."` is the root itself.
    Absolute paths, `..`, NUL bytes and names over 255 bytes raise. `mode` is the permission bits
    (0o7777), `mtime` in seconds (may be negative), `mtime_ns` its fraction (0 to 999,999,999).
    A later entry of the same path replaces an earlier one.
    """

    def __init__(self, label: str = "") -> None:
        """`label`: what messages call the layer beside its number, for example its digest."""
    @property
    def label(self) -> str: ...
    def __len__(self) -> int: ...
    def add_directory(
        self,
        path: bytes,
        *,
        mode: int,
        uid: int,
        gid: int,
        mtime: int,
        mtime_ns: int = 0,
        xattrs: Mapping[bytes, bytes] | None = None,
    ) -> None: ...
    def add_file(
        self,
        path: bytes,
        summary: FileSummary,
        *,
        mode: int,
        uid: int,
        gid: int,
        mtime: int,
        mtime_ns: int = 0,
        xattrs: Mapping[bytes, bytes] | None = None,
    ) -> None: ...
    def add_symlink(
        self,
        path: bytes,
        target: bytes,
        *,
        uid: int,
        gid: int,
        mtime: int,
        mtime_ns: int = 0,
        xattrs: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """The mode of a symbolic link is always 0o777."""
    def add_device(
        self,
        path: bytes,
        kind: Literal["char", "block", "fifo", "socket"],
        *,
        mode: int,
        uid: int,
        gid: int,
        mtime: int,
        mtime_ns: int = 0,
        major: int = 0,
        minor: int = 0,
        xattrs: Mapping[bytes, bytes] | None = None,
    ) -> None: ...
    def add_hardlink(self, path: bytes, target: bytes) -> None:
        """Another name for `target`, a path as in this layer or a lower one. Owner, mode and times are the target's."""
    def add_whiteout(self, path: bytes) -> None:
        """`path` is the name that disappears (without `.wh.`); it need not exist below."""
    def add_opaque(self, path: bytes) -> None:
        """Everything that lower layers have inside directory `path` disappears."""
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: Buffer, /) -> LayerTable:
        """Raises for damaged bytes and for tables of another format or survey version (make them again then)."""

@final
class InodeInfo:
    """One inode, copied out of the index."""

    @property
    def inode(self) -> int: ...
    @property
    def kind(self) -> FileKind: ...
    @property
    def mode(self) -> int:
        """Permission bits, 0o7777 at most."""
    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def mtime(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...
    @property
    def nlink(self) -> int: ...
    @property
    def size(self) -> int:
        """Bytes of a file, length of a symbolic link's target, otherwise 0."""
    @property
    def major(self) -> int: ...
    @property
    def minor(self) -> int: ...
    @property
    def digest(self) -> bytes | None:
        """fs-verity digest of a regular file."""
    @property
    def target(self) -> bytes | None:
        """Target of a symbolic link."""
    @property
    def xattrs(self) -> dict[bytes, bytes]: ...
    @property
    def site_count(self) -> int: ...

@final
class Index:
    """The file index of an image. Blocks are authenticated when first touched, so any method may raise `IndexFormatError`."""

    @staticmethod
    def from_bytes(data: Buffer, /, root_digest: bytes) -> Index: ...
    def to_bytes(self) -> bytes: ...
    @property
    def root_digest(self) -> bytes:
        """32 bytes, for the manifest."""
    def __len__(self) -> int:
        """Number of inodes."""
    def lookup(self, path: bytes, follow: bool = True) -> InodeInfo | None:
        """The inode at `path` (from the root, with or without a leading slash), or None.

        Symbolic links are resolved inside the root, also absolute ones and `..`; the last component's only with
        `follow`. None too when a link loops or a component is no directory.
        """
    def walk(self) -> Iterator[tuple[bytes, InodeInfo]]:
        """Every path from `b"/"` on, each directory before what is in it, names in byte order."""

def merge_layers(layers: Sequence[LayerTable], /) -> Index:
    """Lay the layers over one another, lowest first, by the rules of the OCI image specification. Releases the GIL.

    The same tables give the same bytes. Raises, naming layer and entry, when an entry lies below something that is
    no directory, or a hard link's target does not exist or is a directory.
    """

class ManifestFormatError(ValueError):
    """The bytes are not a canonical manifest; the message says why."""

def check_manifest(data: bytes, /) -> None:
    """Raise unless the enclave would accept these bytes as its manifest."""

def insecure_settings(data: bytes, /) -> list[str]:
    """One sentence for each setting of this canonical manifest that weakens the protection."""

class SgxFormatError(ValueError):
    """Bytes are not the SGX structure that they should be, or parameters have no layout; the message says why."""

@final
class EnclaveLayout:
    """Which pages an enclave begins with; `docs/hardware.md` and `runtime/sgx/src/layout.rs` describe it."""

    def __init__(
        self,
        image: bytes,
        measured: bytes,
        *,
        enclave_size: int,
        max_threads: int,
        edmm: bool,
        exinfo: bool,
        heap_size: int | None = None,
        required_xfrm: int | None = None,
        optional_xfrm: int | None = None,
    ) -> None:
        """`image`: the enclave image (ELF); `measured`: the 64 bytes of `/casemate/measured`."""
    @staticmethod
    def of_manifest(
        image: bytes, measured: bytes, *, enclave_size: int, max_threads: int, edmm: str, variant: str
    ) -> EnclaveLayout:
        """The layout of the enclave `variant` (of `enclave_variants`) under a manifest: what the loader builds too."""
    def measure(self) -> bytes:
        """MRENCLAVE, 32 bytes. Releases the GIL."""
    def regions(self) -> list[tuple[int, int, int, Literal["zero", "tcs", "measured", "image"], bool]]:
        """(offset, pages, SECINFO.FLAGS, content, measured), in the order in which pages are added."""
    def page(self, region: int, index: int) -> bytes:
        """4096 bytes: the contents of a page as EADD copies them."""
    @property
    def ssa_frame_size(self) -> int:
        """Pages."""
    @property
    def enclave_size(self) -> int: ...
    @property
    def miscselect(self) -> int: ...
    def attributes(self, debug: bool) -> tuple[tuple[int, int], tuple[int, int]]:
        """ATTRIBUTES and ATTRIBUTEMASK of the SIGSTRUCT, each (flags, xfrm)."""

@final
class SigStruct:
    """A SIGSTRUCT (SDM volume 3D, 35.14). Numbers of the key are little-endian, 384 bytes. Immutable."""

    @staticmethod
    def from_bytes(data: bytes, /) -> SigStruct:
        """Any 1808 bytes; `verify` judges them."""
    @staticmethod
    def unsigned(
        *,
        enclave_hash: bytes,
        attributes: tuple[int, int],
        attribute_mask: tuple[int, int],
        miscselect: int,
        miscmask: int,
        date: int,
        isv_prod_id: int,
        isv_svn: int,
    ) -> SigStruct:
        """`date`: BCD, 0x20261124."""
    @staticmethod
    def from_to_be_signed(data: bytes, /) -> SigStruct:
        """The inverse of `to_be_signed`: key and signature are 0. Checks the fixed fields."""
    def to_bytes(self) -> bytes: ...
    def to_be_signed(self) -> bytes:
        """The 256 bytes that the signature covers."""
    def attach(self, *, modulus: bytes, signature: bytes) -> SigStruct:
        """With key, signature, q1 and q2; raises unless EINIT would accept the signature. Releases the GIL."""
    def verify(self) -> None:
        """Raises unless EINIT would accept format and signature."""
    @property
    def vendor(self) -> int: ...
    @property
    def date(self) -> int: ...
    @property
    def swdefined(self) -> int: ...
    @property
    def mrenclave(self) -> bytes: ...
    @property
    def mrsigner(self) -> bytes: ...
    @property
    def modulus(self) -> bytes: ...
    @property
    def attributes(self) -> tuple[int, int]: ...
    @property
    def attribute_mask(self) -> tuple[int, int]: ...
    @property
    def miscselect(self) -> int: ...
    @property
    def miscmask(self) -> int: ...
    @property
    def debug(self) -> bool: ...
    @property
    def isv_prod_id(self) -> int: ...
    @property
    def isv_svn(self) -> int: ...

def enclave_variants(edmm: str, /) -> list[tuple[str, str]]:
    """(variant, file of its SIGSTRUCT) of each enclave that this setting of `edmm` allows, the preferred one first."""

def mr_signer(modulus: bytes, /) -> bytes:
    """SHA-256 of a little-endian modulus."""

@final
class Report:
    """REPORT (SDM 35.15): what an enclave says of itself to another one on its machine. Nothing about it is verified.

    Attributes are (flags, XFRM); hashes have 32 bytes, `report_data` and `config_id` 64, the other byte strings 16.
    """

    @staticmethod
    def from_bytes(data: bytes, /) -> Report:
        """Of exactly 432 bytes. Raises `SgxFormatError`."""
    def to_bytes(self) -> bytes: ...
    def verify(self, report_key: bytes, /) -> bool:
        """Whether the MAC is the one that this key (16 bytes; EGETKEY gives it to the target only) makes."""
    def target_info(self) -> TargetInfo:
        """By which others make reports for the enclave that made this one."""
    @property
    def cpusvn(self) -> bytes: ...
    @property
    def miscselect(self) -> int: ...
    @property
    def cet_attributes(self) -> int: ...
    @property
    def isv_ext_prod_id(self) -> bytes: ...
    @property
    def attributes(self) -> tuple[int, int]: ...
    @property
    def mrenclave(self) -> bytes: ...
    @property
    def mrsigner(self) -> bytes: ...
    @property
    def config_id(self) -> bytes: ...
    @property
    def isv_prod_id(self) -> int: ...
    @property
    def isv_svn(self) -> int: ...
    @property
    def config_svn(self) -> int: ...
    @property
    def isv_family_id(self) -> bytes: ...
    @property
    def report_data(self) -> bytes: ...
    @property
    def key_id(self) -> bytes: ...
    @property
    def mac(self) -> bytes: ...

@final
class TargetInfo:
    """TARGETINFO (SDM 35.16): for which enclave EREPORT makes a report."""

    @staticmethod
    def from_bytes(data: bytes, /) -> TargetInfo:
        """Of exactly 512 bytes. Raises `SgxFormatError`."""
    def to_bytes(self) -> bytes: ...
    @property
    def mrenclave(self) -> bytes: ...
    @property
    def attributes(self) -> tuple[int, int]: ...
    @property
    def cet_attributes(self) -> int: ...
    @property
    def miscselect(self) -> int: ...
    @property
    def config_svn(self) -> int: ...
    @property
    def config_id(self) -> bytes: ...

@final
class KeyRequest:
    """KEYREQUEST (SDM 35.18), the operand of EGETKEY."""

    def __init__(
        self,
        name: Literal["einittoken", "provision", "provision_seal", "report", "seal"],
        *,
        policy: int = 0,
        isv_svn: int = 0,
        cpusvn: bytes | None = None,
        attribute_mask: tuple[int, int] = (0, 0),
        cet_attributes_mask: int = 0,
        key_id: bytes | None = None,
        misc_mask: int = 0,
        config_svn: int = 0,
    ) -> None:
        """What is not given is 0. `policy` has the bits of KEYPOLICY. Raises `SgxFormatError`."""
    @staticmethod
    def from_bytes(data: bytes, /) -> KeyRequest:
        """Of exactly 512 bytes. Raises `SgxFormatError`."""
    def to_bytes(self) -> bytes: ...
    @property
    def name(self) -> Literal["einittoken", "provision", "provision_seal", "report", "seal"] | None:
        """None for a number that is no key's."""
    @property
    def policy(self) -> int: ...
    @property
    def isv_svn(self) -> int: ...
    @property
    def cpusvn(self) -> bytes: ...
    @property
    def attribute_mask(self) -> tuple[int, int]: ...
    @property
    def cet_attributes_mask(self) -> int: ...
    @property
    def key_id(self) -> bytes: ...
    @property
    def misc_mask(self) -> int: ...
    @property
    def config_svn(self) -> int: ...
    @property
    def reserved_is_zero(self) -> bool:
        """Whether reserved bytes, and policy bits that do not exist, are 0: else EGETKEY refuses it."""

@final
class QuoteBody:
    """What a quote carries. Nothing about it is verified."""

    @property
    def mrenclave(self) -> bytes: ...
    @property
    def mrsigner(self) -> bytes: ...
    @property
    def report_data(self) -> bytes: ...
    @property
    def cpusvn(self) -> bytes: ...
    @property
    def config_id(self) -> bytes: ...
    @property
    def attributes(self) -> tuple[int, int]: ...
    @property
    def miscselect(self) -> int: ...
    @property
    def isv_prod_id(self) -> int: ...
    @property
    def isv_svn(self) -> int: ...
    @property
    def config_svn(self) -> int: ...
    @property
    def qe_vendor_id(self) -> bytes: ...
    @property
    def qe_svn(self) -> int: ...
    @property
    def pce_svn(self) -> int: ...
    @property
    def user_data(self) -> bytes: ...
    @property
    def qe_mrenclave(self) -> bytes: ...
    @property
    def qe_mrsigner(self) -> bytes: ...
    @property
    def qe_isv_prod_id(self) -> int: ...
    @property
    def qe_isv_svn(self) -> int: ...
    @property
    def certification_type(self) -> int: ...
    @property
    def pck_chain(self) -> bytes | None:
        """The PEM chain of certification data of type 5."""
    @property
    def size(self) -> int:
        """Bytes of the quote, without zeros that follow it."""

def parse_quote(data: bytes, /) -> QuoteBody:
    """A quote of version 3, taken apart; zero bytes may follow it."""

class QuoteVerificationError(ValueError):
    """A quote, or the collateral to judge it by, is not genuine or not valid at that time; the message says which."""

@final
class QuoteCollateral:
    """What a vendor says about its platforms: the parts that verification needs."""

    def __init__(
        self,
        *,
        pck_crl_issuer_chain: str,
        root_ca_crl: bytes,
        pck_crl: bytes,
        tcb_info_issuer_chain: str,
        tcb_info: str,
        tcb_info_signature: bytes,
        qe_identity_issuer_chain: str,
        qe_identity: str,
        qe_identity_signature: bytes,
    ) -> None: ...

@final
class QuoteClaims:
    """What was found about a genuine quote's platform. Times are seconds of the Unix epoch."""

    @property
    def status(self) -> str: ...
    @property
    def advisories(self) -> list[str]: ...
    @property
    def platform_status(self) -> str: ...
    @property
    def qe_status(self) -> str: ...
    @property
    def evaluation_number(self) -> int: ...
    @property
    def tcb_date(self) -> int: ...
    @property
    def fmspc(self) -> bytes: ...
    @property
    def ppid(self) -> bytes: ...
    @property
    def platform_cpusvn(self) -> bytes: ...
    @property
    def platform_pce_svn(self) -> int: ...
    @property
    def sgx_type(self) -> int: ...
    @property
    def earliest_issue(self) -> int: ...
    @property
    def latest_issue(self) -> int: ...
    @property
    def earliest_expiration(self) -> int: ...
    @property
    def root_key_id(self) -> bytes:
        """SHA-384 of the root's public key."""
    @property
    def pck_crl_number(self) -> int: ...
    @property
    def root_ca_crl_number(self) -> int: ...

def verify_quote(quote: bytes, collateral: QuoteCollateral, *, root: bytes, at: int) -> QuoteClaims:
    """Verifies signatures, validity and TCB up to this root certificate (DER), with dcap-qvl. Releases the GIL.

    Debug enclaves are not refused: that is for the policy to do.
    """

class EvidenceFormatError(ValueError):
    """Bytes are not the evidence extension that they should be; the message says why."""

@final
class Evidence:
    """The value of an RA-TLS certificate's evidence extension. Nothing about it is verified."""

    def __init__(self, value: bytes, /) -> None: ...
    @property
    def quote(self) -> bytes: ...
    @property
    def report_data(self) -> bytes:
        """What the quote's report data must be: the claims' SHA-256 and 32 zeros."""
    @property
    def nonce(self) -> bytes | None: ...
    def binds(self, public_key_info: bytes) -> bool:
        """Whether the claims are about this public key (DER SubjectPublicKeyInfo)."""

def evidence_claims(public_key_info: bytes, nonce: bytes | None = None, /) -> bytes:
    """The serialized claims about a public key (DER SubjectPublicKeyInfo)."""

def evidence_report_data(claims: bytes, /) -> bytes:
    """The 64 bytes that the quote is made over."""

def evidence_extension(quote: bytes, claims: bytes, /) -> bytes:
    """The value of the evidence extension."""

def pck_identity(certificate: bytes, /) -> tuple[bytes, bytes, Literal["processor", "platform"]]:
    """What a platform's certificate (DER, unverified) says: FMSPC, PPID, and which authority issued it."""

@final
class SgxProcessor:
    """SGX as CPUID describes it. Everything is false or 0 on a processor without it."""

    @property
    def vendor(self) -> str: ...
    @property
    def brand(self) -> str: ...
    @property
    def sgx(self) -> bool: ...
    @property
    def flexible_launch_control(self) -> bool: ...
    @property
    def sgx1(self) -> bool: ...
    @property
    def sgx2(self) -> bool: ...
    @property
    def exinfo(self) -> bool:
        """Faults on memory are reported to the enclave (MISCSELECT.EXINFO)."""
    @property
    def max_enclave_size(self) -> int:
        """Bytes of the largest 64-bit enclave."""
    @property
    def xfrm(self) -> int:
        """The XFRM bits that an enclave may have."""
    @property
    def epc_size(self) -> int:
        """Bytes of all EPC sections."""

def sgx_processor() -> SgxProcessor:
    """Asks the processor that this runs on."""

class ProtectedFileError(ValueError):
    """A file is no protected file, was changed, or does not belong to this key or path; the message says which."""

@final
class ProtectedFile:
    """A file in Gramine's encrypted format (docs/formats/protected-files.md) over a file of this machine. Failures of that file are
    `OSError`s, everything that is wrong with what is in it a `ProtectedFileError`."""

    @staticmethod
    def create(fd: int, key: bytes, path: bytes, /) -> ProtectedFile:
        """An empty one in an empty file that is open for reading and writing. The key has 16 bytes, the path 1 to 771."""
    @staticmethod
    def open(fd: int, key: bytes, path: bytes | None, /) -> ProtectedFile:
        """One that is there, of this path if one is given."""
    @property
    def size(self) -> int:
        """In bytes, of what was encrypted."""
    @property
    def path(self) -> bytes:
        """The path that it carries, and alone opens under."""
    def read(self, offset: int, count: int, /) -> bytes:
        """At most 16 MiB; fewer than `count` only for that or at the end."""
    def write(self, offset: int, data: bytes, /) -> None:
        """Reaches the file with `flush`, or earlier."""
    def flush(self) -> None: ...
