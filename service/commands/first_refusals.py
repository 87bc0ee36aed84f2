"""Keeps the first rejected records of a replay, with the lines they came from."""

from __future__ import annotations

from typing import Final

from rich.console import Console

from service.charts.drawing import printable
from service.commands.json_lines import EventFiles
from service.counting import Sealed

SHOWN: Final = 5


class FirstRefusals:
    """An outlet of `Offline`: notes where the first SHOWN rejected records came from, and why."""

    def __init__(self, files: EventFiles, before: int) -> None:
        """Start with no record. `before`: number of records that were counted before the files."""
        self._files = files
        self._before = before
        self._found: list[str] = []

    def __call__(self, sealed: Sealed) -> None:
        """Take the rejected records of a checkpoint."""
        for record in sealed.rejected[: SHOWN - len(self._found)]:
            told = {name: (value or b"").decode() for name, value in record.headers}
            number = int(told["netfollowers-source-offset"]) - self._before
            if number >= 0:
                why = f"{told['netfollowers-reason']}: {told['netfollowers-detail']}"
                self._found.append(f"{self._files.place(number)}: {why.removesuffix(': ')}")

    def print(self, rejected: int, console: Console) -> None:
        """Print them; `rejected`: the number of all rejected records."""
        if not self._found:
            return
        shown = min(len(self._found), rejected)
        console.print(f"the first {shown:,} of {rejected:,} rejected records:", soft_wrap=True)
        for line in self._found:
            console.print(f"  {printable(line)}", soft_wrap=True, markup=False, highlight=False)
