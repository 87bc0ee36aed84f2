"""`netfollowers demo`: shows the service at work."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.option_types import count, number
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "demo"
HELP: Final = "see the service at work: a broker, workers, live events, a real channel, an audit"
DESCRIPTION: Final = """\
Starts a local broker and a worker that counts live synthetic events. Then a second
worker counts 7.4 years of a real channel. At the end an audit recomputes both results
with independent code and compares. Nothing keeps running. Files are in --output-dir.
"""
EXAMPLES: Final = (
    "netfollowers demo",
    "netfollowers demo --seconds 15",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `demo`."""
    add = parser.add_argument
    add(
        "--seconds",
        type=number,
        default=60.0,
        metavar="S",
        help="seconds of live events (%(default)g)",
    )
    add(
        "--rate",
        type=number,
        default=5_000.0,
        metavar="N",
        help="live events per second (%(default)g)",
    )
    add("--accounts", type=count, default=3_000, metavar="N", help="live accounts (%(default)s)")
    add("--seed", type=int, default=1, help="seed of the live events (%(default)s)")
    add("--output-dir", default="demo-output", metavar="DIR", help="folder for files (%(default)s)")
    add("--browser", action="store_true", help="open the page of the worker in a browser")
    add(
        "--broker",
        default="auto",
        choices=("auto", "kafka", "tansu"),
        help="auto: Kafka if Java and Maven are installed, otherwise Tansu (%(default)s)",
    )


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Show everything."""
    from service.demo import command

    return command.run(settings, options)
