"""``casemate measure`` and ``casemate verify-image``: what an owner computes instead of believing it."""

from __future__ import annotations

import json
import sys

import typer

from casemate.cli.progress import byte_progress
from casemate.image.build import BuildOptions
from casemate.image.references import DESTINATION_TRANSPORTS, parse_reference
from casemate.image.verify import measure_source, verify_image


def measure_command(source: str, options: BuildOptions, json_output: bool) -> None:
    reference = parse_reference(source)
    with byte_progress() as report:
        result = measure_source(reference, options, report)
    for warning in result.warnings:
        print(f"casemate: warning: {warning}", file=sys.stderr)
    if json_output:
        print(json.dumps(result.to_json()))
        return
    rows = [*result.mrenclave.items(), ("manifest", result.manifest_digest), ("index", result.index_root)]
    print("\n".join(f"{name:<10}{value}" for name, value in rows))


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
