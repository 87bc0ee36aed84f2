"""`netfollowers generate`: makes synthetic events, for the input topic or for a file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.option_types import count, number, share, whole
from service.errors import UsageError
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings
    from service.synthetic.events import Shape

NAME: Final = "generate"
HELP: Final = "send synthetic follow events to the input topic, or write them to a file"
DESCRIPTION: Final = """\
Every event is labelled "synthetic": true. The same options and seed give the same
events. Events for a topic have the current time, unless --start-ms sets another.
"""
EXAMPLES: Final = (
    "netfollowers generate --rate 5000 --seconds 60 --surges 12 --heartbeats",
    "netfollowers generate --rate 0 --events 1000000 --duplicates 0.02 --late 0.01 --bad 0.01",
    "netfollowers generate --events 10000 --output events.jsonl.gz",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `generate`."""
    add = parser.add_argument
    add("--seed", type=int, default=1, help="the same seed gives the same events (%(default)s)")
    add("--accounts", type=count, default=5_000, metavar="N", help="accounts (%(default)s)")
    add(
        "--skew",
        type=number,
        default=0.0,
        metavar="A",
        help="0: equally many events per account (default); 1.1: most for a few (Pareto exponent)",
    )
    add(
        "--rate",
        type=number,
        default=1_000.0,
        metavar="N",
        help="events per second; 0: as fast as possible (%(default)g)",
    )
    add(
        "--unfollow-share",
        type=share,
        default=0.3,
        metavar="P",
        help="share of unfollows, 0 to 1 (%(default)s)",
    )
    add(
        "--disorder-s",
        type=number,
        default=0.5,
        metavar="S",
        help="events are late by |normal(0, S)| seconds (%(default)s)",
    )
    add("--duplicates", type=share, default=0.0, metavar="P", help="share of events sent twice (0)")
    add(
        "--late",
        type=share,
        default=0.0,
        metavar="P",
        help="share of events too late for the smallest window (0)",
    )
    add("--bad", type=share, default=0.0, metavar="P", help="share of invalid records (0)")
    add(
        "--surges",
        type=whole,
        default=0,
        metavar="N",
        help="number of accounts that grow or shrink fast at a time (%(default)s)",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--events", type=count, metavar="N", help="stop after N events")
    length.add_argument("--seconds", type=number, metavar="S", help="stop after S seconds")
    add(
        "--heartbeats",
        action="store_true",
        help="one heartbeat per second and partition, to close windows",
    )
    add(
        "--baselines",
        action="store_true",
        help="first send the number of followers of each account",
    )
    add("--start-ms", type=whole, metavar="MS", help="time of the first event (epoch ms)")
    add("--output", metavar="FILE", help="write JSON Lines to FILE, not to the topic ('-', *.gz)")
    add("--topic", help="topic to send to (NETFOLLOWERS_INPUT_TOPIC)")


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Send events to the topic, or write them to a file."""
    from service.commands import generate_to_file, generate_to_topic

    shape = _shape(settings, options)
    if options.output:
        return generate_to_file.write(shape, options)
    return generate_to_topic.send(settings, shape, options)


def _shape(settings: Settings, options: argparse.Namespace) -> Shape:
    """Build the shape of the events. UsageError: the shares do not go together."""
    from service.synthetic.events import Shape, late_after_ms

    try:
        return Shape(
            seed=options.seed,
            accounts=options.accounts,
            skew=options.skew,
            unfollow_share=options.unfollow_share,
            disorder_s=options.disorder_s,
            duplicates=options.duplicates,
            late=options.late,
            bad=options.bad,
            surges=options.surges,
            late_after_ms=late_after_ms(settings.rules.grains),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
