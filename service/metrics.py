"""All metrics of a worker in one typed list; own registry, base units, prefix `netfollowers_`.

Counts are read from the engines when somebody scrapes: nothing is updated per event, and nothing is
kept twice. Only durations are observed as they happen, once per checkpoint or open.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service import __version__
from service.engine import Engine, Sealed
from service.kafka.partitioners import Partitioner

if TYPE_CHECKING:
    from service.kafka.shard import Shard

Kind = Literal["counter", "gauge"]
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric that is read from a shard; its samples are (labels after partition, value)."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[Shard], Iterable[tuple[tuple[str, ...], float]]]


def _one(read: Callable[[Shard], float]) -> Callable[[Shard], list[tuple[tuple[str, ...], float]]]:
    return lambda shard: [((), read(shard))]


def _outcomes(shard: Shard) -> list[tuple[tuple[str, ...], float]]:
    counts = shard.engine.counts
    names = ("applied", "late", "duplicate", "rejected", "heartbeat")
    return [((name,), getattr(counts, name)) for name in names]


def _actions(shard: Shard) -> list[tuple[tuple[str, ...], float]]:
    tally = shard.engine.tally
    return [(("follow",), tally.followed), (("unfollow",), tally.unfollowed)]


READINGS: Final = (
    Reading(
        "netfollowers_records",
        "counter",
        "Input records by outcome since counting began; the outcomes sum to the records seen.",
        ("outcome",),
        _outcomes,
    ),
    Reading(
        "netfollowers_events",
        "counter",
        "Follows and unfollows counted by this worker since it opened the partition.",
        ("action",),
        _actions,
    ),
    Reading(
        "netfollowers_rejected",
        "counter",
        "Refused records by reason since this worker opened the partition.",
        ("reason",),
        lambda shard: [((k,), v) for k, v in shard.engine.tally.rejected_by_reason.items()],
    ),
    Reading(
        "netfollowers_missed_windows",
        "counter",
        "Windows missed by late events, by grain, since this worker opened the partition.",
        ("grain",),
        lambda shard: [((k,), v) for k, v in shard.engine.tally.late_by_grain.items()],
    ),
    Reading(
        "netfollowers_clamped",
        "counter",
        "Events from the future, counted at their log timestamp.",
        (),
        _one(lambda shard: shard.engine.tally.clamped),
    ),
    Reading(
        "netfollowers_ids_under_two_accounts",
        "counter",
        "Duplicates whose id came with another account: two producers may number alike.",
        (),
        _one(lambda shard: shard.engine.tally.ids_under_two_accounts),
    ),
    Reading(
        "netfollowers_windows_finalised",
        "counter",
        "Final window results published.",
        (),
        _one(lambda shard: shard.engine.tally.finals),
    ),
    Reading(
        "netfollowers_window_revisions",
        "counter",
        "Corrections of window results that had been published.",
        (),
        _one(lambda shard: shard.engine.tally.revisions),
    ),
    Reading(
        "netfollowers_sampled_keys",
        "counter",
        "Changed accounts looked at, by the partitioner that puts their key here: a mixture "
        "splits accounts (one key in as many as there are partitions fits murmur2 by chance).",
        ("partitioner",),
        lambda shard: [((k,), v) for k, v in shard.metrics.sampled_keys.items()],
    ),
    Reading(
        "netfollowers_running",
        "gauge",
        "1 while this worker runs the partition's shard, 0 while it opens or holds it.",
        (),
        _one(lambda shard: shard.is_running),
    ),
    Reading(
        "netfollowers_position",
        "gauge",
        "Offset of the next input record.",
        (),
        _one(lambda shard: shard.engine.position),
    ),
    Reading(
        "netfollowers_lag_records",
        "gauge",
        "Records between the last stable offset and the position.",
        (),
        _one(lambda shard: shard.lag),
    ),
    Reading(
        "netfollowers_watermark_seconds",
        "gauge",
        "Largest event time seen, seconds since the epoch.",
        (),
        _one(lambda shard: shard.engine.watermark_ms / 1_000),
    ),
    Reading(
        "netfollowers_table_rows",
        "gauge",
        "Accounts in the table.",
        (),
        _one(lambda shard: shard.engine.accounts),
    ),
    Reading(
        "netfollowers_dedup_horizon_cut_records",
        "gauge",
        "Records whose ids could not be read again at open: input retention had cut the log.",
        (),
        _one(lambda shard: float(shard.metrics.horizon_cut_records)),
    ),
)


class Metrics:
    """The registry of one worker. `bind` says where its shards are."""

    def __init__(self) -> None:
        """Two workers in one process do not meet: each has its own registry."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.checkpoint_seconds = self._histogram(
            "netfollowers_checkpoint_duration_seconds", "From seal to committed."
        )
        self.seal_seconds = self._histogram(
            "netfollowers_seal_duration_seconds", "Encoding what changed; the loop stands still."
        )
        self.open_seconds = self._histogram(
            "netfollowers_open_duration_seconds", "From assignment to running, restore included."
        )

    def bind(self, shards: Iterable[Shard]) -> None:
        """Read counts from these shards at every scrape."""
        self.registry.register(_ShardCollector(shards))

    def for_shard(self) -> ShardMetrics:
        """Metrics of one shard."""
        return ShardMetrics(self)

    def _histogram(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, meaning, buckets=_SECONDS, registry=self.registry)


class ShardMetrics:
    """What a shard reports as it happens."""

    def __init__(self, metrics: Metrics) -> None:
        """`metrics` of the worker."""
        self._metrics = metrics
        self.horizon_cut_records: int = 0
        self.committed_at = time.monotonic()
        self.sealed_records = 0
        self.sampled_keys: Counter[Partitioner] = Counter()

    def opened(self, seconds: float, _: Engine) -> None:
        """Note that the shard has been restored."""
        self._metrics.open_seconds.observe(seconds)

    def horizon_cut(self, records: int) -> None:
        """Note ids that could not be read again."""
        self.horizon_cut_records = records

    def sampled(self, partitioner: Partitioner) -> None:
        """Note by which partitioner an account came here."""
        self.sampled_keys[partitioner] += 1

    def sealed(self, sealed: Sealed, seconds: float) -> None:
        """Note a sealed checkpoint."""
        self.sealed_records += sealed.records
        self._metrics.seal_seconds.observe(seconds)

    def committed(self, seconds: float) -> None:
        """Note a durable checkpoint."""
        self.committed_at = time.monotonic()
        self._metrics.checkpoint_seconds.observe(seconds)


class _ShardCollector(Collector):
    """Reads all shards when somebody scrapes."""

    def __init__(self, shards: Iterable[Shard]) -> None:
        self._shards = shards

    def collect(self) -> Iterator[Metric]:
        """Yield every family, with its samples of all shards."""
        shards = list(self._shards)
        for reading in READINGS:
            family_of = CounterMetricFamily if reading.kind == "counter" else GaugeMetricFamily
            family = family_of(reading.name, reading.help, labels=("partition", *reading.labels))
            for shard in shards:
                for labels, reading_value in reading.read(shard):
                    family.add_metric((str(shard.partition), *labels), reading_value)
            yield family
        assigned = GaugeMetricFamily("netfollowers_shards", "Shards held.", labels=("state",))
        for state in ("opening", "held", "running"):
            assigned.add_metric((state,), sum(shard.state.value == state for shard in shards))
        yield assigned
        tasks = GaugeMetricFamily("netfollowers_tasks", "Tasks of the worker's main loop.")
        tasks.add_metric((), _tasks())
        yield tasks
        build = GaugeMetricFamily("netfollowers_build_info", "Version.", labels=("version",))
        build.add_metric((__version__,), 1)
        yield build


def _tasks() -> int:
    """Tasks of the loop that we are called in; 0 outside of one."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0
