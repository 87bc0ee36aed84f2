"""The live lines of the demo: movers of the current minute, and all numbers of a moment."""

from __future__ import annotations

import json

from service.contract.input_record import LogRecord
from service.demo.live_line import Frame, live_line
from service.demo.update_watcher import Mover, Watch
from service.local.worker_process import environment, parse
from service.settings import Settings

T0 = 1_767_225_600_000
MINUTE = 60_000


def row(account: str, gained: int, lost: int, *, start_ms: int = T0, offset: int = 0) -> LogRecord:
    value = {
        "account_id": account,
        "followers": None,
        "offset": offset,
        "windows": {"1m": [[start_ms, gained, lost, 0]]},
    }
    return LogRecord(offset, -1, account.encode(), json.dumps(value).encode())


def watch(*records: LogRecord) -> Watch:
    made = Watch(Settings(), lambda _, offset: 10.0 if offset == 7 else None)
    made.take(0, records, now=10.25)
    return made


def test_movers_are_ranked_by_the_net_of_the_current_minute() -> None:
    seen = watch(row("a", 5, 1), row("b", 9, 1), row("c", 1, 8), row("d", 2, 3), row("e", 1, 1))
    gainers, losers = seen.movers(T0 + 30_000, 8)
    assert [(mover.account_id, mover.net) for mover in gainers] == [("b", 8), ("a", 4)]
    assert [(mover.account_id, mover.net) for mover in losers] == [("c", -7), ("d", -1)]


def test_movers_of_an_earlier_minute_are_gone() -> None:
    assert watch(row("a", 5, 1)).movers(T0 + MINUTE, 8) == ([], [])


def test_latency_is_known_for_what_we_sent_and_only_that() -> None:
    assert watch(row("a", 1, 0, offset=7)).latency_s(0.5) == 0.25
    assert watch(row("a", 1, 0, offset=8)).latency_s(0.5) is None


def test_a_live_line_has_what_was_counted_and_who_moves() -> None:
    frame = Frame(
        left_s=12.0,
        sent=1_234_567,
        rate=5_000,
        lag_records=12,
        watermark_age_s=0.05,
        latency_p50_s=0.074,
        latency_p99_s=1.2,
        outcomes={"applied": 1_000_000, "late": 5},
        gainers=[Mover(345, "acct-7", 1_000_000)],
        losers=[Mover(-12, "acct-\x1b[31m8", None)],
    )
    line = live_line(frame)
    assert line.isprintable()
    for part in ("5,000/s", "lag 12", "p50 74 ms", "p99 1.2 s", "applied=1,000,000",
                 "acct-7 +345 (of 1M)", "8 -12"):  # fmt: skip
        assert part in line


def test_a_live_line_of_the_first_moment_says_what_is_not_known() -> None:
    line = live_line(Frame(left_s=60.0, sent=0, rate=0))
    assert "lag ? | watermark ? ago | visible p50 ? p99 ?" in line
    assert line.endswith("net this minute: -")


def test_metrics_are_summed_over_partitions_and_the_watermark_is_the_oldest() -> None:
    gauges = parse(
        'netfollowers_records_total{outcome="applied",partition="0"} 5.0\n'
        'netfollowers_records_total{outcome="applied",partition="1"} 7.0\n'
        'netfollowers_records_total{outcome="late",partition="1"} 1.0\n'
        'netfollowers_lag_records{partition="0"} 2.0\n'
        'netfollowers_watermark_timestamp_seconds{partition="0"} -0.001\n'
        'netfollowers_watermark_timestamp_seconds{partition="1"} 9.0\n'
        'netfollowers_watermark_timestamp_seconds{partition="2"} 8.0\n'
    )
    assert gauges.outcomes == {"applied": 12, "late": 1}
    assert (gauges.counted, gauges.lag_records, gauges.watermark_s) == (13, 2, 8.0)


def test_settings_survive_the_way_through_the_environment() -> None:
    settings = Settings(app_id="x", web_port=1, flush_interval_s=0.1, ssl_check_hostname=False)
    assert Settings.from_env(environment(settings)) == settings


def test_the_checkpoint_that_lies_between_the_rows_at_least_once_is_no_row() -> None:
    seen = watch(LogRecord(0, -1, b"", b'{"position":1}'), row("a", 5, 1))
    assert [mover.account_id for mover in seen.movers(T0, 8)[0]] == ["a"]
