"""Keeps the first rejected records of a replay, with the lines they came from."""

from __future__ import annotations

from typing import Final

from rich.console import Console

from service.charts.drawing import printable
from service.commands.json_lines import EventFiles
from service.counting import Sealed

SHOWN: Final = 5


class FirstRefusals:
    """An outlet of `Offline`: where the first SHOWN rejected records came from, and why."""

    def __init__(self, files: EventFiles, before: int) -> None:
        """Start with no record. `before`: number of records that were counted before the files."""
        self._files = files
        self._before = before
        self._found: list[str] = []
        self.total = 0
        """Number of rejected records of the files."""

    def __call__(self, sealed: Sealed) -> None:
        """Take the rejected records of a checkpoint."""
        if sealed.checkpoint.position <= self._before:
            return
        self.total += len(sealed.rejected)
        for record in sealed.rejected[: SHOWN - len(self._found)]:
            told = {name: (value or b"").decode() for name, value in record.headers}
            number = int(told["netfollowers-source-offset"]) - self._before
            why = f"{told['netfollowers-reason']}: {told['netfollowers-detail']}"
            self._found.append(f"{self._files.place(number)}: {why.removesuffix(': ')}")

    def print(self, console: Console) -> None:
        """Print them, if there are any."""
        if not self._found:
            return
        shown = len(self._found)
        console.print(f"the first {shown:,} of {self.total:,} rejected records:", soft_wrap=True)
        for line in self._found:
            console.print(f"  {printable(line)}", soft_wrap=True, markup=False, highlight=False)
