"""The console to which the commands print, and the drawing of flows into a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from service.charts.printable import plain
from service.charts.series import Flow, utc

WIDEST: Final = 100
"""Number of columns of all output where there is no terminal."""


class _Console(Console):
    """Treats a closed output as a normal error. rich would end the process, even inside a task."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


def new_console(*, stderr: bool = False) -> Console:
    """Make a console that is WIDEST wide if the output is not a terminal."""
    console = _Console(stderr=stderr, highlight=False)
    if console.is_terminal:
        return console
    return _Console(stderr=stderr, highlight=False, width=WIDEST)


def printable(name: str, style: str = "") -> Text:
    """Make a name of unknown origin safe to print: no markup, no control characters."""
    return Text(plain(name), style)


def draw(flows: Sequence[Flow], console: Console, png: Path) -> None:
    """Draw all flows into one PNG. Print the scenes of the first one, and the file's name."""
    if not flows[0].bars:
        console.print(f"{flows[0].title}: nothing happened", soft_wrap=True, markup=False)
        return
    from service.charts.png import ebb_and_flow_png  # noqa: PLC0415 - half a second

    for scene in flows[0].scenes:
        console.print(f"{utc(scene.at_ms)} {scene.text}", soft_wrap=True, markup=False)
    ebb_and_flow_png(flows, png)
    console.print(f"drawn to {png}", soft_wrap=True, markup=False)
