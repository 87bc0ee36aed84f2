"""Options that more than one command has."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from service.commands.option_types import whole


def add_files(place: argparse._ActionsContainer) -> None:
    """Add --files, of the commands that audit."""
    place.add_argument(
        "--files",
        metavar="DIR",
        help="read the files of `audit --dump` (JSON Lines, gzip), not the broker",
    )


def add_records(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the actions that print rejected or late records: `list`, `show` and `stats`."""
    listed = add_parser("list", help="print one line per record")
    add_selection(listed)
    listed.add_argument("--limit", type=whole, default=50, metavar="N", help="lines (%(default)s)")
    shown = add_parser("show", help="print one record: its bytes, its offset and the reason")
    shown.add_argument(
        "place", metavar="PARTITION:OFFSET", help="offset of the record in the input"
    )
    add_selection(add_parser("stats", help="print counts by reason, account and hour"))


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that select rejected or late records."""
    add = parser.add_argument
    add("--reason", metavar="R", help="only this reason (of late events: only this missed grain)")
    add("--account", metavar="A", help="only this account")
    add("--since", metavar="T", help="only records rejected at T or later (RFC 3339 or epoch ms)")
    add("--until", metavar="T", help="only records rejected before T")
