"""``python -m bench.unpack IMAGE DIR``: puts the ``/casemate/`` files of a shielded image into a directory."""

from __future__ import annotations

import sys
from pathlib import Path

from casemate.image.references import parse_reference
from casemate.image.sources import open_source
from casemate.image.tarstream import TarReader


def main() -> None:
    image, directory = parse_reference(sys.argv[1]), Path(sys.argv[2])
    directory.mkdir()
    with open_source(image) as source:
        layer = source.layers[-1]
        reader = TarReader(layer.open_stored(), layer.where)
        for entry in reader:
            if entry.kind == "file" and entry.path.startswith(b"casemate/"):
                target = directory / entry.path.decode().partition("/")[2]
                target.write_bytes(b"".join(bytes(piece) for piece in reader.content()))
                target.chmod(0o755)


if __name__ == "__main__":
    main()
