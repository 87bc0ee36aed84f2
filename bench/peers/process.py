"""Builds and starts the peers."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka.admin import NewTopic

from bench.common.environment import OUTPUT, ROOT
from bench.common.stopwatch import By
from service.kafka import clients
from service.local.kafka_jars import KafkaJarsError, java
from service.settings import Settings

STREAMS: Final = Path(__file__).parent / "kafka-streams"
_HEAP: Final = ("-Xms2g", "-Xmx2g")
_BUILT_WITHIN_S: Final = 400.0
_ENDED_WITHIN_S: Final = 20.0


@dataclass(frozen=True)
class Peer:
    """One other program that does the same job.

    `share`: part of the service's records that it counts, below 1 if it is slow. `warm`: part of
    those that it counts before, in the same process. `jvm`: options of Java. `by`: what is clocked.
    (Faust commits 10,000 events at a time, whatever its commit interval is.)
    """

    name: str
    command: tuple[str, ...]
    share: float = 1.0
    warm: float = 0.0
    is_java: bool = False
    jvm: tuple[str, ...] = ()
    is_fast: bool = False
    by: By = "commits"


PYTHON: Final = sys.executable
FLOOR: Final = Peer("floor: fetch and decode", (PYTHON, "-m", "bench.peers.floor"), is_fast=True)
PLAIN_FAUST: Final = Peer(
    "plain Faust", (PYTHON, "-m", "bench.peers.plain_faust"), share=0.008, by="updates"
)
IDIOMATIC: Final = Peer(
    "Kafka Streams, idiomatic", ("peer.Main", "idiomatic"), share=0.12, warm=0.5, is_java=True
)
TUNED: Final = Peer(
    "Kafka Streams, tuned",
    ("peer.Main", "tuned"),
    warm=0.6,
    jvm=("-XX:+UseParallelGC",),
    is_java=True,
)
PEERS: Final = (PLAIN_FAUST, IDIOMATIC, TUNED, FLOOR)


def build() -> None:
    """Compile the Kafka Streams peers with Maven, unless that is done. KafkaJarsError."""
    java()
    (STREAMS / "target").mkdir(exist_ok=True)
    with (STREAMS / "target" / "lock").open("w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        _build()


def _build() -> None:
    maven = shutil.which("mvn")
    built = STREAMS / "target" / "built"
    sources = [STREAMS / "pom.xml", *STREAMS.glob("src/main/java/peer/*.java")]
    newest = max(source.stat().st_mtime for source in sources)
    if built.exists() and built.stat().st_mtime > newest:
        return
    if maven is None:
        message = "no mvn to build the Kafka Streams peers (Debian package: maven)"
        raise KafkaJarsError(message)
    command = [maven, "-q", "-B", "-f", str(STREAMS / "pom.xml"), "package"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_BUILT_WITHIN_S
    )
    if done.returncode != 0:
        message = f"Maven could not build the Kafka Streams peers: {done.stdout[:500]}"
        raise KafkaJarsError(message)
    built.touch()


async def create_topics(settings: Settings, peer: Peer) -> None:
    """Make the result topics of a peer."""
    apps = [settings.app_id, *([f"{settings.app_id}-warm"] if peer.warm else [])]
    names = [f"{app}-{what}" for app in apps for what in ("updates", "windows")]
    async with clients.open_admin(settings) as admin:
        await admin.create_topics([NewTopic(name, settings.partitions, 1) for name in names])


@contextmanager
def running(
    peer: Peer, settings: Settings, *, warm_records: int = 0, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a peer. At the end it is stopped, and its files are deleted."""
    log = log or OUTPUT / "peer.log"
    state = Path(tempfile.mkdtemp(prefix="netfollowers-peer-"))
    command = peer.command
    if peer.is_java:
        classes = f"{STREAMS / 'target' / 'classes'}{os.pathsep}{STREAMS / 'target' / 'lib' / '*'}"
        levels = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        command = (java(), *_HEAP, *peer.jvm, levels, "-cp", classes, *command)
    environ = {
        **os.environ,
        "PEER_BROKERS": settings.brokers,
        "PEER_INPUT": settings.input_topic,
        "PEER_PARTITIONS": str(settings.partitions),
        "PEER_APP_ID": settings.app_id,
        "PEER_STATE_DIR": str(state),
        "PEER_COMMIT_MS": str(round(settings.flush_interval_s * 1_000)),
        "PEER_WARM_RECORDS": str(warm_records),
    }
    with log.open("ab") as sink:
        process = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=sink, stderr=sink)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait(_ENDED_WITHIN_S)
        shutil.rmtree(state, ignore_errors=True)
