from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from casemate.manifest import CanonicalManifest
from casemate.manifest.environment import DEFAULT_PATH, JOINED, image_environment, merged_environment

from .images import build, image, read


def variables(manifest: CanonicalManifest) -> list[tuple[str, str | None]]:
    return [(var.name, var.value) for var in manifest.env]


def test_path_and_home_are_added_as_engines_add_them() -> None:
    assert variables(build(image(["/bin/sh"], env=[]))) == [("PATH", DEFAULT_PATH), ("HOME", "/root")]
    assert variables(build(image(["sh"], env=["HOME=/x", "PATH=/bin"]))) == [("HOME", "/x"), ("PATH", "/bin")]
    assert build(image(["/bin/sh"], env=[], user="1000")).env[-1].value == "/home/app"
    assert build(image(["/bin/sh"], env=[], user="4711")).env[-1].value == "/"


def test_home_is_that_of_the_user_whom_the_manifest_chooses() -> None:
    assert build(image(["/bin/sh"], env=[]), "loader.uid = 33").env[-1].value == "/var/www"
    assert build(image(["/bin/sh"], env=["HOME=/root"]), "loader.uid = 33").env[-1].value == "/root"


def test_of_a_doubled_variable_the_last_value_counts_and_the_first_place() -> None:
    facts = image(["sh"], env=["A=1", "PATH=/bin", "A=2=3"])
    assert variables(build(facts))[:2] == [("A", "2=3"), ("PATH", "/bin")]


def test_items_that_are_no_variables_are_left_out_with_a_warning() -> None:
    warnings: list[str] = []
    manifest = build(image(["sh"], env=["PATH=/bin", "NOVALUE", "=x", "EMPTY="]), warnings=warnings)
    assert [name for name, _ in variables(manifest)] == ["PATH", "EMPTY", "HOME"]
    assert [w for w in warnings if "'NOVALUE'" in w or "'=x'" in w] == warnings
    assert len(warnings) == 2


def test_the_users_variables_go_over_the_images_and_three_are_joined() -> None:
    facts = image(["sh"], env=["PATH=/bin", "LD_PRELOAD=/a.so", "MODE=image", "KEEP=1"])
    text = """
    [loader.env]
    NEW = { value = "n" }
    MODE = "user"
    PATH = "/opt"
    LD_PRELOAD = "/a.so"
    LD_LIBRARY_PATH = "/lib"
    TOKEN = { passthrough = true }
    """
    manifest = build(facts, text)
    assert variables(manifest) == [
        ("PATH", "/opt:/bin"),
        ("LD_PRELOAD", "/a.so"),
        ("MODE", "user"),
        ("KEEP", "1"),
        ("HOME", "/root"),
        ("NEW", "n"),
        ("LD_LIBRARY_PATH", "/lib"),
        ("TOKEN", None),
    ]
    assert manifest.takes_from_host("TOKEN")
    assert not manifest.takes_from_host("MODE")
    assert not manifest.takes_from_host("OTHER")


def test_a_passed_through_variable_drops_the_images_value() -> None:
    manifest = build(image(["sh"], env=["PATH=/bin", "MODE=x"]), "loader.env.MODE = { passthrough = true }")
    assert ("MODE", None) in variables(manifest)


def test_a_path_from_the_host_does_not_decide_what_runs() -> None:
    manifest = build(image(["sh"], env=["PATH=/bin"]), "loader.env.PATH = { passthrough = true }")
    assert manifest.program == "/bin/sh"
    assert manifest.takes_from_host("PATH")


def test_with_the_host_environment_fixed_variables_stay_fixed() -> None:
    manifest = build(image(["sh"], env=["PATH=/bin"]), "loader.insecure__use_host_env = true")
    assert manifest.takes_from_host("ANY")
    assert not manifest.takes_from_host("PATH")


def test_the_variables_of_a_file_lie_between(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(b"A=file\0B=file\0PATH=/file\0")
    text = 'loader.env_src_file = "file:env"\nloader.env.B = "table"\n'
    manifest = build(image(["sh"], env=["PATH=/bin", "A=image", "B=image"]), text, directory=tmp_path)
    assert variables(manifest)[:3] == [("PATH", "/file:/bin"), ("A", "file"), ("B", "table")]


NAMES = st.sampled_from([*JOINED, "HOME", "A", "B"])
VALUES = st.text("abc/:", max_size=4)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), st.dictionaries(NAMES, VALUES | st.none(), max_size=4))
def test_merging_keeps_every_variable_once_and_the_users_word(
    items: list[tuple[str, str]], own: dict[str, str | None]
) -> None:
    below = image_environment([f"{name}={value}" for name, value in items], "/root", warn=lambda _text: None)
    lines = [f'{n} = "{v}"' if v is not None else f"{n} = {{ passthrough = true }}" for n, v in own.items()]
    merged = merged_environment(below, read("\n".join(["[loader.env]", *lines])))
    assert list(merged)[: len(below)] == list(below)
    assert set(merged) == {*below, *own}
    for name, value in merged.items():
        if name not in own:
            assert value == below[name]
        elif own[name] is None or name not in JOINED:
            assert value == own[name]
        else:
            parts = {own[name], below.get(name)} - {None, ""}
            assert set(filter(None, (value or "").split(":"))) == {p for part in parts for p in part.split(":") if p}
            assert (value or "").startswith(own[name] or "")
