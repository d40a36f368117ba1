"""The merged image as the manifest's derivation sees it: look-ups, small contents, programs."""

from __future__ import annotations

from collections.abc import Sequence

from casemate._core import Index, IndexFormatError, InodeInfo, LayerTable, merge_layers
from casemate.errors import ImageError
from casemate.image.programs import Program
from casemate.image.scan import ScannedLayer


class ImageView:
    """All layers laid over one another. Paths are absolute in the image; symbolic links are followed inside it."""

    def __init__(self, layers: list[ScannedLayer], above: Sequence[LayerTable] = ()) -> None:
        """``above``: tables laid over all layers."""
        try:
            self.index: Index = merge_layers([*(scanned.table for scanned in layers), *above])
        except IndexFormatError as error:
            raise ImageError(
                f"the layers do not fit together: {error}", remedy="refuse the image or rebuild it"
            ) from None
        self._programs: dict[str, Program] = {}
        self._contents: dict[str, bytes] = {}
        for scanned in layers:
            self._programs |= scanned.facts.programs
            self._contents |= scanned.facts.contents

    def lookup(self, path: str, *, follow: bool = True) -> InodeInfo | None:
        return self.index.lookup(path.encode("utf-8", "surrogateescape"), follow)

    def content(self, path: str) -> bytes | None:
        """The content of one of the small files that scanning keeps (``/etc/passwd``, ``/etc/group``)."""
        info = self.lookup(path)
        if info is None or info.digest is None:
            return None
        return self._contents.get(info.digest.hex())

    def program(self, path: str) -> Program | None:
        """How a file would be started; None when there is no such executable file."""
        info = self.lookup(path)
        if info is None or info.digest is None:
            return None
        return self._programs.get(info.digest.hex())
