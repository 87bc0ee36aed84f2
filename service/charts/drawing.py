"""Draws flows on a terminal and into a PNG. Matplotlib is loaded only for the PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from service.charts.series import Flow
from service.charts.terminal import ebb_and_flow
from service.commands.printable import plain

WIDEST: Final = 100
"""Largest number of columns of a drawing, and of all output where there is no terminal."""

HEIGHT: Final = 28


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


def draw(flows: Sequence[Flow], console: Console, png: Path | None) -> None:
    """Draw every flow on the terminal, and all of them into one PNG if a path is given."""
    for flow in flows:
        console.print()
        console.print(ebb_and_flow(flow, width=min(WIDEST, console.width), height=HEIGHT))
    if png is not None and flows[0].bars:
        from service.charts.png import ebb_and_flow_png  # noqa: PLC0415 - half a second

        ebb_and_flow_png(flows, png)
        console.print(f"\ndrawn to {png}", soft_wrap=True)
