"""From a stored layer to its plain tar stream, every digest checked before the stream ends well.

One thread reads, hashes and decompresses (all of which release the interpreter lock) while the caller
parses. The end of the stream is only reported once the stored blob matched its descriptor and the
plain tar its diff ID; what was derived from the stream before must be thrown away when that raises.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import zlib

from casemate.errors import ImageError, describe_os_error
from casemate.image.descriptors import ByteStream, VerifyingReader
from casemate.image.sources import Layer

CHUNK = 1 << 20
_QUEUE_DEPTH = 8
# Zstandard's own recommendation for decoders is 8 MiB; --long and --ultra images go up to 128 MiB.
_MAX_ZSTD_WINDOW = 1 << 27
_REMEDY = "the layer is corrupt: fetch or build the image again"


class LimitError(ImageError):
    """An image that would unpack to more than was allowed."""


class Limits:
    """What an image may unpack to, counted over all its layers: many small bombs are one big one."""

    def __init__(self, max_bytes: int, max_entries: int) -> None:
        self.max_bytes = max_bytes
        self.max_entries = max_entries
        self._bytes = 0
        self._entries = 0

    def spend(self, where: str, *, size: int = 0, entries: int = 0) -> None:
        self._bytes += size
        self._entries += entries
        if self._bytes > self.max_bytes:
            raise LimitError(
                f"the image unpacks to more than {self.max_bytes} bytes",
                where=where,
                remedy="refuse it, or raise the limit with --max-unpacked-size",
            )
        if self._entries > self.max_entries:
            raise LimitError(
                f"the image has more than {self.max_entries} entries",
                where=where,
                remedy="refuse it, or raise the limit with --max-entries",
            )


class PlainLayer:
    """The plain tar of a layer as a stream; its end is reported only when the digests were right."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(_QUEUE_DEPTH)
        self._stop = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._produce, name="casemate-layer", daemon=True)
        self._thread.start()

    def read(self, _size: int, /) -> bytes:
        """The next piece (its size is not the caller's choice), nothing at the verified end."""
        if self._over:
            return b""
        piece = self._queue.get()
        if isinstance(piece, BaseException):
            self._over = True
            raise piece
        if not piece:
            self._over = True
        return piece

    def close(self) -> None:
        self._stop.set()
        self._over = True
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def __enter__(self) -> PlainLayer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- The reading thread ------------------------------------------------------------------------------

    def _produce(self) -> None:
        try:
            stored = VerifyingReader(self._layer.open_stored(), self._layer.descriptor, self._layer.where)
            try:
                self._pump(stored)
            finally:
                stored.close()
        except OSError as error:
            self._queue.put(describe_os_error(error, "cannot read the layer", self._layer.where))
        except BaseException as error:
            self._queue.put(error)

    def _pump(self, stored: VerifyingReader) -> None:
        layer = self._layer
        plain = decompressing(stored, layer.compression, layer.where)
        # A plain tar whose digest is its diff ID is not hashed twice.
        same = layer.compression == "none" and layer.descriptor.digest == layer.diff_id
        algorithm, _, expected = layer.diff_id.partition(":")
        digest = hashlib.new(algorithm)
        while data := plain.read(CHUNK):
            if self._stop.is_set():
                return
            if not same:
                digest.update(data)
            self._queue.put(data)
        stored.drain()
        if not same and digest.hexdigest() != expected:
            raise ImageError(
                f"the unpacked layer's digest is {algorithm}:{digest.hexdigest()}, "
                f"not the diff ID {layer.diff_id} of the configuration",
                where=layer.where,
                remedy="the image is corrupt or was changed: fetch or build it again",
            )
        self._queue.put(b"")


# --- Compression ------------------------------------------------------------------------------------------


def sniff_compression(stream: ByteStream) -> str:
    """What a stream's first bytes say; closes the stream."""
    head = stream.read(4)
    stream.close()
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    return "zstd" if head == b"\x28\xb5\x2f\xfd" else "none"


def decompressing(stream: ByteStream, compression: str, where: str) -> ByteStream:
    """The stream behind its compression; corrupt data is an ``ImageError`` that names ``where``."""
    if compression == "gzip":
        return _Gzip(stream, where)
    if compression == "zstd":
        return _Zstd(stream, where)
    return stream


class _Gzip:
    """RFC 1952, any number of members; nothing may follow the last but zero padding."""

    def __init__(self, stream: ByteStream, where: str) -> None:
        self._stream = stream
        self._where = where
        self._inflate = zlib.decompressobj(wbits=31)
        self._input = b""

    def read(self, size: int, /) -> bytes:
        while True:
            if self._inflate.eof and not self._next_member():
                return b""
            if not self._input:
                self._input = self._stream.read(CHUNK)
                if not self._input:
                    raise ImageError("the gzip data is truncated", where=self._where, remedy=_REMEDY)
            try:
                data = self._inflate.decompress(self._input, size)
            except zlib.error as error:
                raise ImageError(f"the gzip data is corrupt ({error})", where=self._where, remedy=_REMEDY) from None
            self._input = self._inflate.unconsumed_tail
            if data:
                return data

    def _next_member(self) -> bool:
        """After a member's end: another one begins, or the stream is over."""
        self._input = self._inflate.unused_data.lstrip(b"\0")
        while not self._input:
            data = self._stream.read(CHUNK)
            if not data:
                return False
            self._input = data.lstrip(b"\0")
        self._inflate = zlib.decompressobj(wbits=31)
        return True

    def close(self) -> None:
        self._stream.close()


class _Zstd:
    """RFC 8878, any number of frames."""

    def __init__(self, stream: ByteStream, where: str) -> None:
        import zstandard

        self._where = where
        self._stream = stream
        self._error = zstandard.ZstdError
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW)
        self._reader = decompressor.stream_reader(
            stream,  # type: ignore[arg-type]  # only read() is used
            read_size=CHUNK,
            read_across_frames=True,
            closefd=False,
        )

    def read(self, size: int, /) -> bytes:
        try:
            return self._reader.read(size)
        except self._error as error:
            raise ImageError(f"the zstd data is corrupt ({error})", where=self._where, remedy=_REMEDY) from None

    def close(self) -> None:
        self._stream.close()
