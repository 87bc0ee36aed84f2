"""`netfollowers rejected replay`: sends rejected records to the input again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.option_types import number
from service.commands.shared_options import add_selection
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "rejected replay"
HELP: Final = "send corrected records to the input again"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rejected replay`."""
    add_selection(parser)
    add = parser.add_argument
    add(
        "--filter",
        metavar="COMMAND",
        help="command that reads JSON Lines and writes them corrected",
    )
    add(
        "--rate",
        type=number,
        default=1_000.0,
        metavar="N",
        help="records per second; 0: as fast as possible",
    )
    add("--send", action="store_true", help="send the records (otherwise a dry run)")


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Correct the records, and send them if the options say so."""
    from service.commands import refused_resend

    return refused_resend.resend(settings, options)
