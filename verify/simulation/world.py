"""One run: workers count what is fed to them while faults strike. Then all heals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from service.contract.input_record import LogRecord
from verify.simulation.broker import Broker, Log
from verify.simulation.clock import DeadlockError, VirtualLoop
from verify.simulation.faults import Fault, Kind, Ledger, Trap
from verify.simulation.group import Group
from verify.simulation.scenario import PARTITIONS, SECONDS, Scenario
from verify.simulation.worker import Died, House, Place, Worker, running

CATCH_UP_S: Final = 120.0
SLICE_WINDOWS: Final = 3
_POLL_S: Final = 0.02
_PATIENCE_S: Final = 6.0
_NO_SWEEP: Final = {"closed_to_ms": 0, "closing_to_ms": 0}


@dataclass
class Outcome:
    """What a run left: the broker, the ledger, and what must not have happened."""

    scenario: Scenario
    broker: Broker
    ledger: Ledger
    wrong: list[str] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    committed: list[OffsetAndMetadata | None] = field(default_factory=list)
    seconds: float = 0.0

    def log(self, topic: str, partition: int) -> Log:
        return self.broker.log(TopicPartition(topic, partition))


Act = Callable[["World", Worker, float], Awaitable[None]]
"""(world, worker, choice): hurts the worker, or the world around it."""


class World:
    """The broker, the group, the workers' lives, and the faults that hurt them."""

    life: type[Worker] = Worker
    """The class of the workers."""

    def __init__(self, scenario: Scenario, house: House, acts: Mapping[Kind, Act]) -> None:
        """Nothing runs yet. `acts`: what each kind of fault does that is not of a request."""
        self.scenario = scenario
        self._acts = acts
        self.house = house
        self.broker = Broker(self._random("broker"), transaction_timeout_s=5.0)
        self.group = Group(self._random("group"), PARTITIONS)
        self.ledger = Ledger()
        self.outcome = Outcome(scenario, self.broker, self.ledger)
        self.workers: list[Worker] = []
        self.names = scenario.settings(Random(0))
        self._lives = 0
        self.tampered: dict[TopicPartition, OffsetAndMetadata] = {}
        self.tampered_until = -1.0
        self.refused = False
        self.history: dict[TopicPartition, list[OffsetAndMetadata]] = {}
        self.is_over = False
        self._chores: set[asyncio.Task[None]] = set()
        for topic in (self.names.input_topic, *self.names.result_topics):
            for partition in range(PARTITIONS):
                self.broker.logs[TopicPartition(topic, partition)] = Log()

    def _random(self, purpose: str) -> Random:
        return Random(f"{self.scenario.seed} {purpose}")

    # ---- the run

    async def run(self) -> None:
        """Feed and hurt; then heal, and wait until all is counted. Sweeps are cut short."""
        engine = vars(self.house.engine)
        whole, engine["SLICE_WINDOWS"] = engine["SLICE_WINDOWS"], SLICE_WINDOWS
        try:
            await self.live()
        finally:
            engine["SLICE_WINDOWS"] = whole

    async def live(self) -> None:
        """Feed and hurt; then heal, and wait until all is counted."""
        self._do(self.group.run())
        self._do(self._watch_commits())
        for _ in range(self.scenario.workers):
            self.hire()
        await asyncio.gather(
            *(self._plan(fault) for fault in self.scenario.faults),
            *(self._feed(partition, log) for partition, log in enumerate(self.scenario.logs)),
        )
        self._heal()
        if not await self.until(self.is_done, CATCH_UP_S):
            self.outcome.wrong.append(f"not done after {CATCH_UP_S:.0f} s: {self._state()}")
        self.is_over = True
        for worker in list(self.workers):
            if worker.link.is_alive:
                await worker.stop()
        await self.until(self.broker.is_quiet)
        self.outcome.committed = [self.committed(partition) for partition in range(PARTITIONS)]

    def _do(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _feed(self, partition: int, records: Sequence[LogRecord]) -> None:
        random = self._random(f"feed {partition}")
        log = self.input(partition)
        pause_s = 2 * SECONDS / max(1, len(records))
        for record in records:
            if random.random() < 0.7:  # several at once, then a pause
                await asyncio.sleep(random.random() * pause_s)
            log.append(record, None)

    def hire(self) -> Worker:
        random = self._random(f"life {self._lives}")
        self._lives += 1
        place = Place(self.house, self.broker, self.group, PARTITIONS)
        worker = self.life(
            place,
            self.scenario.settings(random),
            random=random,
            faults=self.ledger,
            ended=self._ended,
        )
        worker.link.is_active = lambda: bool(worker.running)
        self.workers.append(worker)
        worker.start()
        return worker

    def _ended(self, worker: Worker, what: str, why: BaseException | None) -> None:
        self.workers.remove(worker)
        if worker.has_run:
            self._of_a_life(worker)
        if self.is_over:
            return
        self.outcome.deaths.append(f"{what}: {why!r}" if why else what)
        if "refused to open" in what:
            self.refused = True
            if worker.began > self.tampered_until:
                self.outcome.wrong.append(what)
        elif why is not None and not self._is_expected(worker, why):
            self.outcome.wrong.append(f"{what}: {why!r}")
        elif why is None and not self.scenario.faults:
            self.outcome.wrong.append(what)
        asyncio.get_running_loop().call_later(0.1 + worker.link.random.random() * 0.5, self._again)

    def _again(self) -> None:
        if not self.is_over:
            self.hire()

    def _is_expected(self, worker: Worker, why: BaseException) -> bool:
        if not self.scenario.faults:
            return False
        return isinstance(why, KafkaError | self.house.runtime.journal.ShardFencedError) or (
            isinstance(why, AssertionError) and worker.link.was_misled
        )

    def _of_a_life(self, worker: Worker) -> None:
        self.ledger.plan(Kind.OTHER_BATCHES)
        if worker.link.partial:
            self.ledger.plan(Kind.PARTIAL)
            self.ledger.struck(Kind.PARTIAL)
        if self._lives > self.scenario.workers:
            self.ledger.struck(Kind.OTHER_BATCHES)

    def unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error that no code has caught is wrong, unless it is how a life ended."""
        error = context.get("exception")
        if error is None or isinstance(error, Died | KafkaError | asyncio.CancelledError):
            return
        if isinstance(error, AssertionError) and self.scenario.faults:
            return  # `fail` was called
        self.outcome.wrong.append(f"unhandled: {context.get('message')}: {error!r}")

    # ---- what can be seen

    def input(self, partition: int) -> Log:
        return self.broker.log(TopicPartition(self.names.input_topic, partition))

    def committed(self, partition: int) -> OffsetAndMetadata | None:
        """The checkpoint in force."""
        if not self.scenario.at_least_once:
            return self.broker.offsets.get(TopicPartition(self.names.input_topic, partition))
        updates = self.broker.log(TopicPartition(self.names.updates_topic, partition))
        for record in reversed(updates.visible()):
            if record.key == b"":
                said = json.loads(record.value or b"")
                return OffsetAndMetadata(said["position"], said["metadata"])
        return None

    def is_done(self) -> bool:
        """True when everything is counted, swept and visible."""
        for partition in range(PARTITIONS):
            at = self.committed(partition)
            if at is None or at.offset < self.input(partition).next:
                return False
        shards = [shard for worker in self.workers for shard in worker.shards if shard.is_running]
        is_swept = not any(shard.engine.has_unsealed for shard in shards)
        return is_swept and len(shards) == PARTITIONS and self.broker.is_quiet()

    def _state(self) -> str:
        ends = [self.input(partition).next for partition in range(PARTITIONS)]
        at = [self.committed(partition) for partition in range(PARTITIONS)]
        held = [(worker.running, sorted(worker.shards.assigned)) for worker in self.workers]
        return f"ends {ends}, committed {at}, running {held}, deaths {self.outcome.deaths[-3:]}"

    async def until(self, what: Callable[[], object], timeout_s: float = _PATIENCE_S) -> bool:
        """Wait until `what` is true. Return whether it became true in time."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + timeout_s
        while not what():
            if loop.time() > give_up_at:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def _watch_commits(self) -> None:
        """Keep the history of committed offsets. Count the sweeps that took several commits."""
        while True:
            await asyncio.sleep(_POLL_S)
            for tp, at in self.broker.offsets.items():
                kept = self.history.setdefault(tp, [])
                is_ours = tp.topic == self.names.input_topic
                if is_ours and (not kept or kept[-1] != at) and tp not in self.tampered:
                    kept.append(at)
                    sweep = json.loads(at.metadata).get("sweep", _NO_SWEEP)
                    if sweep["closed_to_ms"] != sweep["closing_to_ms"]:
                        self.ledger.plan(Kind.BURST)
                        self.ledger.struck(Kind.BURST)

    # ---- what goes wrong

    async def _plan(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at_s)
        self.ledger.plan(fault.kind)
        trap = Trap.of(fault)
        if trap is not None:
            self.ledger.arm(trap)
            return
        if not await self.until(lambda: list(running(self.workers))):
            return
        targets = list(running(self.workers))
        worker = targets[int(fault.choice * len(targets))]
        await self._acts[fault.kind](self, worker, fault.choice)

    def _heal(self) -> None:
        self.ledger.disarm()
        for worker in self.workers:
            worker.is_deaf = worker.is_slow = False
            worker.link.stale_fetch = worker.link.repeat_fetch = False
            worker.link.thaw()
            worker.link.mend()

    # ---- the end

    def end_all(self) -> None:
        """No worker lives on."""
        self.is_over = True
        for worker in list(self.workers):
            worker.end("the end", None)

    def close(self, loop: VirtualLoop) -> None:
        """Cancel everything that still runs."""
        self.end_all()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        with suppress(DeadlockError, Died):
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()
