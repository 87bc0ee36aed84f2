"""The worker: a Faust app with one agent that hands batches to shards. Builds all parts.

`build` makes everything and connects to nothing. `run` starts it, waits for a signal, and ends in
one of three ways: 0 after a clean stop, 2 or 3 if it cannot start, 70 through `exit_now` if
anything unexpected happens. `exit_now` ends the process directly, because Faust and aiokafka
swallow exceptions.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import faust
import faust.streams
import yarl
from aiokafka.errors import KafkaError
from faust.tables import TableManager
from mode import CrashingSupervisor

from service import __version__, logs
from service import file_descriptors as descriptors
from service.contract.results import Source
from service.contract.topics import RESULTS
from service.counting import Engine
from service.errors import UsageError
from service.exit_codes import ExitCode
from service.kafka import security
from service.kafka import topic_admin as topics
from service.kafka.aiokafka_ext.group_health import Membership
from service.kafka.faust_ext.assignor import Assignor
from service.kafka.faust_ext.transport import BatchSchema, BatchTransport
from service.metrics import worker_collector
from service.metrics.account_series import AccountSeries
from service.metrics.observed import Metrics
from service.runtime.lag import Lag
from service.runtime.shard import Fail, Shard
from service.runtime.shard_factory import ShardFactory
from service.runtime.shards import Shards
from service.runtime.topic_watch import TopicWatch
from service.settings import Settings
from service.web import Api
from service.web.server import Web

log = logging.getLogger(__name__)

_M_MMAP_THRESHOLD: Final = -3
_MAPPED_FROM_BYTES: Final = 8 * 2**20
_M_TRIM_THRESHOLD: Final = -1
_TRIMMED_FROM_BYTES: Final = 64 * 2**20
_TICK_S: Final = 0.01
_WATCH_S: Final = 1.0
_COLLECT_S: Final = 60.0
_DELAY_S: Final = 0.1
_MEASURE_S: Final = 15.0
_MEASURED_ROWS: Final = 50_000
_STOP_TIMEOUT_S: Final = 30.0
_ANY_ADDRESS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
_IDLE_POLL_S: Final = 86_400.0
_REBALANCE_S: Final = 30.0
_ANSWER_S: Final = 5.0
"""If a join has no answer this long after the latest end of a rebalance, it is sent again."""


def exit_now(what: str, error: BaseException | None) -> NoReturn:
    """Log once why the worker cannot continue, and end the process.

    Open transactions end at the next open.
    """
    log.critical("exit: %s%s", what, f": {error!r}" if error else "", exc_info=error)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(ExitCode.INTERNAL)


@dataclass(slots=True)
class Worker:
    """The parts that `build` makes.

    `table_bytes`: bytes of packed rows by partition, measured on a timer.
    """

    app: faust.App
    settings: Settings
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
    app = _faust_app(settings, shards)
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
    worker = Worker(app, settings, shards, metrics, web, lag)
    worker_collector.bind(metrics, worker, AccountSeries(settings, partitions, shards))
    return worker


class _App(faust.App):
    """Faust stores no state of this service, so it needs no directory."""

    logger = logging.getLogger("faust.app")  # Faust would log under the name of this module

    def _create_directories(self) -> None:
        """Create no directory."""


class NoTables(TableManager):
    """Faust waits a second here for tables that may still be added. This service adds no table."""

    logger = logging.getLogger(
        "faust.tables"
    )  # otherwise it would log under the name of this module

    async def on_start(self) -> None:
        """Do the rest of what Faust does."""
        await self._update_channels()
        await self.recovery.start()


def _faust_app(settings: Settings, shards: Shards[Engine]) -> faust.App:
    rebalance_s = settings.flush_interval_s + _REBALANCE_S
    urls = [yarl.URL(f"kafka://{address}") for address in settings.brokers.split(",")]
    app = _App(
        settings.app_id,
        broker=urls,
        broker_credentials=security.faust_credentials(settings),
        store="memory://",
        TableManager=NoTables,
        PartitionAssignor=Assignor,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=16,
        agent_supervisor=CrashingSupervisor,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.instance_id or None,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_interval_s,
        broker_rebalance_timeout=rebalance_s,
        broker_request_timeout=max(rebalance_s, settings.session_timeout_s) + _ANSWER_S,
        broker_max_poll_interval=_IDLE_POLL_S,
        topic_disable_leader=True,
        topic_allow_declare=False,
        worker_redirect_stdouts=False,
    )
    app.transport = BatchTransport(
        app.conf.broker_consumer,
        app,
        shards=shards,
        input_topic=settings.input_topic,
        lost_after_s=max(settings.transaction_timeout_s, settings.session_timeout_s) + rebalance_s,
    )
    return app


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


def run(settings: Settings) -> ExitCode:
    """Run a worker until SIGTERM or SIGINT. Return the exit code."""
    logs.configure(settings.log_level, settings.log_format)
    _keep_small_buffers()
    _collect_by_hand()
    try:
        return asyncio.run(_run(settings))
    except UsageError as error:
        log.critical("exit: %s", error)
        return ExitCode.USAGE
    except (KafkaError, OSError) as error:
        why = asyncio.run(security.why_unreachable(settings))
        log.critical("exit: broker %s", why or f"{settings.brokers}: {error!r}")
        return ExitCode.BROKER


def _keep_small_buffers() -> None:
    """Make glibc keep the buffers of fetches and batches, and return larger ones to the system.

    By default its thresholds grow with the sizes that it has seen, and then it keeps the memory of
    a table that has grown once. Mapping every buffer again costs 6 to 18 % of the throughput in
    page faults. Without glibc this does nothing.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIMMED_FROM_BYTES)


async def _run(settings: Settings) -> ExitCode:
    partitions = await topics.require(settings)
    settings = descriptors.fit(settings, partitions)
    worker = build(settings, partitions=partitions)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await worker.web.start(settings.web_host, settings.web_port)
    _say_where(worker, settings)
    _say_what_runs(settings, partitions, worker.web.port)
    watching = asyncio.create_task(_watch(worker))
    await worker.app.start()
    ended = asyncio.create_task(worker.app.wait_until_stopped())
    stopping = asyncio.create_task(stop.wait())
    chores = [
        asyncio.create_task(chore)
        for chore in (
            _collect(),
            worker.lag.run(),
            TopicWatch(settings, partitions, worker.shards.fail).run(),
            measure_loop(worker),
            measure_tables(worker),
        )
    ]
    for chore in chores:
        chore.add_done_callback(_end_with_it)
    await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
    for chore in (watching, *chores):
        chore.cancel()
    if not stop.is_set():
        exit_now("Faust stopped by itself", worker.app.crash_reason)
    await _stop(worker)
    return ExitCode.OK


def _say_where(worker: Worker, settings: Settings) -> None:
    """Put the worker's address into its member metadata (docs/design/decisions/0014)."""
    host, port = settings.web_host, worker.web.port
    if host in _ANY_ADDRESS:
        host = socket.gethostname()
    own = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    url = yarl.URL(settings.advertised_url or own)
    worker.app.conf.canonical_url = url
    worker.web.api.found_at(str(url))


def _end_with_it(chore: asyncio.Task[None]) -> None:
    """End the worker if a background task failed. Otherwise its metrics would stop unnoticed."""
    error = None if chore.cancelled() else chore.exception()
    if error is not None:
        exit_now("a background task has failed", error)


async def _stop(worker: Worker) -> None:
    """Commit a final checkpoint, leave the group and close everything. A stop that hangs fails."""
    log.info("stopping")
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await worker.shards.stop()
            await worker.app.stop()
            await worker.web.stop()
    except TimeoutError as error:
        exit_now("the stop did not end", error)
    log.info("stopped")
    logging.shutdown()
    os._exit(ExitCode.OK)  # Faust's threads and tasks would keep the process alive


def _collect_by_hand() -> None:
    """Exclude imported objects from garbage collection, and turn off the automatic collection."""
    gc.disable()
    gc.collect()
    gc.freeze()


async def _watch(worker: Worker) -> None:
    """Watch without a timer of Faust, which waits for the first assignment. It may never come."""
    while True:
        await asyncio.sleep(_WATCH_S)
        worker.shards.watch()
        if error := worker.app.consumer.why_lost():
            worker.shards.fail("the group membership failed", error)


async def _collect() -> None:
    """Collect the cycles of the libraries once a minute. The engine makes no cycles."""
    while True:
        await asyncio.sleep(_COLLECT_S)
        gc.collect()


async def measure_loop(worker: Worker) -> None:
    """Observe how much too late a sleeping task wakes."""
    loop = asyncio.get_running_loop()
    while True:
        asked = loop.time() + _DELAY_S
        await asyncio.sleep(_DELAY_S)
        worker.web.api.beat()
        worker.metrics.loop_delay_seconds.observe(max(0.0, loop.time() - asked))


async def measure_tables(worker: Worker) -> None:
    """Measure the tables from time to time, a slice of rows at a time."""
    while True:
        sizes = {}
        for shard in worker.shards:
            rows, size = shard.engine.packed_rows(), 0
            for first in range(0, len(rows), _MEASURED_ROWS):
                size += sum(map(len, rows[first : first + _MEASURED_ROWS]))
                await asyncio.sleep(0)
            sizes[shard.partition] = size
        worker.table_bytes = sizes
        await asyncio.sleep(_MEASURE_S)


def _say_what_runs(settings: Settings, partitions: int, port: int) -> None:
    """Log what runs, with which settings, on which topics. Secrets are not logged."""
    log.info("net followers worker version=%s pid=%d", __version__, os.getpid())
    log.info(
        "kafka brokers=%s security=%s group=%s instance_id=%s guarantee=%s",
        settings.brokers,
        settings.security_protocol,
        settings.app_id,
        settings.instance_id or "-",
        settings.guarantee,
    )
    log.info("reads input=%s partitions=%d", settings.input_topic, partitions)
    log.info("writes %s", " ".join(f"{one.role}={settings.topic(one)}" for one in RESULTS))
    for name, value in settings.fingerprint(partitions).items():
        log.info("counts with %s=%s", name, value)
    log.info(
        "commits flush_interval_s=%s flush_records=%d transaction_timeout_s=%s",
        settings.flush_interval_s,
        settings.flush_records,
        settings.transaction_timeout_s,
    )
    log.info(
        "serves http://%s:%d paths=/,/api,/live,/ready,/metrics watched=%d top_accounts=%d",
        settings.web_host,
        port,
        len(settings.watched),
        settings.top_accounts,
    )
