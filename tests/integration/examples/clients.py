"""The clients in `examples/`: which of them this machine can run, how, and what they said.

Knows toolchains and command lines, nothing of counting.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.optional import find, without
from tests.support.patience import SILENCE_S

ROOT: Final = Path(__file__).parents[3]
EXAMPLES: Final = ROOT / "examples"
_BUILT_WITHIN_S: Final = 480


@dataclass(frozen=True)
class Client:
    """One example: its commands, run in its directory. `lacks`: what this machine has not."""

    name: str
    lacks: Callable[[], str]
    producer: tuple[str, ...]
    consumer: tuple[str, ...]
    build: tuple[str, ...] = ()
    output: str = ""
    sources: tuple[str, str] = ("producer.py", "consumer.py")

    @property
    def home(self) -> Path:
        return EXAMPLES / self.name

    def prepare(self) -> None:
        """Build it unless that is done; one at a time, since several test processes may want to."""
        if not self.build:
            return
        lock = ROOT / "build" / f"example-{self.name}.lock"
        lock.parent.mkdir(exist_ok=True)
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            stamp, digest = self.home / self.output / ".built", self._digest()
            if stamp.exists() and stamp.read_text() == digest:
                return
            done = subprocess.run(
                self.build,
                cwd=self.home,
                capture_output=True,
                text=True,
                check=False,
                timeout=_BUILT_WITHIN_S,
            )
            assert done.returncode == 0, f"{self.name}: {self.build}\n{done.stdout}{done.stderr}"
            stamp.write_text(digest)

    def _digest(self) -> str:
        """Of all that the build reads."""
        output = self.home / self.output
        files = [one for one in self.home.rglob("*") if one.is_file() and output not in one.parents]
        return hashlib.sha256(b"".join(one.read_bytes() for one in sorted(files))).hexdigest()


def _missing(*commands: str) -> Callable[[], str]:
    def lacks() -> str:
        return ", ".join(filter(None, map(without, commands)))

    return lacks


def _no_confluent() -> str:
    return "" if importlib.util.find_spec("confluent_kafka") else "no wheel of confluent-kafka"


GO: Final = find("go")
_JAVA: Final = ("java", "-cp", "target/classes:target/lib/*")
_JAVA_SOURCES: Final = ("src/main/java/Producer.java", "src/main/java/Consumer.java")
CLIENTS: Final = (
    Client(
        "python-aiokafka",
        str,
        (sys.executable, "producer.py"),
        (sys.executable, "consumer.py"),
    ),
    Client(
        "python-confluent",
        _no_confluent,
        (sys.executable, "producer.py"),
        (sys.executable, "consumer.py"),
    ),
    Client(
        "java",
        _missing("java", "mvn"),
        (*_JAVA, "Producer"),
        (*_JAVA, "Consumer"),
        ("mvn", "-q", "-B", "package"),
        "target",
        _JAVA_SOURCES,
    ),
    Client(
        "node",
        _missing("node", "npm"),
        ("node", "producer.js"),
        ("node", "consumer.js"),
        ("npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"),
        "node_modules",
        ("producer.js", "consumer.js"),
    ),
    Client(
        "go",
        _missing("go"),
        ("bin/producer",),
        ("bin/consumer",),
        (GO, "build", "-o", "bin/", "./producer", "./consumer"),
        "bin",
        ("producer/main.go", "consumer/main.go"),
    ),
)


@dataclass(frozen=True)
class Said:
    """How a client ended."""

    code: int
    out: bytes
    errors: str


async def run(client: Client, command: tuple[str, ...], stdin: bytes, **environment: str) -> Said:
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=client.home,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(child.communicate(stdin), SILENCE_S)
    except TimeoutError:
        child.kill()
        out, errors = await child.communicate()
        message = f"{client.name}: {command} did not end:\n{errors.decode()}"
        raise AssertionError(message) from None
    assert child.returncode is not None
    return Said(child.returncode, out, errors.decode(errors="replace"))
