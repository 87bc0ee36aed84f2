"""A deployment under test: topics, workers as processes of their own, producers, the audit.

Real processes on a real broker. A worker is hurt by pid; what it wrote is judged by
`service.audit`, which shares no code with it.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from service.audit.run import Report
from service.commands.audit_report import audit_at_rest
from service.kafka import clients
from service.kafka import topic_admin as topics
from service.local.worker_process import ROOT, WorkerProcess
from service.settings import Settings
from service.synthetic.batch_sender import Outbox
from service.synthetic.events import Made
from tests.support.committed_offsets import Commits
from tests.support.contract.records import first, wrong_with_metadata
from tests.support.contract_checker import Witness
from tests.support.patience import POLL_S, SILENCE_S, Patience

Ends = Callable[[], Awaitable[dict[int, int]]]


class Worker(WorkerProcess):
    """A worker that a test waits for, for as long as something moves."""

    def get(self, path: str, timeout_s: float = SILENCE_S) -> tuple[int, str]:
        """Return HTTP status and body; (0, "") without an answer."""
        return super().get(path, timeout_s)

    def running(self) -> set[int]:
        """Partitions whose shard this worker runs, as its metrics say."""
        found = set()
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith("netfollowers_running{") and line.endswith(" 1.0"):
                found.add(int(line.split('partition="')[1].split('"')[0]))
        return found

    async def until(self, wanted: str) -> None:
        """Wait until /ready says so ("ready"), or the log holds the text."""
        patience = Patience(f"{wanted!r} of a worker")
        while not await self._is(wanted):
            assert self.process.poll() is None or wanted in self.said(), self.said()
            patience.look(self.said())
            await asyncio.sleep(POLL_S)

    async def _is(self, wanted: str) -> bool:
        if wanted == "ready":
            return (await asyncio.to_thread(self.get, "/ready"))[0] == 200
        return wanted in self.said()

    async def ended(self) -> int:
        """Wait for its end. Return exit code, negative for a signal."""
        patience = Patience("the end of a worker")
        while (code := self.process.poll()) is None:
            patience.look(self.said())
            await asyncio.sleep(POLL_S)
        return code

    async def stop(self) -> int:
        """Send SIGTERM and wait."""
        self.signal(signal.SIGTERM)
        return await self.ended()


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

    def worker(self, code: str = "", *, root: Path = ROOT, **changes: Any) -> Worker:
        """Start another worker, with other settings, a planted fault or the code of `root`."""
        log = self._home / f"worker-{len(self._workers)}.log"
        worker = Worker(replace(self.settings, **changes), log, code, root=root)
        self._workers.append(worker)
        return worker

    async def ready_worker(self, code: str = "", **changes: Any) -> Worker:
        """Start another worker and wait until it is ready."""
        worker = self.worker(code, **changes)
        await worker.until("ready")
        return worker

    async def finish(self, worker: Worker) -> None:
        """Stop a worker when everything is counted and committed. It must end with 0."""
        await self.caught_up()
        assert await worker.stop() == 0, worker.said()

    async def finish_and_audit(self, worker: Worker) -> Report:
        """Stop a worker when everything is counted. Every number must be right."""
        await self.finish(worker)
        return await self.audit()

    async def recovers(self, code: str = "", **changes: Any) -> None:
        """Let another worker count what is left. Every number must be right."""
        await self.finish_and_audit(await self.ready_worker(code, **changes))

    async def produce(self, records: Iterable[Made], *, chunk: int = 20_000) -> int:
        """Send records, each to the partition of its key. Return how many."""
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
        async with clients.producer(self.settings) as producer:
            yield Outbox(producer, self.settings.input_topic, self.settings.partitions)

    @asynccontextmanager
    async def commits(self) -> AsyncIterator[Commits]:
        """Follow what is committed: for as long as the block, through one consumer."""
        group = {"group_id": self.settings.app_id} if self.settings.is_exactly_once else {}
        async with clients.consumer(self.settings, auto_offset_reset="earliest", **group) as reader:
            yield Commits(reader, self.settings, self._ends_of)

    async def committed(self) -> dict[int, OffsetAndMetadata]:
        """Return the committed offset and metadata of each partition.

        With at least once they come from the updates topic.
        """
        async with self.commits() as commits:
            return await commits.look()

    async def caught_up(self) -> None:
        """Wait until everything is counted and committed, and no sweep is unfinished."""
        async with clients.consumer(self.settings, auto_offset_reset="earliest") as reader:
            inputs = self._of(self.settings.input_topic)
            reader.assign(inputs)
            async with self.commits() as commits:
                await self._caught_up(commits, lambda: self._ends(reader, inputs))

    async def _caught_up(self, commits: Commits, ends_now: Ends) -> None:
        patience, before = Patience("all that was sent to be committed"), None
        while True:
            ends, now = await ends_now(), await commits.look()
            if all(self._is_done(now.get(p), end) for p, end in ends.items()):
                if now == before:  # nor has a sweep begun that was due
                    return
                before = now
                await asyncio.sleep(2 * self.settings.flush_interval_s)
            said = "\n".join(one.said() for one in self._workers)
            alive = [one for one in self._workers if one.process.poll() is None]
            assert alive or not self._workers, said
            patience.look(f"committed {now}\nof {ends}\n{said}")
            await asyncio.sleep(POLL_S)

    async def audit(self) -> Report:
        """Recompute everything from the input and compare. It fails with the findings."""
        report = await audit_at_rest(self.settings)
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
        async with clients.consumer(self.settings, auto_offset_reset="earliest") as reader:
            there = await reader.topics()
            names = [topic for topic in self.witness.settings.result_topics if topic in there]
            tps = [tp for topic in names for tp in self._of(topic)]
            reader.assign(tps)
            wrong += await self.witness.look(reader, await self._ends_of(reader, tps))
        assert not wrong, first(wrong)

    def end_all(self) -> None:
        """End what is left of the workers, by pid."""
        for worker in self._workers:
            worker.end()

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
