"""`netfollowers topics`: creates the topics, or checks them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "topics"
HELP: Final = "create the topics, or check their configuration"
DESCRIPTION: Final = """\
`create` creates missing topics and changes nothing else. `check` compares partitions,
cleanup policy, timestamp type and message size with what a worker needs. It prints the
command that corrects each difference.
"""
EXAMPLES: Final = (
    "NETFOLLOWERS_PARTITIONS=12 netfollowers topics create",
    "netfollowers topics check",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `topics`."""
    parser.add_argument("action", choices=("create", "check"))


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Create the topics, or print what is wrong with them."""
    import asyncio

    from service.kafka import topic_admin

    if options.action == "create":
        for line in asyncio.run(topic_admin.create(settings)):
            print(line)
        return ExitCode.OK
    findings = asyncio.run(topic_admin.check(settings))
    for finding in findings:
        print(f"{finding.text}\n    fix: {finding.fix}")
    if not findings:
        print("the topics are configured correctly")
    return ExitCode.WRONG if findings else ExitCode.OK
