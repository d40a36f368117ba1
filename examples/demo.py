"""The main job, shown: a Debian image with python3 goes in, a shielded one comes out and runs its program.

``make demo`` runs this. It makes the image from Debian packages (no registry is asked for images), shields it,
runs it on the library OS, and then looks at what the host could see. ``secret.py`` is the second act.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import images

from examples import secret

PROGRAM = """
import os, sys, hashlib, threading
print("my arguments     ", sys.argv)
print("my system        ", " ".join(os.uname()))
print("my process id    ", os.getpid(), " user", os.getuid(), " threads", threading.active_count())
open("/tmp/secret.txt", "w").write("nobody outside can read this\\n")
print("my file          ", open("/tmp/secret.txt").read().strip(), os.listdir("/tmp"))
print("digest of my own ", hashlib.sha256(open("/usr/bin/python3.11", "rb").read()).hexdigest()[:16])
"""


def casemate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user would; its output goes to the terminal."""
    print(
        f"\n$ casemate {' '.join(word if len(word) < 60 else repr(word[:24] + '…') for word in arguments)}", flush=True
    )
    return subprocess.run([sys.executable, "-m", "casemate", *arguments], text=True, check=True)


def main() -> None:
    print("Making a Debian root file system with python3, and an OCI image of it …", flush=True)
    source = images.debian_image()
    with tempfile.TemporaryDirectory(prefix="casemate-demo-") as place:
        shielded = f"oci:{place}/shielded:demo"
        casemate("build", source, "-o", shielded, "--insecure-args")
        casemate("info", shielded)
        casemate("run", "--stats", shielded, "--", "-c", PROGRAM, "first", "second argument")
        print("\nWhat the host saw")
        print("  /tmp/secret.txt on the host:", "there" if Path("/tmp/secret.txt").exists() else "no such file")  # noqa: S108
        print("  its host calls: the table above; file look-ups, listings and the program's file made none")
        print("  (platform 'direct': ordinary memory, no protection yet)")
    secret.main(source)


if __name__ == "__main__":
    main()
