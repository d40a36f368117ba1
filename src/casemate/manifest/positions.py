"""At which line of a TOML text each key stands.

``tomllib`` gives values without positions, so this module walks the text a second time and looks only at
its structure. It expects text that ``tomllib`` has accepted: on anything else its answer means nothing.
Source: TOML 1.0.0.
"""

from __future__ import annotations

import tomllib

Path = tuple[str | int, ...]


def key_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every key, table and array element by its path; tables at their first mention."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._elements: dict[Path, int] = {}
        """How many elements each array of tables has so far."""
        self.lines: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while self._skip(" \t\r\n"):
            if self._text.startswith("[[", self._at):
                self._at += 2
                table = self._header(array=True)
            elif self._text[self._at] == "[":
                self._at += 1
                table = self._header(array=False)
            else:
                self._pair(table)

    def _header(self, *, array: bool) -> Path:
        path: Path = ()
        parts = self._key()
        for number, part in enumerate(parts):
            path = (*path, part)
            self._note(path)
            last = number == len(parts) - 1
            if last and array:
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements and (array or not last):
                path = (*path, self._elements[path] - 1)
                self._note(path)
        self._at += 2 if array else 1
        return path

    def _pair(self, table: Path) -> None:
        path = table
        for part in self._key():
            path = (*path, part)
            self._note(path)
        self._at += 1  # '='
        self._value(path)

    def _key(self) -> list[str]:
        """A dotted key, up to the character after it."""
        parts = []
        while True:
            self._skip(" \t")
            start = self._at
            if self._text[start] in "\"'":
                self._string()
                parts.append(str(tomllib.loads(f"k={self._text[start : self._at]}")["k"]))
            else:
                while self._text[self._at] not in " \t.=]":
                    self._at += 1
                parts.append(self._text[start : self._at])
            self._skip(" \t")
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, path: Path) -> None:
        self._skip(" \t")
        first = self._text[self._at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            while self._at < len(self._text) and self._text[self._at] not in ",]}\n#":
                self._at += 1

    def _array(self, path: Path) -> None:
        self._at += 1
        number = 0
        while self._skip(" \t\r\n,") and self._text[self._at] != "]":
            self._note((*path, number))
            self._value((*path, number))
            number += 1
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._skip(" \t\r\n,") and self._text[self._at] != "}":
            self._pair(path)
        self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        long = self._text.startswith(quote * 3, self._at)
        end = quote * 3 if long else quote
        self._at += len(end)
        while not self._text.startswith(end, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(end)
        while long and self._text.startswith(quote, self._at):
            self._at += 1  # up to two more quotes belong to the content

    def _skip(self, blanks: str) -> bool:
        """Goes over blanks and comments; false at the end."""
        while self._at < len(self._text):
            if self._text[self._at] in blanks:
                self._at += 1
            elif self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return True
        return False

    def _note(self, path: Path) -> None:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        self.lines.setdefault(path, self._line)
