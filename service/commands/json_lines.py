"""Reads events from files: JSON Lines, or one JSON array. '-' is standard input.

The content decides, not the name: gzip is unpacked, a byte order mark is left out, lines may end in
CRLF, and the last line needs no end. What no line can be read of is a UsageError that names the
file and what to do.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from typing import Final, cast

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from service.errors import UsageError

REMEMBERED: Final = 10_000
"""Number of records of which the line is known, counted back from the newest."""
_STEP: Final = 5_000
"""Number of lines between two updates of the progress."""
_BOM: Final = b"\xef\xbb\xbf"
_GZIP: Final = b"\x1f\x8b"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_HEAD: Final = 4_096
_BROKEN: Final = (EOFError, gzip.BadGzipFile, zlib.error)
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


class EventFiles:
    """Iterates over the records of files, one after the other; blank lines are no records."""

    def __init__(self, names: Sequence[str]) -> None:
        """Nothing is opened yet. UsageError: a name is not a file that can be read."""
        for name in names:
            if name != "-" and (not Path(name).exists() or Path(name).is_dir()):
                what = "is a directory" if Path(name).is_dir() else "no such file"
                message = f"{name}: {what}"
                raise UsageError(message)
        self._names = names
        self._lines: deque[int] = deque(maxlen=REMEMBERED)
        self.records = 0
        """Number of records that were yielded."""
        self._firsts: list[int] = []
        """By file: the number of records before it."""
        self._arrays: set[str] = set()

    def place(self, number: int) -> str:
        """Return where record `number` (0 is the first) came from: 'events.jsonl, line 3'.

        It must be one of the newest REMEMBERED records.
        """
        name = self._names[bisect_right(self._firsts, number) - 1]
        shown = "standard input" if name == "-" else Path(name).name
        what = "record" if name in self._arrays else "line"
        return f"{shown}, {what} {self._lines[number - self.records]}"

    def __iter__(self) -> Iterator[bytes]:
        """Yield the records, with a progress bar on a terminal. UsageError: a file is broken."""
        files = [Path(name) for name in self._names if name != "-"]
        size = sum(file.stat().st_size for file in files)
        is_shown = sys.stderr.isatty() and all(file.is_file() for file in files) and bool(files)
        with _progress(is_shown=is_shown) as progress:
            task = progress.add_task("replay", total=size)
            for name in self._names:
                self._firsts.append(self.records)
                number = 0
                try:
                    for number, line in enumerate(self._read(name, progress, task), 1):
                        if line.strip():
                            self._lines.append(number)
                            self.records += 1
                            yield line
                except _BROKEN as error:
                    message = f"{name}: its gzip data is cut or broken after line {number}: {error}"
                    raise UsageError(message) from None
                except PermissionError as error:
                    raise UsageError(str(error)) from None

    def _read(self, name: str, progress: Progress, task: TaskID) -> Iterator[bytes]:
        with ExitStack() as stack:
            raw = cast(
                "BufferedReader",
                sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb")),
            )
            lines: BufferedReader | gzip.GzipFile = raw
            if raw.peek(len(_GZIP))[: len(_GZIP)] == _GZIP:
                lines = stack.enter_context(gzip.GzipFile(fileobj=raw))
            head = lines.peek(_HEAD)[:_HEAD]
            if head.startswith(_UTF_16):
                message = f"{name}: it is UTF-16 text; convert it: iconv -f UTF-16 -t UTF-8"
                raise UsageError(message)
            if head.startswith(_BOM):
                lines.read(len(_BOM))
            if _begins_array(head):
                yield from self._elements(name, lines.read())
                return
            read = 0
            for number, line in enumerate(lines):
                if number % _STEP == 0 and not progress.disable:
                    progress.advance(task, raw.tell() - read)
                    read = raw.tell()
                yield line
            if not progress.disable:
                progress.advance(task, raw.tell() - read)

    def _elements(self, name: str, content: bytes) -> list[bytes]:
        """Return the elements of an array, or the lines of what only begins like one."""
        try:
            elements = [bytes(one) for one in _decode_array(content)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return content.split(b"\n")
        self._arrays.add(name)
        return elements


def _begins_array(head: bytes) -> bool:
    text = head.removeprefix(_BOM).lstrip()
    return text[:1] == b"[" and text[1:].lstrip()[:1] in {b"{", b"]"}


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
