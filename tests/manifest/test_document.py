"""The generated documentation is that of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema

from casemate.manifest import CanonicalManifest
from casemate.manifest.canonical import VERSION
from casemate.manifest.document import main, schema_text, with_reference

from .images import read

DOCS = Path(__file__).parents[2] / "docs"
REMEDY = "run: python -m casemate.manifest.document docs"


def test_the_reference_is_current() -> None:
    page = (DOCS / "manifest.md").read_text()
    assert with_reference(page) == page, REMEDY


def test_the_json_schema_is_current_and_one() -> None:
    schema = json.loads((DOCS / "manifest.schema.json").read_text())
    assert schema == json.loads(schema_text()), REMEDY
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_command_writes_both(tmp_path: Path) -> None:
    page = (DOCS / "manifest.md").read_text()
    (tmp_path / "manifest.md").write_text(re.sub(r"(begin -->\n).*?(<!-- gen)", r"\1\2", page, flags=re.DOTALL))
    main([str(tmp_path)])
    assert (tmp_path / "manifest.md").read_text() == page
    assert (tmp_path / "manifest.schema.json").exists()


def test_every_member_of_the_canonical_manifest_is_described() -> None:
    page = (DOCS / "manifest.md").read_text().partition("## The canonical manifest")[2]
    members = {name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert members == set(CanonicalManifest.model_fields)
    assert f"| `version` | integer | {VERSION} |" in page


def test_the_example_of_the_page_is_a_manifest() -> None:
    example = re.search(r"```toml\n(.*?)```", (DOCS / "manifest.md").read_text(), re.DOTALL)
    assert example
    assert read(example.group(1)).warnings == ()
