"""Rules refuse what contradicts itself; checkpoints carry them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import msgspec
import pytest

from service.counting import Checkpoint, Counts, Grain, Rules
from service.counting.checkpoint import SweepPosition
from service.counting.rules import duration_ms
from tests.support.small_log import Counted


def test_a_grain_is_size_grace_and_keep() -> None:
    assert Grain.parse("1m:30s:15m") == Grain("1m", 60_000, 30_000, 900_000)
    assert str(Grain.parse("1d:5m:2d")) == "1d:300000:172800000"
    assert duration_ms("90s") == 90_000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1m", "size:grace:keep"),
        ("1w:1s:1s", "size:grace:keep"),
        ("0m:0s:0s", "longer than nothing"),
        ("1m:30s:29s", "shorter than grace"),
        ("1m:30s:65m", "at most 64"),
    ],
)
def test_a_grain_that_cannot_work_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Grain.parse(text)


def test_a_duration_needs_a_unit() -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration_ms("30")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"grains": ()}, "1 to 8"),
        ({"grains": tuple(Grain.parse(f"{n}m:1m:2m") for n in range(1, 10))}, "1 to 8"),
        ({"grains": (Grain.parse("1m:1s:1s"), Grain.parse("60s:1s:1s"))}, "different lengths"),
        ({"max_ahead_ms": 30_001}, "smallest grace"),
        ({"max_ahead_ms": -1}, "smallest grace"),
        ({"dedup_generation": 0}, "at least 1"),
        ({"sweep_buckets": 0}, "at least 1"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Rules(**changes)  # type: ignore[arg-type]


def test_the_fingerprint_names_every_setting() -> None:
    assert Rules().fingerprint() == {
        "grains": "1m:30000:900000,1h:60000:10800000,1d:300000:172800000",
        "max_ahead_ms": 10_000,
        "dedup_generation": 131_072,
        "sweep_buckets": 1_024,
    }


def test_a_checkpoint_goes_through_its_metadata_unchanged() -> None:
    counts = Counts(2**53, 2**53, 2**53, 2**53, 2**53)
    for watermark in (-1, 0, 253_402_300_799_999):
        sweep = SweepPosition(-1, watermark, 1_023)
        checkpoint = Checkpoint(7, watermark, counts, sweep, Rules().fingerprint())
        text = checkpoint.to_metadata()
        assert len(text.encode()) < 4_096
        assert Checkpoint.from_metadata(7, text) == checkpoint
    assert counts.total == 5 * 2**53


@pytest.mark.parametrize("text", ["", "{}", "null", '{"v":1}', '{"offset": 5}'])
def test_metadata_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError)):
        Checkpoint.from_metadata(7, text)


def test_metadata_of_another_version_is_refused() -> None:
    counted = Counted()
    text = counted.seal().checkpoint.to_metadata().replace('"v":1', '"v":2')
    with pytest.raises(ValueError, match="version 2, not 1"):
        Checkpoint.from_metadata(7, text)


def test_a_sealed_checkpoint_counts_its_records() -> None:
    counted = Counted()
    counted.heartbeat(10_000)
    counted.event(0)
    counted.event(10_000, account="b")
    counted.event(0, action="like")
    assert counted.seal().records == 4
    assert counted.engine.settings == Rules(grains=(Grain.parse("1m:30s:15m"),)).fingerprint()
    assert not counted.engine.has_unsealed


def test_rules_at_their_very_limits_are_accepted() -> None:
    grain = Grain.parse("1m:30s:30s")
    Rules(grains=(grain,), max_ahead_ms=30_000, dedup_generation=1, sweep_buckets=1)
    Rules(grains=(Grain.parse("1m:0s:0s"),), max_ahead_ms=0)
    assert Grain.parse("1m:0s:64m").keep_ms == 64 * grain.size_ms
    assert len(Rules(grains=tuple(Grain.parse(f"{n}m:1m:2m") for n in range(1, 9))).grains) == 8


def test_rules_do_not_change_once_made() -> None:
    with pytest.raises(FrozenInstanceError):
        Rules().max_ahead_ms = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"grains": (Grain.parse("1m:30s:15m"),)}, "grains"),
        ({"grains": (Grain.parse("1m:29s:15m"), *Rules().grains[1:])}, "grains"),
        ({"grains": (Grain.parse("1m:30s:14m"), *Rules().grains[1:])}, "grains"),
        ({"max_ahead_ms": 9_999}, "max_ahead_ms"),
        ({"dedup_generation": 131_071}, "dedup_generation"),
        ({"sweep_buckets": 1_023}, "sweep_buckets"),
    ],
)
def test_every_setting_changes_its_own_line_of_the_fingerprint(
    changes: dict[str, object], setting: str
) -> None:
    before, after = Rules().fingerprint(), replace(Rules(), **changes).fingerprint()  # type: ignore[arg-type]
    assert {name for name in before if before[name] != after[name]} == {setting}


def test_before_the_first_record_nothing_is_counted_and_no_sweep_has_begun() -> None:
    assert Counts() == Counts(applied=0, late=0, duplicate=0, rejected=0, heartbeat=0)
    assert Counts().total == 0
    assert SweepPosition() == SweepPosition(closed_to_ms=-1, closing_to_ms=-1, bucket=0)
