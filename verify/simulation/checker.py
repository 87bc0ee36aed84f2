"""The verdict on a run: G1 to G5 by service.audit, and byte for byte against a run without faults.

The auditor shares no code with the service. The run without faults is one engine over the whole
log, sealed after every record, so that it has every revision there is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from service.audit.comparison import Comparison, compare
from service.audit.findings import Findings
from service.audit.model.counting import LogRecord as JudgesRecord
from service.audit.published import Committed, Place, Published
from service.contract.input_record import LogRecord
from service.contract.results import ResultRecord, Source
from service.contract.topics import RESULTS, UPDATES
from service.counting import Engine, Rules
from tests.support.contract.records import wrong_with, wrong_with_metadata
from tests.support.crash_harness import judges_rules
from verify.simulation.faults import Kind
from verify.simulation.scenario import PARTITIONS
from verify.simulation.world import Outcome


class Truth(NamedTuple):
    """Rows by key, window results by (key, window, revision), late and rejected records."""

    watermark_ms: int

    rows: dict[bytes, bytes]
    windows: dict[tuple[object, ...], bytes]
    late: list[ResultRecord]
    rejected: list[ResultRecord]


def truth(rules: Rules, log: Sequence[LogRecord], source: Source) -> Truth:
    """Count the log without any fault."""
    engine = Engine(rules, source)
    found = Truth(-1, {}, {}, [], [])

    def take() -> None:
        sealed = engine.seal()
        for key, value in sealed.updates:
            if value is None:
                found.rows.pop(key, None)
            else:
                found.rows[key] = value
        found.windows.update({_window(key, value): value for key, value in sealed.windows})
        found.late.extend(sealed.late)
        found.rejected.extend(sealed.rejected)

    for record in log:
        engine.apply([record], record.offset + 1)
        take()
        while engine.has_unsealed:
            take()
    return found._replace(watermark_ms=engine.watermark_ms)


def verdict(outcome: Outcome) -> list[str]:
    """Return a line for everything that is wrong with a run; empty if it is exact."""
    wrong = list(outcome.wrong)
    findings = Findings()
    names, rules = outcome.scenario.settings(Random(0)), outcome.scenario.rules
    for partition in range(PARTITIONS):
        log = outcome.scenario.logs[partition]
        results = {
            topic.role: [
                Published(one.offset, one.key, one.value, one.headers)
                for one in outcome.log(names.topic(topic), partition).visible()
                if one.key or topic is not UPDATES
            ]
            for topic in RESULTS
        }
        place = Place(names.input_topic, partition, outcome.scenario.at_least_once)
        comparison = Comparison(judges_rules(rules), place, findings)
        for one in log:
            comparison.feed(
                JudgesRecord(one.offset, one.timestamp, one.key, one.value, one.headers)
            )
        wrong += _against_the_contract(outcome, partition)
        at = outcome.committed[partition]
        committed = Committed(at.offset, at.metadata) if at else None
        compare(comparison, committed, dict(results), expect_swept=True)
        same = truth(outcome.scenario.rules, log, Source(names.input_topic, partition))
        rules = outcome.scenario.rules
        wrong += [
            f"partition {partition}: {line}" for line in _differences(rules, same, results, place)
        ]
        _of_the_log(outcome, comparison, log)
    return wrong + findings.mismatches


def _against_the_contract(outcome: Outcome, partition: int) -> list[str]:
    """Records and commit that are not what their schemas say."""
    names = outcome.scenario.settings(Random(0))
    records = [
        wrong_with(topic, one.key, one.value, one.headers)
        for topic in RESULTS
        for one in outcome.log(names.topic(topic), partition).visible()
    ]
    at = outcome.committed[partition]
    metadata = wrong_with_metadata(at.metadata) if at and at.metadata else None
    return [f"partition {partition}: {why}" for why in [*records, metadata] if why is not None]


def _differences(
    rules: Rules, same: Truth, results: dict[str, list[Published]], place: Place
) -> list[str]:
    """What G3 names, byte for byte."""
    wrong = []
    newest = {one.key: one.value for one in results["updates"]}
    rows = {
        key: _row(rules, same.watermark_ms, value)
        for key, value in newest.items()
        if value is not None and not _may_be_gone(rules, same.watermark_ms, value)
    }
    if rows != {
        key: _row(rules, same.watermark_ms, row)
        for key, row in same.rows.items()
        if not _may_be_gone(rules, same.watermark_ms, row)
    }:
        wrong.append("rows differ from the run without faults")
    for one in results["windows"]:
        window = _window(one.key, one.value)
        if same.windows.get(window) != one.value:
            wrong.append(f"window {window} differs from the run without faults")
    for kind, expected in (("late", same.late), ("rejected", same.rejected)):
        found = [(one.key, one.value, list(one.headers)) for one in results[kind]]
        if place.at_least_once:
            found = [one for place, one in enumerate(found) if one not in found[:place]]
            found.sort(key=repr)
            expected = sorted(expected, key=repr)  # noqa: PLW2901
        if found != [(key, value, list(headers)) for key, value, headers in expected]:
            wrong.append(f"{kind} records differ from the run without faults")
    return wrong


def _may_be_gone(rules: Rules, watermark_ms: int, value: bytes) -> bool:
    """An account without events for too long: its row leaves a while later."""
    last_ms: int = json.loads(value)["last_event_ms"]
    return bool(rules.expire_after_ms) and watermark_ms - last_ms >= rules.expire_after_ms


def _row(rules: Rules, watermark_ms: int, value: bytes | None) -> bytes:
    """A row without windows whose keep has ended: they leave when the account is next written."""
    row = json.loads(value or b"{}")
    for grain in rules.grains:
        ended_ms = watermark_ms - grain.size_ms - grain.keep_ms
        kept = [one for one in row["windows"].get(grain.name, ()) if one[0] > ended_ms]
        row["windows"][grain.name] = kept
    return json.dumps(row).encode()


def _window(key: bytes | None, value: bytes | None) -> tuple[object, ...]:
    said = json.loads(value or b"{}")
    return key, said.get("grain"), said.get("start_ms"), said.get("revision")


def _of_the_log(outcome: Outcome, comparison: Comparison, log: Sequence[LogRecord]) -> None:
    """Count the faults that the log itself brought, as the auditor judged them."""
    counts, ledger = comparison.model.counts, outcome.ledger
    for kind, number in (
        (Kind.DUPLICATE, counts["duplicate"]),
        (Kind.LATE, counts["late"]),
        (Kind.POISON, counts["rejected"]),
        (Kind.SKEW, comparison.model.clamped),
        (Kind.REORDER, _disorder(log)),
    ):
        ledger.planned[kind] += number
        ledger.effective[kind] += number


def _disorder(log: Sequence[LogRecord]) -> int:
    """Events that are older than one before them."""
    newest = found = 0
    for record in log:
        try:
            at = json.loads(record.value or b"")["occurred_at"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(at, int):
            found += at < newest
            newest = max(newest, at)
    return found
