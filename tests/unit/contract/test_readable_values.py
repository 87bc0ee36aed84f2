"""The detail of a rejection shows the value as JSON, and says what a refused time looks like."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.input_record import (
    MAX_EVENT_MS,
    MIN_EVENT_MS,
    Baseline,
    LogRecord,
    PlainEvent,
    Reason,
    Rejection,
    judge,
)
from service.contract.readable_values import as_json, why_no_time
from service.contract.rule_versions import MORE_SPELLINGS
from tests.support.property_examples import many
from tests.unit.contract.good_event import EVENT


def judged(version: int = MORE_SPELLINGS, **changes: object) -> Any:
    """The verdict on an event with some other values; a str that begins with RAW is JSON text."""
    members = [
        f'"{name}":{text[3:] if str(text).startswith("RAW") else json.dumps(text)}'
        for name, text in {**EVENT, **changes}.items()
    ]
    return judge(LogRecord(0, 0, b"a1", f"{{{','.join(members)}}}".encode(), []), version)


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"follower_id": 123}, Reason.WRONG_TYPE, "follower_id 123 is not text"),
        ({"event_id": None}, Reason.WRONG_TYPE, "event_id null is not text"),
        ({"event_id": ""}, Reason.BAD_ID, 'event_id "" has 0 bytes'),
        ({"action": "Follow"}, Reason.UNKNOWN_ACTION, '"Follow"'),
        (
            {"account_id": "A1"},
            Reason.KEY_MISMATCH,
            'key "a1", account_id "A1"',
        ),
        (
            {"occurred_at": 1_700_000_040_000.5},
            Reason.WRONG_TYPE,
            "occurred_at 1700000040000.5 is no whole number or text",
        ),
        ({"occurred_at": True}, Reason.WRONG_TYPE, "occurred_at true is no whole number or text"),
        (
            {"occurred_at": "1700000040000"},
            Reason.BAD_TIME,
            'occurred_at "1700000040000": it is text; send the number without quotes',
        ),
        (
            {"occurred_at": 1_700_000_040},
            Reason.BAD_TIME,
            "occurred_at 1700000040: it looks like seconds; multiply it by 1,000",
        ),
        (
            {"occurred_at": "1700000040"},
            Reason.BAD_TIME,
            (
                'occurred_at "1700000040": it is text; send the number without quotes: it looks '
                "like seconds; multiply it by 1,000"
            ),
        ),
        (
            {"occurred_at": 1_700_000_040_000_000},
            Reason.BAD_TIME,
            "occurred_at 1700000040000000: it looks like microseconds; divide it by 1,000",
        ),
        (
            {"occurred_at": 1_700_000_040_000_000_000},
            Reason.BAD_TIME,
            "occurred_at 1700000040000000000: it looks like nanoseconds; divide it by 1,000,000",
        ),
        (
            {"occurred_at": "RAW1.70000004e18"},
            Reason.BAD_TIME,
            "occurred_at 1700000040000000000: it looks like nanoseconds; divide it by 1,000,000",
        ),
        (
            {"occurred_at": "2023-11-14 22:14:00+00"},
            Reason.BAD_TIME,
            'occurred_at "2023-11-14 22:14:00+00": its offset has no minutes: write +00:00',
        ),
        (
            {"occurred_at": "2023-11-14T22:14:00"},
            Reason.BAD_TIME,
            'occurred_at "2023-11-14T22:14:00": it has no offset: add Z, or +00:00',
        ),
        (
            {"occurred_at": "2023-11-14T22:14:00,5Z"},
            Reason.BAD_TIME,
            (
                'occurred_at "2023-11-14T22:14:00,5Z": it has a comma: write a full stop before '
                "the fraction"
            ),
        ),
        ({"occurred_at": "yesterday"}, Reason.BAD_TIME, 'occurred_at "yesterday"'),
        ({"occurred_at": 0}, Reason.BAD_TIME, "occurred_at 0"),
        (
            {"action": "baseline", "follower_id": None, "followers": "5"},
            Reason.WRONG_TYPE,
            'followers "5" is no whole number',
        ),
        (
            {"action": "forget", "follower_id": "f"},
            Reason.UNEXPECTED_FIELD,
            'follower_id "f"',
        ),
    ],
)
def test_the_detail_shows_the_value_as_json(
    changes: dict[str, Any], reason: Reason, detail: str
) -> None:
    assert judged(**changes) == Rejection(reason, detail)


@pytest.mark.parametrize(
    "spelling",
    [
        *("1700000040000.0", "1.70000004e12", "170000004E4", "0.170000004e+13"),
        *('"2023-11-14 22:14:00Z"', '"2023-11-14T22:14:00.000+0000"', '"2023-11-14 23:14:00+0100"'),
    ],
)
def test_a_time_in_another_spelling_counts_since_version_3(spelling: str) -> None:
    event = judged(occurred_at=f"RAW{spelling}")
    assert isinstance(event, PlainEvent)
    assert event.occurred_at == EVENT["occurred_at"]
    assert type(event.occurred_at) is int
    assert isinstance(judged(MORE_SPELLINGS - 1, occurred_at=f"RAW{spelling}"), Rejection)


def test_followers_in_another_spelling_count_since_version_3() -> None:
    changes: dict[str, Any] = {"action": "baseline", "follower_id": None, "followers": "RAW1.5e3"}
    baseline = judged(**changes)
    assert isinstance(baseline, Baseline)
    assert (baseline.followers, type(baseline.followers)) == (1_500, int)
    assert isinstance(judged(MORE_SPELLINGS - 1, **changes), Rejection)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@many(200)
@given(JSON | st.integers(2**63, 2**70) | st.integers(-(2**70), -(2**62)))
def test_any_value_is_written_in_few_characters(value: object) -> None:
    try:
        text = as_json(value)
    except OverflowError:  # a whole number of more than 64 bits inside a list: none is decoded
        assert isinstance(value, list | dict)
        return
    assert 1 <= len(text) <= 64


@many(200)
@given(st.text() | st.integers())
def test_any_refused_time_is_explained_or_left_alone(at: str | int) -> None:
    why = why_no_time(at, range(MIN_EVENT_MS, MAX_EVENT_MS + 1))
    assert why == "" or why.startswith(": it")
