"""Ranges that an operator has stepped over: every restart keeps them, and no reader reads them."""

from __future__ import annotations

import msgspec

from service.contract.results import Source
from service.contract.skipped_ranges import MAX_WHY, MOST, Skipped, around
from service.counting import Checkpoint, Counts, Engine, Rules
from service.counting.checkpoint import MAX_METADATA_BYTES, MOST_UNFORESEEN, SweepPosition
from service.settings import Settings

RANGES: Skipped = ((3, 5, "wrong CRC"), (9, 10, "too large"))


def test_a_restart_reads_around_the_ranges() -> None:
    #  0  1  2 [3  4] 5  6  7  8 [9] 10 11
    assert list(around(RANGES, 0, 12)) == [(0, 3), (5, 9), (10, 12)]
    assert list(around(RANGES, 0, 10)) == [(0, 3), (5, 9)]
    assert list(around(RANGES, 4, 9)) == [(5, 9)]
    assert list(around(RANGES, 10, 12)) == [(10, 12)]
    assert list(around(RANGES, 0, 2)) == [(0, 2)]
    assert list(around(((0, 2, "x"), (2, 4, "y")), 0, 4)) == []
    assert list(around((), 7, 7)) == []


def test_the_ranges_are_in_every_later_checkpoint() -> None:
    rules = Rules()
    before = Checkpoint(
        10, -1, Counts(applied=7, rejected=3), SweepPosition(), rules.fingerprint(), skipped=RANGES
    )
    engine = Engine(rules, Source("follow-events", 0))
    engine.restore(before)
    engine.apply([], 11)
    after = engine.seal().checkpoint
    assert after.skipped == RANGES
    assert Checkpoint.from_metadata(11, after.to_metadata()) == after


def test_as_many_ranges_as_there_may_be_fit_into_the_metadata() -> None:
    last = 2**53
    full = tuple((last, last, "y" * MAX_WHY) for _ in range(MOST))
    checkpoint = Checkpoint(
        last,
        last,
        Counts(*[last] * 5),
        SweepPosition(last, last, 1),
        Settings().fingerprint(4),
        rows=last,
        rules=tuple((last - 32 + number, 1) for number in range(32)),
        skipped=full,
        unforeseen=(last,) * MOST_UNFORESEEN,
    )
    assert len(checkpoint.to_metadata()) <= MAX_METADATA_BYTES
    none = msgspec.structs.replace(checkpoint, skipped=())
    assert "skipped" not in none.to_metadata()
