"""All metrics of a worker in one typed list; own registry, base units, prefix `netfollowers_`.

Counts are read from the engines when somebody scrapes: nothing is updated per event, and nothing is
kept twice. Only durations and sizes are observed as they happen, once per checkpoint or open.
`METRICS` is the whole list: READINGS of each shard, WORKER readings, OBSERVED histograms, the
counters beside them, and the series of single accounts (service/metrics/account_series.py).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service import __version__
from service.contract.input_record import Reason
from service.counting import Engine, Sealed
from service.kafka.partitioning import Partitioner
from service.metrics.account_series import AccountSeries

if TYPE_CHECKING:
    from service.kafka.aiokafka_ext.group_health import Membership
    from service.runtime.lag import Lag
    from service.runtime.shard import Shard
    from service.settings import Settings

Kind = Literal["counter", "gauge"]
_BYTES: Final = tuple(4.0**power * 1_024 for power in range(8))
_DELAYS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


Samples = Iterable[tuple[tuple[str, ...], float]]


@dataclass(slots=True)
class Host:
    """What a worker is made of, as far as metrics read it. `table_bytes` is measured on a timer."""

    shards: Iterable[Shard]
    lag: Lag
    accounts: AccountSeries
    membership: Callable[[], Membership | None]
    settings: Settings
    table_bytes: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric that is read from a shard; its samples are (labels after partition, value)."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[Shard, Host], Samples]


@dataclass(frozen=True, slots=True)
class WorkerReading:
    """One metric of the worker as a whole; its samples are (labels, value)."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[Host], Samples]


@dataclass(frozen=True, slots=True)
class Observed:
    """A histogram."""

    name: str
    help: str
    buckets: tuple[float, ...]


def _one(read: Callable[[Shard], float]) -> Callable[[Shard, Host], Samples]:
    return lambda shard, _: [((), read(shard))]


def _outcomes(shard: Shard, _: Host) -> Samples:
    counts = shard.engine.counts
    names = ("applied", "late", "duplicate", "rejected", "heartbeat")
    return [((name,), getattr(counts, name)) for name in names]


def _actions(shard: Shard, _: Host) -> Samples:
    tally = shard.engine.tally
    return [(("follow",), tally.followed), (("unfollow",), tally.unfollowed)]


def _states(host: Host) -> Samples:
    states = Tally(shard.state.value for shard in host.shards)
    return [((state,), states[state]) for state in ("opening", "held", "running")]


def _of_group(read: Callable[[Membership], float]) -> Callable[[Host], Samples]:
    def sample(host: Host) -> Samples:
        membership = host.membership()
        return [((), read(membership))] if membership is not None else []

    return sample


def _settings(host: Host) -> Samples:
    settings = host.settings
    return [((settings.app_id, settings.guarantee, settings.grains), 1)]


READINGS: Final = (
    Reading(
        "netfollowers_records",
        "counter",
        "Input records by outcome since counting began. The outcomes sum to all records read.",
        ("outcome",),
        _outcomes,
    ),
    Reading(
        "netfollowers_events",
        "counter",
        "Follows and unfollows that this worker has counted since it opened the partition.",
        ("action",),
        _actions,
    ),
    Reading(
        "netfollowers_table_gained",
        "gauge",
        "Followers gained, the sum of all rows of the table.",
        (),
        _one(lambda shard: shard.engine.table_gained),
    ),
    Reading(
        "netfollowers_table_lost",
        "gauge",
        "Followers lost, the sum of all rows of the table.",
        (),
        _one(lambda shard: shard.engine.table_lost),
    ),
    Reading(
        "netfollowers_table_net",
        "gauge",
        "Followers gained minus followers lost, the sum of all rows of the table.",
        (),
        _one(lambda shard: shard.engine.table_gained - shard.engine.table_lost),
    ),
    Reading(
        "netfollowers_rejected",
        "counter",
        "Rejected records by reason since this worker opened the partition.",
        ("reason",),
        lambda shard, _: [((k,), shard.engine.tally.rejected_by_reason[k]) for k in Reason],
    ),
    Reading(
        "netfollowers_missed_windows",
        "counter",
        "Windows that late events missed, by grain, since this worker opened the partition.",
        ("grain",),
        lambda shard, _: [
            ((grain.name,), shard.engine.tally.late_by_grain[grain.name])
            for grain in shard.engine.rules.grains
        ],
    ),
    Reading(
        "netfollowers_clamped",
        "counter",
        "Events with a time too far in the future. They were counted at their log timestamp.",
        (),
        _one(lambda shard: shard.engine.tally.clamped),
    ),
    Reading(
        "netfollowers_ids_under_two_accounts",
        "counter",
        "Duplicates whose id belongs to another account. Two producers may use the same ids.",
        (),
        _one(lambda shard: shard.engine.tally.ids_under_two_accounts),
    ),
    Reading(
        "netfollowers_ids_with_two_actions",
        "counter",
        "Counted events whose id came before with the other action. Such ids are not unique.",
        (),
        _one(lambda shard: shard.engine.tally.ids_with_two_actions),
    ),
    Reading(
        "netfollowers_baselines_ignored",
        "counter",
        "Baselines that were older than the last one of the account. They changed nothing.",
        (),
        _one(lambda shard: shard.engine.tally.baselines_ignored),
    ),
    Reading(
        "netfollowers_baselines_uncertain",
        "counter",
        "Baselines for which events since their time may be missing from the number of followers.",
        (),
        _one(lambda shard: shard.engine.tally.baselines_uncertain),
    ),
    Reading(
        "netfollowers_accounts_below_zero",
        "gauge",
        "Accounts with fewer than 0 followers. Their baseline and their events contradict.",
        (),
        _one(lambda shard: len(shard.engine.below_zero)),
    ),
    Reading(
        "netfollowers_expired_on_arrival",
        "counter",
        "Events and baselines older than the expiry time. Their account is forgotten at once.",
        (),
        _one(lambda shard: shard.engine.tally.expired_on_arrival),
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
        "Corrections of window results that were published before.",
        (),
        _one(lambda shard: shard.engine.tally.revisions),
    ),
    Reading(
        "netfollowers_open_windows",
        "gauge",
        "Windows in the table that are not yet final, or final but not yet published.",
        (),
        _one(lambda shard: shard.engine.open_windows),
    ),
    Reading(
        "netfollowers_sampled_keys",
        "counter",
        "Sampled accounts by the partitioner that would put their key into this partition. "
        "Two partitioners split accounts. With N partitions, 1 key in N fits murmur2 by chance.",
        ("partitioner",),
        lambda shard, _: [((k,), shard.metrics.sampled_keys[k]) for k in get_args(Partitioner)],
    ),
    Reading(
        "netfollowers_running",
        "gauge",
        "1 while this worker counts the partition, 0 while it opens the partition or waits.",
        (),
        _one(lambda shard: shard.is_running),
    ),
    Reading(
        "netfollowers_position",
        "gauge",
        "Offset of the next input record to read.",
        (),
        _one(lambda shard: shard.engine.position),
    ),
    Reading(
        "netfollowers_lag_records",
        "gauge",
        "Records between the position and the last stable offset, measured every 5 s.",
        (),
        lambda shard, host: [((), host.lag.records(shard))],
    ),
    Reading(
        "netfollowers_oldest_unprocessed_age_seconds",
        "gauge",
        "Age of the oldest record that is not counted yet, in seconds; 0 if all are counted.",
        (),
        lambda shard, host: [((), host.lag.age_s(shard))],
    ),
    Reading(
        "netfollowers_last_stable_offset_lag_records",
        "gauge",
        "Records and markers that are hidden behind the open transaction of a producer.",
        (),
        lambda shard, host: [((), host.lag.hidden(shard))],
    ),
    Reading(
        "netfollowers_last_stable_offset_lag_age_seconds",
        "gauge",
        "Seconds for which a transaction of a producer has been open; 0 without an open one.",
        (),
        lambda shard, host: [((), host.lag.hidden_s(shard))],
    ),
    Reading(
        "netfollowers_last_checkpoint_timestamp_seconds",
        "gauge",
        "Time of the last checkpoint, or of opening, in seconds since the epoch.",
        (),
        _one(lambda shard: shard.metrics.committed_s),
    ),
    Reading(
        "netfollowers_restore_progress_ratio",
        "gauge",
        "Part of the table's log that the restore has read, from 0 to 1; 1 when it is finished.",
        (),
        _one(lambda shard: shard.restored_part),
    ),
    Reading(
        "netfollowers_watermark_timestamp_seconds",
        "gauge",
        "Largest event time read, in seconds since the epoch.",
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
        "netfollowers_table_bytes",
        "gauge",
        "Bytes of the packed rows, without keys and index, measured every 15 s.",
        (),
        lambda shard, host: [((), host.table_bytes.get(shard.partition, 0))],
    ),
    Reading(
        "netfollowers_remembered_ids",
        "gauge",
        "Number of event ids that are remembered to find duplicates.",
        (),
        _one(lambda shard: shard.engine.remembered_ids),
    ),
    Reading(
        "netfollowers_dedup_horizon_cut_records",
        "gauge",
        "Records whose ids were lost: input retention had deleted them before the restore.",
        (),
        _one(lambda shard: float(shard.metrics.horizon_cut_records)),
    ),
)


WORKER: Final = (
    WorkerReading(
        "netfollowers_shards", "gauge", "Partitions of this worker, by state.", ("state",), _states
    ),
    WorkerReading(
        "netfollowers_group_generation",
        "gauge",
        "Generation of the consumer group at the last assignment.",
        (),
        _of_group(lambda membership: membership.generation),
    ),
    WorkerReading(
        "netfollowers_rebalances",
        "counter",
        "Partition assignments that this worker has received.",
        (),
        _of_group(lambda membership: membership.assignments),
    ),
    WorkerReading(
        "netfollowers_tasks",
        "gauge",
        "Number of asyncio tasks in the worker.",
        (),
        lambda _: [((), _tasks())],
    ),
    WorkerReading(
        "netfollowers_build_info",
        "gauge",
        "Version of the worker; the value is always 1.",
        ("version",),
        lambda _: [((__version__,), 1)],
    ),
    WorkerReading(
        "netfollowers_settings_info",
        "gauge",
        "Settings that results depend on; the value is always 1.",
        ("app_id", "guarantee", "grains"),
        _settings,
    ),
)

CHECKPOINT: Final = Observed(
    "netfollowers_checkpoint_duration_seconds",
    "Seconds from sealing a checkpoint to its commit.",
    _SECONDS,
)
CHECKPOINT_SIZE: Final = Observed(
    "netfollowers_checkpoint_size_bytes", "Bytes of the result records of one checkpoint.", _BYTES
)
SEAL: Final = Observed(
    "netfollowers_seal_duration_seconds",
    "Seconds to encode what changed. The worker does nothing else meanwhile.",
    _SECONDS,
)
OPEN: Final = Observed(
    "netfollowers_open_duration_seconds",
    "Seconds from assignment of a partition to its opening, with the restore.",
    _SECONDS,
)
LOOP_DELAY: Final = Observed(
    "netfollowers_loop_delay_seconds", "Seconds by which a sleeping task wakes too late.", _DELAYS
)
OBSERVED: Final = (CHECKPOINT, CHECKPOINT_SIZE, SEAL, OPEN, LOOP_DELAY)
FAILURES: Final = (
    "netfollowers_checkpoint_failures",
    "Failed checkpoints. Each one ends the worker: see its restarts (docs/operate/runbook.md).",
)
REFUSED: Final = (
    "netfollowers_web_refused",
    "Requests and connections that the web port has refused, by reason.",
)
REFUSALS: Final = ("connections", "host", "origin", "proof", "rate", "streams", "token")
ACCOUNTS: Final = (
    "netfollowers_account_net",
    "netfollowers_account_gained",
    "netfollowers_account_lost",
    "netfollowers_account_followers",
    "netfollowers_account_series",
    "netfollowers_account_series_limit",
)

METRICS: Final[Mapping[str, str]] = {
    **{one.name: one.kind for one in (*READINGS, *WORKER)},
    **{one.name: "histogram" for one in OBSERVED},
    FAILURES[0]: "counter",
    REFUSED[0]: "counter",
    **dict.fromkeys(ACCOUNTS, "gauge"),
}
"""Every metric of ours by name (a counter is exposed with `_total`), and its kind."""


class Metrics:
    """The registry of one worker. `bind` says what it is made of."""

    def __init__(self) -> None:
        """Two workers in one process do not meet: each has its own registry."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.checkpoint_seconds = self._histogram(CHECKPOINT)
        self.checkpoint_bytes = self._histogram(CHECKPOINT_SIZE)
        self.seal_seconds = self._histogram(SEAL)
        self.open_seconds = self._histogram(OPEN)
        self.loop_delay_seconds = self._histogram(LOOP_DELAY)
        self.checkpoint_failures = Counter(*FAILURES, registry=self.registry)
        self._refused = Counter(*REFUSED, ("reason",), registry=self.registry)
        for reason in REFUSALS:
            self._refused.labels(reason)
        self.host: Host | None = None

    def refused(self, reason: str) -> None:
        """Note that the web port has turned somebody away."""
        assert reason in REFUSALS, reason
        self._refused.labels(reason).inc()

    def bind(self, host: Host) -> None:
        """Read from this worker at every scrape."""
        self.host = host
        self.registry.register(_HostCollector(host))

    def for_shard(self) -> ShardMetrics:
        """Metrics of one shard."""
        return ShardMetrics(self)

    def _histogram(self, observed: Observed) -> Histogram:
        return Histogram(
            observed.name, observed.help, buckets=observed.buckets, registry=self.registry
        )


class ShardMetrics:
    """What a shard reports as it happens."""

    def __init__(self, metrics: Metrics) -> None:
        """`metrics` of the worker."""
        self._metrics = metrics
        self.horizon_cut_records: int = 0
        self.committed_s: float = time.time()
        self.sealed_records = 0
        self.sampled_keys: Tally[Partitioner] = Tally()

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

    def committed(self, seconds: float, size: int, partition: int, position: int) -> None:
        """Note a durable checkpoint: its duration, bytes, and which it was."""
        self.committed_s = time.time()
        exemplar = {"partition": str(partition), "position": str(position)}
        self._metrics.checkpoint_seconds.observe(seconds, exemplar)
        self._metrics.checkpoint_bytes.observe(size, exemplar)

    def failed(self) -> None:
        """Note that a checkpoint failed; the worker ends."""
        self._metrics.checkpoint_failures.inc()


class _HostCollector(Collector):
    """Reads the worker when somebody scrapes."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def collect(self) -> Iterator[Metric]:
        """Yield every family: those of shards and worker of one moment, then those of accounts."""
        yield from list(self._at_once())
        yield from self._host.accounts.collect()

    def _at_once(self) -> Iterator[Metric]:
        host = self._host
        shards = list(host.shards)
        for reading in READINGS:
            family = _family(reading, ("partition", *reading.labels))
            for shard in shards:
                for labels, value in reading.read(shard, host):
                    family.add_metric((str(shard.partition), *labels), value)
            yield family
        for of_worker in WORKER:
            family = _family(of_worker, of_worker.labels)
            for labels, value in of_worker.read(host):
                family.add_metric(labels, value)
            yield family


def _family(
    of: Reading | WorkerReading, labels: tuple[str, ...]
) -> CounterMetricFamily | GaugeMetricFamily:
    family_of = CounterMetricFamily if of.kind == "counter" else GaugeMetricFamily
    return family_of(of.name, of.help, labels=labels)


def _tasks() -> int:
    """Tasks of the loop that we are called in; 0 outside of one."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0
