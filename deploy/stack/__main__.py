"""`make stack`: the stack on this machine until Ctrl-C or SIGTERM, which end all of it."""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from deploy.stack import configuration
from deploy.stack.found import Found, look
from deploy.stack.stack import Stack, StackError, is_free
from service.errors import BrokerError
from service.local.broker import LocalBroker, start_local_broker
from service.local.kafka_jars import KafkaJarsError

_HOME: Final = configuration.ROOT / "build" / "stack"
_LOOK_S: Final = 0.5


class Ended(BaseException):
    """A signal has asked the stack to end."""


def main() -> int:
    """Start everything, wait, end everything. Return the exit code."""
    parser = argparse.ArgumentParser(prog="make stack", description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="events per second; 0: none")
    parser.add_argument("--home", type=Path, default=_HOME, help="logs and state, made anew")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    home = arguments.home.absolute()
    try:
        found = look()
        shutil.rmtree(home, ignore_errors=True)
        with (
            _broker(home) as broker,
            Stack(home, broker.bootstrap, with_usual_ports=True) as stack,
        ):
            _run(stack, found, arguments.rate)
    except Ended:
        print("ended", flush=True)
        return 0
    except KafkaJarsError as missing:
        print(f"make stack: it needs a real Kafka: {missing}", file=sys.stderr)
        return 1
    except (StackError, BrokerError) as failed:
        print(f"make stack: {failed}", file=sys.stderr)
        return 1
    return 0


def _end(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # a second one must not interrupt the ending
        signal.signal(number, signal.SIG_IGN)
    print("ending ...", flush=True)
    raise Ended


def _broker(home: Path) -> LocalBroker:
    usual = configuration.port_of("kafka")
    port = usual if is_free(usual) else None
    print("starting Kafka ...", flush=True)
    return start_local_broker("kafka", log_dir=home / "kafka", port=port)


def _run(stack: Stack, found: Found, rate: float) -> None:
    names = ["topics", "workers"]
    names += ["Prometheus"] if found.prometheus else []
    names += ["Grafana"] if found.grafana else []
    print(f"starting {', '.join(names)} ...", flush=True)
    stack.create_topics()
    stack.start_workers()
    if found.prometheus:
        stack.start_prometheus(found.prometheus)
    if found.grafana:
        stack.start_grafana(found.grafana)
    asyncio.run(stack.until_ready())
    if rate:
        stack.start_generator(rate)
    _print_addresses(stack, rate)
    never = threading.Event()
    while not never.wait(_LOOK_S):
        stack.check()


def _print_addresses(stack: Stack, rate: float) -> None:
    print(f"  {'kafka':<11} {stack.brokers}")
    for part in stack.parts.values():
        note = "   its page; also /api, /metrics" if part.name in configuration.WORKERS else ""
        print(f"  {part.name:<11} {part.url or f'{rate:g} events per second'}{note}")
    print(f"logs: {stack.home}. Ctrl-C ends all of it.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
