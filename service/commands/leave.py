"""`netfollowers leave`: removes a stopped worker from the group."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.errors import UsageError
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "leave"
HELP: Final = "scale in: give the partitions of a stopped worker to the others at once"
DESCRIPTION: Final = """\
A stopped worker with an instance id remains a member of the group, so that a restart
causes no rebalance. To remove a worker for good, stop it and give its instance id
here. Without this command its partitions wait for NETFOLLOWERS_SESSION_TIMEOUT_S.
Exit code 1: the group has no such member.
"""
EXAMPLES: Final = (
    "netfollowers leave worker-3",
    "NETFOLLOWERS_APP_ID=other NETFOLLOWERS_INSTANCE_ID=worker-3 netfollowers leave",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `leave`."""
    parser.add_argument(
        "instance_id",
        nargs="?",
        metavar="INSTANCE_ID",
        help="instance id of the stopped worker (NETFOLLOWERS_INSTANCE_ID)",
    )


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Remove the member. UsageError: no name is given. UnknownMemberError."""
    import asyncio

    from service.kafka import group_admin

    instance_id = options.instance_id or settings.instance_id
    if not instance_id:
        message = "leave: name a worker: INSTANCE_ID or NETFOLLOWERS_INSTANCE_ID"
        raise UsageError(message)
    remaining = asyncio.run(group_admin.leave(settings, instance_id))
    print(f"{instance_id} has left group {settings.app_id}; members now: {len(remaining)}")
    return ExitCode.OK
