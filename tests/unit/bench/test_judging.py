"""What the soak calls flat, and what the fail-over measurement calls a pause."""

from __future__ import annotations

import os
import random

import pytest

from bench.common.pauses import Gaps
from bench.common.process_stats import sample, sums
from bench.common.trend import slope_per_hour, verdict

SECONDS = [5.0 * index for index in range(120)]
METRICS = """\
# TYPE netfollowers_records_total counter
netfollowers_records_total{outcome="applied",partition="0"} 30.0
netfollowers_records_total{outcome="applied",partition="1"} 12.0
# TYPE netfollowers_tasks gauge
netfollowers_tasks 7.0
# TYPE netfollowers_checkpoint_duration_seconds histogram
netfollowers_checkpoint_duration_seconds_bucket{le="1.0"} 4.0
netfollowers_checkpoint_duration_seconds_bucket{le="+Inf"} 5.0
netfollowers_checkpoint_duration_seconds_count 5.0
netfollowers_checkpoint_duration_seconds_sum 3.5
"""


def noisy(per_hour: float, noise: float) -> list[float]:
    draw = random.Random(7)
    return [300.0 + per_hour * at / 3_600 + draw.uniform(-noise, noise) for at in SECONDS]


def test_a_leak_of_a_megabyte_a_minute_is_not_flat() -> None:
    assert not verdict("resident MB", SECONDS, noisy(60.0, 10.0), share=0.1).is_flat


def test_noise_alone_is_flat() -> None:
    assert verdict("resident MB", SECONDS, noisy(0.0, 10.0), share=0.1).is_flat


def test_one_file_left_open_every_ten_minutes_is_not_flat() -> None:
    files = [24.0 + at // 200 for at in SECONDS]
    assert not verdict("open files", SECONDS, files, absolute=1.0).is_flat


def test_a_passing_peak_is_flat() -> None:
    files = [24.0] * len(SECONDS)
    files[100:104] = [90.0] * 4
    assert verdict("open files", SECONDS, files, absolute=1.0).is_flat
    assert "flat" in str(verdict("open files", SECONDS, files, absolute=1.0))


def test_what_comes_and_goes_is_flat() -> None:
    draw = random.Random(7)
    tasks = [80.0 + draw.randrange(12) for _ in SECONDS]
    assert verdict("tasks", SECONDS, tasks, absolute=6.0).is_flat


def test_a_task_left_behind_every_minute_is_not_flat() -> None:
    draw = random.Random(7)
    tasks = [80.0 + at // 60 + draw.randrange(12) for at in SECONDS]
    assert not verdict("tasks", SECONDS, tasks, absolute=6.0).is_flat


def test_what_shrinks_is_flat() -> None:
    assert verdict("resident MB", SECONDS, noisy(-100.0, 1.0), share=0.1).is_flat


def test_a_slope_is_per_hour() -> None:
    assert slope_per_hour(SECONDS, noisy(36.0, 0.0)) == pytest.approx(36.0)


def test_a_pause_is_the_longest_silence_of_a_partition() -> None:
    gaps = Gaps()
    for at in (1.0, 11.0, 11.5, 14.0, 15.5, 30.0):
        gaps.note(0, at)
    assert gaps.longest(1, 10.0, 16.0) == [2.5]


def test_a_partition_that_never_moves_pauses_all_the_time() -> None:
    gaps = Gaps()
    gaps.note(0, 12.0)
    assert gaps.longest(2, 10.0, 16.0) == [4.0, 6.0]


def test_metrics_are_summed_over_labels() -> None:
    assert sums(METRICS)["netfollowers_records_total"] == 42


def test_a_sample_says_what_the_process_holds() -> None:
    with open(os.devnull) as _:  # noqa: PTH123 - to hold a file
        more = sample(1.0, os.getpid(), METRICS)
    less = sample(2.0, os.getpid(), METRICS)
    assert more.files == less.files + 1
    assert less.rss_mb > 10
    assert (less.counted, less.tasks, less.checkpoints_over_1s) == (42, 7, 1)
