"""Sorts argv[1] lines with coreutils' sort, in parallel and through files of its own."""

import hashlib
import random
import subprocess
import sys

numbers = random.Random(1)
with open("/tmp/lines", "w") as lines:
    for _ in range(int(sys.argv[1])):
        lines.write(f"{numbers.getrandbits(48):x} line\n")
for options in (["--parallel=4"], ["-r", "--parallel=2", "-S", "4M"]):
    done = subprocess.run(
        ["sort", *options, "/tmp/lines", "-o", "/tmp/sorted"], env={"LC_ALL": "C", "PATH": "/usr/bin"}
    )
    with open("/tmp/sorted", "rb") as result:
        print(done.returncode, hashlib.sha256(result.read()).hexdigest())
