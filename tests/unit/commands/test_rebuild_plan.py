"""`netfollowers rebuild` without a broker: the plan for what a world has published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition

from service.audit.model.input_record import LogRecord as JudgesRecord
from service.audit.published import Committed
from service.audit.run import audit, unwatched
from service.audit.sources.source import INPUT, KINDS, Extent, Snapshot
from service.commands.rebuild_partitions import check_settings
from service.commands.rebuild_plan import Plan, Planner
from service.contract.input_record import RawRecord
from service.contract.rule_versions import CURRENT, Ranges
from service.counting import Checkpoint, Engine
from service.errors import RefusedError
from service.kafka.aiokafka_ext.batches import UnpackError
from service.settings import Settings
from tests.support.crash_harness import SOURCE, World
from tests.support.decoder_bug import BITTEN, plant
from tests.support.decoder_bug import event as bitable
from tests.support.small_log import ONE_MINUTE
from tests.support.upgrades import event, upgraded

STRAY = Committed(3, "")


class WorldsSource:
    """The topics of a world, whose commit was overwritten."""

    def __init__(
        self, world: World, *, end: int, committed: Committed = STRAY, gone: str = ""
    ) -> None:
        """`end` of the input. `gone`: what retention has emptied."""
        self._committed = committed
        self._gone = gone
        self.topics = {kind: SOURCE.topic if kind == INPUT else kind for kind in KINDS}
        self.at_least_once = False
        self._world = world
        self._end = end

    async def partitions(self) -> int:
        """As many as it takes."""
        return SOURCE.partition + 1

    async def snapshot(self, partition: int) -> Snapshot:
        """All that is there."""
        ends = {kind: await self.end(kind, partition) for kind in KINDS}
        extents = {
            kind: Extent(end if kind == self._gone else 0, end) for kind, end in ends.items()
        }
        return Snapshot(partition, self._committed, extents)

    async def records(self, kind: str, _: int, extent: Extent) -> AsyncIterator[list[JudgesRecord]]:
        """Yield one batch."""
        if kind == INPUT:
            found = [
                JudgesRecord(one.offset, one.timestamp, one.key, one.value, list(one.headers))
                for one in self._world.log
            ]
            yield [one for one in found if extent.start <= one.offset < extent.stop]
        else:
            results = self._world.results[kind]
            yield [
                JudgesRecord(at, -1, one.key, one.value, list(one.headers))
                for at, one in enumerate(results)
                if at >= extent.start
            ]

    async def end(self, kind: str, _: int) -> int:
        """Offset after the last record."""
        return self._end if kind == INPUT else len(self._world.results[kind])


class Log:
    """Stands in for a journal: the input, from some offset on of which nothing can be unpacked."""

    def __init__(self, world: World, *, spoilt_from: int | None = None) -> None:
        """`spoilt_from`: an offset that cannot be unpacked."""
        self.source = TopicPartition(*SOURCE)
        self._log = world.log
        self._spoilt_from = spoilt_from

    async def input(self, parts: Iterable[tuple[int, int]]) -> AsyncGenerator[Sequence[RawRecord]]:
        """As `KafkaJournal.input`."""
        spoilt = self._spoilt_from
        for first, stop in parts:
            for one in self._log:
                if first <= one.offset < stop and (spoilt is None or one.offset < spoilt):
                    yield [one]
            if spoilt is not None and first <= spoilt < stop:
                message = f"cannot unpack: offset={spoilt}"
                raise UnpackError(message, spoilt)


def planned(
    world: World,
    *,
    ranges: Ranges | None = None,
    end: int | None = None,
    spoilt_from: int | None = None,
) -> Plan:
    grains = [f"{g.name}:{g.grace_ms // 1_000}s:{g.keep_ms // 1_000}s" for g in world.rules.grains]
    generation = world.rules.dedup_generation
    settings = Settings(grains=",".join(grains), dedup_generation=generation)
    source = WorldsSource(world, end=end or world.log[-1].offset + 1)
    log: Any = Log(world, spoilt_from=spoilt_from)
    found = asyncio.run(
        Planner(settings, SOURCE.partition + 1, source, log, unwatched).plan(ranges, None)
    )
    assert found is not None
    return found


def counted(world: World, until: int) -> None:
    """Count the log up to an offset, a seal per record."""
    for one in world.log:
        if one.offset < until:
            world.engine.apply([one], one.offset + 1)
            world.publish(world.engine.seal())


def bitten(monkeypatch: pytest.MonkeyPatch) -> World:
    """Count three records; the second could not be judged."""
    world = World(ONE_MINUTE, [bitable(0), bitable(1, BITTEN), bitable(2)])
    with monkeypatch.context() as planted:
        plant(planted, ZeroDivisionError("planted"))
        counted(world, 3)
    return world


def test_events_that_wait_behind_what_was_counted_are_left_to_the_workers() -> None:
    world = World(ONE_MINUTE, [event(offset) for offset in range(9)])
    counted(world, 5)
    plan = planned(world)
    assert plan.report.ok, str(plan.report)
    assert plan.checkpoint.position == 5


def test_a_record_that_could_not_be_judged_does_not_keep_the_rest_from_being_rebuilt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = bitten(monkeypatch)
    before = Checkpoint.from_metadata(*world.commits[-1])
    plan = planned(world)
    assert plan.report.is_published, str(plan.report)
    assert not plan.report.ok, "an audit goes on to name it"
    assert plan.checkpoint.counts == before.counts
    assert plan.checkpoint.unforeseen == (1,)


def test_a_batch_that_nobody_has_counted_need_not_be_unpacked() -> None:
    """The worker has ended with 70 before it; then a stray client has committed."""
    world = World(ONE_MINUTE, [event(offset) for offset in range(5)])
    counted(world, 5)
    plan = planned(world, end=9, spoilt_from=5)
    assert plan.report.ok, str(plan.report)
    assert plan.checkpoint.position == 5


def test_versions_that_begin_behind_the_position_are_left_to_the_worker() -> None:
    """One command for all partitions: the upgrade came at another offset in each."""
    world = upgraded([event(offset) for offset in range(4)], 4)
    plan = planned(world, ranges=((0, 1), (9, 2)))
    assert plan.report.ok, str(plan.report)
    engine = Engine(world.rules, SOURCE)
    engine.restore(plan.checkpoint)
    assert engine.seal().checkpoint.rules == ((0, 1), (4, CURRENT))


def test_an_audit_knows_from_the_commit_what_the_rejected_topic_holds_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = bitten(monkeypatch)
    committed = Committed(*world.commits[-1])
    source = WorldsSource(world, end=3, committed=committed, gone="rejected")
    found = asyncio.run(audit(source, only=SOURCE.partition))
    assert found.mismatches == [
        "follow-events/3 1: rejected as unforeseen, but it is a valid follow"
    ]


def test_a_checkpoint_that_is_left_tells_the_settings_of_the_others() -> None:
    """No audit can find all of them, for example an expiry time that no account has reached."""
    settings = Settings(expire_after_days=30)
    world = World(settings.rules, [event(0)])
    counted(world, 1)
    found = Checkpoint.from_metadata(*world.commits[-1])
    check_settings(settings, 2, found, 4)
    message = "partition 2 was counted with expire_after_ms=2592000000, these settings have"
    with pytest.raises(RefusedError, match=message):
        check_settings(Settings(), 2, found, 4)
