"""The findings of an audit: the number of comparisons, the mismatches, and notes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

MAX_LINES: Final = 100


@dataclass
class Findings:
    """Counts comparisons by name, and keeps a line for each of the first mismatches."""

    compared: Counter[str] = field(default_factory=Counter)
    mismatches: list[str] = field(default_factory=list)
    mismatch_count: int = 0
    admitted: int = 0
    """Number of mismatches that the results admit themselves: rejected as `unforeseen`."""
    notes: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def expect(self, found: object, expected: object, what: str, *names: object) -> bool:
        """Compare one value. `what` % `names` says where it was found."""
        is_same = type(found) is type(expected) and found == expected
        if not is_same:
            self.mismatch(f"{what % names}: found {_short(found)}, expected {_short(expected)}")
        return is_same

    def mismatch(self, line: str) -> None:
        """Note a mismatch."""
        self.mismatch_count += 1
        if len(self.mismatches) < MAX_LINES:
            self.mismatches.append(line)

    def admit(self, line: str) -> None:
        """Note a mismatch that the results admit themselves."""
        self.admitted += 1
        self.mismatch(line)

    def leave(self, line: str) -> None:
        """Note what could not be checked, and why."""
        self.unchecked.append(line)

    @property
    def ok(self) -> bool:
        """True if all comparisons agree."""
        return self.mismatch_count == 0

    @property
    def is_published(self) -> bool:
        """True if all comparisons agree, or the results admit the mismatches."""
        return self.mismatch_count == self.admitted

    @property
    def is_whole(self) -> bool:
        """True if everything could be checked."""
        return not self.unchecked

    def __str__(self) -> str:
        """Return several lines: comparisons, notes, what was not checked, mismatches, verdict."""
        lines = [f"{number:>12,} {name}" for name, number in self.compared.items()]
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"NOT CHECKED {line}" for line in self.unchecked]
        lines += [f"MISMATCH {line}" for line in self.mismatches]
        if self.mismatch_count > len(self.mismatches):
            lines.append(f"... and {self.mismatch_count - len(self.mismatches)} more mismatches")
        return "\n".join([*lines, f"audit: {self._verdict()}"])

    def _verdict(self) -> str:
        if not self.ok:
            return f"{self.mismatch_count} mismatches"
        return "all agrees" if self.is_whole else "all that could be checked agrees"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."  # noqa: PLR2004 - a readable line
