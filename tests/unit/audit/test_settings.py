"""The rules are read back from what a worker committed."""

import json

from service.audit.model.committed_rules import rules_of
from service.audit.model.counting import Rules

SETTINGS = {
    "grains": "1m:30000:900000,1h:60000:10800000,1d:300000:172800000",
    "max_ahead_ms": 10_000,
    "dedup_generation": 131_072,
    "sweep_buckets": 1_024,
    "partitions": 4,
}


def test_the_defaults_written_by_a_worker_are_the_defaults_here() -> None:
    told = {"v": 1, "settings": SETTINGS, "rules": [[0, 3]]}
    assert rules_of(json.dumps(told)) == Rules()


def test_a_commit_without_versions_was_by_version_1() -> None:
    rules = rules_of(json.dumps({"v": 1, "settings": SETTINGS}))

    assert rules is not None
    assert rules.versions == ((0, 1),)


def test_an_offset_is_judged_by_the_newest_range_that_has_begun() -> None:
    rules = Rules(versions=((5, 1), (10, 2)))

    assert [rules.version_at(offset) for offset in (0, 5, 9, 10, 99)] == [1, 1, 1, 2, 2]


def test_other_rules_are_read_as_they_are() -> None:
    rules = rules_of(json.dumps({"settings": {**SETTINGS, "grains": "30s:0:60000"}}))

    assert rules is not None
    assert rules.grains == (("30s", 30_000, 0, 60_000),)


def test_metadata_without_settings_names_no_rules() -> None:
    assert rules_of("") is None
    assert rules_of("{}") is None
