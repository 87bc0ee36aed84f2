"""`netfollowers audit`: recomputes all results with independent code."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.option_types import whole
from service.commands.shared_options import add_files
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "audit"
HELP: Final = "recompute all results from the input, with independent code, and compare"
DESCRIPTION: Final = """\
Reads the input and all results. Recomputes the results with code that shares nothing
with the worker. Compares every row, window, late record, rejected record and the
commit. It reads one partition after the other. Memory grows with accounts and kept
windows, not with events. Workers may run meanwhile: a partition is compared as of one
of its commits, and later records are not read. (With at_least_once, stop the workers
first: they write results before the position. All results are then held in memory,
because any of them may be repeated.) If retention has deleted records, the audit
prints what it could not check and exits with 4, or with 1 if it found a difference.
"""
EXAMPLES: Final = (
    "netfollowers audit",
    "netfollowers audit --partition 3",
    "netfollowers audit --dump audit-files && netfollowers audit --files audit-files",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `audit`."""
    parser.add_argument("--partition", type=whole, metavar="N", help="only this partition")
    parser.add_argument(
        "--at-rest",
        action="store_true",
        help="the workers have read everything and stopped: every final window must be published",
    )
    place = parser.add_mutually_exclusive_group()
    add_files(place)
    place.add_argument(
        "--dump",
        metavar="DIR",
        help="write the records that an audit needs to DIR, without an audit",
    )


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Audit, or write the records that an audit needs."""
    from service.commands import audit_report

    return audit_report.audit_or_dump(settings, options)
