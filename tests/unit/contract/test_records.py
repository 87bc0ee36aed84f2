"""The judge of written records: takes what obeys, names what does not."""

from __future__ import annotations

import json

import pytest

from service.contract.topics import REJECTED, RESULTS, UPDATES, RecordKind, Topic
from tests.support.contract.channels import METADATA
from tests.support.contract.records import AS_BYTES, wrong_with, wrong_with_metadata
from tests.support.contract.schemas import schema

ROW = schema("net-follower-updates.value")["examples"][0]
WRITTEN = [(topic, kind) for topic in RESULTS for kind in topic.records]


def as_bytes(name: str, example: object) -> bytes | None:
    """An example as a record holds it."""
    if example is None:
        return None
    if name in AS_BYTES or name.endswith(".key"):
        assert isinstance(example, str)
        return example.encode("latin-1" if name in AS_BYTES else "utf-8")
    return json.dumps(example).encode()


@pytest.mark.parametrize(
    ("topic", "message"), [pytest.param(*one, id=one[1].name) for one in WRITTEN]
)
def test_the_examples_of_every_message_make_records_that_obey(
    topic: Topic, message: RecordKind
) -> None:
    for value in schema(message.value)["examples"]:
        for headers in schema(message.headers)["examples"]:
            names = value.get("account_id") if isinstance(value, dict) else None
            key = names or schema(message.key)["examples"][0]
            why = wrong_with(
                topic,
                as_bytes(message.key, key),
                as_bytes(message.value, value),
                [(name, text.encode()) for name, text in headers.items()],
            )
            assert why is None


@pytest.mark.parametrize(
    ("key", "value", "headers", "why"),
    [
        (b"a2", json.dumps(ROW).encode(), [], "the key is b'a2', account_id is 'a1'"),
        (b"a1", b"not json", [], "row: invalid literal"),
        (b"a1", json.dumps({**ROW, "more": 1}).encode(), [], "'more'"),
        (b"a1", json.dumps(ROW).encode(), [("a", b"1")], "no.headers"),
        (b"a1", json.dumps(ROW).encode(), [("a", b"\xff")], "codec can't decode"),
        (b"", json.dumps(ROW).encode(), [], "checkpoint"),
        (None, json.dumps(ROW).encode(), [], "account.key"),
    ],
)
def test_a_row_that_does_not_obey_is_named(
    key: bytes | None, value: bytes, headers: list[tuple[str, bytes]], why: str
) -> None:
    assert why in (wrong_with(UPDATES, key, value, headers) or "")


def test_a_header_that_is_there_twice_is_named() -> None:
    example = schema("follow-events-rejected.headers")["examples"][0]
    headers = [(name, text.encode()) for name, text in example.items()]
    assert wrong_with(REJECTED, b"k", b"v", headers) is None
    assert "twice" in (wrong_with(REJECTED, b"k", b"v", [*headers, headers[0]]) or "")


def test_commit_metadata_is_judged() -> None:
    example = schema(METADATA)["examples"][0]
    assert wrong_with_metadata(json.dumps(example)) is None
    assert wrong_with_metadata("") is not None
    assert "'more'" in (wrong_with_metadata(json.dumps({**example, "more": 1})) or "")
    long = {**example, "settings": {"grains": "1" * 5_000}}
    assert "commit metadata of" in (wrong_with_metadata(json.dumps(long)) or "")
