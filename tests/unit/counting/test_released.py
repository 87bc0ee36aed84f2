"""What an earlier release has committed is opened and counted on: an upgrade changes no number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.audit.comparison import Comparison, compare
from service.audit.findings import Findings
from service.audit.model.committed_rules import rules_of
from service.audit.model.counting import LogRecord as JudgesRecord
from service.audit.published import Committed, Place, Published
from service.contract.input_record import LogRecord
from service.contract.results import Source
from service.contract.rule_versions import CURRENT
from service.counting import Checkpoint, Engine
from service.settings import Settings
from tests.support.small_log import T0

RELEASED = sorted((Path(__file__).parent / "released").glob("*.json"))
PARTITIONS = 4


def raw(text: str | None) -> bytes | None:
    """Return the bytes of a file's text."""
    return None if text is None else text.encode("latin-1")


def headers_of(told: list[list[Any]]) -> list[tuple[str, bytes | None]]:
    """A file's headers."""
    return [(name, raw(text)) for name, text in told]


class Release:
    """What a release left behind, and the present engine, which continues from it."""

    def __init__(self, path: Path) -> None:
        """Read it and open it as a worker does."""
        told = json.loads(path.read_text())
        self.metadata: str = told["metadata"]
        self.log = [
            LogRecord(offset, stamp, raw(key), raw(value), headers_of(headers))
            for offset, stamp, key, value, headers in told["log"]
        ]
        self.results = {
            kind: [
                Published(0, raw(key), raw(value), headers_of(headers))
                for key, value, headers in all_
            ]
            for kind, all_ in told["results"].items()
        }
        checkpoint = Checkpoint.from_metadata(told["position"], self.metadata)
        settings = Settings()
        assert settings.differences(checkpoint.settings, PARTITIONS) == []
        self.engine = Engine(
            settings.rules, Source("follow-events", 3), settings=settings.fingerprint(PARTITIONS)
        )
        self.engine.restore(checkpoint)
        self.engine.load((raw(key) or b"", raw(value) or b"") for key, value in told["rows"])
        self.engine.remember(self.log)

    def put(self, record: LogRecord) -> None:
        """Count one more record and publish what it makes."""
        self.log.append(record)
        self.engine.apply([record], record.offset + 1)
        sealed = self.engine.seal()
        for kind, pairs in (("updates", sealed.updates), ("windows", sealed.windows)):
            self.results[kind] += [Published(0, key, value, []) for key, value in pairs]
        for kind, refused in (("late", sealed.late), ("rejected", sealed.rejected)):
            self.results[kind] += [Published(0, *one) for one in refused]
        self.metadata = sealed.checkpoint.to_metadata()

    def audit(self) -> Findings:
        """Recompute everything by other code."""
        findings, rules = Findings(), rules_of(self.metadata)
        assert rules is not None
        comparison = Comparison(rules, Place("follow-events", 3, at_least_once=False), findings)
        for one in self.log:
            comparison.feed(
                JudgesRecord(one.offset, one.timestamp, one.key, one.value, one.headers)
            )
        committed = Committed(self.engine.position, self.metadata)
        compare(comparison, committed, self.results, expect_swept=not self.engine.has_unsealed)
        return findings


def event(offset: int, action: str, event_id: str) -> LogRecord:
    fields = {"event_id": event_id, "account_id": "a", "follower_id": "f", "action": action}
    value = json.dumps(fields | {"occurred_at": T0 + 4_002_000}).encode()
    return LogRecord(offset, T0 + 4_002_000, b"a", value)


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_a_checkpoint_of_an_earlier_release_is_opened_and_agrees(path: Path) -> None:
    release = Release(path)
    assert release.audit().ok, str(release.audit())


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_counting_goes_on_and_what_was_counted_stays(path: Path) -> None:
    release = Release(path)
    before = release.engine.counts
    first = release.engine.position
    release.put(event(first, "follow", "e0"))  # counted by the release: a duplicate
    release.put(event(first + 1, "unfollow", "e0"))  # swallowed by 0.1.0: a duplicate still
    release.put(event(first + 2, "unfollow", "e2"))  # refused by 0.1.0, so it is new
    release.put(event(first + 3, "follow", "new"))
    release.put(event(first + 4, "unfollow", "new"))  # another event, by the rules of today
    after = release.engine.counts
    assert (after.applied - before.applied, after.duplicate - before.duplicate) == (3, 2)
    assert release.audit().ok, str(release.audit())
    assert json.loads(release.metadata)["rules"] == [[0, 1], [first, CURRENT]]


# ---- the fingerprint


def test_what_a_checkpoint_does_not_say_is_at_its_default() -> None:
    settings = Settings()
    for name in settings.fingerprint(PARTITIONS):
        if name != "partitions":
            found = settings.fingerprint(PARTITIONS)
            del found[name]
            assert settings.differences(found, PARTITIONS) == []


def test_another_value_is_named_with_both() -> None:
    found = Settings().fingerprint(PARTITIONS) | {"max_ahead_ms": 5, "expire_after_ms": 7}
    assert Settings().differences(found, 8) == [
        ("expire_after_ms", 7, 0),
        ("max_ahead_ms", 5, 10_000),
        ("partitions", PARTITIONS, 8),
    ]


def test_a_setting_that_only_a_later_version_knows_is_a_difference() -> None:
    found = Settings().fingerprint(PARTITIONS) | {"half_life_ms": 5}
    assert Settings().differences(found, PARTITIONS) == [("half_life_ms", 5, None)]


def test_a_setting_at_its_default_adds_nothing_to_what_0_1_0_wrote() -> None:
    told = json.loads(json.loads(RELEASED[0].read_text())["metadata"])
    assert Settings().fingerprint(PARTITIONS) == told["settings"]
