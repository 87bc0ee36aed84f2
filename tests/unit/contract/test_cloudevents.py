"""What the contract says of CloudEvents is what the decoder does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.contract.input_record import LogRecord, Reason, Rejection, judge
from tests.support.contract.schemas import counterexamples, schema

EVENT = {"event_id": "e", "account_id": "a1", "follower_id": "f", "action": "follow"}
EVENT |= {"occurred_at": "2023-11-14T22:13:20Z"}
HEADERS: dict[str, str] = schema("cloud-event-binary.headers")["examples"][1]
STRUCTURED = {"content-type": "application/cloudevents+json"}


def verdict(headers: dict[str, str], value: object) -> object:
    named = [(name, text.encode()) for name, text in headers.items()]
    return judge(LogRecord(0, -1, b"a1", json.dumps(value).encode(), named))


@pytest.mark.parametrize("headers", schema("cloud-event-binary.headers")["examples"])
def test_binary_headers_of_the_examples_are_taken(headers: dict[str, str]) -> None:
    assert not isinstance(verdict(headers, EVENT), Rejection)


@pytest.mark.parametrize("value", schema("cloud-event-binary.value")["examples"])
def test_binary_data_of_the_examples_is_taken(value: dict[str, Any]) -> None:
    kind = "x.baseline" if "followers" in value else HEADERS["ce_type"]
    assert not isinstance(verdict({**HEADERS, "ce_type": kind}, value), Rejection)


@pytest.mark.parametrize("value", schema("cloud-event-structured.value")["examples"])
@pytest.mark.parametrize("headers", schema("cloud-event-structured.headers")["examples"])
def test_structured_examples_are_taken(headers: dict[str, str], value: object) -> None:
    assert not isinstance(verdict(headers, value), Rejection)


@pytest.mark.parametrize("said", counterexamples("cloud-event-binary.headers"))
def test_binary_headers_that_are_refused_are_bad_envelopes(said: dict[str, Any]) -> None:
    found = verdict(said["value"], EVENT)
    assert isinstance(found, Rejection)
    assert found.reason is Reason.BAD_ENVELOPE


@pytest.mark.parametrize("said", counterexamples("cloud-event-binary.value"))
def test_binary_data_that_is_refused_is_refused(said: dict[str, Any]) -> None:
    assert isinstance(verdict(HEADERS, said["value"]), Rejection)


@pytest.mark.parametrize("said", counterexamples("cloud-event-structured.value"))
def test_structured_values_that_are_refused_are_refused(said: dict[str, Any]) -> None:
    assert isinstance(verdict(STRUCTURED, said["value"]), Rejection)
