"""Shows the progress of a long reading: a bar on a terminal, else a line from time to time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY_S: Final = 5.0
STILL_EVERY_S: Final = 30.0
"""Seconds after which the same line is printed again."""


class Bar:
    """Use `with Bar() as bar`, then `bar.begin(what, total)` for each part of the work."""

    def __init__(self, console: Console | None = None) -> None:
        """`console`: the output; None: standard error."""
        self._console = console or Console(stderr=True, highlight=False)
        self._is_shown = self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._is_shown,
            transient=True,
        )

    def __enter__(self) -> Self:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""
        self._progress.stop()

    def begin(self, what: str, total: int) -> Callable[[int], None]:
        """Start a bar for `total` items.

        Return a function: call it with the number of items just done.
        """
        if self._is_shown:
            task = self._progress.add_task(what, total=total)
            return lambda number: self._progress.advance(task, number)
        return _Lines(self._console, what, total)


class _Lines:
    """Prints a line with the progress every few seconds."""

    def __init__(self, console: Console, what: str, total: int) -> None:
        self._console = console
        self._what = what
        self._total = total
        self._done = self._said = 0
        self._said_at = time.monotonic()

    def __call__(self, number: int) -> None:
        self._done += number
        now = time.monotonic()
        if now - self._said_at >= (EVERY_S if self._done != self._said else STILL_EVERY_S):
            self._said_at, self._said = now, self._done
            share = self._done / max(1, self._total)
            line = f"{self._what}: {self._done:,} of {self._total:,} records ({share:.0%})"
            self._console.print(line, soft_wrap=True, markup=False)
