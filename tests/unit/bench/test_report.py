"""What the benchmark's report says about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.common.sender import Plan, ticks
from bench.report.budget import Row
from bench.report.markdown import markdown
from bench.report.publish import publish
from bench.runs.restore import parse


def run(who: str, load: str, events: int, wall_s: float, cpu_s: float) -> dict[str, Any]:
    return {"who": who, "load": load, "events": events, "wall_s": wall_s, "cpu_s": cpu_s,
            "rss_bytes": 600_000_000, "accounts": 1_000_000}  # fmt: skip


def latency(rate: int, uncounted: int) -> dict[str, Any]:
    times = {"p50_ms": 70, "p99_ms": 120, "p999_ms": 150, "max_ms": 160}
    return {"who": "net followers", "rate": rate, "accounts": "uniform", "sent": 50_000,
            "seen": 40_000, "behind_s": 0.0, "uncounted": uncounted, "cores": 0.4,
            **times}  # fmt: skip


def page(**found: list[dict[str, Any]]) -> str:
    saved = {"command": "python -m bench", "began": "now", "minutes": 1.0, "machine": {"cores": 4},
             "missing": [], "found": found}  # fmt: skip
    return markdown(saved)


def line(text: str, begin: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(f"| {begin}"))


@pytest.mark.parametrize(
    ("is_most", "value", "verdict"),
    [
        (False, 19.0, "MISSED"),
        (False, 20.0, "must"),
        (False, 50.0, "aim"),
        (True, 21.0, "MISSED"),
        (True, 20.0, "must"),
        (True, 5.0, "aim"),
        (False, None, "not measured"),
    ],
)
def test_a_budget_row_says_what_was_reached(
    is_most: bool,  # noqa: FBT001 - a parameter of the test
    value: float | None,
    verdict: str,
) -> None:
    aim = 5.0 if is_most else 50.0
    row = Row("what", 20.0, aim, "s", lambda _: value, is_most=is_most)
    assert row.verdict(value) == verdict


def test_the_budget_compares_ours_with_a_peer_of_the_same_run() -> None:
    load = "uniform, 200,000 accounts"
    told = page(
        throughput=[
            run("net followers", load, 100_000, 1.0, 1.0),
            run("Kafka Streams, tuned", load, 100_000, 2.0, 4.0),
        ]
    )
    assert line(told, "uniform over 200,000").endswith("| 100,000 | must |")
    assert line(told, "against Kafka Streams tuned, uniform").endswith("| 4 | must |")
    assert line(told, "hot accounts").endswith("| - | not measured |")


def test_a_rate_that_was_not_held_shows_no_percentiles() -> None:
    told = page(latency=[latency(5_000, 0), latency(200_000, 12_345)])
    assert "120" in line(told, "5,000 ")
    assert "| - | - | - | - |" in line(told, "200,000 ")
    assert "12,345" in line(told, "200,000 ")


def test_steps_of_a_restore_are_timed_from_its_log() -> None:
    log = (
        "step at=10.000 read the rows\nstep at=12.000 load the rows\n"
        "step at=13.000 read the input again\nstep at=13.500 \n"
        "2026 INFO shard open partition=0 position=9 rows=7 remembered=5 seconds=4.00\n"
    )
    rows, ids, seconds, whole = parse(log)
    assert (rows, ids, whole) == (7, 5, 4.0)
    assert seconds == {"read the rows": 2.0, "load the rows": 1.0, "read the input again": 0.5}


def test_a_sender_plans_every_event_at_its_rate() -> None:
    plan = Plan("", "", 4, 100, 0.0, 1_000.0, 2.0, 0.02, 50.0, seed=1)
    made = ticks(plan)
    assert sum(len(records) for tick in made for records in tick) == 2_000
    assert b'"occurred_at":50020}' in next(r for r in made[1] if r)[0][1]


def test_a_published_report_keeps_what_was_written_by_hand(tmp_path: Path) -> None:
    made, page = tmp_path / "made", tmp_path / "page.md"
    made.mkdir()
    (made / "bench.md").write_text("# Benchmark\n\nnew figures\n")
    page.write_text("# Benchmark\n\nold figures\n\n## What features cost\n\nby hand\n")
    publish(page, made)
    publish(page, made)
    assert page.read_text() == "# Benchmark\n\nnew figures\n\n## What features cost\n\nby hand\n"
