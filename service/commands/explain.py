"""`netfollowers explain`: lists the records that make up a number."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.option_types import moment, whole
from service.commands.shared_options import add_files
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "explain"
HELP: Final = "list the input records that make up an account's number, and the rejected ones"
DESCRIPTION: Final = """\
Reads the partition of the account and prints every record of the account up to the
committed position: offset, times, change, sum so far, and why it was rejected or late.
At the end it prints the sum and the published number. Exit code 1: they differ, or the
account has no record. 4: retention has deleted records of the account.
"""
EXAMPLES: Final = (
    "netfollowers explain acct-7",
    "netfollowers explain acct-7 --window 2024-05-01T10:00:00Z --grain 1h",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `explain`."""
    add = parser.add_argument
    add("account", metavar="ACCOUNT")
    add(
        "--window",
        type=moment,
        metavar="START",
        help="only the window that begins at START (RFC 3339 or epoch ms)",
    )
    add("--grain", default="1h", metavar="G", help="length of the window (%(default)s)")
    add(
        "--partition",
        type=whole,
        metavar="N",
        help="partition of the account (default: by hash of its id)",
    )
    add_files(parser)


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print the records of the account, and their sum."""
    from service.commands import account_records

    return account_records.explain_account(settings, options)
