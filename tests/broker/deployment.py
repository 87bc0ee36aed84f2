"""A deployment under test: topics, workers as processes of their own, producers, the audit.

Real processes on a real broker. A worker is hurt by pid; what it wrote is judged by
`service.audit`, which shares no code with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from service.audit.check import Report, check
from service.kafka import clients, topics
from service.settings import Settings
from service.tools.generate import Made
from service.tools.outbox import Outbox
from service.tools.ports import free_ports
from service.tools.worker_process import environment
from tests.broker.witness import Witness
from tests.contract.records import first, wrong_with_metadata

ROOT = Path(__file__).parents[2]


class Worker:
    """One worker process."""

    def __init__(self, settings: Settings, log: Path, code: str = "") -> None:
        """Start it, or the Python `code` that runs it with a planted fault; do not wait."""
        self.settings = replace(settings, web_port=free_ports(1)[0])
        self.log = log
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, *(["-c", code] if code else ["-m", "service", "worker"])],
                env=environment(self.settings),
                cwd=ROOT,
                stdout=sink,
                stderr=sink,
            )

    def get(self, path: str) -> tuple[int, str]:
        """HTTP status and body; (0, "") when nobody answers."""
        url = f"http://127.0.0.1:{self.settings.web_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def running(self) -> set[int]:
        """Partitions whose shard this worker runs, as its metrics say."""
        found = set()
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith("netfollowers_running{") and line.endswith(" 1.0"):
                found.add(int(line.split('partition="')[1].split('"')[0]))
        return found

    async def until(self, wanted: str, timeout_s: float = 40) -> None:
        """Wait until /ready says so ("ready"), or the log holds the text."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            status, _ = await asyncio.to_thread(self.get, "/ready")
            if wanted == "ready" and status == 200:
                return
            if wanted != "ready" and wanted in self.said():
                return
            assert self.process.poll() is None or wanted in self.said(), self.said()
            await asyncio.sleep(0.05)
        message = f"not {wanted!r} after {timeout_s} s:\n{self.said()}"
        raise AssertionError(message)

    def said(self) -> str:
        """The whole log."""
        return self.log.read_text()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, by pid."""
        os.kill(self.process.pid, number)

    async def ended(self, timeout_s: float = 40) -> int:
        """Wait for its end; -> exit code, negative for a signal."""
        return await asyncio.to_thread(self.process.wait, timeout_s)

    async def stop(self) -> int:
        """SIGTERM and wait."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """Kill -9 and wait."""
        self.signal(signal.SIGKILL)
        await self.ended()


class Deployment:
    """Topics and workers of one test."""

    def __init__(self, settings: Settings, home: Path, *, is_tansu: bool = False) -> None:
        """`home`: a directory for logs."""
        self.settings = settings
        self.is_tansu = is_tansu
        self._home = home
        self._workers: list[Worker] = []
        self.witness = Witness(settings)
        self.is_tampered_with = False  # a test has put its own into the result topics

    def worker(self, code: str = "", **changes: Any) -> Worker:
        """Start another worker, with other settings or a planted fault."""
        log = self._home / f"worker-{len(self._workers)}.log"
        worker = Worker(replace(self.settings, **changes), log, code)
        self._workers.append(worker)
        return worker

    async def produce(self, records: Iterable[Made], *, chunk: int = 20_000) -> int:
        """Send records, each to the partition of its key; -> how many."""
        async with self.outbox() as outbox:
            made = list(records)
            for first in range(0, len(made), chunk):
                outbox.put_all(made[first : first + chunk])
                await outbox.send()
            await outbox.settle()
            return len(made)

    @asynccontextmanager
    async def outbox(self) -> AsyncIterator[Outbox]:
        """Open an outbox to the input topic."""
        producer = clients.producer(self.settings)
        await producer.start()
        try:
            yield Outbox(producer, self.settings.input_topic, self.settings.partitions)
        finally:
            await producer.stop()

    async def committed(self) -> dict[int, OffsetAndMetadata]:
        """Partition -> committed offset and metadata; at least once from the updates topic."""
        group = {"group_id": self.settings.app_id} if self.settings.is_exactly_once else {}
        reader = clients.consumer(self.settings, auto_offset_reset="earliest", **group)
        await reader.start()
        try:
            if self.settings.is_exactly_once:
                everything = self._of(self.settings.input_topic)
                reader.assign(everything)
                found = await reader._coordinator.fetch_committed_offsets(everything)
                return {tp.partition: at for tp, at in found.items() if at.offset >= 0}
            return await self._checkpoint_records(reader)
        finally:
            await reader.stop()

    async def _checkpoint_records(self, reader: Any) -> dict[int, OffsetAndMetadata]:
        tps = self._of(self.settings.updates_topic)
        reader.assign(tps)
        ends = await self._ends(reader, tps)
        found = {}
        for tp in tps:
            reader.seek(tp, 0)
            while await reader.position(tp) < ends[tp.partition]:
                for record in (await reader.getmany(tp, timeout_ms=100)).get(tp, ()):
                    if not record.key:
                        said = json.loads(record.value)
                        at = OffsetAndMetadata(said["position"], said["metadata"])
                        found[tp.partition] = at
        return found

    async def caught_up(self, timeout_s: float = 90) -> None:
        """Wait until everything is counted and committed, and no sweep is unfinished."""
        reader = clients.consumer(self.settings, auto_offset_reset="earliest")
        await reader.start()
        try:
            inputs = self._of(self.settings.input_topic)
            reader.assign(inputs)
            until, before = time.monotonic() + timeout_s, None
            while time.monotonic() < until:
                ends = await self._ends(reader, inputs)
                commits = await self.committed()
                if all(self._is_done(commits.get(p), end) for p, end in ends.items()):
                    if commits == before:  # nor has a sweep begun that was due
                        return
                    before = commits
                    await asyncio.sleep(2 * self.settings.flush_interval_s)
                alive = [one for one in self._workers if one.process.poll() is None]
                assert alive or not self._workers, "\n".join(one.said() for one in self._workers)
                await asyncio.sleep(0.2)
        finally:
            await reader.stop()
        said = "\n".join(worker.said() for worker in self._workers)
        message = f"not caught up after {timeout_s} s: {commits} of {ends}\n{said}"
        raise AssertionError(message)

    async def audit(self) -> Report:
        """Recompute everything from the input and compare; fails with the findings."""
        names = self.settings
        report = await check(
            names.brokers,
            input_topic=names.input_topic,
            updates_topic=names.updates_topic,
            windows_topic=names.windows_topic,
            late_topic=names.late_topic,
            rejected_topic=names.rejected_topic,
            app_id=names.app_id,
            at_least_once=not names.is_exactly_once,
            tansu=self.is_tansu,
        )
        assert report.ok, str(report)
        await self.obeys_the_contract()
        return report

    async def obeys_the_contract(self) -> None:
        """Judge what came to the result topics since the last look, and what is committed."""
        if self.is_tampered_with:
            return
        commits = (await self.committed()).values()
        texts = [at.metadata for at in commits if at.metadata]  # empty: a test's own
        wrong = [why for why in map(wrong_with_metadata, texts) if why is not None]
        reader = clients.consumer(self.settings, auto_offset_reset="earliest")
        await reader.start()
        try:
            there = await reader.topics()
            names = [topic for topic in self.witness.topics().values() if topic in there]
            tps = [tp for topic in names for tp in self._of(topic)]
            reader.assign(tps)
            wrong += await self.witness.look(reader, await self._ends_of(reader, tps))
        finally:
            await reader.stop()
        assert not wrong, first(wrong)

    def end_all(self) -> None:
        """End what is left of the workers, by pid."""
        for worker in self._workers:
            if worker.process.poll() is None:
                with suppress(ProcessLookupError):
                    worker.signal(signal.SIGCONT)
                    worker.process.kill()
                worker.process.wait()

    def _of(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self.settings.partitions)]

    async def _ends(self, reader: Any, tps: list[TopicPartition]) -> dict[int, int]:
        return {tp.partition: end for tp, end in (await self._ends_of(reader, tps)).items()}

    async def _ends_of(self, reader: Any, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        if not self.is_tansu:
            found: dict[TopicPartition, int] = await reader.end_offsets(tps)
            return found
        found = {}
        for tp in tps:
            await reader.getmany(tp, timeout_ms=100)
            while reader.highwater(tp) is None:
                await reader.getmany(tp, timeout_ms=100)
            found[tp] = reader.highwater(tp)
        return found

    @staticmethod
    def _is_done(commit: OffsetAndMetadata | None, end: int) -> bool:
        if commit is None:
            return end == 0
        sweep = json.loads(commit.metadata)["sweep"]
        return bool(commit.offset >= end and sweep["closed_to_ms"] == sweep["closing_to_ms"])


async def deploy(settings: Settings, home: Path, *, is_tansu: bool = False) -> Deployment:
    """Create the topics of a deployment."""
    await topics.create(settings)
    return Deployment(settings, home, is_tansu=is_tansu)
