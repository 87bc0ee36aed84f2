"""The commands of netfollowers: a command is the file of its name, and its helpers lie beside it.

The file of a command is what the command line needs to know: texts, options, and a `run` that
imports what it works with when it is called. So `--help` imports no client and no library.
CONTRIBUTING.md has the recipe for a new one.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Protocol

from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings


class Command(Protocol):
    """What the file of a command has."""

    NAME: str
    HELP: str
    """One line, for the list of commands."""
    DESCRIPTION: str
    EXAMPLES: tuple[str, ...]

    def add_options(self, parser: ArgumentParser) -> None:
        """Add its options and arguments to its parser."""

    def run(self, settings: Settings, options: Namespace) -> ExitCode:
        """Do the work. An error of `service/errors.py` becomes one line and an exit code."""
        ...
