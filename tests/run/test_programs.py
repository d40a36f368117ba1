"""Programs of Debian (coreutils, python3, numpy, sqlite3, gcc) print the same natively and inside, on both platforms.

The longer ones are in programs/, run by the root file system's own Python.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import images
from tests.run.both import ALL, PLATFORMS, Both, Look, make_both

HERE = Path(__file__).resolve().parent / "programs"
# Debian chooses among implementations of BLAS by links that its maintainer scripts make.
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LD_LIBRARY_PATH": "/usr/lib/x86_64-linux-gnu/blas:/usr/lib/x86_64-linux-gnu/lapack",
}
SHORT = {
    "imports": ["imports.py", "ceh"],
    "sort": ["sort.py", "50000"],
    "sqlite": ["sqlite.py", "5000"],
    "tar": ["tar.py", "usr/lib/python3.11/json", "usr/share/base-files"],
    "threads": ["threads.py"],
    "http server": ["http_server.py"],
    "asyncio": ["asyncio_echo.py"],
    "subprocess": ["subprocess_ls.py"],
    "numpy": ["linear_algebra.py"],
    "gcc": ["compile.py"],
}
LONG = {
    "imports of everything": ["imports.py", "abcdefghijklmnopqrstuvwxyz"],
    "sort of a million lines": ["sort.py", "1000000"],
    "sqlite with 100000 rows": ["sqlite.py", "100000"],
    "tar of all modules": ["tar.py", "usr/lib/python3.11"],
}
# Mounted inside, written anew inside, or changed natively by other tests. How large a directory is, is the file system's business.
ELSEWHERE = ["/proc", "/sys", "/dev", "/tmp", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]
COMMANDS = {
    "true": ["true"],
    "echo": ["echo", "one", "two  three"],
    "ls": ["ls", "-laR", "--ignore=hosts", "--ignore=hostname", "--ignore=resolv.conf", "/etc"],
    "sha256sum": ["sh", "-c", "exec sha256sum /usr/lib/python3.11/*.py /usr/lib/x86_64-linux-gnu/lib[a-m]*.so.*"],
    "find": ["find", "/", "(", "-false", *(word for path in ELSEWHERE for word in ("-o", "-path", path)), ")",
             "-prune", "-o", "-type", "d", "-printf", "%M %u %g %T+ %n %p \n", "-o", "-printf", "%M %u %g %T+ %n %s %p %l\n"],
    "grep": ["grep", "-rc", "import os", "/usr/lib/python3.11/json", "/usr/lib/python3.11/email"],
    "hello": ["python3", "-c", "print('hello')"],
    "gcc version": ["gcc", "--version"],
}  # fmt: skip
# /etc changes when the engine's files are put into it.
LOOKS = {
    "ls": Look(without=r" \.\.?$"),
    "find": Look(ordered=False, without=r" /etc $"),
    "grep": Look(ordered=False),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    try:
        rootfs = images.unpacked(images.programs_tar())
    except images.ToolMissingError as missing:
        pytest.skip(str(missing))
    return make_both(rootfs, tmp_path_factory.mktemp("programs"), "/usr/bin/env", ENVIRONMENT)


def _python(arguments: list[str]) -> list[str]:
    return ["/usr/bin/env", "python3", "-c", (HERE / arguments[0]).read_text(), *arguments[1:]]


@pytest.mark.parametrize("name", list(SHORT))
@pytest.mark.parametrize("platform", PLATFORMS)
def test_programs_print_the_same_as_natively(name: str, platform: str, both: Both) -> None:
    both.compare(platform, _python(SHORT[name]))


@pytest.mark.parametrize("name", list(COMMANDS))
@pytest.mark.parametrize("platform", PLATFORMS)
def test_commands_print_the_same_as_natively(name: str, platform: str, both: Both) -> None:
    both.compare(platform, ["/usr/bin/env", *COMMANDS[name]], look=LOOKS.get(name, ALL))


def test_the_commands_see_what_they_should(both: Both) -> None:
    def lines(name: str) -> int:
        return len(both.natively(["/usr/bin/env", *COMMANDS[name]]).stdout.splitlines())

    assert lines("sha256sum") >= 200
    assert lines("find") > 5000
    assert lines("ls") > 100


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", list(LONG))
@pytest.mark.parametrize("platform", PLATFORMS)
def test_long_programs_print_the_same_as_natively(name: str, platform: str, both: Both) -> None:
    both.compare(platform, _python(LONG[name]), timeout_s=400)
