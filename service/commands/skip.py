"""`netfollowers skip`: skips a range of the input that cannot be unpacked."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.option_types import whole
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "skip"
HELP: Final = "skip a range of the input that cannot be unpacked"
DESCRIPTION: Final = """\
For a batch that no client can read. Every worker ends there with exit code 70 and logs
topic, partition, offset and next offset. Stop all workers first. Every offset of the
range then counts as rejected, one rejected record gives the reason, and no other number
changes. A dry run unless --yes. Exit code 1: the command refused, and says why.
"""
EXAMPLES: Final = (
    "netfollowers skip --partition 3 --from 4711 --to 4760 --reason 'wrong CRC, disk of 2'",
    "netfollowers skip --partition 3 --from 4711 --to 4760 --reason 'wrong CRC' --yes",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `skip`."""
    add = parser.add_argument
    add("--partition", type=whole, required=True, metavar="N", help="partition of the input topic")
    add(
        "--from",
        type=whole,
        required=True,
        dest="start",
        metavar="A",
        help="first offset of the range",
    )
    add("--to", type=whole, required=True, dest="end", metavar="B", help="offset after the range")
    add("--reason", required=True, metavar="TEXT", help="reason to record; up to 60 characters")
    add("--yes", action="store_true", help="make the change (otherwise a dry run)")


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print the plan, or carry it out."""
    from service.commands import skip_range

    return skip_range.skip(settings, options)
