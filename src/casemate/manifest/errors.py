"""What can be wrong with a manifest, and how it is told: file, line, key, what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from casemate.errors import CasemateError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a user manifest; ``where`` is ``FILE:LINE`` as far as they are known."""

    what: str
    where: str
    remedy: str | None = None

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}"
        return f"{text}; {self.remedy}" if self.remedy else text


@dataclass(frozen=True, slots=True)
class ManifestWarning:
    """Something in the user manifest that is accepted and has no or another effect here, with the reason."""

    where: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: '{self.key}': {self.reason}"


class ManifestError(CasemateError):
    """A user manifest or a canonical manifest cannot be accepted. ``problems`` has all that was found."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.problems = tuple(problems)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> ManifestError:
        first = problems[0]
        return cls(first.what, where=first.where, remedy=first.remedy, problems=problems)

    def diagnostics(self) -> str:
        """One line for each problem."""
        return "\n".join(map(str, self.problems)) if self.problems else super().diagnostics()


class EntryPointError(CasemateError):
    """The program that the image or the manifest names cannot be started."""


class UserError(CasemateError):
    """The image's user or group cannot be found in it."""
