"""The audit of random and of contrived lives: no false alarm, and no harm that it lets pass."""

from __future__ import annotations

import json
from random import Random

import pytest

from service.audit.checks.rejects import unforeseen_in
from service.audit.comparison import Comparison, compare
from service.audit.findings import Findings
from service.audit.horizon import Horizon
from service.audit.model import counting
from service.audit.published import Committed, Place
from service.contract.input_record import Headers, LogRecord
from service.counting import Rules
from tests.support.crash_harness import SOURCE, World, judges_rules
from tests.support.property_examples import some
from tests.support.random_log import random_log, small_rules

T0 = 1_700_000_000_000
DAY = 86_400_000


def event(
    offset: int, account: str, at: int, action: str = "follow", *, number: int | None = None
) -> LogRecord:
    """A record of that event time; its log time is that of its offset, a second each."""
    fields = {"event_id": f"e{offset if number is None else number}", "account_id": account}
    fields |= {"action": action, "occurred_at": at}  # type: ignore[dict-item]
    if action != "forget":
        fields["follower_id"] = "f"
    stamp = T0 + 1_000 * offset
    return LogRecord(offset, stamp, account.encode(), json.dumps(fields).encode(), [])


def lived(rules: Rules, log: list[LogRecord], seed: int = 1) -> World:
    world = World(rules, log)
    world.run(Random(seed))
    return world


def judged(world: World, cut: int = 0, *, is_at_rest: bool = True) -> list[str]:
    """What the audit says of a life whose log begins at offset `cut`."""
    findings, rules = Findings(), judges_rules(world.rules)
    horizon = Horizon(rules, cut)
    comparison = Comparison(rules, Place(*SOURCE), findings, horizon)
    comparison.model.unforeseen = unforeseen_in(world.results["rejected"])
    for one in world.log:
        if one.offset >= cut:
            comparison.feed(
                counting.LogRecord(one.offset, one.timestamp, one.key, one.value, one.headers)
            )
    committed = Committed(*world.commits[-1])
    compare(comparison, committed, dict(world.results), expect_swept=is_at_rest)
    return findings.mismatches


def test_an_account_of_before_the_cut_that_is_forgotten_behind_it_agrees() -> None:
    log = [event(0, "a", T0), event(1, "a", T0 + 1)]
    log += [event(offset, "b", T0 + 5_000 * offset) for offset in range(2, 40)]
    log += [event(40, "a", T0 + 201_000, "forget"), event(41, "b", T0 + 202_000)]
    log = [LogRecord(o.offset, T0 + 5_000 * o.offset, o.key, o.value, o.headers) for o in log]
    world = lived(Rules(dedup_generation=2), log)
    assert json.loads(world.rows[b"a"])["offset"] == 40
    assert judged(world, 5) == []


def test_an_event_of_the_future_that_comes_twice_does_not_date_the_watermark() -> None:
    """Its first time lies before the cut: the second one looks new, and is clamped to a later time.

    gone: e0, e1 (far ahead) | cut: e1 again, ...
    """
    rules = Rules(dedup_generation=4, max_ahead_ms=1_000)
    log = [event(0, "a", T0), event(1, "a", T0 + 10**9, number=1)]
    log += [event(offset, "a", T0) for offset in range(2, 4)]
    log += [event(4, "a", T0 + 10**9, number=1)]
    log += [event(offset, "b", T0) for offset in range(5, 20)]
    assert judged(lived(rules, log), 3) == []


@pytest.mark.parametrize("seed", [*some(60), 293])  # 293: it has not expired, for what is gone
def test_a_random_life_raises_no_false_alarm_wherever_its_log_is_cut(seed: int) -> None:
    random = Random(seed)
    log = random_log(random, 300)
    stamp = log[0].timestamp
    for place, one in enumerate(log):  # log times as a broker gives them
        stamp = max(stamp, one.timestamp)
        log[place] = LogRecord(one.offset, stamp, one.key, one.value, one.headers)
    world = lived(small_rules(random), log, seed)
    assert judged(world) == []
    for _ in range(4):
        cut = random.choice(log).offset
        assert judged(world, cut) == [], cut


def put_back(world: World, key: bytes) -> None:
    """Let the last row of an account stand, as if its removal had never been."""
    rows = [one for one in world.results["updates"] if not (one.key == key and one.value is None)]
    assert len(rows) < len(world.results["updates"])
    world.results["updates"] = rows


FORGOTTEN = [
    *(event(0, "a", T0), event(1, "a", T0 + 1, "forget"), event(2, "b", T0 + 2)),
    LogRecord(3, T0 + 20 * DAY, b"b", event(3, "b", T0 + 20 * DAY).value, []),
]
QUIET = [FORGOTTEN[0], FORGOTTEN[2], FORGOTTEN[3]]


@pytest.mark.parametrize(
    ("rules", "log"), [(Rules(), FORGOTTEN), (Rules(expire_after_ms=3 * DAY), QUIET)]
)
def test_a_row_that_stays_after_its_account_has_ended_is_found(
    rules: Rules, log: list[LogRecord]
) -> None:
    world = lived(rules, log)
    assert judged(world) == []
    put_back(world, b"a")
    gone = "follow-events/3 row a: should be gone: the account was forgotten, or has expired"
    assert judged(world) == [gone]
    assert gone not in judged(world, is_at_rest=False), "the worker may be about to remove it"


HEADERS: list[Headers] = [
    [("trace", b"1"), ("trace", None), ("caf\udce9", b"\xff"), ("ü", b"")],
    [("large", b"x" * 20_000), ("trace", b"1")],
]


@pytest.mark.parametrize("headers", HEADERS, ids=["kept", "dropped"])
@pytest.mark.parametrize("kind", ["late", "rejected"])
def test_the_headers_that_a_refused_record_came_with_are_compared(
    kind: str, headers: Headers
) -> None:
    late = event(3, "a", T0)
    if kind == "late":
        headers = [one for one in headers if one[0] != "caf\udce9"]
    spoilt = LogRecord(3, late.timestamp, b"a", b"{" if kind == "rejected" else late.value, headers)
    log = [event(0, "a", T0), event(1, "b", T0 + 2_000), event(2, "b", T0 + 2_000), spoilt]
    jump = LogRecord(2, T0 + 9 * DAY, b"b", event(2, "b", T0 + 9 * DAY).value, [])
    log[2] = jump
    world = lived(Rules(), log)
    assert judged(world) == []
    (found,) = world.results[kind]
    for place, (name, _) in enumerate(found.headers):
        if "original" not in name or name == "netfollowers-original-length":
            continue
        if "key-length" in name:
            continue
        less = [one for at, one in enumerate(found.headers) if at != place]
        other = [(n, b"other" if at == place else v) for at, (n, v) in enumerate(found.headers)]
        for changed in (less, other):
            world.results[kind] = [found._replace(headers=changed)]
            assert judged(world), (name, changed)
    world.results[kind] = [found]
    assert judged(world) == []


def test_a_range_that_was_stepped_over_at_the_cut_dates_nothing() -> None:
    """It has no log time; all ids that were known before the cut lie behind it."""
    rules = counting.Rules(dedup_generation=4)
    horizon = Horizon(rules, 18)
    judge = counting.Model(counting.Rules(dedup_generation=4, skipped=((18, 25),)), is_cut=True)
    for record in (LogRecord(18, -1, None, None), event(25, "a", T0)):
        fed = counting.LogRecord(
            record.offset, record.timestamp, record.key, record.value, record.headers
        )
        judge.feed(fed)
        horizon.pass_by(fed, judge)
    assert horizon.exact_from is None
