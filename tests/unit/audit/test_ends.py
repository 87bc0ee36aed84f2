"""Accounts that come to an end, forgotten or expired: what explain and certify say of them."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from service.audit.certificate.hash_input import InputEntries
from service.audit.certificate.hash_results import ResultEntries
from service.audit.explanation.account_lines import Explanation, Span
from service.audit.horizon import Horizon
from service.audit.model import counting
from service.audit.model.types import WindowKey
from service.audit.published import Committed
from service.audit.result_names import named_result
from service.contract.input_record import LogRecord
from service.counting import Rules
from tests.support.crash_harness import World, judges_rules
from tests.support.property_examples import some
from tests.support.random_log import random_log, small_rules
from tests.unit.audit.dump_builder import Dump
from tests.unit.audit.records import DAY, HOUR, MINUTE, T0, baseline, event, record
from tests.unit.audit.test_explain import certificate, explained

EXPIRING = Rules(expire_after_ms=3 * DAY)


def forget(at: int) -> dict[str, object]:
    fields = event(at, "forget")
    del fields["follower_id"]
    return fields


def log(*events: dict[str, object]) -> list[LogRecord]:
    return [LogRecord(*record(fields, offset)) for offset, fields in enumerate(events)]


FORGOTTEN = log(
    *(baseline(0, 50), event(1), event(2), event(3, "unfollow"), forget(4), event(5)),
    *(event(5, account="carol"), event(6)),
)
GONE = log(event(1), event(2), forget(3), event(10 * DAY, account="carol"))
EXPIRED = log(
    *(event(1), event(2), event(5 * DAY, account="carol"), event(5 * DAY + 1)),
    *(event(5 * DAY + 2, event_id="again"), event(5 * DAY + 3, account="carol")),
)
LAPSED = log(event(1), event(2), event(10 * DAY, account="carol"))


def counted(directory: Path, records: list[LogRecord], rules: Rules, flush: int = 1) -> Dump:
    dump = Dump(directory / f"flush-{flush}", rules, flush=flush)
    dump.write(records)
    return dump


def test_a_sum_begins_anew_where_the_account_was_forgotten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = counted(tmp_path, FORGOTTEN, Rules())
    lines, said = explained(dump, capsys, "alice")
    assert lines[4:] == [
        "4 forget -1 0 erases what was counted",
        "5 follow +1 1 bob",
        "7 follow +1 2 bob",
    ]
    assert said[1:] == [
        "sum: gained 2, lost 0, net 2, followers unknown: no baseline",
        "published: gained 2, lost 0, followers unknown: no baseline (the row on updates)",
        "they agree",
    ]


def test_a_sum_begins_anew_where_the_account_had_expired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = counted(tmp_path, EXPIRED, EXPIRING)
    lines, said = explained(dump, capsys, "alice")
    assert lines[2] == "3 follow +1 1 bob what was counted had expired"
    assert said[1].startswith("sum: gained 2, lost 0")
    assert said[-1] == "they agree"


@pytest.mark.parametrize(("records", "rules"), [(GONE, Rules()), (LAPSED, EXPIRING)])
def test_a_row_that_has_ended_agrees_with_the_records_that_were_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], records: list[LogRecord], rules: Rules
) -> None:
    dump = counted(tmp_path, records, rules)
    assert len(dump.values("updates")) == 1
    _, said = explained(dump, capsys, "alice")
    assert said[1:] == [
        "sum: gained 0, lost 0, net 0, followers unknown: no baseline",
        "published: nothing: the account was forgotten or has expired, and its row has ended",
        "they agree",
    ]


@pytest.mark.parametrize("grain", ["1m", "1h", "1d"])
def test_a_forgotten_window_is_explained_as_it_was_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], grain: str
) -> None:
    """The minute was final and becomes empty by a revision; hour and day were open."""
    records = log(event(1), event(2), event(5 * MINUTE, account="carol"), forget(6 * MINUTE))
    records += [LogRecord(*record(event(7 * MINUTE), 4))]
    dump = counted(tmp_path, records, Rules())
    lines, said = explained(dump, capsys, "alice", "--window", str(T0), "--grain", grain)
    assert lines[2] == "3 forget -2 0 erases what was counted"
    assert said[-1] == "they agree"


@pytest.mark.parametrize(
    ("records", "rules"),
    [(FORGOTTEN, Rules()), (GONE, Rules()), (EXPIRED, EXPIRING), (LAPSED, EXPIRING)],
)
def test_a_certificate_is_that_of_the_input_whatever_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], records: list[LogRecord], rules: Rules
) -> None:
    whole = counted(tmp_path, records, rules)
    found = {certificate(whole, capsys), certificate(whole, capsys, "--recompute")}
    for flush in (2, 3, 100):
        found.add(certificate(counted(tmp_path, records, rules, flush), capsys))
    assert len(found) == 1


def test_the_time_of_expiry_is_in_the_hash_and_no_expiry_changes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = log(event(1), event(HOUR, account="carol"))
    hashes = []
    for days in (0, 3, 4):
        home = tmp_path / str(days)
        hashes.append(
            certificate(counted(home, records, Rules(expire_after_ms=days * DAY)), capsys)
        )
    assert len(set(hashes)) == 3
    assert hashes[0].startswith("8fd21b0bdb24389712ae190409b14e3f"), "as version 0.1.0 made it"


def published(world: World) -> str:
    committed = Committed(*world.commits[-1])
    rules = judges_rules(world.rules)
    entries = ResultEntries(rules, committed, at_least_once=False)
    entries.windows(world.results["windows"])
    entries.rows(world.results["updates"])
    for kind in ("late", "rejected"):
        entries.refused(kind, world.results[kind])
    return entries.digest()


def judges(records: list[LogRecord]) -> list[counting.LogRecord]:
    return [
        counting.LogRecord(one.offset, one.timestamp, one.key, one.value, one.headers)
        for one in records
    ]


def recomputed(world: World) -> str:
    entries = InputEntries(judges_rules(world.rules))
    for one in judges(world.log):
        entries.feed(one)
    return entries.digest(world.commits[-1][0])


def explanation(world: World, account_id: str, span: Span | None) -> Explanation:
    rules = judges_rules(world.rules)
    told = Explanation(rules, account_id, span, Horizon(rules))
    for one in judges(world.log):
        told.feed(one)
    return told


@pytest.mark.parametrize("seed", some(40))
def test_random_lives_are_certified_and_explained_as_they_were_published(seed: int) -> None:
    random = Random(seed)
    world = World(small_rules(random), random_log(random))
    world.run(random)
    assert published(world) == recomputed(world)
    for key in sorted({one.key for one in world.log if one.key} & {b"a", b"b", b"c", b"d"}):
        told = explanation(world, key.decode(), None)
        row = json.loads(world.rows.get(key, b"{}"))
        account = told.model.accounts.get(key.decode())
        if row:
            assert (told.gained, told.lost) == (row["gained"], row["lost"])
        else:
            assert account is None or told.model.may_have_no_row(account)
    newest: dict[WindowKey, dict[str, object]] = {}
    for result in world.results["windows"]:
        window, _, said = named_result(result)
        assert window is not None
        newest[window] = said
    sizes = {grain.name: grain.size_ms for grain in world.rules.grains}
    for window in random.sample(sorted(newest), min(5, len(newest))):
        account_id, grain, start_ms = window
        told = explanation(world, account_id, Span(grain, start_ms, start_ms + sizes[grain]))
        assert (told.gained, told.lost) == (newest[window]["gained"], newest[window]["lost"])
