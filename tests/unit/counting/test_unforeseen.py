"""An error while one record is judged refuses that record; one while counting ends the engine."""

from __future__ import annotations

import json
from random import Random

import pytest

from service.audit.comparison import Comparison, compare
from service.audit.findings import Findings
from service.audit.model import counting as model
from service.audit.model import input_record
from service.audit.published import Committed, Place
from service.commands.refused_records import Refused
from service.commands.refused_resend import may_be_duplicates
from service.contract import input_record as events
from service.contract.input_record import Baseline, LogRecord, Reason
from service.contract.results import Source
from service.counting import Checkpoint, Engine, Rules
from service.counting import engine as counting
from tests.support.crash_harness import SOURCE, World
from tests.support.decoder_bug import BITTEN, T0, event, plant


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in the decoder that one record meets."""
    plant(monkeypatch, ZeroDivisionError("planted"))


LOG = [event(0), event(1, BITTEN), event(2), event(3, BITTEN)]


@pytest.mark.usefixtures("bug")
def test_an_error_while_judging_refuses_the_record_and_the_engine_goes_on() -> None:
    engine = Engine(Rules(), Source("in", 0))
    engine.apply(LOG, 4)
    assert (engine.counts.applied, engine.counts.rejected) == (2, 2)
    assert engine.tally.rejected_by_reason == {Reason.UNFORESEEN: 2}
    assert engine.tally.unforeseen == "offset=1 error=ZeroDivisionError: planted"
    rejected = engine.seal().rejected
    assert [one.value for one in rejected] == [LOG[1].value, LOG[3].value]
    labels = dict(rejected[0].headers)
    assert labels["netfollowers-reason"] == b"unforeseen"
    assert labels["netfollowers-detail"] == b"ZeroDivisionError: planted"


@pytest.mark.usefixtures("bug")
def test_a_restore_judges_it_as_it_was_judged_live() -> None:
    engine = Engine(Rules(), Source("in", 0))
    engine.apply(LOG, 4)
    checkpoint = engine.seal().checkpoint
    again = Engine(Rules(), Source("in", 0))
    again.restore(Checkpoint.from_metadata(checkpoint.position, checkpoint.to_metadata()))
    again.remember(LOG)
    assert again.remembered_ids == engine.remembered_ids == 2


@pytest.mark.parametrize("restarts", [1, 2])
def test_what_was_refused_can_be_sent_again_when_the_bug_is_mended(
    monkeypatch: pytest.MonkeyPatch, restarts: int
) -> None:
    """A restart of the corrected program reads the rejected record again. It was not counted."""
    world = World(Rules(), LOG)
    with monkeypatch.context() as planted:
        plant(planted, ZeroDivisionError("planted"))
        world.run(Random(1), crashes=0.0)
    again = [LogRecord(4, T0, b"a", LOG[1].value, []), LogRecord(5, T0, b"a", LOG[3].value, [])]
    world.log += again
    for _ in range(restarts):
        world.restart()
        world.publish(world.engine.seal())
    world.engine.apply(again, 6)
    world.publish(world.engine.seal())
    assert (world.engine.counts.applied, world.engine.counts.duplicate) == (4, 0)
    found = world.findings()
    assert found.ok, "nothing lacks them any more"
    assert found.notes == [
        "follow-events/3 1: rejected as unforeseen; it was sent again, and counted at offset 4",
        "follow-events/3 3: rejected as unforeseen; it was sent again, and counted at offset 5",
    ]


def test_a_checkpoint_names_the_newest_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, ZeroDivisionError("planted"))
    engine = Engine(Rules(), Source("in", 0))
    engine.apply([event(number, BITTEN) for number in range(50)], 50)
    assert engine.seal().checkpoint.unforeseen == tuple(range(30, 50))


def test_of_more_than_it_names_the_others_are_duplicates_at_first_and_the_replay_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(Rules(), [event(number, BITTEN) for number in range(25)])
    with monkeypatch.context() as planted:
        plant(planted, ZeroDivisionError("planted"))
        world.run(Random(1), crashes=0.0)
    again = [LogRecord(25 + one.offset, T0, b"a", one.value, []) for one in world.log]
    world.log += again
    world.restart()
    world.engine.apply(again, 50)
    assert (world.engine.counts.applied, world.engine.counts.duplicate) == (20, 5)
    labels = {"netfollowers-reason": "unforeseen"}
    refused = [Refused(3, one.offset, T0, b"a", one.value, [], labels) for one in again]
    assert list(may_be_duplicates(refused[:20], 100)) == []
    [line] = may_be_duplicates(refused, 100)
    assert line.startswith("partition 3: 25 records are unforeseen. ")
    assert "all but the newest 20 for duplicates" in line
    assert line.endswith("when the partition has counted 200 offsets more")


def test_an_error_in_the_short_way_is_decided_by_all_the_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_: bytes) -> events.PlainEvent:
        raise ZeroDivisionError

    monkeypatch.setattr(counting, "decode_plain", broken)
    engine = Engine(Rules(), Source("in", 0))
    engine.apply([event(0)], 1)
    assert engine.counts.applied == 1


def test_want_of_memory_says_nothing_of_the_record_and_is_fatal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch, MemoryError())
    with pytest.raises(MemoryError):
        Engine(Rules(), Source("in", 0)).apply(LOG, 4)


def baseline() -> LogRecord:
    value = {"event_id": "b", "account_id": "a", "action": "baseline", "followers": 5}
    return LogRecord(1, T0, b"a", json.dumps({**value, "occurred_at": T0}).encode(), [])


@pytest.mark.parametrize(
    ("name", "log"),
    [("_about_account", [event(0), baseline()]), ("_is_duplicate", [event(0), event(0)])],
)
def test_an_error_while_counting_is_fatal(
    monkeypatch: pytest.MonkeyPatch, name: str, log: list[LogRecord]
) -> None:
    def broken(*_: object) -> Baseline:
        raise ZeroDivisionError

    monkeypatch.setattr(Engine, name, broken)
    with pytest.raises(ZeroDivisionError):
        Engine(Rules(), Source("in", 0)).apply(log, 2)


def judged(log: list[LogRecord]) -> Findings:
    world = World(Rules(), log)
    world.run(Random(1))
    assert world.commits[-1][0] == len(log)
    return world.findings()


@pytest.mark.usefixtures("bug")
def test_the_audit_goes_on_and_names_each_event_that_was_refused_so() -> None:
    found = judged(LOG)
    assert found.mismatches == [
        "follow-events/3 1: rejected as unforeseen, but it is a valid follow",
        "follow-events/3 3: rejected as unforeseen, but it is a valid follow",
    ]


@pytest.mark.usefixtures("bug")
def test_the_audit_accepts_a_refusal_of_what_was_to_be_refused_and_says_so() -> None:
    value = (LOG[1].value or b"").replace(b'follow"', b'like"')
    found = judged([event(0), LogRecord(1, T0, b"a", value, [("trace", b"1")])])
    assert found.ok
    assert found.unchecked == [
        "follow-events/3 1: rejected as unforeseen; the right reason is unknown_action"
    ]


def test_an_error_in_the_auditors_own_reader_is_a_mismatch_and_no_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_: object) -> bool:
        raise ZeroDivisionError

    world = World(Rules(), [event(0)])
    world.run(Random(1))
    monkeypatch.setattr(input_record, "_event_faults", broken)
    findings = Findings()
    comparison = Comparison(model.Rules(), Place(*SOURCE), findings)
    for one in world.log:
        comparison.feed(model.LogRecord(one.offset, one.timestamp, one.key, one.value, one.headers))
    compare(comparison, Committed(*world.commits[-1]), dict(world.results))
    assert not findings.ok
