"""Writes synthetic events to a file of JSON Lines, each with its log time."""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from typing import Final

from service.commands.offline_engine import record_of
from service.commands.output import open_output
from service.contract.input_record import Rejection, judge
from service.exit_codes import ExitCode
from service.synthetic.events import Made, Shape, Synthetic
from service.synthetic.paced_source import PACE

FILE_START_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
FILE_EVENTS: Final = 10_000


def write(shape: Shape, options: argparse.Namespace) -> ExitCode:
    """Write the events that the options ask for."""
    rate = options.rate or PACE
    start_ms = FILE_START_MS if options.start_ms is None else options.start_ms
    count = options.events or round((options.seconds or 0) * rate) or FILE_EVENTS
    written = 0
    source = Synthetic(shape)
    first = list(source.baselines(start_ms)) if options.baselines else []
    with open_output(options.output) as out:
        records = chain(first, source.span(start_ms, rate=rate, count=count))
        for index, made in enumerate(records, start=-len(first)):
            line = as_line(made, log_time_ms=start_ms + int(max(index, 0) * 1_000 / rate))
            if line is not None:
                out.write(line)
                written += 1
    print(f"wrote {written:,} lines to {options.output}", file=sys.stderr)
    return ExitCode.OK


def as_line(made: Made, *, log_time_ms: int) -> bytes | None:
    """Return a record as a line with its log time; None for a bad record that is valid as a line.

    A line has no key. `replay` uses the account_id as the key.
    """
    value = made.value
    if made.kind != "bad":
        assert value is not None
        return b'%s,"log_time_ms":%d}\n' % (value[:-1], log_time_ms)
    if not value or b"\n" in value or not isinstance(judge(record_of(value, 0)), Rejection):
        return None
    return value + b"\n"
