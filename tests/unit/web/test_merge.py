"""The boards of many shards as one; the rate; owners between a revoke and an assignment. Pure."""

from __future__ import annotations

import pytest

from service.kafka.aiokafka_ext.group_health import Membership
from service.web import merge as merging
from service.web.peer_protocol import ShardBoard, ShardTop
from service.web.rate_limits import Rate
from service.web.responses import Freshness, GrainRule, Place

HOUR = GrainRule("1h", 3_600_000, 60_000, 10_800_000, is_ranked=True)
H = HOUR.size_ms


def board(hour: int, *, is_exact: bool = True, **gained: int) -> ShardBoard:
    places = [Place(name, value, []) for name, value in gained.items()]
    return ShardBoard(hour * H if hour >= 0 else -1, is_exact, {"gained": places})


def shard(
    partition: int, watermark_ms: int | None, current: ShardBoard, final: ShardBoard
) -> ShardTop:
    return ShardTop(Freshness(partition, "", watermark_ms, 0, 0, 0), current, final)


def test_equal_values_rank_by_id_and_only_the_first_n_stay() -> None:
    one = shard(0, 2 * H, board(2, b=5, d=5, z=9), board(1, b=1))
    two = shard(1, 2 * H, board(2, a=5, c=6), board(1))
    top = merging.top(HOUR, "gained", 4, [one, two])
    assert [place.account_id for place in top.current.rankings["gained"]] == ["z", "c", "a", "b"]
    assert (top.current.state, top.final.state) == ("open", "final")
    assert (top.current.start_ms, top.current.end_ms) == (2 * H, 3 * H)


def test_a_shard_behind_a_window_has_nothing_in_it_and_that_is_exact() -> None:
    one = shard(0, 2 * H, board(2, a=5), board(1, a=1))
    idle = shard(1, H - 1, board(0, b=99), board(-1))
    top = merging.top(HOUR, "gained", 9, [one, idle])
    assert [place.account_id for place in top.current.rankings["gained"]] == ["a"]
    assert top.current.is_exact
    assert top.final.pending_partitions == []


def test_a_shard_that_holds_a_window_open_is_named_as_pending() -> None:
    one = shard(0, 2 * H + 60_000, board(2), board(1, a=1))
    other = shard(1, 2 * H + 59_000, board(2), board(0, b=9))
    top = merging.top(HOUR, "gained", 9, [one, other])
    assert top.final.start_ms == H
    assert top.final.pending_partitions == [1]
    assert [place.account_id for place in top.final.rankings["gained"]] == ["a"]


def test_a_shard_that_has_entered_a_window_but_not_sealed_makes_the_board_inexact() -> None:
    one = shard(0, 2 * H, board(2, a=5), board(1))
    other = shard(1, 2 * H + 1, board(1, b=9), board(0))
    assert not merging.top(HOUR, "gained", 9, [one, other]).current.is_exact


@pytest.mark.parametrize("is_exact", [True, False])
def test_one_shard_that_looks_again_makes_the_board_inexact(*, is_exact: bool) -> None:
    shards = [
        shard(0, H, board(1, a=1), board(-1)),
        shard(1, H, board(1, is_exact=is_exact), board(-1)),
    ]
    assert merging.top(HOUR, "gained", 9, shards).current.is_exact is is_exact


def test_without_an_event_there_is_no_window() -> None:
    top = merging.top(HOUR, "gained", 9, [shard(0, None, board(-1), board(-1))])
    assert (top.current.start_ms, top.final.start_ms) == (None, None)
    assert top.current.rankings == {"gained": []}


def test_a_rate_is_per_address_and_comes_back_with_time() -> None:
    now = 0.0
    rate = Rate(2.0, lambda: now)
    assert [rate.take("a") for _ in range(5)] == [True] * 4 + [False]
    assert rate.take("b")
    now = 0.5
    assert [rate.take("a") for _ in range(2)] == [True, False]


def test_nobody_owns_anything_between_a_revoke_and_an_assignment() -> None:
    membership = Membership(60.0)
    assert membership.owners == {}
    membership.assigned(3, {0: "http://a:1"})
    assert membership.owners == {0: "http://a:1"}
    membership.revoked()
    assert membership.owners == {}
