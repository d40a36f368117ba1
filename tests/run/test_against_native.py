"""The same command natively (chroot into the root file system) and inside: what it prints must be the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.loader.files import RUNTIME_DIRECTORY

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
LAUNCH = '[libos]\nentrypoint = "/usr/bin/env"\n[loader]\ninsecure__use_cmdline_argv = true\n'

SCRIPT = """
set -e
cd /tmp
echo one >a; echo two >>a; while read -r line; do printf '<%s>' "$line"; done <a; echo
x=$((6 * 7)); case $x in 42) echo "answer $x";; esac
for i in 1 2 3; do test $i -gt 1 && echo "i=$i" || true; done
f() { local y=$1; echo "f got ${y#pre}"; }; f prefix
exec 3>b; echo three >&3; exec 3>&-; read -r z <b; echo "$z"; umask 027; : >c; stat -c %A c
"""

PYTHON = {
    "json": "import json;print(json.dumps(json.loads('{\"a\":[1,2.5,null]}'),sort_keys=True))",
    "hashlib": "import hashlib;print(hashlib.sha256(b'x'*100000).hexdigest(),hashlib.md5(b'').hexdigest())",
    "sqlite3": "import sqlite3;c=sqlite3.connect('/tmp/x.db');c.execute('create table t(a int,b text)');"
    "c.executemany('insert into t values(?,?)',[(i,'v'*i) for i in range(500)]);c.commit();"
    "print(c.execute('select count(*),sum(a),sum(length(b)) from t').fetchall(),c.execute('pragma integrity_check').fetchall())",
    "threading": "import threading,queue;q=queue.Queue();l=threading.Lock();s=[0]\n"
    "def w(i):\n for k in range(1000):\n  with l: s[0]+=1\n q.put(i)\n"
    "t=[threading.Thread(target=w,args=(i,)) for i in range(8)];[x.start() for x in t];[x.join() for x in t]\n"
    "print(s[0],sorted(q.get() for _ in t))",
    "subprocess": "import subprocess;r=subprocess.run(['/usr/bin/ls','/usr'],capture_output=True,text=True);print(r.returncode,r.stdout);"
    "print(subprocess.run(['/usr/bin/false']).returncode, subprocess.run(['/usr/bin/cat'],input=b'abc'*9999,stdout=subprocess.PIPE).stdout[-5:])",
    "tcp": "import socket,threading\ns=socket.create_server(('127.0.0.1',0))\n"
    "def serve():\n c,_=s.accept()\n while d:=c.recv(65536): c.sendall(d.upper())\n c.close()\n"
    "threading.Thread(target=serve).start()\nc=socket.create_connection(s.getsockname());c.sendall(b'hello'*1000);c.shutdown(1)\n"
    "r=b''\nwhile d:=c.recv(9999): r+=d\nprint(len(r),r[:10])",
    "script arguments": "import sys;print(sys.argv,sys.flags.utf8_mode,sys.stdin.read())",
}

# What an engine puts into a container, and the library OS writes anew.
ENGINE_FILES = ("hosts", "hostname", "resolv.conf")

COMMANDS: dict[str, list[str]] = {
    "true": ["true"],
    "echo": ["echo", "one", "two  three"],
    "cat": ["cat", "/etc/passwd", "/etc/debian_version"],
    "ls": ["ls", "-lAnR", "--time-style=full-iso", *(f"--ignore={name}" for name in ENGINE_FILES), "/etc"],
    "stat": ["stat", "-c", "%n %F %a %u %g %s %Y %h", "/etc/passwd", "/usr/bin/env", "/lib", "/tmp"],
    "sha256sum": ["sh", "-c", "sha256sum /usr/bin/[a-p]* /usr/lib/python3.11/[a-q]*.py"],
    "find": ["find", "/usr", "/var"],
    "shell": ["sh", "-c", SCRIPT],
    "exit status": ["sh", "-c", "exit 42"],
    "killed": ["sh", "-c", "kill -TERM $$"],
    "sort": ["sort", "-R", "--random-source=/usr/bin/env", "/etc/passwd"],
    **{f"python {name}": ["python3", "-c", program] for name, program in PYTHON.items()},
}


# A directory's own order is the file system's business.
UNORDERED = {"find"}


@pytest.fixture(scope="module")
def launcher(debian_rootfs: Path, debian_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    if os.geteuid() != 0:
        pytest.skip("the native side uses chroot: run as root")
    if not (RUNTIME_DIRECTORY / "casemate-host").is_file():
        pytest.skip("the runtime is not built")
    place = tmp_path_factory.mktemp("launcher")
    (place / "manifest.toml").write_text(LAUNCH)
    image = f"oci:{place}/shielded:test"
    command = ["build", debian_image, "-o", image, "--manifest", str(place / "manifest.toml")]
    subprocess.run([sys.executable, "-m", "casemate", *command], check=True, stdout=subprocess.DEVNULL)
    return image


@pytest.fixture(scope="module")
def native_root(debian_rootfs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that programs may write to, with the devices that they look for."""
    root = tmp_path_factory.mktemp("native") / "root"
    subprocess.run(["cp", "-a", str(debian_rootfs), str(root)], check=True)
    shutil.rmtree(root / "dev", ignore_errors=True)
    (root / "dev").mkdir()
    for name, number in (("null", 3), ("zero", 5), ("urandom", 9)):
        os.mknod(root / "dev" / name, 0o666 | 0o020000, os.makedev(1, number))
    return root


@pytest.mark.parametrize("name", list(COMMANDS))
def test_prints_the_same_as_natively(name: str, launcher: str, native_root: Path) -> None:
    command = COMMANDS[name]
    native = ["chroot", str(native_root), "/usr/bin/env", *command]
    inside = [sys.executable, "-m", "casemate", "run", launcher, "--", *command]
    outside = subprocess.run(native, capture_output=True, env=ENVIRONMENT, input=b"in put", check=False, timeout=60)
    done = subprocess.run(inside, capture_output=True, input=b"in put", check=False, timeout=60)
    seen, expected = (each.stdout.decode(errors="replace").splitlines() for each in (done, outside))
    if name in UNORDERED:
        seen, expected = sorted(seen), sorted(expected)
    assert seen == expected, done.stderr
    assert done.returncode == outside.returncode, done.stderr
