"""What is accepted, and every reason for which a record is refused."""

import json
from typing import Any

import pytest

from service.audit.model.input_record import REASONS, Arrival, Faults, LogRecord, read
from tests.unit.audit.records import T0, baseline, event

GOOD = event(0)


def reading(value: bytes | None, key: bytes | None = b"alice") -> Arrival | Faults:
    return read(LogRecord(0, -1, key, value, []))


def reasons(fields: dict[str, Any] | bytes | None, key: bytes | None = b"alice") -> list[str]:
    """Return the faults of a value. Empty if it is accepted."""
    value = json.dumps(fields).encode() if isinstance(fields, dict) else fields
    found = reading(value, key)
    return list(found.reasons) if isinstance(found, Faults) else []


def without(name: str) -> dict[str, Any]:
    """Leave one field out of a good event."""
    return {key: value for key, value in GOOD.items() if key != name}


def padded(length: int) -> bytes:
    """Return a valid value of `length` bytes."""
    value = json.dumps(GOOD).encode()
    return value + b" " * (length - len(value))


def nested(depth: int) -> bytes:
    """Make a good value that is nested so deeply; its own braces are the first level."""
    value = json.dumps(GOOD).encode()
    return value[:-1] + b',"more":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_a_good_event_is_read() -> None:
    found = reading(json.dumps(GOOD).encode())

    assert found == Arrival("alice-follow-0", "alice", "follow", T0, 0, "bob")


def test_unknown_fields_are_ignored_whatever_they_hold() -> None:
    assert reasons({**GOOD, "more": [{"a": None}], "followers": "many"}) == []


def test_of_a_name_that_comes_twice_the_last_value_holds() -> None:
    value = json.dumps(GOOD).encode()[:-1] + b',"action":"unfollow"}'
    found = reading(value)

    assert isinstance(found, Arrival)
    assert found.action == "unfollow"


@pytest.mark.parametrize("name", ["event_id", "account_id", "follower_id", "action", "occurred_at"])
def test_every_field_of_a_follow_is_required(name: str) -> None:
    assert reasons(without(name)) == ["missing_field"]
    assert reasons({**GOOD, name: None}) == ["wrong_type"]
    assert reasons({**GOOD, name: True}) == ["wrong_type"]
    assert reasons({**GOOD, name: 1.5}) == ["wrong_type"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ["empty_value"]),
        (b"", ["empty_value"]),
        (padded(65_536), []),
        (padded(65_537), ["value_too_large"]),
        (b"[]", ["not_an_object"]),
        (b"5", ["not_an_object"]),
        (b"null", ["not_an_object"]),
        (b"{", ["not_json"]),
        (b"{'a':1}", ["not_json"]),
        (b'{"a":"\xff"}', ["not_json"]),
        (b'{"a":NaN}', ["not_json"]),
        (b'{"a":-Infinity}', ["not_json"]),
        (b'{"a":"\\ud800"}', ["not_json"]),
        (b'{"a":["\\udc00"]}', ["not_json"]),
        (b"\xef\xbb\xbf{}", ["not_json", "not_an_object"]),
        (nested(128), []),
        (nested(129), ["not_json"]),
        (nested(10_000), ["not_json"]),
    ],
)
def test_a_value_that_is_no_json_object_within_bounds_is_refused(
    value: bytes | None, expected: list[str]
) -> None:
    assert reasons(value) == expected


def test_brackets_in_strings_do_not_nest() -> None:
    assert reasons({**GOOD, "more": '\\"' + "[" * 1_000}) == []


def test_an_integer_of_thousands_of_digits_is_json() -> None:
    value = json.dumps(GOOD).encode()[:-1] + b',"more":' + b"9" * 5_000 + b"}"

    assert reasons(value) == []


@pytest.mark.parametrize("name", ["event_id", "account_id", "follower_id"])
def test_ids_are_one_to_256_bytes(name: str) -> None:
    for text, is_good in [("", False), ("é" * 128, True), ("é" * 128 + "x", False)]:
        key = text.encode() if name == "account_id" else b"alice"
        assert ("bad_id" not in reasons({**GOOD, name: text}, key)) == is_good


@pytest.mark.parametrize("action", ["like", "", "Follow", "heartbeat"])
def test_an_action_that_is_none_of_ours_is_refused(action: str) -> None:
    assert reasons({**GOOD, "action": action}) == ["unknown_action"]


@pytest.mark.parametrize("followers", [0, 2**53 - 1])
def test_a_baseline_needs_followers_and_no_follower(followers: int) -> None:
    assert reasons(baseline(0, followers)) == []
    assert reasons(baseline(0, followers, follower_id=None)) == []
    assert reasons(baseline(0, followers, follower_id="bob")) == ["unexpected_field"]
    assert reasons(event(0, "baseline")) == ["missing_field"]


@pytest.mark.parametrize(
    ("followers", "reason"),
    [
        (-1, "bad_followers"),
        (2**53, "bad_followers"),
        (1.5, "wrong_type"),
        (True, "wrong_type"),
        ("1", "wrong_type"),
        (None, "wrong_type"),
    ],
)
def test_a_baseline_with_bad_followers_is_refused(followers: object, reason: str) -> None:
    assert reasons({**baseline(0, 0), "followers": followers}) == [reason]


def test_the_key_must_be_the_account_id() -> None:
    assert reasons(GOOD, key=None) == ["missing_key"]
    assert reasons(GOOD, key=b"") == ["missing_key"]
    assert reasons(GOOD, key=b"carol") == ["key_mismatch"]
    assert reasons({**GOOD, "account_id": "é"}, key="é".encode()) == []


def test_all_that_is_wrong_is_named_in_the_order_of_the_list() -> None:
    found = reasons({**GOOD, "event_id": "", "action": "like", "occurred_at": 5}, key=b"x")

    assert found == ["unknown_action", "bad_id", "bad_time", "key_mismatch"]
    assert found == sorted(found, key=REASONS.index)


@pytest.mark.parametrize(
    ("occurred_at", "expected_ms"),
    [
        (946_684_800_000, 946_684_800_000),
        (253_402_300_799_999, 253_402_300_799_999),
        ("2000-01-01T00:00:00Z", 946_684_800_000),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999),
        ("2020-09-14T02:00:00+02:00", T0),
        ("2020-09-13T19:29:59.9999-04:30", T0 - 1),
        ("2020-09-14 00:00:00Z", T0),  # since version 3
        ("2020-09-14 02:00:00+0200", T0),
        (float(T0), T0),
        ("2020-09-14t00:00:00.1z", T0 + 100),
        ("2020-02-29T00:00:00.0009Z", 1_582_934_400_000),
    ],
)
def test_a_time_is_epoch_ms_or_rfc_3339_floored(occurred_at: object, expected_ms: int) -> None:
    found = reading(json.dumps({**GOOD, "occurred_at": occurred_at}).encode())

    assert isinstance(found, Arrival)
    assert found.occurred_ms == expected_ms


@pytest.mark.parametrize(
    "occurred_at",
    [
        946_684_799_999,
        253_402_300_800_000,
        1_600_041_600,  # seconds
        0,
        -1,
        10**30,
        "1999-12-31T23:59:59.999Z",
        "2000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2020-09-14T00:00:60Z",  # leap second
        "2020-09-14T24:00:00Z",
        "2021-02-29T00:00:00Z",
        "2020-09-14T00:00:00",
        "2020-09-14  00:00:00Z",
        "2020-09-14T00:00:00.Z",
        "2020-09-14T00:00:00.1234567890Z",
        "2020-09-14T00:00:00+02",
        "2020-09-14T00:00:00+24:00",
        "2020-09-14T00:00:00+00:60",
        "2020-09-14T00:00:00Z\n",
        "0000-01-01T00:00:00Z",
        "٢٠٢٠-09-14T00:00:00Z",
        "1600041600000",
        "",
    ],
)
def test_a_time_that_is_unreadable_or_out_of_range_is_refused(occurred_at: object) -> None:
    assert reasons({**GOOD, "occurred_at": occurred_at}) == ["bad_time"]
