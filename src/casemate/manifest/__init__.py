"""The manifest: what runs in the enclave, with what, allowed to see what.

``load_user_manifest`` reads the user's TOML (Gramine's keys, ``schema``); ``build_canonical`` lays it over
what the image says and makes the one form that the enclave reads and the measurement covers (``canonical``).
"""

from casemate.manifest.build import Derived, ImageFacts, build_canonical, derive
from casemate.manifest.canonical import (
    FDS_HARD_LIMIT,
    CanonicalManifest,
    EncryptedMount,
    EnvVar,
    HostMount,
    IndexRef,
    TmpfsMount,
    canonical_bytes,
    parse_canonical,
)
from casemate.manifest.errors import EntryPointError, ManifestError, ManifestWarning, Problem, UserError
from casemate.manifest.identity import Identity, ReadFile
from casemate.manifest.load import UserManifest, load_user_manifest, parse_user_manifest
from casemate.manifest.program import InodeFacts, Lookup

__all__ = [
    "FDS_HARD_LIMIT",
    "CanonicalManifest",
    "Derived",
    "EncryptedMount",
    "EntryPointError",
    "EnvVar",
    "HostMount",
    "Identity",
    "ImageFacts",
    "IndexRef",
    "InodeFacts",
    "Lookup",
    "ManifestError",
    "ManifestWarning",
    "Problem",
    "ReadFile",
    "TmpfsMount",
    "UserError",
    "UserManifest",
    "build_canonical",
    "canonical_bytes",
    "derive",
    "load_user_manifest",
    "parse_canonical",
    "parse_user_manifest",
]
