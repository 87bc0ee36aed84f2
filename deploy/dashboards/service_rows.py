"""The rows of the dashboard Service below its first one."""

from __future__ import annotations

from typing import Final

from deploy.dashboards.panels import (
    GREEN,
    RED,
    YELLOW,
    About,
    Drawn,
    Query,
    graph,
    listing,
)

_BY_PARTITION: Final = "partition {{partition}}"
_BY_WORKER: Final = "{{instance}}"
_RATE: Final = "$__rate_interval"
_OURS: Final = '{job="netfollowers"}'  # process metrics have the same names everywhere


def _per_second(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[{_RATE}]))"


def _in_minute(metric: str, by: str) -> str:
    return f"60 * {_per_second(metric, by)}"


def _quantile(q: float, histogram: str) -> str:
    return f"histogram_quantile({q}, sum by (le) (rate({histogram}_bucket[{_RATE}])))"


def _mean(histogram: str) -> str:
    return f"sum(rate({histogram}_sum[{_RATE}])) / sum(rate({histogram}_count[{_RATE}]))"


def flow() -> list[Drawn]:
    """What comes in, and how far it has been read."""
    lag = "NetFollowersFallingBehind"
    return [
        graph(
            About(
                "Records by outcome",
                "Every record has exactly one outcome. The sum is the throughput.",
                "cps",
            ),
            Query(_per_second("netfollowers_records_total", "outcome"), "{{outcome}}"),
        ),
        graph(
            About("Events by action", "Follows and unfollows that were counted.", "cps"),
            Query(_per_second("netfollowers_events_total", "action"), "{{action}}"),
        ),
        graph(
            About(
                "Throughput by partition",
                "Input offsets per second. If one partition is far above the others, it has a "
                "very active account, or the keys are not evenly distributed.",
                "cps",
            ),
            Query(_per_second("netfollowers_position", "partition"), _BY_PARTITION),
            width=8,
        ),
        graph(
            About("Lag by partition", "Records that are not yet read.", "short", runbook=lag),
            Query("partition:netfollowers_lag_records:max", _BY_PARTITION),
            width=8,
        ),
        graph(
            About(
                "Age of the oldest that waits",
                "0 if there is no lag.",
                "s",
                runbook=lag,
                steps=((None, GREEN), (300, RED)),
            ),
            Query("partition:netfollowers_oldest_unprocessed_age_seconds:max", _BY_PARTITION),
            width=8,
        ),
        graph(
            About(
                "Hidden by open transactions",
                "Time since an open transaction of a producer was first seen; 0 without one. No "
                "record after the first record of the transaction is counted.",
                "s",
                runbook="NetFollowersHidden",
                steps=((None, GREEN), (60, RED)),
            ),
            Query(
                "max by (partition) (netfollowers_last_stable_offset_lag_age_seconds)",
                _BY_PARTITION,
            ),
            Query(
                "sum(netfollowers_last_stable_offset_lag_records)",
                "records",
            ),
            width=12,
        ),
        graph(
            About(
                "Event-time lag by partition",
                "Time between each watermark and now.",
                "s",
                runbook="NetFollowersTimeStandsStill",
                steps=((None, GREEN), (900, RED)),
            ),
            Query("partition:netfollowers_event_time_lag_seconds:min", _BY_PARTITION),
            width=12,
        ),
    ]


def not_counted() -> list[Drawn]:
    """What was refused, late, twice, or from the future."""
    return [
        graph(
            About(
                "Rejected by reason",
                "Records per minute. `netfollowers rejected stats` lists the accounts.",
                "short",
                runbook="NetFollowersRejecting",
                empty="nothing was rejected",
            ),
            Query(_in_minute("netfollowers_rejected_total", "reason") + " > 0", "{{reason}}"),
            width=8,
        ),
        graph(
            About(
                "Windows missed by late events",
                "Windows per minute that late events missed, by grain.",
                "short",
                runbook="NetFollowersLate",
                empty="no event was late",
            ),
            Query(_in_minute("netfollowers_missed_windows_total", "grain"), "{{grain}}"),
            width=8,
        ),
        graph(
            About(
                "Duplicates, clamped, conflicts of ids",
                "Records per minute. Clamped: events with a time too far in the future; they "
                "count at the log timestamp. An id under two accounts: the second event was lost "
                "as a duplicate. An id with two actions: each action counts once.",
                "short",
                runbook="NetFollowersIdsUnderTwoAccounts",
            ),
            Query(
                f'60 * sum(rate(netfollowers_records_total{{outcome="duplicate"}}[{_RATE}]))',
                "duplicates",
            ),
            Query(f"60 * sum(rate(netfollowers_clamped_total[{_RATE}]))", "clamped"),
            Query(
                f"60 * sum(rate(netfollowers_ids_under_two_accounts_total[{_RATE}]))",
                "ids under two accounts",
            ),
            Query(
                f"60 * sum(rate(netfollowers_ids_with_two_actions_total[{_RATE}]))",
                "ids with two actions",
            ),
            width=8,
        ),
        graph(
            About(
                "Baselines and expiry",
                "Accounts with fewer than 0 followers: baseline and events contradict. Per "
                "minute: baselines that were ignored because a newer one exists; baselines that "
                "came too late for an exact number; events older than the expiry time.",
                "short",
                runbook="NetFollowersBelowZero",
            ),
            Query("sum(netfollowers_accounts_below_zero)", "below zero"),
            Query(f"60 * sum(rate(netfollowers_baselines_ignored_total[{_RATE}]))", "ignored"),
            Query(f"60 * sum(rate(netfollowers_baselines_uncertain_total[{_RATE}]))", "uncertain"),
            Query(
                f"60 * sum(rate(netfollowers_expired_on_arrival_total[{_RATE}]))",
                "expired on arrival",
            ),
            width=8,
        ),
        graph(
            About(
                "Keys in a foreign partition",
                "Share of the sampled accounts that murmur2 would put into another partition. 0 "
                "if all producers use the default partitioner of the Java client.",
                "percentunit",
                runbook="NetFollowersMixedPartitioners",
                steps=((None, GREEN), (0.01, RED)),
            ),
            Query("netfollowers:foreign_keys:ratio_rate15m", "foreign"),
            width=8,
        ),
        graph(
            About(
                "Ids that could not be read again",
                "Records before the position that retention had deleted when the partition was "
                "opened. Duplicates of these records would be counted. 0 is good.",
                "short",
                runbook="Duplicates beyond a cut log",
                steps=((None, GREEN), (1, YELLOW)),
            ),
            Query("sum by (partition) (netfollowers_dedup_horizon_cut_records)", _BY_PARTITION),
            width=8,
        ),
    ]


def checkpoints() -> list[Drawn]:
    """How results become durable."""
    stalled = "NetFollowersCheckpointsStalled"
    return [
        graph(
            About(
                "Checkpoint duration",
                "Seconds from sealing a checkpoint to its commit: the median and the 99th "
                "percentile.",
                "s",
                runbook=stalled,
                steps=((None, GREEN), (10, RED)),
            ),
            Query(_quantile(0.5, "netfollowers_checkpoint_duration_seconds"), "median"),
            Query(_quantile(0.99, "netfollowers_checkpoint_duration_seconds"), "p99"),
            width=8,
        ),
        graph(
            About(
                "Sealing",
                "Time to encode what changed. The worker does nothing else meanwhile.",
                "s",
                steps=((None, GREEN), (1, YELLOW)),
            ),
            Query(_mean("netfollowers_seal_duration_seconds"), "mean"),
            Query(_quantile(0.99, "netfollowers_seal_duration_seconds"), "p99"),
            width=8,
        ),
        graph(
            About(
                "Size of a checkpoint", "Mean number of bytes that one transaction sends.", "bytes"
            ),
            Query(_mean("netfollowers_checkpoint_size_bytes"), "mean"),
            width=8,
        ),
        graph(
            About(
                "Checkpoints per second",
                "Checkpoints of all partitions. There are no checkpoints while no records arrive.",
                "cps",
            ),
            Query(
                f"sum(rate(netfollowers_checkpoint_duration_seconds_count[{_RATE}]))",
                "checkpoints",
            ),
            width=8,
        ),
        graph(
            About(
                "Age of the last checkpoint",
                "By partition. It grows while no records arrive. It is a problem only together "
                "with lag.",
                "s",
                runbook=stalled,
            ),
            Query("partition:netfollowers_checkpoint_age_seconds:min", _BY_PARTITION),
            width=8,
        ),
        graph(
            About(
                "Failed checkpoints",
                "A failure ends the worker. Its last log line gives the reason.",
                "short",
                runbook="NetFollowersWorkerRestarting",
                steps=((None, GREEN), (1, RED)),
            ),
            Query("sum by (instance) (netfollowers_checkpoint_failures_total)", _BY_WORKER),
            width=8,
        ),
    ]


def restores() -> list[Drawn]:
    """Which worker has which partition, and how partitions are taken over."""
    unowned = "NetFollowersPartitionNotCounted"
    return [
        graph(
            About(
                "Partitions by state",
                "Opening: the partition is being restored. Held: it is being handed over. "
                "Running: it is being counted.",
                "short",
                runbook=unowned,
            ),
            Query("sum by (state) (netfollowers_shards)", "{{state}}"),
            width=6,
        ),
        graph(
            About(
                "Restore progress",
                "1 means restored. If a partition stays below 1 without progress, its worker ends.",
                "percentunit",
                runbook=unowned,
            ),
            Query("min by (partition) (netfollowers_restore_progress_ratio)", _BY_PARTITION),
            width=6,
        ),
        graph(
            About(
                "Partitions opened, and how long it took",
                "Since the workers started: number of opened partitions, and mean time from "
                "assignment to running.",
                "short",
                runbook=unowned,
            ),
            Query("sum(netfollowers_open_duration_seconds_count)", "opened"),
            Query(
                "sum(netfollowers_open_duration_seconds_sum)"
                " / sum(netfollowers_open_duration_seconds_count)",
                "mean seconds",
            ),
            width=6,
        ),
        graph(
            About(
                "Group generation and rebalances",
                "The generation increases by one with every rebalance. Rebalances: by worker, "
                "since its start.",
                "short",
                runbook="NetFollowersWorkerRestarting",
            ),
            Query("max(netfollowers_group_generation)", "generation"),
            Query("sum by (instance) (netfollowers_rebalances_total)", "rebalances {{instance}}"),
            width=6,
        ),
        listing(
            About("Versions", "Version and settings of each worker.", "short"),
            "instance",
            [
                Query("max by (instance, version) (netfollowers_build_info)", "up"),
                Query(
                    "max by (instance, app_id, guarantee, grains) (netfollowers_settings_info)",
                    "settings",
                ),
            ],
            width=24,
            height=5,
        ),
    ]


def windows() -> list[Drawn]:
    """What is published, and what the memory holds."""
    return [
        graph(
            About(
                "Windows published",
                "Per minute: results that became final, and corrections of final results.",
                "short",
            ),
            Query(f"60 * sum(rate(netfollowers_windows_finalised_total[{_RATE}]))", "final"),
            Query(f"60 * sum(rate(netfollowers_window_revisions_total[{_RATE}]))", "revisions"),
            width=6,
        ),
        graph(
            About(
                "Open windows",
                "Windows of all accounts and grains that are not yet final and published.",
                "short",
            ),
            Query("sum(netfollowers_open_windows)", "open"),
            width=6,
        ),
        graph(
            About("Rows of the table", "Number of accounts, and of remembered event ids.", "short"),
            Query("sum(netfollowers_table_rows)", "rows"),
            Query("sum(netfollowers_remembered_ids)", "remembered ids"),
            width=6,
        ),
        graph(
            About(
                "Bytes of the table", "Bytes of the packed rows, without keys and index.", "bytes"
            ),
            Query("sum by (instance) (netfollowers_table_bytes)", _BY_WORKER),
            width=6,
        ),
    ]


def process() -> list[Drawn]:
    """What each worker's process needs."""
    return [
        graph(
            About(
                "CPU",
                "Share of one core. A worker counts on one core.",
                "percentunit",
                runbook="NetFollowersFallingBehind",
                steps=((None, GREEN), (0.9, YELLOW)),
            ),
            Query(_per_second(f"process_cpu_seconds_total{_OURS}", "instance"), _BY_WORKER),
            width=6,
        ),
        graph(
            About("Memory", "Resident bytes of each worker.", "bytes"),
            Query(f"max by (instance) (process_resident_memory_bytes{_OURS})", _BY_WORKER),
            width=6,
        ),
        graph(
            About(
                "Delay of the loop",
                "Delay of the event loop of the worker, 99th percentile. While the loop is "
                "blocked, the worker does not answer.",
                "s",
                steps=((None, GREEN), (1, YELLOW)),
            ),
            Query(_quantile(0.99, "netfollowers_loop_delay_seconds"), "p99"),
            width=6,
        ),
        graph(
            About(
                "Open files",
                "Open files as a share of the limit of the process.",
                "percentunit",
                steps=((None, GREEN), (0.8, RED)),
            ),
            Query(f"max by (instance) (process_open_fds{_OURS} / process_max_fds)", _BY_WORKER),
            width=6,
        ),
        graph(
            About("Tasks", "Number of asyncio tasks in the worker. It must not grow.", "short"),
            Query("max by (instance) (netfollowers_tasks)", _BY_WORKER),
            width=6,
        ),
        graph(
            About("Garbage collections", "Garbage collections per minute, by generation.", "short"),
            Query(
                _in_minute(f"python_gc_collections_total{_OURS}", "generation"), "{{generation}}"
            ),
            width=6,
        ),
        graph(
            About(
                "Account series",
                "Number of exported series, and its limit.",
                "short",
            ),
            Query("sum by (instance) (netfollowers_account_series)", _BY_WORKER),
            Query("max(netfollowers_account_series_limit)", "limit of each"),
            width=6,
        ),
        graph(
            About(
                "Up since",
                "Seconds since each worker started.",
                "s",
                runbook="NetFollowersWorkerRestarting",
            ),
            Query(f"time() - max by (instance) (process_start_time_seconds{_OURS})", _BY_WORKER),
            width=6,
        ),
        graph(
            About(
                "Turned away at the web port",
                "Refused requests and connections per minute, by reason. Token: a client guesses,"
                " or has an old token. Proof: a worker has another secret, or the sender is not a"
                " worker of this deployment.",
                "short",
                runbook="Refused requests",
            ),
            Query(_in_minute("netfollowers_web_refused_total", "reason"), "{{reason}}"),
            width=12,
        ),
    ]
