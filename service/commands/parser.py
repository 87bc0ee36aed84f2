"""The parser of the command line, put together from what each command says of itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Final

from service import __version__
from service.commands import Command
from service.exit_codes import ExitCode

_ABOUT: Final = "Count followers gained and lost, per account, minute, hour and day."
_EXAMPLES: Final = ("netfollowers demo", "netfollowers topics create", "netfollowers worker")
_SETTINGS: Final = """\
Settings are environment variables (NETFOLLOWERS_BROKERS, ...). The page
docs/operate/settings.md lists all of them.
"""


def parser_of(commands: Iterable[Command]) -> argparse.ArgumentParser:
    """Build the parser. `run` among the parsed options is that of the command that was called."""
    parser = argparse.ArgumentParser(
        prog="netfollowers",
        description=_ABOUT,
        epilog=_epilog(_EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"netfollowers {__version__}")
    actions = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in commands:
        own = actions.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.DESCRIPTION,
            epilog=_epilog(command.EXAMPLES),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_options(own)
        own.set_defaults(run=command.run)
    return parser


def _epilog(examples: Iterable[str]) -> str:
    shown = "".join(f"  {example}\n" for example in examples)
    codes = "".join(f"  {code.value:<4} {code.meaning}\n" for code in ExitCode)
    return f"examples:\n{shown}\nexit codes:\n{codes}\n{_SETTINGS}"
