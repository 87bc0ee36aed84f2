"""The audit of a log with a range that was stepped over; one that ignores the range differs."""

from __future__ import annotations

from service.audit.model.committed_rules import rules_of
from service.audit.model.counting import Model, Rules
from service.audit.model.input_record import SKIPPED, LogRecord
from service.audit.sources.source import Extent, parts_of

RANGE = ((3, 6),)
PLACEHOLDER = LogRecord(3, -1, None, None, [])


def test_every_offset_of_the_range_counts_as_rejected() -> None:
    model = Model(Rules(skipped=RANGE))
    assert model.feed(PLACEHOLDER) == "rejected"
    assert model.counts["rejected"] == 3
    assert model.position == 6
    assert model.last.reasons == (SKIPPED,)


def test_an_audit_that_ignores_the_range_counts_otherwise_and_names_another_reason() -> None:
    model = Model(Rules())
    model.feed(PLACEHOLDER)
    assert model.counts["rejected"] == 1
    assert SKIPPED not in model.last.reasons


def test_the_range_is_not_read() -> None:
    assert list(parts_of(Extent(0, 9), RANGE)) == [Extent(0, 3), Extent(6, 9)]
    assert list(parts_of(Extent(4, 9), RANGE)) == [Extent(6, 9)]
    assert list(parts_of(Extent(0, 6), RANGE)) == [Extent(0, 3)]
    assert list(parts_of(Extent(0, 9), ())) == [Extent(0, 9)]


def test_the_commit_says_what_was_stepped_over() -> None:
    settings = '{"grains": "1m:30000:900000", "max_ahead_ms": 1, "dedup_generation": 9}'
    told = rules_of(f'{{"settings": {settings}, "skipped": [[3, 6, "wrong CRC"]]}}')
    assert told is not None
    assert told.skipped == RANGE
    silent = rules_of(f'{{"settings": {settings}}}')
    assert silent is not None
    assert silent.skipped == ()
