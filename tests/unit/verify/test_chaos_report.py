"""What a run says about itself, and what makes it fail. No broker is needed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from verify.chaos.__main__ import write
from verify.chaos.auditing import Verdict
from verify.chaos.fault_record import Strike
from verify.chaos.fleet import Exit
from verify.chaos.report import of, percentile
from verify.chaos.run import NO_PROXY, Plan, Story, wrong
from verify.chaos.schedule import CUTS, Kind
from verify.chaos.watcher import Pause


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """Every kind has struck once, for a second, healed two seconds after its begin."""
    strikes = [
        Strike(kind, 1_000.0 + at, 1_001.0 + at, 1_002.0 + at, 1_002.5 + at, is_effective=True)
        for at, kind in enumerate(Kind)
    ]
    compared = {"input records": 105, "heartbeat": 2, "rows": 7}
    return Story(
        Plan(tmp_path),
        began_s=1_000.0,
        strikes=strikes,
        verdicts=[Verdict(1_020.0, 0.5, compared, 0)],
        pauses=[Pause(3, 1_004.0, 2.5), Pause(1, 1_008.0, 9.5)],
        per_second=Counter({1_001: 50, 1_003: 70}),
        sent=Counter({"event": 90, "bad": 10}),
        chaos_s=20.0,
    )


def test_a_run_whose_numbers_agree_and_whose_faults_struck_has_passed(story: Story) -> None:
    assert wrong(story) == []


def test_a_mismatch_fails_the_run(story: Story) -> None:
    story.verdicts.append(Verdict(1_021.0, 0.5, {}, 1, ["row acct-1: found 1, expected 2"]))
    assert wrong(story) == ["row acct-1: found 1, expected 2"]
    assert of(story, "", {})["mismatches"] == 1


def test_a_kind_that_never_hit_anything_fails_the_run(story: Story) -> None:
    story.strikes[0].is_effective = False
    assert wrong(story) == [f"never effective: {Kind.KILL}"]


def test_a_worker_that_ended_for_no_reason_fails_the_run(story: Story) -> None:
    story.exits = [Exit(0, 70, (), 0.0, 0.0, ()), Exit(1, -11, (), 0.0, 0.0, ("the end",))]
    found = wrong(story)
    assert len(found) == 1
    assert "the end" in found[0]


def test_without_a_proxy_the_report_says_so_loudly(story: Story, tmp_path: Path) -> None:
    story.skipped = NO_PROXY
    story.strikes = [strike for strike in story.strikes if strike.kind not in CUTS]
    assert wrong(story) == []
    assert NO_PROXY in write(story, tmp_path / "chaos.json", "make chaos")


def test_the_report_counts_and_measures(story: Story, tmp_path: Path) -> None:
    report = of(story, "make chaos", {})
    assert report["effective"] == len(Kind)
    assert report["recovery_s"] == {"median": 2.0, "p99": 2.0, "longest": 2.0}
    assert report["aftermath_s"]["median"] == 1.5
    assert report["longest_pause"]["seconds"] == 9.5
    assert report["records_arrived_again"] == 3
    page = write(story, tmp_path / "chaos.json", "make chaos")
    assert "**Passed.**" in page
    assert all((tmp_path / f"chaos.{kind}").stat().st_size for kind in ("json", "md", "png"))


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert percentile([], 0.99) == 0.0
