"""Reads JSON Lines. '-' is standard input; a name that ends in .gz is compressed."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final, cast

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

_STEP: Final = 5_000
"""Number of lines between two updates of the progress."""


def read_lines(names: Sequence[str]) -> Iterator[bytes]:
    """Yield the lines of files one after the other, with a progress bar on a terminal."""
    missing = [name for name in names if name != "-" and not Path(name).is_file()]
    if missing:
        message = f"{missing[0]}: no such file"
        raise FileNotFoundError(message)
    size = sum(Path(name).stat().st_size for name in names if name != "-")
    with _progress(is_shown=sys.stderr.isatty() and "-" not in names) as progress:
        task = progress.add_task("replay", total=size)
        before = 0
        for name in names:
            if name == "-":
                yield from sys.stdin.buffer
                continue
            with Path(name).open("rb") as raw:
                for number, line in enumerate(_unpacked(name, raw)):
                    if number % _STEP == 0:
                        progress.update(task, completed=before + raw.tell())
                    yield line
                before += raw.tell()
        progress.update(task, completed=size)


def _unpacked(name: str, raw: IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if name.endswith(".gz") else raw


def _progress(*, is_shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=40),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not is_shown,
        transient=True,
    )
