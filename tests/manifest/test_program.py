"""Which program starts, and with which arguments."""

from __future__ import annotations

import pytest

from casemate.errors import CasemateError
from casemate.manifest import CanonicalManifest, EntryPointError

from .images import DIRECTORY, FILES, Inode, build, image


def words(manifest: CanonicalManifest) -> tuple[str, list[str], list[str]]:
    return manifest.program, manifest.argv, manifest.default_args


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "program", "argv"),
    [
        (["/usr/bin/python3", "-c"], ["1"], "/usr/bin/python3", ["/usr/bin/python3", "-c", "1"]),
        (["python3"], [], "/usr/bin/python3", ["python3"]),
        ([], ["sh", "-c", "x"], "/bin/sh", ["sh", "-c", "x"]),
        (["./run.sh"], ["a"], "/app/run.sh", ["./run.sh", "a"]),
        (["../bin/sh"], [], "/app/../bin/sh", ["../bin/sh"]),
        (["//bin/./sh"], [], "/bin/sh", ["//bin/./sh"]),
    ],
)
def test_the_program_is_found_as_an_engine_finds_it(
    entrypoint: list[str], cmd: list[str], program: str, argv: list[str]
) -> None:
    files = {**FILES, "/app/../bin/sh": Inode()}
    assert words(build(image(entrypoint, cmd, working_dir="/app", files=files))) == (program, argv, [])


def test_the_first_executable_file_in_path_counts() -> None:
    files = {**FILES, "/a": DIRECTORY, "/a/sh": DIRECTORY, "/b/sh": Inode(mode=0o644), "/c/sh": Inode()}
    assert build(image(["sh"], env=["PATH=/missing:/a:/b:/c:/bin"], files=files)).program == "/c/sh"
    # An empty directory name is the working directory.
    assert build(image(["sh"], env=["PATH=:/bin"], working_dir="/c", files=files)).program == "/c/sh"


def test_the_users_path_is_searched_first() -> None:
    files = {**FILES, "/opt/python3": Inode()}
    assert build(image(["python3"], files=files), 'loader.env.PATH = "/opt"').program == "/opt/python3"


def test_host_arguments_replace_cmd_and_keep_the_entry_point() -> None:
    both = image(["python3", "-I"], ["-c", "1"])
    assert words(build(both, insecure_args=True)) == ("/usr/bin/python3", ["python3", "-I"], ["-c", "1"])
    only_cmd = image([], ["python3", "-c", "1"])
    assert words(build(only_cmd, insecure_args=True)) == ("/usr/bin/python3", ["python3"], ["-c", "1"])
    by_manifest = build(both, "loader.insecure__use_cmdline_argv = true")
    assert by_manifest == build(both, insecure_args=True)
    assert by_manifest.args_from_host
    own = build(both, 'loader.argv = ["sh", "-c"]', insecure_args=True)
    assert words(own) == ("/bin/sh", ["sh", "-c"], [])


@pytest.mark.parametrize(
    ("text", "program", "argv"),
    [
        ('loader.argv = ["sh", "-e"]', "/bin/sh", ["sh", "-e"]),
        ('libos.entrypoint = "/bin/sh"', "/bin/sh", ["/bin/sh"]),
        ('libos.entrypoint = "/bin/sh"\nloader.argv = ["-sh", "x"]', "/bin/sh", ["-sh", "x"]),
        ('libos.entrypoint = "run.sh"\nfs.start_dir = "/app"', "/app/run.sh", ["run.sh"]),
    ],
)
def test_the_manifest_can_name_program_and_arguments(text: str, program: str, argv: list[str]) -> None:
    assert words(build(image(["python3"], ["-V"]), text)) == (program, argv, [])


@pytest.mark.parametrize(
    ("entrypoint", "text", "says"),
    [
        ([], "", "the image's configuration: the image has neither Entrypoint nor Cmd"),
        (["perl"], "", "the image's configuration: the program 'perl' is in no directory of PATH, /usr/bin:/bin; "),
        (["notes"], "", "PATH, /usr/bin:/bin ('/usr/bin/notes' may not be executed by uid 0 (mode 0644, owner 0:0))"),
        (["/usr/bin/perl"], "", "the program '/usr/bin/perl' is not in the image"),
        (["/app"], "", "the program '/app' is no file but of kind 'directory'"),
        (["/app/notes.txt"], "", "'/app/notes.txt' may not be executed by uid 0"),
        ([""], "", "the program's name is empty"),
        (["sh"], '\nlibos.entrypoint = "/x"', "app.toml:2: the program '/x' is not in the image"),
        (["sh"], '\nlibos.entrypoint = "sh"', "app.toml:2: the program '/sh' is not in the image"),
        (["sh"], '\n\nloader.argv = ["x"]', "app.toml:3: the program 'x' is in no directory of PATH"),
    ],
)
def test_a_program_that_cannot_start_is_refused_with_its_place(entrypoint: list[str], text: str, says: str) -> None:
    with pytest.raises(EntryPointError) as caught:
        build(image(entrypoint), text)
    assert says in caught.value.diagnostics()
    assert caught.value.remedy


@pytest.mark.parametrize(("user", "allowed"), [("0", True), ("1000", True), ("7:50", True), ("7", False)])
def test_permission_to_execute_is_the_users(user: str, allowed: bool) -> None:
    facts = image(["/app/run.sh"], user=user)  # mode 0750, owner 1000:50
    if allowed:
        assert build(facts).program == "/app/run.sh"
    else:
        with pytest.raises(EntryPointError, match="may not be executed by uid 7"):
            build(facts)


def test_the_working_directory_is_the_images_or_the_manifests() -> None:
    assert build(image(["/bin/sh"])).cwd == "/"
    assert build(image(["/bin/sh"], working_dir="/app/")).cwd == "/app"
    assert build(image(["/bin/sh"], working_dir="app")).cwd == "/app"
    assert build(image(["/bin/sh"], working_dir="/app"), 'fs.start_dir = "/srv"').cwd == "/srv"


def test_a_missing_working_directory_is_made_and_a_file_refused() -> None:
    warnings: list[str] = []
    assert build(image(["/bin/sh"], working_dir="/new"), warnings=warnings).cwd == "/new"
    assert warnings == [
        "the image's configuration: the working directory '/new' is not in the image; it is made, empty, at start"
    ]
    with pytest.raises(CasemateError, match=r"app\.toml:1: the working directory '/bin/sh' is of kind 'file'"):
        build(image(["/bin/sh"]), 'fs.start_dir = "/bin/sh"')
