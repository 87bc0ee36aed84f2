"""`netfollowers forget`: erases an account."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "forget"
HELP: Final = "erase an account, by a control event in the input"
DESCRIPTION: Final = """\
Sends a control event to the input. Every recomputation then erases the account at the
same offset. Prints what remains in which topic, and for how long.
"""
EXAMPLES: Final = ("netfollowers forget acct-7",)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `forget`."""
    parser.add_argument("account", metavar="ACCOUNT")


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Send the request, and print what remains."""
    from service.commands import forget_request

    return forget_request.send_request(settings, options)
