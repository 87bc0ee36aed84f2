"""Builds a worker: a Faust app with one agent that hands batches to shards, and all other parts.

`build` makes everything and connects to nothing. `service/run.py` starts it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import faust
import faust.streams

from service.contract.results import Source
from service.counting import Engine
from service.kafka.aiokafka_ext.group_health import Membership
from service.kafka.faust_ext.app import new_app
from service.kafka.faust_ext.transport import BatchSchema
from service.metrics import worker_collector
from service.metrics.account_series import AccountSeries
from service.metrics.observed import Metrics
from service.process import exit_now
from service.runtime.lag import Lag
from service.runtime.shard import Fail, Shard
from service.runtime.shard_factory import ShardFactory
from service.runtime.shards import Shards
from service.settings import Settings
from service.web import Api
from service.web.server import Web

_TICK_S: Final = 0.01


@dataclass(slots=True)
class Worker:
    """The parts that `build` makes.

    `partitions`: of the input. `table_bytes`: bytes of packed rows by partition, from a timer.
    """

    app: faust.App
    settings: Settings
    partitions: int
    shards: Shards[Engine]
    metrics: Metrics
    web: Web
    lag: Lag
    table_bytes: Mapping[int, int] = field(default_factory=dict)

    @property
    def held(self) -> Iterable[Shard[Engine]]:
        """Every shard, those that open included."""
        return self.shards.held

    @property
    def membership(self) -> Membership | None:
        """What is known of the consumer group; None before the consumer starts."""
        return getattr(self.app.consumer, "membership", None)


def build(settings: Settings, *, partitions: int, fail: Fail = exit_now) -> Worker:
    """Build a worker for an input of `partitions` partitions. Two can live in one process."""
    assert faust.streams._CStreamIterator is not None, "Faust's C stream iterator is missing"  # noqa: SLF001
    metrics = Metrics()
    shards: Shards[Engine] = Shards(fail)
    app = new_app(settings, shards)
    shards.new_shard = _shard_factory(settings, partitions, app, shards, metrics)
    lag = Lag(settings, shards.held)
    _add_agent(app, settings, shards)
    api = Api(
        settings,
        partitions,
        shards=shards.held,
        lag=lag,
        membership=lambda: worker.membership,
        refused=metrics.refused,
    )
    web = Web(metrics.registry, lambda: why_not_ready(shards, lag), api)
    worker = Worker(app, settings, partitions, shards, metrics, web, lag)
    worker_collector.bind(metrics, worker, AccountSeries(settings, partitions, shards))
    return worker


def _shard_factory(
    settings: Settings,
    partitions: int,
    app: faust.App,
    shards: Shards[Engine],
    metrics: Metrics,
) -> ShardFactory[Engine]:
    fingerprint, defaults = settings.fingerprint(partitions), settings.defaults(partitions)

    async def commit_position(partition: int, position: int, metadata: str) -> None:
        await app.consumer.commit_position(partition, position, metadata)  # made at the start

    def new_engine(partition: int) -> Engine:
        return Engine(
            settings.rules,
            Source(settings.input_topic, partition),
            topics=settings.result_topics,
            settings=fingerprint,
            defaults=defaults,
            ranked=settings.ranked_grains,
        )

    return ShardFactory(
        settings=settings,
        partitions=partitions,
        new_engine=new_engine,
        commit_position=commit_position,
        queue=shards.queue,
        new_observer=metrics.for_shard,
        fail=shards.fail,
    )


def _add_agent(app: faust.App, settings: Settings, shards: Shards[Engine]) -> None:
    topic = app.topic(settings.input_topic, schema=BatchSchema())

    @app.agent(topic, name="count")
    async def count(stream: AsyncIterator[Any]) -> None:
        async for event in stream.noack().events():  # type: ignore[attr-defined]
            shards.take(event.value)

    @app.timer(_TICK_S)
    async def checkpoint() -> None:
        shards.checkpoint_due()


def why_not_ready(shards: Shards[Engine], lag: Lag) -> str:
    """Return why a deploy should wait for this worker; "" if it is ready."""
    if not shards.is_known:
        return "the group has assigned no partition yet"
    if not shards.is_ready:
        return "a partition is being restored"
    readers = [shard.reader for shard in shards if shard.reader is not None]
    if not all(reader.has_fetched for reader in readers):
        return "nothing has been fetched yet"
    if not all(reader.is_answered for reader in readers):
        return "the broker does not answer"
    return next(filter(None, map(lag.why_hidden, shards)), "")
