"""`netfollowers rejected`: finds rejected records, and sends them again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands import rejected_replay
from service.commands.shared_options import add_records
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "rejected"
HELP: Final = "find and understand rejected records, and send them again"
DESCRIPTION: Final = """\
`list`, `show` and `stats` read the rejected topic. `replay` writes each record as a
JSON line to the --filter command and reads a corrected line (key, value) from it. With
--send it sends these records to the input; otherwise it is a dry run. The event id
stays the same, so a record that is sent twice counts once. A record that was replayed
before is not replayed again.
"""
EXAMPLES: Final = (
    "netfollowers rejected stats --since 2026-11-23T00:00:00Z",
    "netfollowers rejected list --reason bad_time --limit 20",
    "netfollowers rejected show 3:1742",
    "netfollowers rejected replay --reason bad_time --filter ./correct.py --rate 500 --send",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rejected`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add_records(actions.add_parser)
    rejected_replay.add_options(actions.add_parser("replay", help=rejected_replay.HELP))


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print rejected records, or send them again."""
    if options.action == "replay":
        return rejected_replay.run(settings, options)
    from service.commands import refused_records

    return refused_records.print_records(settings, options, settings.rejected_topic)
