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
                "Every record has exactly one outcome; together they are the throughput.",
                "cps",
            ),
            Query(_per_second("netfollowers_records_total", "outcome"), "{{outcome}}"),
        ),
        graph(
            About("Events by action", "Follows and unfollows that counted.", "cps"),
            Query(_per_second("netfollowers_events_total", "action"), "{{action}}"),
        ),
        graph(
            About(
                "Throughput by partition",
                "Input offsets per second. One partition far above the others is a hot account, "
                "or keys that are not spread.",
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
                "0 when all is read.",
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
                "For how long a producer's transaction has been seen open; 0 without one. Nothing "
                "behind its first record is counted.",
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
                "How far each watermark is behind the clock.",
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
                "Per minute. `netfollowers rejected stats` names the accounts.",
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
                "Per minute and grain: how many windows late events have missed.",
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
                "Per minute. Clamped: from the future, counted at the log's time. An id under two "
                "accounts is an event that was lost as a duplicate. An id with two actions counts "
                "once for each.",
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
                "Accounts whose followers are below 0: baseline and events contradict. Per minute: "
                "baselines that were ignored as older than the last, or came too late to know all "
                "since their time; and what came so old that its account expired at once.",
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
                "Share of the sampled accounts that murmur2 would put elsewhere; 0 when all "
                "producers are Kafka's own, or hash alike.",
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
                "Records before the position that retention had cut when the partition was "
                "opened: duplicates of them would count twice. 0 is well.",
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
                "From seal to committed: the median, and what one in a hundred exceeds.",
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
                "Encoding what changed; the worker does nothing else meanwhile.",
                "s",
                steps=((None, GREEN), (1, YELLOW)),
            ),
            Query(_mean("netfollowers_seal_duration_seconds"), "mean"),
            Query(_quantile(0.99, "netfollowers_seal_duration_seconds"), "p99"),
            width=8,
        ),
        graph(
            About("Size of a checkpoint", "Mean of the bytes sent in one transaction.", "bytes"),
            Query(_mean("netfollowers_checkpoint_size_bytes"), "mean"),
            width=8,
        ),
        graph(
            About(
                "Checkpoints per second",
                "All partitions. None while nothing arrives.",
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
                "By partition. It grows while nothing arrives; it is bad only with lag.",
                "s",
                runbook=stalled,
            ),
            Query("partition:netfollowers_checkpoint_age_seconds:min", _BY_PARTITION),
            width=8,
        ),
        graph(
            About(
                "Failed checkpoints",
                "A failure ends the worker, which says why in its last log line.",
                "short",
                runbook="NetFollowersWorkerRestarting",
                steps=((None, GREEN), (1, RED)),
            ),
            Query("sum by (instance) (netfollowers_checkpoint_failures_total)", _BY_WORKER),
            width=8,
        ),
    ]


def restores() -> list[Drawn]:
    """Who holds what, and how it is taken over."""
    unowned = "NetFollowersPartitionNotCounted"
    return [
        graph(
            About(
                "Partitions by state",
                "Opening: being restored. Held: handed over at the moment. Running: counted.",
                "short",
                runbook=unowned,
            ),
            Query("sum by (state) (netfollowers_shards)", "{{state}}"),
            width=6,
        ),
        graph(
            About(
                "Restore progress",
                "1: restored. A partition that stays below it, and does not move, ends its worker.",
                "percentunit",
                runbook=unowned,
            ),
            Query("min by (partition) (netfollowers_restore_progress_ratio)", _BY_PARTITION),
            width=6,
        ),
        graph(
            About(
                "Partitions opened, and how long it took",
                "Since the workers started: how many were opened, and the mean time from "
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
                "The generation rises by one with every rebalance; rebalances as each worker has "
                "seen them since it started.",
                "short",
                runbook="NetFollowersWorkerRestarting",
            ),
            Query("max(netfollowers_group_generation)", "generation"),
            Query("sum by (instance) (netfollowers_rebalances_total)", "rebalances {{instance}}"),
            width=6,
        ),
        listing(
            About("Versions", "What each worker runs.", "short"),
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
                "Per minute: results that became final, and corrections of final ones.",
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
            About("Rows of the table", "Accounts, and event ids that are remembered.", "short"),
            Query("sum(netfollowers_table_rows)", "rows"),
            Query("sum(netfollowers_remembered_ids)", "remembered ids"),
            width=6,
        ),
        graph(
            About("Bytes of the table", "Packed rows, without their keys in memory.", "bytes"),
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
                "Of one core: a worker counts on one.",
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
                "What one in a hundred ticks of the worker's loop comes too late: while it "
                "stands, nothing answers.",
                "s",
                steps=((None, GREEN), (1, YELLOW)),
            ),
            Query(_quantile(0.99, "netfollowers_loop_delay_seconds"), "p99"),
            width=6,
        ),
        graph(
            About(
                "Open files",
                "Share of what the process may open.",
                "percentunit",
                steps=((None, GREEN), (0.8, RED)),
            ),
            Query(f"max by (instance) (process_open_fds{_OURS} / process_max_fds)", _BY_WORKER),
            width=6,
        ),
        graph(
            About("Tasks", "Of the worker's loop. It must not grow.", "short"),
            Query("max by (instance) (netfollowers_tasks)", _BY_WORKER),
            width=6,
        ),
        graph(
            About("Garbage collections", "Per minute and generation.", "short"),
            Query(
                _in_minute(f"python_gc_collections_total{_OURS}", "generation"), "{{generation}}"
            ),
            width=6,
        ),
        graph(
            About(
                "Account series",
                "Exported now, and the limit that is never passed.",
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
                "Requests and connections per minute, by reason. Token: somebody guesses, or has "
                "an old token. Proof: a worker has another secret, or is no worker of ours.",
                "short",
                runbook="Requests that are turned away",
            ),
            Query(_in_minute("netfollowers_web_refused_total", "reason"), "{{reason}}"),
            width=12,
        ),
    ]
