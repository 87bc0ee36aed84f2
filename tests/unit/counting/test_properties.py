"""What must hold for every log, however it is cut, sealed and interrupted (G1 to G3)."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import service.counting.engine as engine_module
from service.audit.model.counting import LogRecord as JudgesRecord
from service.audit.model.counting import Model
from service.contract.input_record import LogRecord
from service.counting import Rules
from tests.support.crash_harness import World, judges_rules
from tests.support.property_examples import many
from tests.support.random_log import SMALL, START_MS, random_log, small_rules

SEEDS = st.integers(0, 2**32)
MANY = many(200)


@pytest.fixture(autouse=True, scope="module")
def small_slices() -> object:
    """Two windows fill a slice, so that sweeps are cut."""
    patch = pytest.MonkeyPatch()
    patch.setattr(engine_module, "SLICE_WINDOWS", 2)
    yield
    patch.undo()


def lived(seed: int, *, at_least_once: bool = False) -> World:
    """A whole life of a random log."""
    random = Random(seed)
    rules = small_rules(random)
    world = World(rules, random_log(random, random.randrange(1, 200)))
    crashes = random.choice((0, 0.05, 0.15, 0.5))
    world.run(random, crashes=crashes, at_least_once=at_least_once)
    return world


def last_revisions(world: World) -> dict[tuple[str, str, int], tuple[int, bytes]]:
    """Return the highest revision of each window, and the bytes of its record."""
    last: dict[tuple[str, str, int], tuple[int, bytes]] = {}
    for one in world.results["windows"]:
        assert one.value is not None
        found = json.loads(one.value)
        key = (found["account_id"], found["grain"], found["start_ms"])
        last[key] = max(last.get(key, (-1, b"")), (found["revision"], one.value))
    return last


def totals(world: World) -> dict[bytes, tuple[object, ...]]:
    """Return the part of each account's row that G3 names."""
    names = ("gained", "lost", "net", "followers", "last_event_ms", "offset")
    rows = {key: json.loads(value) for key, value in world.rows.items()}
    return {key: tuple(row[name] for name in names) for key, row in rows.items()}


@MANY
@given(SEEDS)
def test_cuts_seals_and_crashes_leave_everything_as_the_model_has_it(seed: int) -> None:
    findings = lived(seed).findings()
    assert findings.ok, str(findings)


@MANY
@given(SEEDS)
def test_at_least_once_repeats_results_but_changes_none(seed: int) -> None:
    findings = lived(seed, at_least_once=True).findings(at_least_once=True)
    assert findings.ok, str(findings)


@MANY
@given(SEEDS)
def test_the_default_grains_hold_what_the_small_ones_do(seed: int) -> None:
    random = Random(seed)
    world = World(Rules(dedup_generation=9, sweep_buckets=3), random_log(random, scale=60))
    world.run(random)
    findings = world.findings()
    assert findings.ok, str(findings)


@MANY
@given(SEEDS, SEEDS)
def test_two_lives_of_one_log_end_byte_equal(seed: int, other: int) -> None:
    first = lived(seed)
    second = World(first.rules, first.log)
    second.run(Random(other))
    assert last_revisions(first) == last_revisions(second)
    assert totals(first) == totals(second)
    assert first.commits[-1][0] == second.commits[-1][0]


@MANY
@given(SEEDS)
def test_the_five_counts_sum_to_the_records(seed: int) -> None:
    world = lived(seed)
    assert world.engine.counts.total == len(world.log)


def plain_log(random: Random, *, step_ms: int = 300, age_ms: int = 2_000) -> list[LogRecord]:
    """80 events, late in no grain that keeps windows for `age_ms`; some come twice."""
    log: list[LogRecord] = []
    for offset in range(80):
        if log and random.random() < 0.15:
            first = random.choice(log[-5:])
            log.append(LogRecord(offset, -1, first.key, first.value))
            continue
        at = START_MS + offset * step_ms - random.randrange(age_ms)
        value: dict[str, object] = {
            "event_id": f"e{offset}",
            "account_id": random.choice("abc"),
            "follower_id": "f",
        }
        value |= {"action": random.choice(("follow", "unfollow")), "occurred_at": at}
        key = str(value["account_id"]).encode()
        log.append(LogRecord(offset, -1, key, json.dumps(value).encode()))
    return log


def closing(offset: int) -> LogRecord:
    """A heartbeat that makes every window final."""
    beat = json.dumps({"occurred_at": START_MS + 10**12}).encode()
    return LogRecord(offset, -1, None, beat, [("netfollowers-heartbeat", b"")])


@pytest.mark.parametrize(
    ("rules", "step_ms", "age_ms"),
    [
        pytest.param(Rules(grains=SMALL, max_ahead_ms=800), 300, 2_000, id="seconds"),
        pytest.param(Rules(), 20 * 60_000, 15 * 60_000, id="minutes, over a day and a bit"),
    ],
)
@MANY
@given(seed=SEEDS)
def test_the_finest_windows_sum_to_the_coarser(
    rules: Rules, step_ms: int, age_ms: int, seed: int
) -> None:
    random = Random(seed)
    log = plain_log(random, step_ms=step_ms, age_ms=age_ms)
    world = World(rules, [*log, closing(len(log))])
    world.run(random)
    assert world.engine.counts.late == 0
    finest, *coarser = rules.grains
    sums: dict[tuple[str, str, int], list[int]] = {}
    published: dict[tuple[str, str, int], list[int]] = {}
    for (account, name, start), (_, value) in last_revisions(world).items():
        gross = [json.loads(value)[side] for side in ("gained", "lost")]
        if name != finest.name:
            published[account, name, start] = gross
            continue
        for grain in coarser:
            key = (account, grain.name, start - start % grain.size_ms)
            sums[key] = [a + b for a, b in zip(sums.get(key, [0, 0]), gross, strict=True)]
    assert published == sums


@MANY
@given(SEEDS)
def test_order_does_not_matter_while_nothing_is_late_or_clamped(seed: int) -> None:
    random = Random(seed)
    log = plain_log(random)
    shuffled = []
    for start in range(0, len(log), 3):  # within a second: still nothing is late
        chunk = log[start : start + 3]
        random.shuffle(chunk)
        shuffled += chunk
    ends = []
    for order in (log, shuffled):
        numbered = [LogRecord(i, -1, one.key, one.value) for i, one in enumerate(order)]
        world = World(Rules(grains=SMALL, max_ahead_ms=800), [*numbered, closing(len(log))])
        world.run(random)
        assert world.engine.counts.late == 0
        assert world.engine.counts.duplicate > 0
        counted = {
            key: [json.loads(value)[name] for name in ("gained", "lost", "net")]
            for key, (_, value) in last_revisions(world).items()
        }
        ends.append((counted, {key: row[:3] for key, row in totals(world).items()}))
    assert ends[0] == ends[1]


def test_the_random_logs_hold_what_they_promise() -> None:
    """No property above is true because nothing happened."""
    happened = dict.fromkeys(
        ("late", "duplicate", "rejected", "heartbeat", "clamped", "two accounts", "revisions"), 0
    )
    for seed in range(60):
        world = lived(seed)
        judge = Model(judges_rules(world.rules))
        for one in world.log:
            judge.feed(JudgesRecord(one.offset, one.timestamp, one.key, one.value, one.headers))
        for name in ("late", "duplicate", "rejected", "heartbeat"):
            happened[name] += judge.counts[name]
        happened["clamped"] += judge.clamped
        happened["two accounts"] += judge.duplicate_other_account
        happened["revisions"] += sum(len(contents) > 1 for contents in judge.windows.values())
    assert min(happened.values()) >= 60, happened
