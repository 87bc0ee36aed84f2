"""Each offset is judged by the version of the rules that counted it, by every later reader."""

from __future__ import annotations

import json
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import service.counting.engine as engine_module
from service.audit.certificate.hash_input import InputEntries
from service.audit.certificate.hash_results import ResultEntries
from service.audit.model.committed_rules import rules_of
from service.audit.model.counting import LogRecord as JudgesRecord
from service.audit.published import Committed
from service.contract.input_record import PlainEvent, Reason, Rejection, judge
from service.contract.rule_versions import (
    BEFORE_RANGES,
    CURRENT,
    MOST,
    RulesTooNewError,
    continued,
    version_at,
)
from service.counting import Checkpoint, Engine
from tests.support.crash_harness import World
from tests.support.property_examples import many
from tests.support.random_log import random_log, small_rules
from tests.support.upgrades import SOURCE, event, twice, upgraded

SEEDS = st.integers(0, 2**32)
MANY = many(60)
BOTH_SIDES = [
    event(0),
    event(1, "unfollow", "e0"),  # a duplicate by version 1
    twice(2),  # refused by version 1
    event(3),
    event(4, "unfollow", "e3"),  # counts by version 2
    twice(5),  # counts by version 2
    event(6, "unfollow", "e1"),
]


def test_each_side_of_an_upgrade_is_judged_by_its_own_rules() -> None:
    world = upgraded(BOTH_SIDES, 3)
    counts = world.engine.counts
    assert (counts.applied, counts.duplicate, counts.rejected) == (5, 1, 1)
    assert json.loads(world.rows[b"a"])["net"] == 1
    assert json.loads(world.commits[-1][1])["rules"] == [[0, 1], [3, CURRENT]]
    assert world.findings().ok, str(world.findings())


@pytest.mark.parametrize("crash_at", range(3, 7))
def test_a_restart_after_the_upgrade_remembers_by_the_ranges(crash_at: int) -> None:
    world = upgraded(BOTH_SIDES[:crash_at], 3)
    world.log = BOTH_SIDES
    world.restart()
    for one in BOTH_SIDES[crash_at:]:
        world.engine.apply([one], one.offset + 1)
    world.publish(world.engine.seal())
    assert world.engine.counts == upgraded(BOTH_SIDES, 3).engine.counts
    assert world.findings().ok, str(world.findings())


def certificates(world: World) -> tuple[str, str]:
    """Return of what was published, and of the input alone."""
    committed = Committed(*world.commits[-1])
    rules = rules_of(committed.metadata)
    assert rules is not None
    published = ResultEntries(rules, committed, at_least_once=False)
    published.windows(world.results["windows"])
    published.rows(world.results["updates"])
    for kind in ("late", "rejected"):
        published.refused(kind, world.results[kind])
    recomputed = InputEntries(rules)
    for one in world.log:
        recomputed.feed(JudgesRecord(one.offset, one.timestamp, one.key, one.value, one.headers))
    return published.digest(), recomputed.digest(committed.position)


def test_certificates_agree_over_an_upgrade() -> None:
    published, recomputed = certificates(upgraded(BOTH_SIDES, 3))
    assert published == recomputed


@MANY
@given(SEEDS)
def test_an_upgrade_in_the_middle_of_any_log_is_as_the_model_has_it(seed: int) -> None:
    random = Random(seed)
    rules = small_rules(random)
    world = World(
        rules, random_log(random, random.randrange(1, 200)), new_engine=partial(Engine, version=1)
    )
    upgrade_after = random.randrange(6)
    world.before_restart = lambda: world.use(Engine) if world.restarts > upgrade_after else None
    world.run(random, crashes=random.choice((0.05, 0.15, 0.5)))
    findings = world.findings()
    assert findings.ok, str(findings)


# ---- sabotage: each of the two readers forgets the ranges


def test_an_audit_that_ignores_the_ranges_disagrees() -> None:
    world = upgraded(BOTH_SIDES, 3)
    position, metadata = world.commits[-1]
    told = json.loads(metadata)
    for wrong in ([[0, 1]], [[0, 2]]):
        world.commits[-1] = (position, json.dumps(told | {"rules": wrong}))
        assert not world.findings().ok


def test_a_restart_that_forgets_the_ranges_remembers_wrongly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = [twice(0), event(1), event(2, event_id="e0")]  # version 1 has refused e0
    world = upgraded(log[:2], 2)
    world.log = log
    monkeypatch.setattr(engine_module, "version_at", lambda *_: CURRENT)
    world.restart()
    world.engine.apply(log[2:], 3)
    world.publish(world.engine.seal())
    assert not world.findings().ok
    monkeypatch.undo()
    world = upgraded(log, 2)
    assert world.findings().ok


# ---- ranges


def test_a_range_holds_from_its_offset_to_the_next() -> None:
    ranges = ((5, 1), (10, 2), (12, 3))
    assert [version_at(ranges, at) for at in (0, 5, 9, 10, 11, 12, 99)] == [1, 1, 1, 2, 2, 3, 3]


def test_an_upgrade_appends_a_range_once() -> None:
    first = continued(BEFORE_RANGES, 81_234)
    assert first == ((0, 1), (81_234, CURRENT))
    assert continued(first, 90_000) == first


def test_an_upgrade_before_the_first_record_leaves_one_range() -> None:
    assert continued(BEFORE_RANGES, 0) == ((0, CURRENT),)


def test_ranges_are_bounded_by_dropping_the_oldest() -> None:
    ranges = tuple((at, 1) for at in range(MOST))
    assert continued(ranges, 500) == (*ranges[1:], (500, CURRENT))


def test_rules_of_a_newer_program_are_refused() -> None:
    with pytest.raises(
        RulesTooNewError, match=f"version 99 of the rules, this program knows {CURRENT}"
    ):
        continued(((0, 99),), 5)


def test_a_checkpoint_keeps_its_ranges_and_an_old_one_has_none() -> None:
    engine = Engine(SOURCE, World(SOURCE, []).engine._source)
    text = engine.seal().checkpoint.to_metadata()
    assert Checkpoint.from_metadata(0, text).rules == ((0, CURRENT),)
    old = {name: told for name, told in json.loads(text).items() if name != "rules"}
    assert Checkpoint.from_metadata(0, json.dumps(old)).rules == BEFORE_RANGES


@pytest.mark.parametrize("rules", [[], [[5, 1], [5, 2]], [[9, 1], [3, 2]]])
def test_ranges_without_an_order_are_not_ours(rules: list[list[int]]) -> None:
    told = json.loads(World(SOURCE, []).commits[-1][1]) | {"rules": rules}
    with pytest.raises(ValueError, match="metadata with rules"):
        Checkpoint.from_metadata(0, json.dumps(told))


def test_the_versions_differ_in_a_first_attribute_of_a_wrong_type() -> None:
    first = judge(twice(0), 1)
    assert isinstance(first, Rejection)
    assert first.reason is Reason.BAD_ENVELOPE
    assert isinstance(judge(twice(0), 2), PlainEvent)
