"""Drawings: no bar is lost, numbers are short, PNGs are PNGs."""

from __future__ import annotations

import struct
from pathlib import Path

from service.charts.png import ebb_and_flow_png
from service.charts.series import (
    DAY_MS,
    MINUTE_MS,
    Bar,
    Flow,
    Scene,
    short,
    span_name,
    without_holes,
)
from service.demo import channel
from service.demo import channel_truth as story

T0 = 1_767_225_600_000
TRUTH = {day.start_ms: (day.follows, day.unfollows) for day in channel.daily_truth()}


def flow(*bars: tuple[int, int], size_ms: int = DAY_MS) -> Flow:
    starts = range(T0, T0 + len(bars) * size_ms, size_ms)
    made = tuple(Bar(start, *bar) for start, bar in zip(starts, bars, strict=True))
    return Flow("an account", "a test", size_ms, made)


def test_joining_bars_loses_nobody() -> None:
    whole = story.flow(TRUTH)
    joined = whole.in_at_most(50)
    assert len(joined.bars) <= 50
    assert sum(bar.gained for bar in joined.bars) == channel.GAINED
    assert sum(bar.lost for bar in joined.bars) == channel.LOST
    assert joined.followers is not None
    assert joined.followers[-1] == channel.FINAL_FOLLOWERS


def test_silent_windows_are_zeros_not_holes() -> None:
    bars = without_holes({T0: (1, 0), T0 + 3 * MINUTE_MS: (0, 2)}, MINUTE_MS)
    assert [(bar.gained, bar.lost) for bar in bars] == [(1, 0), (0, 0), (0, 0), (0, 2)]


def test_numbers_and_spans_are_short() -> None:
    assert [short(n) for n in (7, 950, 26_344, 1_500_000)] == ["7", "950", "26.3k", "1.5M"]
    assert [span_name(n) for n in (DAY_MS, 2 * MINUTE_MS, 30_000)] == ["day", "2 minutes", "30 s"]


def test_a_png_is_a_png_of_a_readable_size(tmp_path: Path) -> None:
    path = tmp_path / "flow.png"
    ebb_and_flow_png([story.flow(TRUTH), story.raid(TRUTH)], path)
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:24])
    assert width >= 1_000
    assert height >= 800


def test_a_png_of_a_flow_without_followers_and_with_a_late_scene(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    small = flow((3, 1), (0, 2), size_ms=MINUTE_MS)
    scene = Scene(T0 + MINUTE_MS, "something")
    ebb_and_flow_png([Flow(small.title, small.source, MINUTE_MS, small.bars, (scene,))], path)
    assert path.stat().st_size > 5_000
