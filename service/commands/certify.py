"""`netfollowers certify`: prints a hash of each partition."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from service.commands.option_types import whole
from service.commands.shared_options import add_files
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "certify"
HELP: Final = "print a hash per partition over all results that depend only on the input"
DESCRIPTION: Final = """\
The hash covers the results up to the committed offset: totals, kept windows, the last
revision of every older window, late and rejected records, watermark and counts. The
same input and settings give the same hash with any number of workers, any batch size
and any restarts. --recompute computes the hash from the input alone, with independent
code. It is equal if the published results are right. Exit code 4: retention has
deleted records that are needed.
"""
EXAMPLES: Final = (
    "netfollowers certify",
    "netfollowers certify --recompute --partition 0",
    "netfollowers certify --offset 1000000",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `certify`."""
    add = parser.add_argument
    add("--partition", type=whole, metavar="N", help="only this partition")
    add(
        "--recompute",
        action="store_true",
        help="compute the hash from the input, with independent code",
    )
    add(
        "--offset",
        type=whole,
        metavar="N",
        help="with --recompute: up to this offset (default: the commit)",
    )
    add_files(parser)


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Print the hash of each partition."""
    from service.commands import partition_hashes

    return partition_hashes.print_hashes(settings, options)
