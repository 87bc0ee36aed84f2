"""`netfollowers worker`: runs one worker until it is stopped."""

from __future__ import annotations

import argparse
import os
import signal
from typing import TYPE_CHECKING, Final

from service.exit_codes import ExitCode

if TYPE_CHECKING:
    from service.settings import Settings

NAME: Final = "worker"
HELP: Final = "count followers: read the input topic, write the result topics"
DESCRIPTION: Final = """\
Runs one worker until SIGTERM or Ctrl-C. Several workers share the partitions.
NETFOLLOWERS_WEB_PORT serves the page, /api, /live, /ready and /metrics.
"""
EXAMPLES: Final = (
    "NETFOLLOWERS_BROKERS=kafka:9092 netfollowers worker",
    "NETFOLLOWERS_GUARANTEE=at_least_once netfollowers worker",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `worker`."""


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Run a worker until SIGTERM or SIGINT.

    The kernel drops a signal for process 1 of a container if the process has no handler. So there
    is one before the imports, which take a second.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(ExitCode.OK))
    from service.run import run as run_worker

    return run_worker(settings)
