"""Every record that leaves is what its schema says; the schemas know what the code knows."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from jsonschema import ValidationError

from service.engine import Engine, Rules
from service.engine.checkpoint import Counts
from service.events import LogRecord, PlainEvent, Reason, Rejection, judge
from service.results import AccountRow, WindowResult
from service.tools.generate import Shape, Synthetic
from tests.engine.contract import SCHEMAS, validator
from tests.engine.randomlog import random_log, small_rules
from tests.engine.world import SOURCE, World


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text())
    return found


EVENT = validator("follow-event.value")


@pytest.mark.parametrize("seed", range(12))
def test_every_record_of_a_random_life_obeys_its_schema(seed: int) -> None:
    random = Random(seed)
    world = World(small_rules(random), random_log(random))
    world.run(random)  # `conftest.py` looks at each seal
    assert all(world.results.values())


def test_a_seal_that_breaks_its_schema_is_noticed_in_any_test() -> None:
    engine = Engine(Rules(), SOURCE, settings={"grains": 1.5})  # type: ignore[dict-item]
    with pytest.raises(ValidationError, match="is not of type"):
        engine.seal()


def test_the_schemas_name_the_fields_and_reasons_of_the_code() -> None:
    assert list(schema("net-follower-updates.value")["properties"]) == list(
        AccountRow.__struct_fields__
    )
    assert list(schema("net-follower-windows.value")["properties"]) == list(
        WindowResult.__struct_fields__
    )
    counts = schema("checkpoint-metadata")["properties"]["counts"]["properties"]
    assert list(counts) == list(Counts.__struct_fields__)
    headers = schema("follow-events-rejected.headers")["properties"]
    assert headers["netfollowers-reason"]["enum"] == [str(reason) for reason in Reason]


SEEN_BY_THE_CODE_ONLY = {Reason.MISSING_KEY, Reason.KEY_MISMATCH, Reason.VALUE_TOO_LARGE}
"""What a schema of the value cannot see; nor the bytes of an id that has fewer characters."""


def test_schema_and_code_accept_the_same_events() -> None:
    made = list(Synthetic(Shape(seed=5, bad=0.5)).at(1_700_000_000_000, 4_000))
    refused = 0
    for key, value, headers, _ in made:
        verdict = judge(LogRecord(0, -1, key, value, headers))
        is_accepted = not isinstance(verdict, Rejection)
        refused += not is_accepted
        if isinstance(verdict, Rejection) and verdict.reason in SEEN_BY_THE_CODE_ONLY:
            continue
        try:
            fields = json.loads(value or b"", parse_constant=int)  # NaN is no JSON
        except (ValueError, RecursionError):
            assert not is_accepted
            continue
        assert EVENT.is_valid(fields) is is_accepted, (value, verdict)
    assert refused > 1_000


@pytest.mark.parametrize(
    ("name", "invalid"),
    [
        ("follow-event.value", {"action": "like"}),
        ("follow-event.value", {"event_id": ""}),
        ("follow-event.value", {"occurred_at": 1_700_000_000}),
        ("heartbeat.value", {"occurred_at": "yesterday"}),
        ("heartbeat.value", {"occurred_at": None}),
        ("heartbeat.value", {"occurred_at": True}),
        ("net-follower-updates.value", {"net": "2"}),
        ("net-follower-updates.value", {"followers": 1.5}),
        ("net-follower-updates.value", {"windows": {"1m": [[1, 2, 3]]}}),
        ("net-follower-updates.value", {"follower_id": "f"}),
        ("net-follower-windows.value", {"revision": -1}),
        ("net-follower-windows.value", {"grain": "minute"}),
        ("net-follower-windows.value", {"extra": 1}),
        ("follow-events-late.headers", {"netfollowers-grains-missed": ""}),
        ("follow-events-late.headers", {"netfollowers-source-offset": "x"}),
        ("follow-events-late.headers", {"another": "1"}),
        ("follow-events-rejected.headers", {"netfollowers-reason": "other"}),
        ("follow-events-rejected.headers", {"netfollowers-truncated": "yes"}),
        ("follow-events-rejected.headers", {"netfollowers-sha256": "00"}),
        ("checkpoint-metadata", {"v": 2}),
        ("checkpoint-metadata", {"counts": {"applied": 1}}),
        ("checkpoint-metadata", {"sweep": {}}),
        ("checkpoint.value", {"position": -1}),
        ("checkpoint.value", {"metadata": {}}),
        ("checkpoint.value", {"more": 1}),
    ],
)
def test_what_is_wrong_is_refused(name: str, invalid: dict[str, object]) -> None:
    examples = schema(name)["examples"]
    assert len(examples) >= 2
    for example in examples:
        assert validator(name).is_valid(example)
        assert not validator(name).is_valid({**example, **invalid})


def test_a_plain_event_is_what_the_schema_calls_follow_or_unfollow() -> None:
    fields = set(PlainEvent.__struct_fields__)
    known = set(schema("follow-event.value")["properties"]) | {"follower_id"}
    assert fields == known
