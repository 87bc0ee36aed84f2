"""A temporary local broker: real Kafka from jars, or Tansu where there is no Java.

    with start_local_broker() as broker:
        ...  # broker.bootstrap

Each broker has its own ports and log directory, and ends with this process. As a command line,
`python -m service.local.broker run` keeps one until Ctrl-C, and `jars` fetches Kafka's jars.
"""

# ruff: noqa: T201 - also a command line

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Self

from service.errors import BrokerError
from service.local.broker_commands import (
    kafka_command,
    server_properties,
    tansu_command,
)
from service.local.child_process import Child
from service.local.kafka_jars import KafkaJarsError, jars, java
from service.local.ports import answers, free_ports

__all__ = ["NOTHING", "Kind", "LocalBroker", "start_local_broker"]

Kind = Literal["kafka", "tansu", "external"]
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_SILENT_FOR_S: Final = 60.0
_SETTLED_AFTER_S: Final = 0.1
_PORT_TRIES: Final = 3
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_IN_USE: Final = " in use"
_OWN: Final = "netfollowers-broker-"
_STARTED: Final = {"kafka": b"Kafka Server started", "tansu": b"ready in"}
_log: Final = logging.getLogger(__name__)


class LocalBroker:
    """A broker made by `start_local_broker`.

    It ends with `stop`, the `with` block or the process.
    """

    def __init__(
        self, kind: Kind, bootstrap: str, command: Sequence[str], *, log: Path, own: Path | None
    ) -> None:
        """Start `command` and wait until it answers. `own`: a directory that `stop` removes."""
        self.kind: Final = kind
        self.bootstrap: Final = bootstrap
        self.log: Final = log
        self._command: Final = command
        self._own: Final = own
        self._child: Child | None = None
        if kind != "external":
            atexit.register(self.stop)
            try:
                self.restart()
            except BaseException:
                self.stop()
                raise

    @property
    def has_transactions(self) -> bool:
        """True if exactly once works. An external broker is assumed to be a real Kafka."""
        return self.kind != "tansu"

    @property
    def pid(self) -> int | None:
        """Process id of a broker that this process started, else None."""
        return None if self._child is None else self._child.pid

    @property
    def is_running(self) -> bool:
        """True if this process started a broker that has not ended."""
        return self._child is not None and self._child.is_running

    def restart(self) -> None:
        """Start again on the same port and log directory. Tansu keeps no data."""
        assert self.kind != "external", "this process did not start the broker"
        assert not self.is_running, "the broker is still running"
        log_from = self.log.stat().st_size if self.log.exists() else 0
        self._child = Child(self._command, self.log)
        self._wait_until_it_answers(self._child, log_from)

    def stop(self) -> None:
        """Stop the broker cleanly and remove its files.

        A second call, or an external broker: no effect.
        """
        atexit.unregister(self.stop)
        if self._child is not None:
            self._child.stop()
            self._child = None
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def kill(self) -> None:
        """End the broker with SIGKILL. `restart` finds the data that it had written."""
        self._running().kill()

    def pause(self) -> None:
        """Freeze the broker. Connections stay open, but nothing answers."""
        self._running().pause()

    def resume(self) -> None:
        """Continue after `pause`."""
        self._running().resume()

    def check(self) -> None:
        """Raise BrokerError if the broker has ended by itself."""
        if self._child is not None and not self._child.is_running:
            message = f"{self.kind} at {self.bootstrap} has ended:\n{self._last_lines()}"
            raise BrokerError(message)

    def __enter__(self) -> Self:
        """Return the broker, which is running already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def _running(self) -> Child:
        assert self._child is not None, "this process has no running broker"
        return self._child

    def _wait_until_it_answers(self, child: Child, log_from: int) -> None:
        """Wait for an answer and for the line in its log.

        On a taken port another broker answers.
        """
        host, port = self.bootstrap.split(":")
        size, give_up_at = -1, 0.0
        started = _STARTED[self.kind]
        while started not in self.log.read_bytes()[log_from:] or not answers(host, int(port)):
            now, found = time.monotonic(), self.log.stat().st_size
            if found != size:  # it is slow, but it makes progress
                size, give_up_at = found, now + _SILENT_FOR_S
            if not child.is_running or now > give_up_at:
                message = f"{self.kind} at {self.bootstrap} does not answer:\n{self._last_lines()}"
                raise BrokerError(message)
            time.sleep(0.05)
        time.sleep(_SETTLED_AFTER_S)
        if not child.is_running or _IN_USE in self._last_lines():
            message = f"{self.kind} at {self.bootstrap} ended at once:\n{self._last_lines()}"
            raise BrokerError(message)

    def _last_lines(self) -> str:
        return _COLOUR.sub("", self.log.read_text(errors="replace")[-2_000:]).strip()


def start_local_broker(
    kind: Literal["auto", "kafka", "tansu"] = "auto",
    *,
    log_dir: Path | None = None,
    port: int | None = None,
    overrides: Mapping[str, str] = NOTHING,
) -> LocalBroker:
    """Start a broker and wait until it answers a request.

    "auto": the brokers of NETFOLLOWERS_BROKERS if set (nothing is started), else Kafka, else Tansu.
    `overrides`: server.properties of Kafka. `log_dir`: `stop` keeps it (default: a temporary one).
    Errors: KafkaJarsError, BrokerError.
    """
    if kind == "auto":
        external = os.environ.get("NETFOLLOWERS_BROKERS", "")
        if external:
            return LocalBroker("external", external, (), log=Path(os.devnull), own=None)
        kind = _best_here()
    for attempt in range(1, _PORT_TRIES + 1):
        try:
            return _start(kind, log_dir, port, overrides)
        except BrokerError as failed:  # another program took the port after it was chosen
            if port is not None or _IN_USE not in str(failed) or attempt == _PORT_TRIES:
                raise
    raise AssertionError


def _best_here() -> Literal["kafka", "tansu"]:
    try:
        java()
        jars()
    except KafkaJarsError as missing:
        _log.warning(
            "NO REAL KAFKA: %s. Tansu is used instead. It has no transactions, so AT LEAST ONCE "
            "only, and it keeps data only in memory.",
            missing,
        )
        return "tansu"
    return "kafka"


def _start(
    kind: Literal["kafka", "tansu"],
    log_dir: Path | None,
    port: int | None,
    overrides: Mapping[str, str],
) -> LocalBroker:
    _remove_left_behind()
    own = Path(tempfile.mkdtemp(prefix=f"{_OWN}{os.getpid()}-")) if log_dir is None else None
    try:
        directory = (own or log_dir or Path()).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        free, controller = free_ports(2)
        chosen = port or free
        if kind == "tansu":
            command = tansu_command(chosen)
        else:
            properties = server_properties(directory, chosen, controller, overrides)
            command = kafka_command(properties, directory)
        log = directory / "broker.log"
        return LocalBroker(kind, f"127.0.0.1:{chosen}", command, log=log, own=own)
    except BaseException:
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)
        raise


def _remove_left_behind() -> None:
    """Remove the directories of brokers whose starting process was killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_OWN}*-*"):
        try:
            os.kill(int(left.name.removeprefix(_OWN).split("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except (
            ValueError,
            PermissionError,
        ):  # not such a directory, or its process is alive and belongs to another user
            continue


def main(arguments: Sequence[str]) -> int:
    """Run `jars` (fetch Kafka's jars; always returns 0) or `run` (a broker until Ctrl-C)."""
    if list(arguments) == ["jars"]:
        try:
            java()
            print(f"Kafka's jars are in {os.path.relpath(jars())}")
        except KafkaJarsError as missing:
            print(f"No real Kafka: {missing}. The demo uses Tansu. Tests with transactions skip.")
        return 0
    if list(arguments) == ["run"]:
        with start_local_broker() as broker:
            print(f"{broker.kind} at {broker.bootstrap}; Ctrl-C ends it")
            try:
                while broker.pid is not None:
                    time.sleep(1.0)
            except KeyboardInterrupt:
                return 0
    print("usage: python -m service.local.broker jars|run", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
