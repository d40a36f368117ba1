"""Paths inside the image, as text."""

from __future__ import annotations


def plain_path(path: str) -> str | None:
    """An absolute path in the one form that names it: no empty or ``.`` components; None when relative or with ``..``."""
    if not path.startswith("/"):
        return None
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return None if ".." in parts else "/" + "/".join(parts)


def joined(directory: str, path: str) -> str:
    """``path`` seen from ``directory`` (absolute). ``..`` stays: only who follows symbolic links can resolve it."""
    whole = path if path.startswith("/") else f"{directory}/{path}"
    return "/" + "/".join(part for part in whole.split("/") if part not in ("", "."))


def is_within(path: str, tree: str) -> bool:
    """Whether plain ``path`` is ``tree`` or below it."""
    return path == tree or tree == "/" or path.startswith(tree + "/")
