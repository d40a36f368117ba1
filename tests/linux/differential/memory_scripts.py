"""Generates scripts of memory calls for memory_calls.c.

A small model says which pages belong to one mapping. Only `remap` needs it: whether a range over two neighbouring
mappings can be moved depends on whether the kernel merged them, which differs between kernel versions.
"""

from __future__ import annotations

from random import Random

PAGES = 64
FILE_PAGES = 24
_MAY_MOVE, _FIXED = 1, 2


def generate(seed: int, length: int) -> list[str]:
    """A script; the same seed and length give the same one."""
    return _Generator(Random(seed)).script(length)


class _Generator:
    def __init__(self, random: Random) -> None:
        self._random = random
        # For each page the number of its mapping (0: none of ours), and whether it can grow.
        self._owner = [0] * PAGES
        self._next = 1
        # The file is at least that long. Newer kernels let a write that faults behind the end move the end, older ones do not.
        self._file_size = FILE_PAGES * 4096

    def script(self, length: int) -> list[str]:
        calls = [
            (14, self._map),
            (3, self._map_noreplace),
            (8, self._unmap),
            (10, self._protect),
            (8, self._remap),
            (6, self._dontneed),
            (2, lambda: f"sync {self._range_words()}"),
            (25, self._set),
            (6, lambda: f"read_file {self._buffer_words()}"),
            (6, lambda: f"write_file {self._buffer_words(self._file_size)}"),
            (2, self._truncate),
            (8, lambda: "state"),
        ]
        chosen = self._random.choices([call for _, call in calls], [weight for weight, _ in calls], k=length)
        return [call() for call in chosen]

    def _range(self) -> tuple[int, int]:
        first = self._random.randrange(PAGES)
        return first, self._random.randint(1, min(12, PAGES - first))

    def _range_words(self) -> str:
        first, count = self._range()
        return f"{first} {count}"

    def _protection(self) -> int:
        return self._random.choice((3, 3, 3, 1, 1, 0, 5))

    def _truncate(self) -> str:
        self._file_size = self._random.choice((0, 100, 4096, 5000, 40960, 98304, 120000))
        return f"truncate_file {self._file_size}"

    def _buffer_words(self, last: int = 98304) -> str:
        """Page, offset in it, length, file position: buffers that start and end anywhere."""
        page = self._random.randrange(PAGES)
        room = (PAGES - page) * 4096
        offset = self._random.choice((0, 1, 2000, 4095))
        length = min(self._random.choice((0, 1, 100, 4096, 8192, 9000)), room - offset)
        return f"{page} {offset} {length} {min(last, self._random.choice((0, 10, 4096, 30000, 90000, 98000)))}"

    def _own(self, first: int, count: int) -> None:
        """These pages are one mapping now, for themselves."""
        for page in range(first, first + count):
            self._owner[page] = self._next
        self._next += 1

    def _map(self) -> str:
        first, count = self._range()
        kind = self._random.choice("aaasffF")
        self._own(first, count)
        return f"map {first} {count} {self._protection()} {kind} {self._random.randrange(FILE_PAGES)}"

    def _map_noreplace(self) -> str:
        first, count = self._range()
        for page in range(first, first + count):
            self._owner[page] = 0
        return f"map_noreplace {first} {count} {self._protection()}"

    def _unmap(self) -> str:
        first, count = self._range()
        for page in range(first, first + count):
            self._owner[page] = 0
        return f"unmap {first} {count}"

    def _protect(self) -> str:
        first, count = self._range()
        # Which of these pages had been one mapping is not followed: they are not remapped any more.
        for page in range(first, first + count):
            self._owner[page] = 0
        return f"protect {first} {count} {self._protection()}"

    def _dontneed(self) -> str:
        return f"dontneed {self._range_words()}"

    def _set(self) -> str:
        return f"set {self._random.randrange(PAGES)} {self._random.randrange(4096)} {self._random.randrange(1, 256)}"

    def _remap(self) -> str:
        owned = [page for page in range(PAGES) if self._owner[page]]
        if not owned:
            return self._map()
        first = self._random.choice(owned)
        count = 1
        while (
            first + count < PAGES and self._owner[first + count] == self._owner[first] and self._random.random() < 0.7
        ):
            count += 1
        kind = self._random.random()
        if kind < 0.4:
            new = self._random.randint(1, count + 4)
            self._forget(first, max(count, new))
            return f"remap {first} {count} {new} {self._random.choice((0, _MAY_MOVE))} 0"
        new = self._random.randint(1, min(count + 2, 12))
        to = self._random.randint(0, PAGES - new)
        self._forget(first, count)
        self._forget(to, new)
        return f"remap {first} {count} {new} {_MAY_MOVE | _FIXED} {to}"

    def _forget(self, first: int, count: int) -> None:
        for page in range(first, min(PAGES, first + count)):
            self._owner[page] = 0
