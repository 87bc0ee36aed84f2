"""The live view: movers of the current minute, sparklines, and a frame that fits."""

from __future__ import annotations

import io
import json

from rich.console import Console

from service.contract.input_record import LogRecord
from service.demo.live_view import Frame, panels, plain
from service.demo.update_watcher import Mover, Watch, sparkline
from service.local.worker_process import environment, parse
from service.settings import Settings

T0 = 1_767_225_600_000
MINUTE = 60_000


def row(account: str, gained: int, lost: int, *, start_ms: int = T0, offset: int = 0) -> LogRecord:
    value = {
        "account_id": account,
        "net": gained - lost,
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


def test_a_trail_is_the_net_of_each_second() -> None:
    seen = watch(row("a", 1, 0))
    seen.tick()
    seen.take(0, [row("a", 4, 0)], now=11.0)
    seen.tick()
    seen.take(0, [row("a", 4, 2)], now=12.0)
    seen.tick()
    assert seen.movers(T0, 1)[0][0].trail == [3, -2]


def test_latency_is_known_for_what_we_sent_and_only_that() -> None:
    assert watch(row("a", 1, 0, offset=7)).latency_s(0.5) == 0.25
    assert watch(row("a", 1, 0, offset=8)).latency_s(0.5) is None


def test_sparklines_show_size_not_sign() -> None:
    assert sparkline([0, 4, -8]) == "▁▄█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


def frame() -> Frame:
    movers = [Mover(f"acct-{n}", 1_000 * n, n, 10**6, [n] * 30) for n in range(8)]
    return Frame(
        title="kafka at 127.0.0.1:19092, one worker, exactly_once",
        left_s=12.0,
        minute_ms=T0,
        sent=1_234_567,
        sent_rates=[5_000] * 60,
        rows_per_s=3_000,
        lag_records=12,
        watermark_age_s=0.05,
        latency_p50_s=0.074,
        latency_p99_s=1.2,
        outcomes={"applied": 1_000_000, "late": 5},
        gainers=movers,
        losers=movers,
    )


def test_a_frame_fits_a_terminal_of_80_and_of_100_columns() -> None:
    for width in (80, 100, 140):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(panels(frame(), width))
        lines = console.export_text().splitlines()
        assert len(lines) <= 20
        assert max(map(len, lines)) <= width
        assert any(line.count("last 12 s") == 2 for line in lines)
        assert any("acct-7" in line and "…" not in line for line in lines)


def test_a_plain_frame_is_one_line_with_all_that_matters() -> None:
    line = plain(frame())
    assert "\n" not in line
    for part in ("5,000/s", "lag 12", "p50 74 ms", "p99 1.2 s", "applied=1,000,000", "acct-0"):
        assert part in line


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
    assert seen.seen == 1
