"""One thing that `netfollowers doctor` has looked at, as it prints it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from service.charts.printable import plain


class Note(NamedTuple):
    """What was found. `todo`: what to do about it; empty if it is ok."""

    level: Literal["ok", "warning", "error"]
    what: str
    todo: str = ""

    def __str__(self) -> str:
        """Return one or two lines."""
        what = f"{self.level:<8} {plain(self.what)}"
        return what + (f"\n         -> {plain(self.todo)}" if self.todo else "")
