"""``casemate build``: shield an image."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from casemate.cli.progress import byte_progress
from casemate.errors import UsageError
from casemate.image.build import BuildOptions, BuildResult, build
from casemate.image.references import DESTINATION_TRANSPORTS, parse_reference

_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)(?:i?B)?", re.IGNORECASE)


def build_command(
    source: str,
    output: str,
    manifest: Path | None,
    insecure_args: bool,
    max_unpacked_size: str,
    max_entries: int,
    json_output: bool,
) -> None:
    options = BuildOptions(manifest, insecure_args, parse_size(max_unpacked_size), max_entries)
    from_reference = parse_reference(source)
    to_reference = parse_reference(output, DESTINATION_TRANSPORTS)
    with byte_progress() as report:
        result = build(from_reference, to_reference, options, report)
    for warning in result.warnings:
        print(f"casemate: warning: {warning}", file=sys.stderr)
    print(json.dumps(result.to_json()) if json_output else _summary(result))


def parse_size(text: str) -> int:
    """Bytes, with the binary suffixes K, M, G, T."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError("this is not a size", where=repr(text), remedy="write a number of bytes, or 500M, 64G, 1T")
    return int(match[1]) << 10 * " KMGT".index(match[2].upper() or " ")


def _summary(result: BuildResult) -> str:
    cached = f", {result.cached_layers} from the cache" if result.cached_layers else ""
    return (
        f"{result.image}\n"
        f"  image     {result.digest}\n"
        f"  source    {result.source_digest} ({result.layers} layers{cached})\n"
        f"  manifest  {result.manifest_digest}\n"
        f"  index     {result.index_root} ({result.files} inodes)\n"
        f"  layer     {result.layer_digest} ({result.layer_size / 1e6:.1f} MB)"
    )
