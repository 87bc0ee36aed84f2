"""Every metric of a worker in one typed list; base units, prefix `netfollowers_`.

A scrape reads the counts from the engines. Nothing is updated per event, and nothing is stored
twice. `METRICS` is the whole list: READINGS of each shard, WORKER readings, the histograms and
counters of service/metrics/observed.py, and the series of single accounts
(service/metrics/account_series.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

from service import __version__
from service.contract.input_record import Reason
from service.kafka.partitioning import Partitioner
from service.metrics.observed import FAILURES, OBSERVED, REFUSED

if TYPE_CHECKING:
    from service.counting import Engine
    from service.kafka.aiokafka_ext.group_health import Membership
    from service.runtime.lag import Lag
    from service.runtime.shard import Shard
    from service.settings import Settings

Kind = Literal["counter", "gauge"]


Samples = Iterable[tuple[tuple[str, ...], float]]


class Worker(Protocol):
    """The parts of a worker that metrics read. `Worker` of service/app.py has all of them.

    `held`: every shard, also those that are still opening. `membership`: None before the first
    assignment. `table_bytes`: bytes of packed rows by partition, measured on a timer.
    """

    @property
    def settings(self) -> Settings: ...  # noqa: D102 - see above
    @property
    def held(self) -> Iterable[Shard[Engine]]: ...  # noqa: D102
    @property
    def lag(self) -> Lag: ...  # noqa: D102
    @property
    def membership(self) -> Membership | None: ...  # noqa: D102
    @property
    def table_bytes(self) -> Mapping[int, int]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric of a shard. Its samples are (labels after partition, value)."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[Shard[Engine], Worker], Samples]


@dataclass(frozen=True, slots=True)
class WorkerReading:
    """One metric of the whole worker. Its samples are (labels, value)."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Callable[[Worker], Samples]


def _one(read: Callable[[Shard[Engine]], float]) -> Callable[[Shard[Engine], Worker], Samples]:
    return lambda shard, _: [((), read(shard))]


def _outcomes(shard: Shard[Engine], _: Worker) -> Samples:
    counts = shard.engine.counts
    names = ("applied", "late", "duplicate", "rejected", "heartbeat")
    return [((name,), getattr(counts, name)) for name in names]


def _actions(shard: Shard[Engine], _: Worker) -> Samples:
    tally = shard.engine.tally
    return [(("follow",), tally.followed), (("unfollow",), tally.unfollowed)]


def _states(worker: Worker) -> Samples:
    states = Tally(shard.state.value for shard in worker.held)
    return [((state,), states[state]) for state in ("opening", "held", "running")]


def _of_group(read: Callable[[Membership], float]) -> Callable[[Worker], Samples]:
    def sample(worker: Worker) -> Samples:
        membership = worker.membership
        return [((), read(membership))] if membership is not None else []

    return sample


def _settings(worker: Worker) -> Samples:
    settings = worker.settings
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
        lambda shard, _: [((k,), shard.sampled_keys[k]) for k in get_args(Partitioner)],
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
        lambda shard, worker: [((), worker.lag.records(shard))],
    ),
    Reading(
        "netfollowers_oldest_unprocessed_age_seconds",
        "gauge",
        "Age of the oldest record that is not counted yet, in seconds; 0 if all are counted.",
        (),
        lambda shard, worker: [((), worker.lag.age_s(shard))],
    ),
    Reading(
        "netfollowers_last_stable_offset_lag_records",
        "gauge",
        "Records and markers that are hidden behind the open transaction of a producer.",
        (),
        lambda shard, worker: [((), worker.lag.hidden(shard))],
    ),
    Reading(
        "netfollowers_last_stable_offset_lag_age_seconds",
        "gauge",
        "Seconds for which a transaction of a producer has been open; 0 without an open one.",
        (),
        lambda shard, worker: [((), worker.lag.hidden_s(shard))],
    ),
    Reading(
        "netfollowers_last_checkpoint_timestamp_seconds",
        "gauge",
        "Time of the last checkpoint, or of opening, in seconds since the epoch.",
        (),
        _one(lambda shard: shard.committed_s),
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
        lambda shard, worker: [((), worker.table_bytes.get(shard.partition, 0))],
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
        _one(lambda shard: shard.dedup_history_lost),
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
"""The kind of every metric by name. A counter is exposed with `_total`."""


def _tasks() -> int:
    """Return the number of tasks of the running loop; 0 outside of a loop."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0
