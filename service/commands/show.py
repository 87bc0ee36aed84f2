"""`netfollowers show`: prints the newest row of an account."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "show"
HELP: Final = "print the newest row of an account from the updates topic"
DESCRIPTION: Final = """\
Reads the updates topic with read_committed, like any other consumer. Exit code 1: the
account has no row.
"""
EXAMPLES: Final = (
    "netfollowers show acct-7",
    "netfollowers show acct-7 --json | jq .followers",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `show`."""
    parser.add_argument("account", metavar="ACCOUNT")
    parser.add_argument("--json", action="store_true", help="print the row as its original bytes")


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print the row of the account."""
    from service.commands import account_row

    return account_row.show(settings, options)
