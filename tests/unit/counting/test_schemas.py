"""Every record that leaves is what its schema says; the schemas know what the code knows."""

from __future__ import annotations

import json
from random import Random

import pytest

from service.contract.input_record import LogRecord, PlainEvent, Reason, Rejection, judge
from service.contract.results import AccountRow, WindowResult
from service.counting import Engine, Rules
from service.counting.checkpoint import Counts
from service.synthetic.events import Shape, Synthetic
from tests.support.contract.schemas import KNOWN, schema
from tests.support.contract.schemas import judge as judge_of
from tests.support.crash_harness import SOURCE, World
from tests.support.property_examples import some
from tests.support.random_log import random_log, small_rules

EVENT = judge_of("follow-event.value", closed=False)


@pytest.mark.parametrize("seed", some(12))
def test_every_record_of_a_random_life_obeys_its_schema(seed: int) -> None:
    random = Random(seed)
    world = World(small_rules(random), random_log(random))
    world.run(random)  # `tests/conftest.py` looks at each seal
    assert all(world.results.values())


def test_a_seal_that_breaks_its_schema_is_noticed_in_any_test() -> None:
    engine = Engine(Rules(), SOURCE, settings={"grains": 1.5})  # type: ignore[dict-item]
    with pytest.raises(AssertionError, match="is not of type"):
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
    assert headers["netfollowers-reason"][KNOWN] == [str(reason) for reason in Reason]


SEEN_BY_THE_CODE_ONLY = {
    *(Reason.MISSING_KEY, Reason.KEY_MISMATCH, Reason.VALUE_TOO_LARGE, Reason.BAD_ENVELOPE)
}
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
        assert EVENT.is_valid(fields) is is_accepted, (
            f"{value!r}: {verdict}. Say it in the schema, or add it to SEEN_BY_THE_CODE_ONLY"
        )
    assert refused > 1_000


def test_a_plain_event_is_what_the_schema_calls_follow_or_unfollow() -> None:
    fields = set(PlainEvent.__struct_fields__)
    known = set(schema("follow-event.value")["properties"]) | {"follower_id"}
    assert fields == known
