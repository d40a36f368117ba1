"""``casemate measure`` and ``casemate verify-image``: what an owner computes instead of believing it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from casemate.cli.progress import byte_progress
from casemate.errors import describe_os_error
from casemate.image.build import BuildOptions
from casemate.image.cachedir import replace_file
from casemate.image.references import DESTINATION_TRANSPORTS, parse_reference
from casemate.image.verify import Measurement, measure_source, verify_image


def measure_command(source: str, options: BuildOptions, policy: Path | None, json_output: bool) -> None:
    reference = parse_reference(source)
    with byte_progress() as report:
        result = measure_source(reference, options, report)
    for warning in result.warnings:
        print(f"casemate: warning: {warning}", file=sys.stderr)
    if policy is not None:
        try:
            replace_file(policy, _policy(result).encode(), mode=0o644)
        except OSError as error:
            raise describe_os_error(error, "cannot write the policy", str(policy)) from None
    if json_output:
        print(json.dumps(result.to_json()))
        return
    rows = [*result.mrenclave.items(), ("manifest", result.manifest_digest), ("index", result.index_root)]
    print("\n".join(f"{name:<10}{value}" for name, value in rows))


def _policy(result: Measurement) -> str:
    """A policy (docs/formats/policy.md) that accepts this image and no other, preferably with dynamic memory."""
    (name, preferred), *others = result.mrenclave.items()
    lines = [
        f"# casemate measure {json.dumps(result.source)}, manifest {result.manifest_digest}",
        f'mrenclave = [\n    "{preferred}",  # {name}',
    ]
    lines += [
        f'    # "{value}",  # {name}: for machines without dynamic memory (docs/threat-model.md)'
        for name, value in others
    ]
    return "\n".join([*lines, "]\n"])


def verify_command(shielded: str, source: str, options: BuildOptions, json_output: bool) -> None:
    image, original = parse_reference(shielded, DESTINATION_TRANSPORTS), parse_reference(source)
    with byte_progress() as report:
        verdict = verify_image(image, original, options, report)
    if json_output:
        print(json.dumps(verdict.to_json()))
    elif verdict.difference is None:
        signed = f"signed ({', '.join(verdict.signed)}) by {verdict.mrsigner}" if verdict.signed else "not signed"
        print(f"{verdict.image} is what this version builds from {verdict.source}; {signed}")
        print("\n".join(f"  {name:<9} {value}" for name, value in verdict.mrenclave.items()))
    else:
        print(f"{verdict.image} is not what this version builds from {verdict.source}: {verdict.difference}")
    if verdict.difference is not None:
        raise typer.Exit(1)
