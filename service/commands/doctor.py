"""`netfollowers doctor`: checks everything that a deployment needs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.option_types import count, number
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "doctor"
HELP: Final = "check brokers, topics, transactions, group, commits and input; print what to do"
DESCRIPTION: Final = """\
Checks everything that a deployment needs. For each problem it prints what to do.
Exit code 1: at least one problem is an error.
"""
EXAMPLES: Final = (
    "netfollowers doctor",
    "netfollowers doctor --records 100000",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `doctor`."""
    add = parser.add_argument
    add(
        "--records",
        type=count,
        default=10_000,
        metavar="N",
        help="number of newest input records to read (%(default)s)",
    )
    add(
        "--timeout",
        type=number,
        default=30.0,
        metavar="S",
        help="seconds for each check (%(default)g)",
    )


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Check everything, and print what to do."""
    from service.commands import doctor_checks

    return doctor_checks.check_all(settings, options)
