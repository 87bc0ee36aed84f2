"""Files to write: '-' is standard output, a name that ends in .gz is compressed."""

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
