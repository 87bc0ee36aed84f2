"""Workers, Prometheus and Grafana as processes, each with a log of its own, ended by pid."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from deploy.stack import configuration
from deploy.stack.configuration import WORKERS
from service.local.child_process import Child
from service.local.ports import free_ports
from service.settings import PREFIX

_SILENT_FOR_S: Final = 60.0
_STOPS_WITHIN_S: Final = 40.0
_POLL_S: Final = 0.1
_LAST_LINES: Final = 15
_MODULE: Final = (sys.executable, "-m", "service")


class StackError(RuntimeError):
    """A part has ended or has never answered. The message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack."""

    name: str
    child: Child
    log: Path
    url: str = ""

    def last_words(self) -> str:
        """Say that it has ended, and the end of its log."""
        head = f"{self.name} has ended; its log {self.log} ends with:"
        return "\n".join([head, *self.last_lines()])

    def last_lines(self) -> list[str]:
        """The end of its log."""
        return self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]


class Stack:
    """`with`: what was started has ended afterwards, in the order in which it must end."""

    def __init__(
        self,
        home: Path,
        brokers: str,
        *,
        changes: Mapping[str, str] | None = None,
        with_usual_ports: bool = False,
        worker_code: str = "",
    ) -> None:
        """`home`: a directory for logs and state. `changes`: variables that differ from compose.

        `worker_code`: Python that runs a worker with a planted fault, instead of the command.
        """
        self.home = home
        self.brokers = brokers
        self.parts: dict[str, Part] = {}
        self._changes = dict(changes or {})
        self._with_usual_ports = with_usual_ports
        self._worker_code = worker_code
        home.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every part, the last one first."""
        for part in reversed(self.parts.values()):
            part.child.stop(_STOPS_WITHIN_S)

    def create_topics(self) -> None:
        """Run compose's service `topics` to its end. StackError."""
        done = subprocess.run(
            [*_MODULE, *configuration.command_of("topics")],
            env=configuration.environment_of("topics", self.brokers, self._changes),
            cwd=configuration.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            message = f"topics: {done.stdout}{done.stderr}"
            raise StackError(message)

    def start_workers(self) -> None:
        """Start compose's workers, without waiting."""
        for name in WORKERS:
            port = self._port(name)
            changes = {**self._changes, f"{PREFIX}WEB_PORT": str(port)}
            planted = [sys.executable, "-c", self._worker_code]
            self._start(
                name,
                planted if self._worker_code else [*_MODULE, *configuration.command_of(name)],
                configuration.environment_of(name, self.brokers, changes),
                f"http://127.0.0.1:{port}",
            )

    def start_generator(self, rate: float) -> None:
        """Start compose's generator at a rate of one's own."""
        command = configuration.command_of("generator")
        command[command.index("--rate") + 1] = f"{rate:g}"
        environ = configuration.environment_of("generator", self.brokers, self._changes)
        self._start("generator", [*_MODULE, *command], environ)

    def start_prometheus(self, binary: str, *, scrape_interval_s: int | None = None) -> None:
        """Start Prometheus with the repository's rules."""
        home = self.home / "prometheus"
        shutil.rmtree(home, ignore_errors=True)
        targets = [self.parts[name].url.removeprefix("http://") for name in WORKERS]
        path = configuration.write_prometheus(home, targets, scrape_interval_s)
        address = f"127.0.0.1:{self._port('prometheus')}"
        command = [
            binary,
            f"--config.file={path}",
            f"--storage.tsdb.path={home / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ]
        self._start("prometheus", command, None, f"http://{address}")

    def start_grafana(self, binary: str) -> None:
        """Start Grafana; Prometheus is there already."""
        home = Path(binary).resolve().parents[1]
        if not (home / "conf" / "defaults.ini").exists():  # Debian's package
            home = Path("/usr/share/grafana")
        port = self._port("grafana")
        environ = configuration.grafana_environment(
            self.home / "grafana", port, self.parts["prometheus"].url
        )
        server = ["server"] if Path(binary).name == "grafana" else []
        command = [binary, *server, f"--homepath={home}"]
        self._start("grafana", command, environ, f"http://127.0.0.1:{port}")

    async def until_ready(self) -> None:
        """Wait until every part answers as its health check in compose asks. StackError."""
        paths = dict.fromkeys(WORKERS, "/ready")
        paths |= {"prometheus": "/-/ready", "grafana": "/api/health"}
        for name in self.parts.keys() & paths.keys():
            await self._until_answered(self.parts[name], paths[name])

    async def _until_answered(self, part: Part, path: str) -> None:
        """Wait as long as it writes lines to its log. StackError."""
        size, until = -1, 0.0
        while not await asyncio.to_thread(_answers, part.url + path):
            self.check()
            now, found = time.monotonic(), part.log.stat().st_size
            if found != size:
                size, until = found, now + _SILENT_FOR_S
            if now > until:
                message = f"{part.name} does not answer; its log {part.log} ends with:"
                raise StackError("\n".join([message, *part.last_lines()]))
            await asyncio.sleep(_POLL_S)

    def check(self) -> None:
        """StackError if a part has ended by itself."""
        for part in self.parts.values():
            if not part.child.is_running:
                raise StackError(part.last_words())

    def _start(
        self, name: str, command: list[str], environ: Mapping[str, str] | None, url: str = ""
    ) -> None:
        log = self.home / f"{name}.log"
        self.parts[name] = Part(name, Child(command, log, environ), log, url)

    def _port(self, name: str) -> int:
        usual = configuration.port_of(name)
        if self._with_usual_ports and is_free(usual):
            return usual
        return free_ports(1)[0]


def is_free(port: int) -> bool:
    """Tell whether no process listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - http, ours
            return bool(answer.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False
