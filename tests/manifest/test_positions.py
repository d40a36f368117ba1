from __future__ import annotations

import json
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from casemate.manifest.positions import key_lines

TEXT = '''\
# a comment with "quotes" and [brackets]
a.b = "x # no comment"   # one
[table]
  "quoted key" = 'C:\\'
dotted . key = """
two lines, a quote \\""" and two at the end"""""
array = [ 1, # one
  "two",
  { three = 3, four = [4] } ]
[[list]]
first = 1979-05-27 07:32:00Z
[[list]]
first = 2
[list.inner]
last = """"""
'''


def test_every_key_has_the_line_where_it_first_stands() -> None:
    tomllib.loads(TEXT)
    lines = key_lines(TEXT)
    expected = {
        ("a",): 2,
        ("a", "b"): 2,
        ("table",): 3,
        ("table", "quoted key"): 4,
        ("table", "dotted", "key"): 5,
        ("table", "array"): 7,
        ("table", "array", 0): 7,
        ("table", "array", 1): 8,
        ("table", "array", 2, "three"): 9,
        ("table", "array", 2, "four", 0): 9,
        ("list",): 10,
        ("list", 0, "first"): 11,
        ("list", 1): 12,
        ("list", 1, "first"): 13,
        ("list", 1, "inner"): 14,
        ("list", 1, "inner", "last"): 15,
    }
    assert {path: lines.get(path) for path in expected} == expected


SCALARS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x7f"), max_size=8),
    st.integers(0, 99),
    st.booleans(),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x7f"), max_size=6)


def _toml(value: object) -> str:
    """Arrays over several lines; JSON's strings are TOML's."""
    if isinstance(value, list):
        return "[\n" + "".join(f"  {_toml(item)}, # ]\n" for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_the_lines_hold_the_keys_whatever_the_values(document: dict[str, dict[str, object]]) -> None:
    text, expected = "", {}
    for name, table in document.items():
        expected[(name,)] = text.count("\n") + 1
        text += f"[{json.dumps(name, ensure_ascii=False)}]\n"
        for key, value in table.items():
            expected[(name, key)] = text.count("\n") + 1
            text += f"{json.dumps(key, ensure_ascii=False)} = {_toml(value)}\n"
    assert tomllib.loads(text) == document
    lines = key_lines(text)
    assert {path: lines[path] for path in expected} == expected


def values_at(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [p for key, item in value.items() for p in values_at(item, (*path, key))]
    if isinstance(value, list):
        return found + [p for number, item in enumerate(value) for p in values_at(item, (*path, number))]
    return found


def test_the_paths_are_those_of_the_parsed_document() -> None:
    assert set(values_at(tomllib.loads(TEXT))) == set(key_lines(TEXT))
