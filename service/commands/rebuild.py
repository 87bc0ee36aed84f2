"""`netfollowers rebuild`: rebuilds a checkpoint that was overwritten."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.option_types import ranges, whole
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "rebuild"
HELP: Final = "rebuild a checkpoint that another client has overwritten"
DESCRIPTION: Final = """\
For a group whose commit was overwritten or lost: another client with the same group id
committed while no worker ran, or the offsets expired. Computes position, watermark,
counts and sweep from the result topics and the input log. Stop all workers first, and
use their settings. Nothing is committed unless the audit agrees. A dry run unless
--yes. Exit code 1: the command refused, and says why. 4: done, but not every check was
possible.
"""
EXAMPLES: Final = (
    "netfollowers rebuild",
    "netfollowers rebuild --yes",
    "netfollowers rebuild --partition 3 --rules 0:1,81234:2 --yes",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rebuild`."""
    add = parser.add_argument
    add(
        "--partition",
        type=whole,
        metavar="N",
        help="only this partition, even if its commit is valid",
    )
    add(
        "--rules",
        type=ranges,
        metavar="R",
        help="first offset of each rule version (default: the newest, or the first that agrees)",
    )
    add("--yes", action="store_true", help="make the change (otherwise a dry run)")


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print what would be committed, or commit it."""
    from service.commands import rebuild_partitions

    return rebuild_partitions.rebuild(settings, options)
