"""The life of a worker: it starts, waits for a signal, and ends in one of three ways.

It ends with 0 after a clean stop, with 2 or 3 if it cannot start, and with 70 through `exit_now` if
anything unexpected happens.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from typing import Final, NoReturn

import yarl
from aiokafka.errors import KafkaError

from service import __version__, logs
from service import file_descriptors as descriptors
from service.app import Worker, build
from service.contract.topics import RESULTS
from service.errors import UsageError
from service.exit_codes import ExitCode
from service.kafka import security
from service.kafka import topic_admin as topics
from service.process import collect, collect_by_hand, exit_now, keep_small_buffers
from service.runtime.topic_watch import TopicWatch
from service.settings import Settings

log = logging.getLogger(__name__)

_WATCH_S: Final = 1.0
_DELAY_S: Final = 0.1
_MEASURE_S: Final = 15.0
_MEASURED_ROWS: Final = 50_000
_STOP_TIMEOUT_S: Final = 30.0
_ANY_ADDRESS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


def run(settings: Settings) -> ExitCode:
    """Run a worker until SIGTERM or SIGINT. Return the exit code."""
    logs.configure(settings.log_level, settings.log_format)
    keep_small_buffers()
    collect_by_hand()
    try:
        return asyncio.run(_run(settings))
    except UsageError as error:
        log.critical("exit: %s", error)
        return ExitCode.USAGE
    except (KafkaError, OSError) as error:
        why = asyncio.run(security.why_unreachable(settings))
        log.critical("exit: broker %s", why or f"{settings.brokers}: {error!r}")
        return ExitCode.BROKER


async def _run(settings: Settings) -> ExitCode:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(_start(settings))
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        log.info("stopped before the start had ended")
        _end()
    worker, watching = await starting
    ended = asyncio.create_task(worker.app.wait_until_stopped())
    chores = [
        asyncio.create_task(chore)
        for chore in (
            collect(),
            worker.lag.run(),
            TopicWatch(worker.settings, worker.partitions, worker.shards.fail).run(),
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


async def _start(settings: Settings) -> tuple[Worker, asyncio.Task[None]]:
    """Check the topics, build the worker and start it. Return it, and the task that watches it."""
    partitions = await topics.require(settings)
    settings = descriptors.fit(settings, partitions)
    worker = build(settings, partitions=partitions)
    await worker.web.start(settings.web_host, settings.web_port)
    _say_where(worker, settings)
    _say_what_runs(settings, partitions, worker.web.port)
    watching = asyncio.create_task(_watch(worker))
    await worker.app.start()
    return worker, watching


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
    _end()


def _end() -> NoReturn:
    """End the process with 0. Threads and tasks of Faust would keep it alive."""
    logging.shutdown()
    os._exit(ExitCode.OK)


async def _watch(worker: Worker) -> None:
    """Watch without a timer of Faust, which waits for the first assignment. It may never come."""
    while True:
        await asyncio.sleep(_WATCH_S)
        worker.shards.watch()
        if error := worker.app.consumer.why_lost():
            worker.shards.fail("the group membership failed", error)


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
