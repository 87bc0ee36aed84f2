"""The model's rules, each with numbers worked out by hand. `[0----)` is a window."""

import pytest

from service.audit.model.counting import Final, Late, LogRecord, Model, Rules
from tests.unit.audit.records import (
    DAY,
    HOUR,
    MINUTE,
    ONLY_MINUTES,
    SECOND,
    T0,
    baseline,
    event,
    fed,
    heartbeat,
    record,
)


def test_follows_are_gained_and_unfollows_are_lost() -> None:
    model = fed(event(0), event(1), event(2, "unfollow"))

    alice = model.accounts["alice"]
    assert (alice.gained, alice.lost, alice.net) == (2, 1, 1)
    assert model.counts == {
        "applied": 3, "late": 0, "duplicate": 0, "rejected": 0, "heartbeat": 0,
    }  # fmt: skip


def test_accounts_are_counted_apart() -> None:
    model = fed(event(0), event(0, account="carol"))

    assert model.accounts["alice"].gained == model.accounts["carol"].gained == 1


def test_an_event_on_the_boundary_belongs_to_the_later_window() -> None:
    # [0m----)[1m----)
    model = fed(event(MINUTE - 1), event(MINUTE))

    assert model.windows == {
        ("alice", "1m", T0): [(1, 0)],
        ("alice", "1m", T0 + MINUTE): [(1, 0)],
    }


def test_an_event_counts_in_its_minute_its_hour_and_its_day() -> None:
    model = fed(event(DAY + 2 * HOUR + 3 * MINUTE + 4), rules=Rules())

    starts = {(grain, start_ms - T0) for _, grain, start_ms in model.windows}
    assert starts == {("1m", DAY + 2 * HOUR + 3 * MINUTE), ("1h", DAY + 2 * HOUR), ("1d", DAY)}


def test_a_window_is_final_once_the_watermark_is_at_its_end_and_grace() -> None:
    before = fed(event(0), event(MINUTE + 30 * SECOND - 1, account="carol"))
    then = fed(event(0), event(MINUTE + 30 * SECOND, account="carol"))

    assert before.finals() == {}
    assert then.finals() == {("alice", "1m", T0): Final(0, 1, 0)}


def test_an_event_before_finality_changes_the_window_without_a_revision() -> None:
    model = fed(event(0), event(MINUTE + 29_999), event(1, "unfollow"))

    assert model.windows["alice", "1m", T0] == [(1, 1)]
    assert model.last_revision("alice", "1m", T0) == 0


def test_every_event_after_finality_is_a_revision() -> None:
    model = fed(event(0), event(MINUTE + 30_000), event(1), event(2, "unfollow"))

    assert [model.revision("alice", "1m", T0, n) for n in range(4)] == [
        (1, 0), (2, 0), (2, 1), None,
    ]  # fmt: skip
    assert model.finals()["alice", "1m", T0] == Final(2, 2, 1)
    assert model.counts["late"] == 0


def test_a_window_that_was_empty_at_finality_begins_with_revision_one() -> None:
    model = fed(event(10 * MINUTE, account="carol"), event(0))

    assert model.windows["alice", "1m", T0] == [(0, 0), (1, 0)]
    assert model.finals()["alice", "1m", T0].revision == 1


def test_an_event_is_late_once_the_watermark_is_at_end_and_keep() -> None:
    # [0m----) keep 15 min ....|
    model = fed(event(16 * MINUTE - 1), event(0), event(16 * MINUTE), event(1, "unfollow"))

    assert model.windows["alice", "1m", T0] == [(0, 0), (1, 0)]
    assert model.late == [Late(3, T0 + 1, T0 + 16 * MINUTE, ("1m",))]
    assert model.counts["applied"] == 3
    assert model.counts["late"] == 1


def test_a_late_event_still_counts_in_the_totals_and_moves_the_row_offset() -> None:
    model = fed(event(16 * MINUTE), event(0))

    alice = model.accounts["alice"]
    assert (alice.gained, alice.offset, alice.last_event_ms) == (2, 1, T0 + 16 * MINUTE)


def test_a_late_event_counts_in_the_grains_that_still_keep_its_window() -> None:
    model = fed(event(4 * HOUR, account="carol"), event(0), rules=Rules())

    assert model.late[0].grains_missed == ("1m", "1h")
    assert model.windows["alice", "1d", T0] == [(1, 0)]
    assert ("alice", "1h", T0) not in model.windows


def test_what_keeps_has_not_ended_and_what_ended_is_not_kept() -> None:
    model = fed(event(0), event(16 * MINUTE))

    assert set(model.kept_ended()) == {("alice", "1m", T0)}
    assert set(model.kept()) == {("alice", "1m", T0 + 16 * MINUTE)}


def test_the_watermark_is_the_largest_event_time_and_never_goes_back() -> None:
    model = fed(event(5), event(3))

    assert model.watermark_ms == T0 + 5
    assert Model(ONLY_MINUTES).watermark_ms is None


def test_a_heartbeat_moves_the_watermark_and_touches_no_account() -> None:
    model = fed(event(0))
    outcome = model.feed(heartbeat(2 * MINUTE, offset=1))

    assert outcome == "heartbeat"
    assert model.watermark_ms == T0 + 2 * MINUTE
    assert model.accounts["alice"].offset == 0
    assert ("alice", "1m", T0) in model.finals()


def test_a_heartbeat_without_a_readable_time_is_rejected() -> None:
    model = Model(ONLY_MINUTES)
    header = [("netfollowers-heartbeat", b"1")]
    outcomes = [
        model.feed(LogRecord(offset, -1, None, value, header))
        for offset, value in enumerate([b'{"occurred_at":1}', b"{}", b"[]", None])
    ]

    assert outcomes == ["rejected"] * 4
    reasons = [rejected.reason for rejected in model.rejected]
    assert reasons == ["bad_time", "missing_field", "not_an_object", "empty_value"]
    assert model.watermark_ms is None


def test_a_heartbeat_needs_neither_id_nor_key_and_is_never_a_duplicate() -> None:
    model = Model(ONLY_MINUTES)

    assert [model.feed(heartbeat(0, offset)) for offset in range(2)] == ["heartbeat"] * 2


def test_an_id_seen_again_is_a_duplicate_and_changes_nothing() -> None:
    model = fed(event(0, event_id="x"), event(20 * MINUTE, event_id="x"))

    assert model.counts["duplicate"] == 1
    assert model.watermark_ms == T0
    assert (model.accounts["alice"].gained, model.accounts["alice"].offset) == (1, 0)
    assert model.duplicate_other_account == 0


def test_an_id_with_another_action_is_another_event() -> None:
    model = fed(event(0, event_id="x"), event(1, "unfollow", event_id="x"))

    assert model.counts["applied"] == 2
    assert model.last.another == ("follow", 0)
    assert model.id_with_other_action == 1


def test_by_version_1_an_id_with_another_action_is_a_duplicate() -> None:
    model = Model(Rules(versions=((0, 1), (2, 2))))
    for offset, action in enumerate(("follow", "unfollow", "baseline")):
        told = (
            baseline(0, 5, event_id="x") if action == "baseline" else event(0, action, event_id="x")
        )
        model.feed(record(told, offset))

    assert (model.counts["applied"], model.counts["duplicate"]) == (2, 1)


def test_a_duplicate_under_another_account_is_counted_apart() -> None:
    model = fed(event(0, event_id="x"), event(1, account="carol", event_id="x"))

    assert model.counts["duplicate"] == 1
    assert model.duplicate_other_account == 1
    assert "carol" not in model.accounts


def test_a_duplicate_enters_with_its_own_account() -> None:
    twice_carol = [event(at, account="carol", event_id="x") for at in (1, 2)]
    model = fed(event(0, event_id="x"), *twice_carol)

    assert model.counts["duplicate"] == 2
    assert model.duplicate_other_account == 1


@pytest.mark.parametrize(
    ("offsets", "outcomes"),
    [
        ((0, 9), ["applied", "duplicate"]),  # same generation
        ((0, 19), ["applied", "duplicate"]),  # the previous one
        ((0, 20), ["applied", "applied"]),  # forgotten
        ((9, 20), ["applied", "applied"]),  # forgotten, though only 11 records ago
        ((0, 19, 29), ["applied", "duplicate", "duplicate"]),  # a duplicate refreshes the id
    ],
)
def test_ids_are_remembered_for_this_and_the_previous_generation_of_offsets(
    offsets: tuple[int, ...], outcomes: list[str]
) -> None:
    model = Model(Rules(dedup_generation=10))

    assert [model.feed(record(event(0), offset)) for offset in offsets] == outcomes


def test_the_id_of_a_rejected_record_is_not_remembered() -> None:
    model = fed(event(0, action="like", event_id="x"), event(0, event_id="x"))

    assert (model.counts["rejected"], model.counts["applied"]) == (1, 1)


def test_the_id_of_a_late_record_is_remembered() -> None:
    model = fed(event(16 * MINUTE), event(0, event_id="x"), event(0, event_id="x"))

    assert (model.counts["late"], model.counts["duplicate"]) == (1, 1)


@pytest.mark.parametrize(("ahead", "counted_at"), [(10_000, 10_000), (10_001, 0)])
def test_an_event_too_far_ahead_of_its_log_time_counts_at_the_log_time(
    ahead: int, counted_at: int
) -> None:
    model = Model(ONLY_MINUTES)
    model.feed(record(event(ahead), 0, log_at=0))

    assert model.watermark_ms == T0 + counted_at
    assert model.accounts["alice"].last_event_ms == T0 + counted_at
    assert model.clamped == int(counted_at == 0)


def test_without_a_log_time_nothing_is_clamped() -> None:
    model = fed(event(100 * DAY))

    assert (model.clamped, model.watermark_ms) == (0, T0 + 100 * DAY)


def test_heartbeats_and_baselines_are_clamped_and_duplicates_are_not() -> None:
    model = Model(ONLY_MINUTES)
    model.feed(heartbeat(DAY, offset=0)._replace(timestamp_ms=T0))
    model.feed(record(baseline(DAY, 5, event_id="x"), 1, log_at=1))
    model.feed(record(baseline(DAY, 5, event_id="x"), 2, log_at=2))

    assert model.clamped == 2
    assert model.watermark_ms == T0 + 1


def test_followers_are_unknown_without_a_baseline() -> None:
    assert fed(event(0)).accounts["alice"].followers is None


def test_followers_are_the_baseline_and_the_net_since_its_time() -> None:
    times = [event(2), event(9), event(12), event(13, "unfollow")]
    model = fed(event(5), baseline(9, 100), *times)

    alice = model.accounts["alice"]
    assert (alice.net, alice.net_at_baseline, alice.followers) == (3, 2, 101)


def test_a_later_baseline_replaces() -> None:
    model = fed(baseline(0, 100), event(1), baseline(2, 7), event(3))

    assert model.accounts["alice"].followers == 8


def test_a_baseline_touches_totals_only_and_is_never_late() -> None:
    model = fed(event(DAY, account="carol"), baseline(0, 100))

    alice = model.accounts["alice"]
    assert (alice.gained, alice.lost, alice.followers) == (0, 0, 100)
    assert (alice.last_event_ms, alice.offset) == (T0, 1)
    assert model.counts["applied"] == 2
    assert not any(account == "alice" for account, _, _ in model.windows)


def test_a_baseline_moves_the_watermark() -> None:
    assert fed(baseline(7, 1)).watermark_ms == T0 + 7


def test_the_five_counts_sum_to_the_records_fed() -> None:
    model = fed(event(0), event(0), event(HOUR), event(1), event(0, action="like"))
    model.feed(heartbeat(0, offset=9))

    assert set(model.counts.values()) == {1, 2}
    assert sum(model.counts.values()) == 6
    assert model.position == 10
