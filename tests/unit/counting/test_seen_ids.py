"""Which ids are remembered: the last one to two generations, cut at fixed offsets."""

from __future__ import annotations

import pytest

from service.counting import Grain, Rules
from service.counting.seen_ids import SeenIds
from tests.support.small_log import Counted

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


ACTIONS = ("follow", "unfollow", "baseline", "forget")


def put(counted: Counted, action: str, event_id: str = "x") -> None:
    if action == "baseline":
        counted.baseline(0, 5, event_id=event_id)
    elif action == "forget":
        counted.forget(0, event_id=event_id)
    else:
        counted.event(0, action, event_id=event_id)


@pytest.mark.parametrize("first", ACTIONS)
@pytest.mark.parametrize("second", ACTIONS)
@pytest.mark.parametrize("gap", [1, 4])
def test_an_event_is_known_by_its_id_and_its_action(first: str, second: str, gap: int) -> None:
    """`gap`: within one generation, and in the next one."""
    counted = Counted(FOUR)
    put(counted, first)
    counted.offset = gap
    put(counted, second)
    is_same = first == second
    assert counted.counts() == ({"applied": 1, "duplicate": 1} if is_same else {"applied": 2})
    assert counted.engine.tally.ids_with_two_actions == (not is_same)
    put(counted, first)
    put(counted, second)
    assert counted.counts()["duplicate"] == (3 if is_same else 2)
    assert counted.engine.tally.ids_with_two_actions == (not is_same)


def test_another_action_does_not_keep_the_first_one_remembered() -> None:
    # offsets [0 1 2 3)[4 5 6 7)[8 9 10 11)
    counted = Counted(FOUR)
    put(counted, "follow")
    counted.offset = 4
    put(counted, "unfollow")
    counted.offset = 8
    put(counted, "unfollow")
    put(counted, "follow")
    assert counted.counts() == {"applied": 3, "duplicate": 1}


@pytest.mark.parametrize("crash_after", range(6))
def test_a_restart_remembers_every_action_of_an_id(crash_after: int) -> None:
    log = ["follow", "unfollow", "baseline", "unfollow", "follow", "baseline"]
    counted = Counted(Rules(grains=FOUR.grains, dedup_generation=100))
    for index, action in enumerate(log):
        put(counted, action)
        if index == crash_after:
            counted.seal()
            counted = counted.restarted()
    assert counted.counts() == {"applied": 3, "duplicate": 3}


def test_an_edge_as_event_id_counts_follows_and_unfollows() -> None:
    """As on Bluesky: 20 follows and 15 unfollows of the same edges were +20, and are +5."""
    counted = Counted(Rules(grains=FOUR.grains, dedup_generation=100))
    for number in range(20):
        put(counted, "follow", f"at://{number}")
    for number in range(15):
        put(counted, "unfollow", f"at://{number}")
    counted.seal()
    assert counted.rows["a"]["net"] == 5
    assert counted.engine.tally.ids_with_two_actions == 15


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
    counted.event(70, event_id="x")
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
