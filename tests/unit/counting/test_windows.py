"""Revisions, corrections, sweeps, and what stays in a row."""

from __future__ import annotations

import json
import sys

import pytest

import service.counting.engine as engine_module
from service.contract.results import Source
from service.counting import Checkpoint, Engine, Grain, Rules
from tests.support.small_log import MINUTE, T0, Counted

GRAIN = (Grain.parse("1m:30s:15m"),)


def test_changes_of_an_open_window_do_not_raise_its_revision() -> None:
    counted = Counted()
    counted.event(10)
    counted.event(80, account="b")
    counted.event(20, "unfollow")
    counted.heartbeat(90)
    assert counted.results() == [("a", 0, 1, 1, 0)]


def test_every_change_after_finality_raises_the_revision_by_one() -> None:
    counted = Counted()
    counted.event(10)
    counted.heartbeat(90)
    counted.seal()
    counted.event(20)
    counted.seal()
    counted.event(30, "unfollow")
    assert counted.results() == [("a", 0, 1, 0, 0), ("a", 0, 2, 0, 1), ("a", 0, 2, 1, 2)]
    assert counted.engine.tally.finals == 1
    assert counted.engine.tally.revisions == 2


def test_a_checkpoint_publishes_the_newest_revision_only() -> None:
    counted = Counted()
    counted.event(10)
    counted.heartbeat(90)
    counted.event(20)
    counted.event(30)
    assert counted.results() == [("a", 0, 3, 0, 2)]


def test_a_window_born_after_its_finality_begins_at_revision_1() -> None:
    counted = Counted()
    counted.heartbeat(200)
    counted.event(10)
    assert counted.results() == [("a", 0, 1, 0, 1)]


def test_an_event_between_older_windows_finds_its_place() -> None:
    counted = Counted()
    for at_s in (70, 130, 65, 5):  # [0----60)[60----120)[120----180), not in order
        counted.event(at_s)
    counted.event(134)
    counted.event(110)
    counted.seal()
    starts = [window[0] for window in counted.rows["a"]["windows"]["1m"]]
    assert starts == [T0, T0 + MINUTE, T0 + 2 * MINUTE]


def test_an_open_window_that_is_born_behind_a_newer_one_is_swept_as_well() -> None:
    # [0----60)[60----120), the first is open until 90
    counted = Counted()
    counted.event(70)
    counted.event(55)
    counted.heartbeat(90)
    assert counted.results() == [("a", 0, 1, 0, 0)]


def test_a_window_leaves_its_row_when_it_is_past_keep_and_the_row_changes() -> None:
    counted = Counted()
    counted.event(10)
    counted.event(959)
    counted.seal()
    assert [w[0] for w in counted.rows["a"]["windows"]["1m"]] == [T0, T0 + 15 * MINUTE]
    counted.event(960)
    counted.seal()
    assert [w[0] - T0 for w in counted.rows["a"]["windows"]["1m"]] == [15 * MINUTE, 16 * MINUTE]


@pytest.fixture
def two_windows_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "SLICE_WINDOWS", 2)


@pytest.mark.usefixtures("two_windows_a_slice")
def test_a_sweep_is_cut_into_slices_and_is_due_until_it_ends() -> None:
    counted = Counted(Rules(grains=GRAIN, sweep_buckets=50))
    for number in range(9):
        counted.event(10, account=f"account-{number}")
    counted.heartbeat(90)
    slices = []
    while counted.engine.has_unsealed:
        slices.append(len(counted.seal().windows))
    assert sum(slices) == 9
    assert max(slices) <= 4
    assert len(slices) >= 4
    assert len({window["account_id"] for window in counted.windows}) == 9


@pytest.mark.usefixtures("two_windows_a_slice")
def test_a_second_sweep_waits_for_the_first() -> None:
    counted = Counted(Rules(grains=GRAIN, sweep_buckets=50))
    for number in range(6):
        counted.event(10, account=f"account-{number}")
        counted.event(70, account=f"account-{number}")
    counted.heartbeat(90)
    counted.seal()
    counted.heartbeat(150)
    while counted.engine.has_unsealed:
        counted.seal()
    starts = [window["start_ms"] for window in counted.windows]
    assert starts == [T0] * 6 + [T0 + MINUTE] * 6


@pytest.mark.usefixtures("two_windows_a_slice")
@pytest.mark.parametrize("slices", range(6))
def test_a_crash_in_the_middle_of_a_sweep_loses_nothing_and_repeats_nothing(slices: int) -> None:
    rules = Rules(grains=GRAIN, sweep_buckets=50)
    counted = Counted(rules)
    accounts = [f"account-{number}" for number in range(9)]
    for account in accounts:
        counted.event(10, account=account)
    counted.heartbeat(90)
    for _ in range(slices):
        counted.seal()
    rows = {name: json.dumps(row).encode() for name, row in counted.rows.items()}
    before = counted.windows
    if counted.sealed is None:
        return
    engine = Engine(rules, Source("follow-events", 3))
    checkpoint = counted.sealed.checkpoint
    engine.restore(Checkpoint.from_metadata(checkpoint.position, checkpoint.to_metadata()))
    engine.load((name.encode(), row) for name, row in rows.items())
    after = Counted(rules, engine)
    for account in accounts:  # behind the sweep and ahead of it
        after.event(20, account=account, event_id=f"again-{account}")
    while after.engine.has_unsealed:
        after.seal()
    published = [(w["account_id"], w["revision"]) for w in before + after.windows]
    assert len(set(published)) == len(published)
    last = {w["account_id"]: (w["gained"], w["revision"]) for w in before + after.windows}
    assert last == dict.fromkeys(accounts, (2, 1))


def test_a_row_at_rest_is_exact_size_bytes() -> None:
    counted = Counted()
    counted.event(10)
    counted.seal()
    [packed] = counted.engine._packed.values()
    assert isinstance(packed, bytes)
    assert sys.getsizeof(packed) == 33 + len(packed)
    assert counted.engine.accounts == 1
    assert counted.engine.awake == 0


def test_a_replayed_record_changes_no_row_but_time_counts_and_duplicates() -> None:
    """At least once: the row is newer than the checkpoint."""
    counted = Counted()
    counted.seal()
    start = counted.sealed.checkpoint if counted.sealed else None
    assert start is not None
    counted.event(10)
    counted.event(2_000)
    counted.event(10, event_id="late")
    counted.seal()
    engine = Engine(Rules(grains=GRAIN), Source("follow-events", 3))
    engine.restore(start)
    newest = engine.load((n.encode(), json.dumps(r).encode()) for n, r in counted.rows.items())
    assert newest == 2
    again = Counted(engine=engine)
    again.event(10)
    again.event(2_000)
    again.event(10, event_id="late")
    again.event(2_001, event_id="late")
    again.seal()
    assert again.rows["a"] == counted.rows["a"]
    assert again.engine.watermark_ms == counted.engine.watermark_ms
    assert again.counts() == {"applied": 2, "late": 1, "duplicate": 1}
    assert again.late == counted.late
