"""Which ids are remembered: the last one to two generations, cut at fixed offsets."""

from __future__ import annotations

import pytest

from service.engine import Grain, Rules
from service.engine.duplicates import SeenIds
from tests.engine.logs import Counted

FOUR = Rules(grains=(Grain.parse("1m:30s:15m"),), dedup_generation=4)


def outcome_of_the_second(first: int, second: int) -> dict[str, int]:
    """The same id at two offsets and nothing between."""
    counted = Counted(FOUR)
    for counted.offset in (first, second):
        counted.event(0, event_id="x")
    return counted.counts()


@pytest.mark.parametrize("first", range(9))
def test_an_id_is_remembered_exactly_to_the_end_of_the_next_generation(first: int) -> None:
    # offsets [0 1 2 3)[4 5 6 7)[8 9 10 11)[12 ...
    counted = Counted(FOUR)
    counted.offset = first
    counted.event(0, event_id="x")
    horizon = (first // 4 + 2) * 4
    while counted.offset < horizon - 1:
        counted.event(0)
    copy = counted.offset
    counted.event(0, event_id="x")
    assert counted.counts()["duplicate"] == 1
    assert copy == horizon - 1
    fresh = Counted(FOUR)
    fresh.offset = first
    fresh.event(0, event_id="x")
    while fresh.offset < horizon:
        fresh.event(0)
    fresh.event(0, event_id="x")
    assert "duplicate" not in fresh.counts()


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("second", range(4, 20))
def test_a_gap_of_offsets_forgets_no_more_and_no_less_than_records_would(
    first: int, second: int
) -> None:
    due = {"applied": 1, "duplicate": 1} if second < 8 else {"applied": 2}
    assert outcome_of_the_second(first, second) == due


def test_a_duplicate_refreshes_its_id() -> None:
    # offsets [0 1 2 3)[4 5 6 7)[8 9 10 11)
    counted = Counted(FOUR)
    for counted.offset in (0, 7, 11):
        counted.event(0, event_id="x")
    assert counted.counts() == {"applied": 1, "duplicate": 2}


@pytest.mark.parametrize("copy", [1, 5])
def test_an_id_under_another_account_is_counted_apart_in_either_generation(copy: int) -> None:
    counted = Counted(FOUR)
    counted.event(0, event_id="1", account="a")
    counted.offset = copy
    counted.event(0, event_id="1", account="b")
    assert counted.counts() == {"applied": 1, "duplicate": 1}
    assert counted.engine.tally.ids_under_two_accounts == 1
    counted.seal()
    assert set(counted.rows) == {"a"}


def test_a_baseline_and_an_event_share_one_space_of_ids() -> None:
    counted = Counted(FOUR)
    counted.baseline(0, 5, event_id="x")
    counted.event(0, event_id="x")
    counted.event(0, event_id="y")
    counted.baseline(0, 6, event_id="y", account="b")
    assert counted.counts() == {"applied": 2, "duplicate": 2}
    assert counted.engine.tally.ids_under_two_accounts == 1


def test_a_baseline_seen_in_the_previous_generation_is_a_duplicate() -> None:
    counted = Counted(FOUR)
    for counted.offset in (3, 4):
        counted.baseline(0, 5, event_id="x")
    assert counted.counts() == {"applied": 1, "duplicate": 1}


def test_the_id_of_a_late_event_is_seen() -> None:
    counted = Counted(FOUR)
    counted.heartbeat(5_000)
    counted.event(0, event_id="x")
    counted.event(0, event_id="x")
    assert counted.counts() == {"late": 1, "duplicate": 1, "heartbeat": 1}


def test_a_duplicate_changes_no_row_even_if_it_says_something_else() -> None:
    counted = Counted(FOUR)
    counted.event(0, event_id="x")
    counted.event(70, "unfollow", event_id="x")
    counted.seal()
    assert (counted.rows["a"]["gained"], counted.rows["a"]["lost"]) == (1, 0)
    assert counted.rows["a"]["offset"] == 0


def test_a_heartbeat_has_no_id() -> None:
    counted = Counted(FOUR)
    counted.heartbeat(0)
    counted.heartbeat(0)
    assert counted.counts() == {"heartbeat": 2}


@pytest.mark.parametrize(
    ("position", "first"), [(0, 0), (3, 0), (4, 0), (7, 0), (8, 4), (11, 4), (12, 8)]
)
def test_what_must_be_read_again_begins_with_the_previous_generation(
    position: int, first: int
) -> None:
    assert SeenIds(4).replay_from(position) == first


def put_one(counted: Counted, kind: str) -> None:
    """One record; a rejected one, a gap, a heartbeat and a baseline among the events."""
    if kind == "gap":
        counted.offset += 5
    elif kind == "bad":
        counted.event(0, "like", event_id="x")
    elif kind == "beat":
        counted.heartbeat(0)
    elif kind == "base":
        counted.baseline(0, 5, event_id="x")
    else:
        counted.event(0, event_id=kind)


KINDS = ("bad", "x", "beat", "y", "x", "base", "gap", "x", "bad", "y", "z", "gap", "gap", "x", "z",
         "beat", "base", "y", "bad", "z", "x", "gap", "base", "x", "y", "z")  # fmt: skip


@pytest.mark.parametrize("cut", range(1, len(KINDS)))
def test_a_restart_at_any_record_remembers_what_the_living_engine_does(cut: int) -> None:
    live, before = Counted(FOUR), Counted(FOUR)
    for kind in KINDS:
        put_one(live, kind)
    for kind in KINDS[:cut]:
        put_one(before, kind)
    before.seal()
    after = before.restarted()
    after.offset = before.offset
    for kind in KINDS[cut:]:
        put_one(after, kind)
    live.seal()
    after.seal()
    assert after.counts() == live.counts()
    assert after.rows == live.rows
