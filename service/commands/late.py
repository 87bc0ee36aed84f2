"""`netfollowers late`: finds late events."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.shared_options import add_records
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "late"
HELP: Final = "find and understand events that came too late for a window"
DESCRIPTION: Final = """\
The totals already contain late events, so there is nothing to replay.
"""
EXAMPLES: Final = (
    "netfollowers late stats",
    "netfollowers late list --account acct-7",
    "netfollowers late show 3:1742",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `late`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_records(actions.add_parser)


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print late events."""
    from service.commands import refused_records

    return refused_records.print_records(settings, options, settings.late_topic)
