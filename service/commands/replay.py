"""`netfollowers replay`: counts JSON Lines without a broker."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.option_types import baseline, whole
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "replay"
HELP: Final = "count JSON Lines without a broker: print a table, write results, draw a plot"
DESCRIPTION: Final = """\
Reads files into the counting engine and prints the accounts that changed most.
Each line is a follow event. `log_time_ms` in a line has the effect of the log timestamp
of a broker. A file may be gzip, begin with a byte order mark, or hold one JSON array.
Rejected lines are counted, and the first of them are shown. The exit code is 1 if all
lines were rejected. --channel reads the real channel in the package: 7.4 years of events, with
a check of every day.
"""
EXAMPLES: Final = (
    "netfollowers replay events.jsonl.gz --close --results results.jsonl",
    "netfollowers replay events.jsonl --plot acct-7 --grain 1h --png acct-7.png",
    "netfollowers replay --channel --plot",
    "netfollowers generate --events 100000 --output - | netfollowers replay -",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `replay`."""
    add = parser.add_argument
    add(
        "files",
        nargs="*",
        metavar="FILE",
        help="JSON Lines (also gzip), or one JSON array, or '-' for standard input",
    )
    add(
        "--channel", action="store_true", help="read the real channel; exit code 1 if a day differs"
    )
    add("--top", type=whole, default=20, metavar="N", help="rows in the table (%(default)s)")
    add("--results", metavar="FILE", help="write every result record as JSON Lines ('-', *.gz)")
    add(
        "--baseline",
        action="append",
        default=[],
        type=baseline,
        metavar="ACCOUNT=N[@MS]",
        help="followers of the account at the start (or at MS); repeat for more accounts",
    )
    add(
        "--close",
        action="store_true",
        help="end with a heartbeat, so that every window becomes final",
    )
    add(
        "--plot",
        nargs="?",
        const="",
        metavar="ACCOUNT",
        help="draw gains and losses of an account as a PNG",
    )
    add("--grain", default="1d", metavar="G", help="window length of the plot (%(default)s)")
    add("--png", metavar="FILE", help="file of the plot (plot.png)")


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Count the files, and print the table."""
    from service.commands import replay_files

    return replay_files.replay(settings, options)
