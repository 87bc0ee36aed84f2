"""The list of metrics: names by Prometheus' conventions, all of them exposed, in both formats."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from service.contract.results import Source
from service.counting import Engine, Rules
from service.kafka.aiokafka_ext.group_health import Membership
from service.metrics.account_series import AccountSeries
from service.metrics.observed import Metrics
from service.metrics.readings import METRICS, READINGS, WORKER
from service.metrics.worker_collector import bind
from service.runtime.lag import Lag, Seen
from service.settings import Settings

UNITS = ("_seconds", "_bytes", "_ratio", "_info")


def a_worker() -> tuple[Metrics, Any]:
    """A worker with one partition, as far as metrics look at it."""
    metrics = Metrics()
    engine = Engine(Rules(), Source("follow-events", 3))
    shard: Any = SimpleNamespace(
        partition=3, engine=engine, is_running=True, lag=0, applied_ms=0, restored_part=1.0,
        state=SimpleNamespace(value="running"), observer=metrics.for_shard(),
        committed_s=time.time(), sampled_keys=Counter(), dedup_history_lost=0,
    )  # fmt: skip
    settings = Settings()
    worker: Any = SimpleNamespace(
        settings=settings, held=[shard], lag=Lag(settings, [shard]), membership=Membership(10),
        table_bytes={},
    )  # fmt: skip
    bind(metrics, worker, AccountSeries(settings, 4, [shard]))
    return metrics, shard


def exposed(metrics: Metrics) -> dict[str, Any]:
    """Families by name, as an OpenMetrics reader understands them."""
    text = openmetrics(metrics.registry).decode()  # type: ignore[no-untyped-call]
    parsed = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {family.name: family for family in parsed}


def test_every_metric_of_the_list_is_exposed_and_nothing_else_of_ours() -> None:
    metrics, _ = a_worker()
    found = exposed(metrics)
    ours = {name: family.type for name, family in found.items() if name.startswith("netfollowers")}
    kinds = {name: "gauge" if kind == "info" else kind for name, kind in METRICS.items()}
    assert ours == kinds
    assert "process_resident_memory_bytes" in found


@pytest.mark.parametrize("name", sorted(METRICS))
def test_names_follow_the_conventions(name: str) -> None:
    assert re.fullmatch(r"netfollowers_[a-z]+(_[a-z]+)*", name)
    assert not name.endswith("_total"), "the exposition adds it"
    if METRICS[name] == "histogram":
        assert name.endswith(("_seconds", "_bytes")), "a base unit"
    if "timestamp" in name:
        assert name.endswith("_timestamp_seconds")


def test_every_metric_says_in_words_what_it_is() -> None:
    for reading in (*READINGS, *WORKER):
        assert len(reading.help) > 6
        assert reading.help.endswith(".")


def test_reasons_grains_and_partitioners_are_there_before_the_first_of_them() -> None:
    metrics, _ = a_worker()
    text = generate_latest(metrics.registry).decode()
    for sample in (
        'netfollowers_rejected_total{partition="3",reason="bad_time"} 0.0',
        'netfollowers_missed_windows_total{grain="1d",partition="3"} 0.0',
        'netfollowers_sampled_keys_total{partition="3",partitioner="crc32"} 0.0',
    ):
        assert sample in text, "a rate needs the zero before the one"


def test_a_checkpoint_leaves_its_duration_size_and_which_it_was() -> None:
    metrics, shard = a_worker()
    shard.observer.committed(0.02, 5_000, 3, 41)
    text = openmetrics(metrics.registry).decode()  # type: ignore[no-untyped-call]
    assert re.search(r'duration_seconds_bucket.* # \{partition="3",position="41"\} 0.02', text)
    found = {
        s.name: s.value for s in exposed(metrics)["netfollowers_checkpoint_size_bytes"].samples
    }
    assert found["netfollowers_checkpoint_size_bytes_sum"] == 5_000


def test_a_failed_checkpoint_is_counted() -> None:
    metrics, shard = a_worker()
    shard.observer.failed()
    (sample, *_) = exposed(metrics)["netfollowers_checkpoint_failures"].samples
    assert sample.value == 1


# ---- what a worker is behind


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> float:
    """A clock that has stopped."""
    now = time.time()
    monkeypatch.setattr("service.runtime.lag.time.time", lambda: now)
    return now


def behind(position: int, seen: Seen | None, *, lag: int = 0, applied_ms: int = 0) -> Any:
    """(records, seconds) that a shard is behind."""
    shard: Any = SimpleNamespace(
        partition=0, engine=SimpleNamespace(position=position), lag=lag, applied_ms=applied_ms
    )
    of = Lag(Settings(), [shard])
    if seen is not None:
        of._seen[0] = seen
    return of.records(shard), round(of.age_s(shard))


def test_nothing_is_behind_when_the_end_has_been_reached(now: float) -> None:
    assert behind(100, Seen(now, 100, 90, 1)) == (0, 0)
    assert behind(100, None) == (0, 0)


def test_a_stuck_reader_that_sees_no_lag_is_behind_what_the_broker_said(now: float) -> None:
    assert behind(100, Seen(now, 130, 100, round(now * 1_000) - 60_000)) == (30, 60)


def test_the_larger_of_what_was_fetched_and_what_was_asked_counts(now: float) -> None:
    assert behind(100, Seen(now, 110, 100, round(now * 1_000)), lag=25)[0] == 25


def test_while_it_moves_nothing_is_older_than_the_last_record_applied(now: float) -> None:
    seen = Seen(now, 500, 100, round(now * 1_000) - 60_000)
    assert behind(200, seen, applied_ms=round(now * 1_000) - 7_000) == (300, 7)


def test_records_that_came_after_the_broker_was_asked_are_as_old_as_that_at_most(
    now: float,
) -> None:
    assert behind(100, Seen(now - 4, 100, 100, None), lag=5) == (5, 4)


async def test_a_broker_that_is_not_there_is_asked_again_and_ends_nothing() -> None:
    asking = asyncio.create_task(Lag(Settings(brokers="127.0.0.1:1"), []).run())
    await asyncio.sleep(1)
    assert not asking.done()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
