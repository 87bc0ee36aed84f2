"""Files to write: '-' is standard output, a name that ends in .gz is compressed."""

from __future__ import annotations

import contextlib
import gzip
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from service.errors import UsageError


def check_outputs(outputs: Iterable[str | None], inputs: Iterable[str]) -> None:
    """Raise UsageError if a file to write is also read or written twice, also by another name."""
    taken = list(inputs)
    for name in outputs:
        if not name or name == "-":
            continue
        for before in taken:
            if _is_same(name, before):
                message = f"{name} and {before} are one file: its content would be lost"
                raise UsageError(message)
        taken.append(name)


def _is_same(name: str, other: str) -> bool:
    """Tell whether two names are one file. '-' is the file of standard input."""
    try:
        found = os.fstat(sys.stdin.fileno()) if other == "-" else Path(other).stat()
        return os.path.samestat(Path(name).stat(), found)
    except (OSError, ValueError):  # not there yet, or standard input is no file
        return Path(name).resolve() == Path(other).resolve()


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
