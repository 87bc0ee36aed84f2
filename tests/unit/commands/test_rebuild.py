"""A checkpoint that is rebuilt from results and log: a worker continues as from its own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import service.counting.engine as engine_module
from service.audit.sources.source import Extent
from service.commands.option_types import ranges
from service.commands.rebuild_count import Recount, checkpoint_of
from service.commands.rebuild_plan import check_log
from service.commands.rebuild_sweep import FirstSweep, SweepGapError, Swept, sweep_position
from service.commands.rebuild_traces import Traces
from service.contract.input_record import LogRecord
from service.contract.rule_versions import BEFORE_RANGES, CURRENT, Ranges
from service.counting import Checkpoint, Engine, Grain, Rules
from service.counting.checkpoint import Counts, SweepPosition
from service.errors import RefusedError
from tests.support.crash_harness import SOURCE, World
from tests.support.property_examples import many
from tests.support.random_log import random_log, small_rules
from tests.support.rebuild_harness import (
    NEW,
    Overwritten,
    judged,
    overwritten_life,
    rebuilt,
    traces_of,
)
from tests.support.small_log import ONE_MINUTE, T0, Counted
from tests.support.upgrades import event, upgraded

SEEDS = st.integers(0, 2**32)
MANY = many(25)


@pytest.fixture(autouse=True, scope="module")
def small_slices() -> Iterator[None]:
    """Two windows fill a slice, so that sweeps are cut."""
    patch = pytest.MonkeyPatch()
    patch.setattr(engine_module, "SLICE_WINDOWS", 2)
    yield
    patch.undo()


@MANY
@given(SEEDS)
def test_a_life_of_overwritten_commits_ends_as_any_other(seed: int) -> None:
    findings = overwritten_life(seed)
    assert findings.ok, str(findings)


def test_of_a_compacted_table_nearly_every_checkpoint_is_rebuilt_and_the_others_are_refused() -> (
    None
):
    refused = restarts = 0
    for seed in range(15):
        random = Random(seed)
        world = Overwritten(small_rules(random), random_log(random, random.randrange(50, 200)))
        world.is_compacted = True
        world.run(random, crashes=0.15)
        findings = world.findings()
        assert findings.ok, f"seed {seed}: {findings}"
        refused, restarts = refused + world.refused, restarts + world.restarts
    assert restarts > 80
    assert refused < restarts / 20, f"{refused} of {restarts}"


@MANY
@given(SEEDS)
def test_a_cut_log_leads_to_the_same_position_and_to_no_later_time(seed: int) -> None:
    random = Random(seed)
    world = World(small_rules(random), random_log(random, random.randrange(20, 200)))
    for one in world.log[: random.randrange(10, len(world.log))]:
        world.engine.apply([one], one.offset + 1)
        if random.random() < 0.3:
            world.publish(world.engine.seal())
    traces = traces_of(world)
    whole = rebuilt(world, traces)
    latest_cut = traces.counted_to - 2 * world.rules.dedup_generation  # ids are known again
    if latest_cut > 1:
        found = rebuilt(world, traces, start=random.randrange(1, latest_cut))
        assert found.position == whole.position
        assert whole.sweep.closing_to_ms <= found.watermark_ms <= whole.watermark_ms


def off_by(checkpoint: Checkpoint, records: int, log: list[LogRecord]) -> Checkpoint:
    """Return a checkpoint with a wrong position, `records` too far (below 0: too early)."""
    index = sum(one.offset < checkpoint.position for one in log) + records
    return msgspec.structs.replace(checkpoint, position=log[index].offset)


@pytest.mark.parametrize("records", [-1, 1])
def test_the_audit_refuses_a_position_that_is_one_record_off(records: int) -> None:
    world = World(ONE_MINUTE, [event(offset) for offset in range(20)])
    world.engine.apply(world.log[:10], 10)
    world.publish(world.engine.seal())
    found = rebuilt(world, traces_of(world))
    assert found.position == 10
    assert judged(world, found).ok
    wrong = off_by(found, records, world.log)
    assert not judged(world, wrong).ok


def test_duplicates_behind_the_last_result_are_counted_as_duplicates_once() -> None:
    log = [event(0), event(1), event(2, event_id="e0"), event(3, event_id="e1"), event(4)]
    world = World(ONE_MINUTE, log)
    world.engine.apply(log[:3], 3)
    world.publish(world.engine.seal())
    found = rebuilt(world, traces_of(world))
    assert found.position == 4
    assert (found.counts.applied, found.counts.duplicate) == (2, 2)
    world.commits[-1] = (found.position, found.to_metadata())
    at = world.restart()
    world.engine.apply(log[at:], 5)
    world.publish(world.engine.seal())
    assert world.findings().ok


def test_an_account_whose_row_has_ended_and_left_no_trace_was_counted_all_the_same() -> None:
    counted = Counted()
    counted.event(0)
    counted.heartbeat(200)
    counted.forget(201)
    counted.heartbeat(7_200)
    counted.event(7_201, account="b")
    world = World(ONE_MINUTE, counted.log)
    for one in counted.log[:4]:
        world.engine.apply([one], one.offset + 1)
        world.publish(world.engine.seal())
    world.publish(world.engine.seal())
    assert not world.rows, "it is gone from the table"
    traces = traces_of(world, is_compacted=True)
    assert traces.counted_to == 0, "no result names an offset"
    found = rebuilt(world, traces)
    assert (found.position, found.counts) == (4, world.engine.counts)
    assert judged(world, found).ok


def test_of_a_cut_log_the_watermark_is_what_the_results_know() -> None:
    traces = Traces(ONE_MINUTE)
    traces.counted_to, traces.reached_ms = 6, T0 + 1_000
    recount = Recount(ONE_MINUTE, SOURCE, 5, NEW, traces)
    assert recount.feed([event(5)])
    assert not recount.feed([event(6)])
    assert recount.counted(7) == (6, T0 + 1_000, Counts(applied=1))


def test_a_log_that_two_versions_counted_needs_their_ranges() -> None:
    log = [event(0), event(1, "unfollow", "e0"), event(2), event(3, "unfollow", "e2"), event(4)]
    world = upgraded(log, 2)
    own: Ranges = (*BEFORE_RANGES, (2, CURRENT))
    traces = traces_of(world)
    found = rebuilt(world, traces, own)
    assert found == Checkpoint.from_metadata(*world.commits[-1])
    assert judged(world, found).ok
    assert not judged(world, rebuilt(world, traces)).ok
    assert not judged(world, rebuilt(world, traces, BEFORE_RANGES)).ok


def test_ranges_stepped_over_and_records_that_could_not_be_judged_are_found_again() -> None:
    counted = Counted()
    counted.event(0)
    traces = Traces(ONE_MINUTE)
    said = ((1, b"unforeseen", b"why"), (2, b"skipped", b"offsets 2 to 5: CRC"))
    for offset, reason, detail in said:
        headers = [
            ("netfollowers-source-offset", b"%d" % offset),
            ("netfollowers-reason", reason),
            ("netfollowers-detail", detail),
        ]
        traces.see_rejected(LogRecord(0, -1, None, None, headers))
    assert (traces.skipped, traces.counted_to) == (((2, 6, "CRC"),), 6)
    recount = Recount(ONE_MINUTE, SOURCE, 0, NEW, traces)
    assert recount.feed([*counted.log, event(1)])
    assert not recount.feed([event(6)])
    found = recount.counted(7)
    assert found.position == 6
    assert (found.counts.applied, found.counts.rejected) == (1, 5)
    checkpoint = checkpoint_of(found, traces, {}, NEW, is_cut=False)
    assert (checkpoint.skipped, checkpoint.unforeseen) == (((2, 6, "CRC"),), (1,))


def done(final_at_ms: int, bucket: int) -> Swept:
    return Swept(final_at_ms, bucket, is_published=True)


def due(final_at_ms: int, bucket: int) -> Swept:
    return Swept(final_at_ms, bucket, is_published=False)


def test_a_sweep_that_was_cut_goes_on_where_it_was() -> None:
    published = [done(10, 0), done(10, 2), done(20, 1)]
    waiting = [due(20, 3), due(10, 5), due(99, 0)]
    found = sweep_position([*published, *waiting], watermark_ms=50, newest_final_ms=20)
    assert found == SweepPosition(9, 20, 3)


def test_a_sweep_that_has_not_begun_begins() -> None:
    windows = [done(10, 6), due(20, 1)]
    assert sweep_position(windows, watermark_ms=50, newest_final_ms=10) == SweepPosition(10, 10, 0)
    assert sweep_position([], watermark_ms=50, newest_final_ms=-1) == SweepPosition(-1, -1, 0)


def test_a_result_that_a_sweep_must_have_published_is_missed() -> None:
    windows = [due(10, 1), done(10, 6)]
    with pytest.raises(SweepGapError, match="never published"):
        sweep_position(windows, watermark_ms=50, newest_final_ms=10)


def test_in_a_cut_topic_a_smaller_bucket_begins_the_next_sweep() -> None:
    first = FirstSweep()
    for final_at, bucket in ((30, 2), (10, 4), (40, 5), (70, 1), (90, 6)):
        first.see(final_at, bucket)
    assert (first.reached_ms, first.is_over) == (40, True)


def test_windows_from_before_a_cut_count_as_published() -> None:
    counted = Counted()
    counted.event(0)
    counted.heartbeat(200)
    counted.seal_all()
    traces = Traces(ONE_MINUTE)
    for key, row in counted.rows.items():
        traces.see_row(LogRecord(0, -1, key.encode(), msgspec.json.encode(row), []))
    traces.rows_are_read()
    watermark = counted.engine.watermark_ms
    assert traces.sweep(watermark, is_cut=True) == SweepPosition(watermark, watermark, 0)
    waiting = traces.sweep(watermark, is_cut=False)
    assert waiting.closed_to_ms < watermark - 60_000


def test_a_log_that_does_not_meet_the_results_is_refused() -> None:
    world = World(ONE_MINUTE, [event(offset) for offset in range(3)])
    world.engine.apply(world.log, 3)
    world.publish(world.engine.seal())
    traces = traces_of(world)
    check_log("in", Extent(0, 3), traces)
    check_log("in", Extent(3, 9), traces)
    with pytest.raises(RefusedError, match="deleted and created again"):
        check_log("in", Extent(0, 2), traces)
    with pytest.raises(RefusedError, match="begins at 4"):
        check_log("in", Extent(4, 9), traces)


def test_results_of_other_settings_or_of_others_are_refused() -> None:
    world = World(ONE_MINUTE, [event(0)])
    world.engine.apply(world.log, 1)
    world.publish(world.engine.seal())
    [row] = world.results["updates"]
    traces = Traces(ONE_MINUTE)
    for see in (traces.see_row, traces.see_window, traces.see_late, traces.see_rejected):
        with pytest.raises(RefusedError):
            see(row._replace(value=b"{}"))
    other = Traces(Rules(grains=(Grain.parse("5m:30s:15m"),)))
    other.see_row(row)
    with pytest.raises(RefusedError, match="windows of 1m, these settings do not"):
        other.rows_are_read()


def test_versions_of_the_rules_are_read_as_the_operator_writes_them() -> None:
    assert ranges("0:1,81234:2") == ((0, 1), (81234, 2))
    for wrong in ("", "0", "0:1,0:2", "5:1,3:2", "0:2,9:1", "0:9", "0:0"):
        with pytest.raises(argparse.ArgumentTypeError):
            ranges(wrong)


def test_an_engine_that_goes_on_from_it_is_the_one_that_was_lost() -> None:
    counted = Counted()
    for at in range(0, 300, 7):
        counted.event(at, account=f"a{at % 5}")
    counted.seal_all()
    assert counted.sealed is not None
    world = World(ONE_MINUTE, counted.log)
    world.engine.apply(counted.log, counted.offset)
    while world.engine.has_unsealed:
        world.publish(world.engine.seal())
    found = rebuilt(world, traces_of(world))
    lost = Checkpoint.from_metadata(*world.commits[-1])
    assert msgspec.structs.replace(found, sweep=lost.sweep) == lost
    engine = Engine(ONE_MINUTE, SOURCE)
    engine.restore(found)
    engine.load(world.rows.items())
    assert not engine.has_unsealed
