"""The process of a worker: how it ends, its memory allocator, its garbage collector."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import sys
from contextlib import suppress
from typing import Final, NoReturn

from service.exit_codes import ExitCode

log = logging.getLogger(__name__)

_M_MMAP_THRESHOLD: Final = -3
_MAPPED_FROM_BYTES: Final = 8 * 2**20
_M_TRIM_THRESHOLD: Final = -1
_TRIMMED_FROM_BYTES: Final = 64 * 2**20
_COLLECT_S: Final = 60.0


def exit_now(what: str, error: BaseException | None) -> NoReturn:
    """Log once why the worker cannot continue, and end the process.

    Open transactions end at the next open.
    """
    log.critical("exit: %s%s", what, f": {with_causes(error)}" if error else "", exc_info=error)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(ExitCode.INTERNAL)


def with_causes(error: BaseException) -> str:
    """Return an error in one line, and the errors that lie below it: each was raised from the next.

    A library often raises an error that says nothing from one that names the cause.
    """
    told, seen = [repr(error)], {id(error)}
    below: BaseException | None = error
    while below is not None:
        below = below.__cause__ or (None if below.__suppress_context__ else below.__context__)
        if below is None or id(below) in seen:
            break
        seen.add(id(below))
        told.append(repr(below))
    return ", caused by ".join(told)


def keep_small_buffers() -> None:
    """Make glibc keep the buffers of fetches and batches, and return larger ones to the system.

    By default its thresholds grow with the sizes that it has seen, and then it keeps the memory of
    a table that has grown once. Mapping every buffer again costs 6 to 18 % of the throughput in
    page faults. Without glibc this does nothing.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIMMED_FROM_BYTES)


def collect_by_hand() -> None:
    """Exclude imported objects from garbage collection, and turn off the automatic collection."""
    gc.disable()
    gc.collect()
    gc.freeze()


async def collect() -> None:
    """Collect the cycles of the libraries once a minute. The engine makes no cycles."""
    while True:
        await asyncio.sleep(_COLLECT_S)
        gc.collect()
