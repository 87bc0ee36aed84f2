"""JSON Lines files: '-' is standard input or output, a name that ends in .gz is compressed."""

from __future__ import annotations

import contextlib
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast


@contextlib.contextmanager
def open_output(name: str) -> Iterator[IO[bytes]]:
    """Open for writing bytes."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif name.endswith(".gz"):
        with gzip.open(name, "wb") as out:
            yield cast("IO[bytes]", out)
    else:
        with Path(name).open("wb") as out:
            yield out


@contextlib.contextmanager
def open_input(name: str) -> Iterator[IO[bytes]]:
    """Open for reading bytes."""
    if name == "-":
        yield sys.stdin.buffer
    elif name.endswith(".gz"):
        with gzip.open(name, "rb") as lines:
            yield cast("IO[bytes]", lines)
    else:
        with Path(name).open("rb") as lines:
            yield lines
