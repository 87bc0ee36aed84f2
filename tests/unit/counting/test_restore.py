"""A restart takes up where the checkpoint stands: rows, windows, counts, time, sweep and ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from service.contract.input_record import LogRecord
from service.contract.results import Source
from service.counting import Checkpoint, Counts, Engine, Grain, Rules
from service.counting.checkpoint import SweepPosition
from tests.support.small_log import ONE_MINUTE, SECOND, T0, Counted

RULES = Rules(
    grains=(Grain.parse("1m:30s:15m"), Grain.parse("5m:30s:30m")),
    dedup_generation=4,
    sweep_buckets=3,
)

Put = Callable[[Counted], None]

LIFE: tuple[Put, ...] = (
    partial(Counted.event, at_s=10),
    partial(Counted.event, at_s=11, account="b", event_id="x"),
    partial(Counted.event, at_s=12, action="like"),
    partial(Counted.baseline, at_s=13, followers=100),
    partial(Counted.event, at_s=14, account="b", event_id="x"),
    partial(Counted.event, at_s=70, action="unfollow"),
    partial(Counted.heartbeat, at_s=95),
    partial(Counted.event, at_s=20),
    partial(Counted.event, at_s=15, account="c"),
    partial(Counted.event, at_s=21, account="b", event_id="x"),
    partial(Counted.event, at_s=1_100, account="b"),
    partial(Counted.event, at_s=22),
    partial(Counted.put, key=None, value=None),
    partial(Counted.event, at_s=1_101, action="unfollow", account="c"),
    partial(Counted.baseline, at_s=5, followers=7, account="b"),
    partial(Counted.event, at_s=3_000, stamp=T0 + 1_105 * SECOND),
    partial(Counted.heartbeat, at_s=5_000),
    partial(Counted.event, at_s=30, account="d"),
)
"""Applied, late, duplicate, rejected, heartbeat; corrections, a clamp, baselines, ids forgotten."""


def lived(*, restarts: frozenset[int] = frozenset()) -> Counted:
    """Count the life record by record, seal after each; lose the engine before some of them."""
    counted = Counted(RULES)
    for number, put in enumerate(LIFE):
        if number in restarts:
            counted = counted.restarted()
        put(counted)
        counted.seal()
    counted.seal_all()
    return counted


def told(counted: Counted) -> tuple[object, ...]:
    """All that is promised to the outside: results in the order of their account, not beyond."""
    assert counted.sealed is not None
    checkpoint = counted.sealed.checkpoint
    windows: dict[str, list[object]] = {}
    for window in counted.windows:
        windows.setdefault(window["account_id"], []).append(window)
    published = (counted.rows, windows, counted.late, counted.rejected)
    return (*published, checkpoint.counts, checkpoint.watermark_ms, checkpoint.position)


def test_the_life_holds_every_outcome() -> None:
    assert set(lived().counts()) == {"applied", "late", "duplicate", "rejected", "heartbeat"}


@pytest.mark.parametrize("cut", range(1, len(LIFE)))
def test_a_restart_at_any_record_changes_nothing_that_is_published(cut: int) -> None:
    assert told(lived(restarts=frozenset({cut}))) == told(lived())


def test_a_restart_at_every_record_changes_nothing_that_is_published() -> None:
    assert told(lived(restarts=frozenset(range(1, len(LIFE))))) == told(lived())


@pytest.mark.parametrize("cut", range(1, len(LIFE)))
def test_what_was_applied_and_not_sealed_is_counted_again_and_once(cut: int) -> None:
    counted = Counted(RULES)
    for number, put in enumerate(LIFE):
        put(counted)
        if number < cut:
            counted.seal()
    counted = counted.restarted()
    for put in LIFE[cut:]:
        put(counted)
        counted.seal()
    counted.seal_all()
    assert told(counted) == told(lived())


@pytest.mark.parametrize("cut", range(len(LIFE) + 1))
def test_the_five_counts_sum_to_the_records_at_every_cut(cut: int) -> None:
    counted = Counted(RULES)
    for put in LIFE[:cut]:
        put(counted)
    assert counted.engine.counts.total == cut
    assert counted.seal().checkpoint.counts.total == cut


def test_a_batch_ends_as_its_records_one_by_one_do() -> None:
    one_by_one = lived()
    whole = Engine(RULES, Source("follow-events", 3))
    whole.apply(one_by_one.log, len(one_by_one.log))
    counted = Counted(engine=whole)
    counted.seal_all()
    assert whole.counts == one_by_one.engine.counts
    assert counted.late == one_by_one.late
    assert counted.rejected == one_by_one.rejected
    assert {name: row["net"] for name, row in counted.rows.items()} == {
        name: row["net"] for name, row in one_by_one.rows.items()
    }


def replayed_from(start: int) -> tuple[Counted, Counted]:
    """At least once: all was published, the commits after record `start` were lost."""
    counted = Counted(RULES)
    commit = counted.seal().checkpoint
    for number, put in enumerate(LIFE):
        put(counted)
        sealed = counted.seal()
        if number + 1 == start:
            commit = sealed.checkpoint
    counted.seal_all()
    engine = Engine(RULES, Source("follow-events", 3))
    engine.restore(Checkpoint.from_metadata(commit.position, commit.to_metadata()))
    engine.load((name.encode(), json.dumps(row).encode()) for name, row in counted.rows.items())
    engine.remember(
        one for one in counted.log if engine.replay_from(commit) <= one.offset < commit.position
    )
    again = Counted(engine=engine)
    for put in LIFE[start:]:
        put(again)
        again.seal()
    again.seal_all()
    return counted, again


@pytest.mark.parametrize("start", range(len(LIFE)))
def test_records_that_the_rows_already_hold_move_all_but_the_rows(start: int) -> None:
    counted, again = replayed_from(start)
    assert again.engine.counts == counted.engine.counts
    assert again.engine.watermark_ms == counted.engine.watermark_ms
    assert again.late == [
        one for one in counted.late if int(one["netfollowers-source-offset"]) >= start
    ]
    for name, row in again.rows.items():
        totals = ("gained", "lost", "net", "followers", "last_event_ms", "offset")
        assert {key: row[key] for key in totals} == {key: counted.rows[name][key] for key in totals}


@pytest.mark.parametrize("start", range(len(LIFE)))
def test_a_replay_publishes_no_revision_with_another_content(start: int) -> None:
    counted, again = replayed_from(start)

    def by_revision(one: Counted) -> dict[tuple[object, ...], object]:
        return {(w["account_id"], w["grain"], w["start_ms"], w["revision"]): w for w in one.windows}

    first, second = by_revision(counted), by_revision(again)
    assert {key: second[key] for key in second if key in first} == {
        key: first[key] for key in first if key in second
    }
    assert set(second) <= set(first)


def test_a_record_that_the_row_already_holds_does_not_change_it() -> None:
    counted = Counted()
    start = counted.seal().checkpoint
    counted.event(10)
    counted.event(11)
    counted.seal()
    engine = Engine(ONE_MINUTE, Source("follow-events", 3))
    engine.restore(start)
    assert engine.load([(b"a", json.dumps(counted.rows["a"]).encode())]) == 1
    again = Counted(engine=engine)
    again.event(10)
    again.event(11)
    again.event(12)
    again.seal()
    assert (again.rows["a"]["gained"], again.rows["a"]["offset"]) == (3, 2)
    assert again.counts() == {"applied": 3}


def test_a_loaded_row_is_as_it_was_but_for_the_next_event() -> None:
    counted = Counted()
    counted.event(10)
    counted.baseline(11, 100)
    counted.event(12, "unfollow")
    counted.seal()
    before = counted.rows["a"]
    after = counted.restarted()
    assert after.engine.accounts == 1
    after.event(13)
    after.seal()
    assert after.rows["a"] == {
        **before,
        "gained": 2,
        "net": 1,
        "followers": 100,
        "last_event_ms": T0 + 13 * SECOND,
        "offset": 3,
        "windows": {"1m": [[T0, 2, 1, 0]]},
    }


def test_rows_of_other_grains_are_not_loaded() -> None:
    counted = Counted()
    counted.event(0)
    counted.seal()
    engine = Engine(Rules(), Source("follow-events", 3))
    with pytest.raises(KeyError, match="1h"):
        engine.load([(b"a", json.dumps(counted.rows["a"]).encode())])


def test_an_empty_table_has_no_newest_offset() -> None:
    assert Engine(ONE_MINUTE, Source("follow-events", 3)).load([]) == -1


def test_an_engine_that_has_counted_is_not_restored_over() -> None:
    counted = Counted()
    counted.event(0)
    checkpoint = counted.seal().checkpoint
    with pytest.raises(AssertionError, match="restore comes first"):
        counted.engine.restore(checkpoint)


def test_rows_come_after_the_checkpoint() -> None:
    counted = Counted()
    counted.event(0)
    checkpoint = counted.seal().checkpoint
    engine = Engine(ONE_MINUTE, Source("follow-events", 3))
    engine.load([(b"a", json.dumps(counted.rows["a"]).encode())])
    with pytest.raises(AssertionError, match="restore comes first"):
        engine.restore(checkpoint)


def test_only_records_before_the_position_are_remembered() -> None:
    engine = Engine(ONE_MINUTE, Source("follow-events", 3))
    with pytest.raises(AssertionError):
        engine.remember([LogRecord(0, -1, None, None)])


def test_the_position_never_goes_back() -> None:
    engine = Engine(ONE_MINUTE, Source("follow-events", 3))
    engine.apply([], 5)
    with pytest.raises(AssertionError):
        engine.apply([], 4)


def test_an_empty_batch_at_the_same_position_changes_nothing() -> None:
    engine = Engine(ONE_MINUTE, Source("follow-events", 3))
    engine.apply([], 5)
    engine.seal()
    engine.apply([], 5)
    assert engine.position == 5
    assert not engine.has_unsealed


def test_control_records_move_the_position_and_make_a_checkpoint_due() -> None:
    engine = Engine(ONE_MINUTE, Source("follow-events", 3))
    assert not engine.has_unsealed
    engine.apply([], 5)
    assert engine.has_unsealed
    assert engine.seal().checkpoint.position == engine.position == 5
    assert not engine.has_unsealed


def test_a_restored_engine_has_nothing_to_seal() -> None:
    after = lived().restarted()
    assert not after.engine.has_unsealed
    assert after.engine.position == len(LIFE)


def test_the_greatest_checkpoint_fits_into_its_metadata() -> None:
    grains = tuple(Grain.parse(f"{n}99999999d:99999999d:99999999d") for n in range(1, 9))
    biggest = 2**63 - 1
    checkpoint = Checkpoint(
        biggest,
        biggest,
        Counts(biggest, biggest, biggest, biggest, biggest),
        SweepPosition(biggest, biggest, biggest),
        Rules(grains=grains, dedup_generation=biggest, sweep_buckets=biggest).fingerprint(),
    )
    text = checkpoint.to_metadata()
    assert len(text.encode()) < 4_096
    assert Checkpoint.from_metadata(biggest, text) == checkpoint


def test_metadata_says_null_before_the_first_event() -> None:
    text = Counted().seal().checkpoint.to_metadata()
    assert json.loads(text)["watermark_ms"] is None
    assert Checkpoint.from_metadata(0, text).watermark_ms == -1


def test_settings_that_do_not_fit_into_metadata_are_a_bug() -> None:
    engine = Engine(ONE_MINUTE, Source("follow-events", 3), settings={"grains": "x" * 4_096})
    with pytest.raises(AssertionError):
        engine.seal().checkpoint.to_metadata()


@pytest.mark.parametrize(
    "text", ["", "5", "[]", "null", "{}", '{"v":1}', "consumer-group metadata of another tool"]
)
def test_metadata_of_a_stranger_is_refused(text: str) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError)):
        Checkpoint.from_metadata(0, text)


@pytest.mark.parametrize("version", [0, 2, 99])
def test_metadata_of_another_version_is_refused_by_its_number(version: int) -> None:
    text = Counted().seal().checkpoint.to_metadata().replace('"v":1', f'"v":{version}')
    with pytest.raises(ValueError, match=f"version {version}, not 1"):
        Checkpoint.from_metadata(0, text)


def test_a_seal_does_not_change_when_the_engine_goes_on() -> None:
    counted = Counted()
    counted.event(10)
    sealed = counted.seal()
    before = msgspec.json.encode(sealed.checkpoint), list(sealed.updates)
    counted.event(20)
    counted.heartbeat(10_000)
    counted.seal()
    assert (msgspec.json.encode(sealed.checkpoint), list(sealed.updates)) == before
