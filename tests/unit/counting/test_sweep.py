"""Sweeps: cut into slices, crashed at every bucket, corrected behind and ahead, one at a time.

Three accounts, each alone in its bucket, so that a slice of one window is one bucket:

    bucket    0 [early)   1 [middle)   2 [after)
"""

from __future__ import annotations

from itertools import count

import pytest

import service.counting.engine as engine_module
from service.counting import Grain, Rules
from service.counting.sweep import Sweep
from tests.support.small_log import MINUTE, T0, Counted

RULES = Rules(grains=(Grain.parse("1m:30s:15m"),), sweep_buckets=3)


def account_in(bucket: int) -> str:
    sweep = Sweep(RULES.sweep_buckets)
    names = (f"account-{number}" for number in count())
    return next(name for name in names if sweep.bucket_of(name.encode()) == bucket)


ACCOUNTS = EARLY, MIDDLE, AFTER = tuple(account_in(bucket) for bucket in range(3))


@pytest.fixture(autouse=True)
def _one_window_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "SLICE_WINDOWS", 1)


def one_window_each(at_s: float = 10) -> Counted:
    """Every account has one event in the window [0----60)."""
    counted = Counted(RULES)
    for account in ACCOUNTS:
        counted.event(at_s, account=account)
    return counted


def published(counted: Counted) -> list[tuple[str, int, int]]:
    """(account, gained, revision) in the order of publication."""
    return [(w["account_id"], w["gained"], w["revision"]) for w in counted.windows]


def test_a_slice_is_one_bucket_and_has_unsealed_stays_true_until_the_last() -> None:
    counted = one_window_each()
    counted.heartbeat(90)
    seen = []
    while counted.engine.has_unsealed:
        seen.append(len(counted.seal().windows))
    assert seen == [1, 1, 1, 0]  # the last one only ends the sweep
    assert published(counted) == [(account, 1, 0) for account in ACCOUNTS]


def test_a_sweep_goes_on_without_new_records_and_ends() -> None:
    counted = one_window_each()
    counted.heartbeat(90)
    counted.seal()
    assert counted.engine.has_unsealed
    positions = [counted.seal().checkpoint.position for _ in range(3)]
    assert positions == [4, 4, 4]
    assert not counted.engine.has_unsealed


def test_the_checkpoint_says_where_the_sweep_stands() -> None:
    counted = one_window_each()
    counted.heartbeat(90)
    stands = [counted.seal().checkpoint.sweep for _ in range(4)]
    final_at = T0 + 90_000
    assert [(s.closed_to_ms, s.closing_to_ms, s.bucket) for s in stands] == [
        (-1, final_at, 1),
        (-1, final_at, 2),
        (-1, final_at, 3),
        (final_at, final_at, 0),
    ]


def test_a_correction_behind_the_sweep_is_published_at_once() -> None:
    counted = one_window_each()
    counted.heartbeat(90)
    counted.seal()
    counted.event(20, account=EARLY)
    counted.seal()
    assert published(counted) == [(EARLY, 1, 0), (EARLY, 2, 1), (MIDDLE, 1, 0)]


def test_a_correction_ahead_of_the_sweep_is_published_by_it_with_its_revision_raised() -> None:
    counted = one_window_each()
    counted.heartbeat(90)
    counted.seal()
    counted.event(20, account=AFTER)
    counted.seal()
    assert published(counted) == [(EARLY, 1, 0), (MIDDLE, 1, 0)]
    counted.seal_all()
    assert published(counted) == [(EARLY, 1, 0), (MIDDLE, 1, 0), (AFTER, 2, 1)]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_window_born_during_a_sweep_after_its_finality_begins_at_revision_1(account: str) -> None:
    counted = Counted(RULES)
    for name in ACCOUNTS:
        if name != account:
            counted.event(10, account=name)
    counted.heartbeat(90)
    counted.seal()
    counted.event(20, account=account)
    counted.seal_all()
    assert sorted(published(counted)) == sorted(
        (name, 1, 1 if name == account else 0) for name in ACCOUNTS
    )


def test_a_correction_before_the_first_slice_is_swept_not_published_twice() -> None:
    counted = one_window_each()
    counted.heartbeat(90)
    counted.event(20, account=EARLY)
    counted.seal_all()
    assert published(counted) == [(EARLY, 2, 1), (MIDDLE, 1, 0), (AFTER, 1, 0)]


def test_a_second_sweep_waits_for_the_first_and_then_sweeps_what_waited() -> None:
    # [0----60)[60----120), final at 90 and at 150
    counted = one_window_each()
    for account in ACCOUNTS:
        counted.event(70, account=account)
    counted.heartbeat(90)
    counted.seal()
    counted.heartbeat(150)
    counted.seal_all()
    starts = [(w["start_ms"] - T0) // MINUTE for w in counted.windows]
    assert starts == [0, 0, 0, 1, 1, 1]
    assert len({(w["account_id"], w["start_ms"]) for w in counted.windows}) == 6


def test_a_window_past_keep_stays_in_its_row_until_it_is_swept() -> None:
    counted = one_window_each()
    counted.heartbeat(2_000)
    counted.seal()
    counted.event(2_000, account=AFTER)
    counted.seal()  # sweeps the middle account
    assert [w[0] for w in counted.rows[AFTER]["windows"]["1m"]] == [T0, T0 + 33 * MINUTE]
    counted.seal_all()
    assert published(counted)[-1] == (AFTER, 1, 0)
    counted.event(2_001, account=AFTER)
    counted.seal()
    assert [w[0] for w in counted.rows[AFTER]["windows"]["1m"]] == [T0 + 33 * MINUTE]


def test_a_late_event_does_not_change_a_window_that_waits_for_its_sweep() -> None:
    counted = one_window_each()
    counted.heartbeat(2_000)
    counted.event(20, account=AFTER)
    counted.seal_all()
    assert counted.counts() == {"applied": 3, "late": 1, "heartbeat": 1}
    assert published(counted) == [(account, 1, 0) for account in ACCOUNTS]
    assert counted.rows[AFTER]["gained"] == 2


def test_a_window_that_waits_for_its_sweep_past_keep_survives_a_crash() -> None:
    counted = one_window_each()
    counted.heartbeat(2_000)
    counted.event(2_000, account=AFTER)
    counted.seal()
    after = counted.restarted()
    after.seal_all()
    assert published(after) == [(account, 1, 0) for account in ACCOUNTS]


@pytest.mark.parametrize("slices", range(1, 5))
@pytest.mark.parametrize("corrected", [(), *((name,) for name in ACCOUNTS), ACCOUNTS])
def test_a_crash_at_any_bucket_loses_nothing_and_repeats_nothing(
    slices: int, corrected: tuple[str, ...]
) -> None:
    counted = one_window_each()
    counted.heartbeat(90)
    for _ in range(slices):
        counted.seal()
    after = counted.restarted()
    for account in corrected:
        after.event(20, "unfollow", account=account)
    after.seal_all()
    contents = [(w["account_id"], w["revision"]) for w in after.windows]
    assert len(set(contents)) == len(contents)
    last = {w["account_id"]: (w["gained"], w["lost"], w["revision"]) for w in after.windows}
    assert last == {name: (1, 1, 1) if name in corrected else (1, 0, 0) for name in ACCOUNTS}


@pytest.mark.parametrize("slices", range(1, 5))
def test_a_correction_that_was_not_sealed_before_the_crash_is_counted_again(slices: int) -> None:
    counted = one_window_each()
    counted.heartbeat(90)
    for _ in range(slices):
        counted.seal()
    counted.event(20, account=EARLY)  # applied, lost in the crash
    after = counted.restarted()
    after.event(20, account=EARLY)
    after.seal_all()
    assert sorted(published(after)) == sorted(
        {(EARLY, 1, 0), (EARLY, 2, 1), (MIDDLE, 1, 0), (AFTER, 1, 0)}
    )


def test_crashing_after_every_seal_publishes_what_one_life_does() -> None:
    counted = one_window_each()
    counted.event(70, account=MIDDLE)
    counted.heartbeat(90)
    counted.seal()
    for at_s in (20, 30, 150):
        counted = counted.restarted()
        counted.event(at_s, account=AFTER)
        counted.seal()
    while counted.engine.has_unsealed:
        counted = counted.restarted()
        counted.seal()
    last = {(w["account_id"], w["start_ms"]): (w["gained"], w["revision"]) for w in counted.windows}
    assert last == {
        (EARLY, T0): (1, 0),
        (MIDDLE, T0): (1, 0),
        (MIDDLE, T0 + MINUTE): (1, 0),
        (AFTER, T0): (3, 2),
    }
    assert len(counted.windows) == len({str(window) for window in counted.windows})


def test_an_account_with_windows_of_several_grains_is_swept_once_for_each() -> None:
    grains = (Grain.parse("1m:30s:15m"), Grain.parse("2m:30s:15m"))
    counted = Counted(Rules(grains=grains, sweep_buckets=3))
    counted.event(10)
    counted.event(119)
    counted.heartbeat(10_000)
    counted.seal_all()
    found = [(w["grain"], (w["start_ms"] - T0) // MINUTE, w["gained"]) for w in counted.windows]
    assert sorted(found) == [("1m", 0, 1), ("1m", 1, 1), ("2m", 0, 2)]
    assert counted.engine.tally.finals == len(found)


def test_a_seal_publishes_a_slice_more_for_what_its_records_may_have_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "OPENED_PER_SLICE", 1)
    counted = Counted(RULES)
    for number in range(50):
        for account in ACCOUNTS:
            counted.event(number * 600, account=account)
        counted.seal()
        assert all(len(row["windows"]["1m"]) <= 3 for row in counted.rows.values())


def test_a_row_that_would_outgrow_a_message_is_not_left_to_the_next_seal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "LONG_ROW_WINDOWS", 5)
    counted = one_window_each()
    monkeypatch.setattr(engine_module, "SLICE_WINDOWS", 0)  # those of others come first
    for number in range(1, 12):
        counted.heartbeat(number * 2_000)
        counted.event(number * 2_000, account=AFTER)
        counted.seal()
        assert len(counted.rows[AFTER]["windows"]["1m"]) <= 5
    monkeypatch.setattr(engine_module, "SLICE_WINDOWS", 1)
    counted.seal_all()
    assert len(counted.windows) == 13
