"""What leaves beside the rows: late and rejected records, their bytes and headers."""

from __future__ import annotations

import hashlib
import json

import pytest

from service.contract.input_record import MAX_VALUE_BYTES
from service.contract.results import MAX_KEY_BYTES, ResultRecord
from service.counting import Rules
from tests.support.small_log import SECOND, T0, Counted


def rejected(counted: Counted) -> ResultRecord:
    """The one record that was refused."""
    [record] = counted.seal().rejected
    return record


def test_a_rejected_record_says_where_it_was_and_why() -> None:
    counted = Counted()
    counted.event(0)
    counted.event(0, "like")
    value = counted.log[1].value or b""
    assert rejected(counted).headers == [
        ("netfollowers-source-topic", b"follow-events"),
        ("netfollowers-source-partition", b"3"),
        ("netfollowers-source-offset", b"1"),
        ("netfollowers-reason", b"unknown_action"),
        ("netfollowers-detail", b'"like"'),
        ("netfollowers-original-length", b"%d" % len(value)),
        ("netfollowers-sha256", hashlib.sha256(value).hexdigest().encode()),
        ("netfollowers-truncated", b"false"),
        ("netfollowers-original-key-length", b"1"),
        ("netfollowers-version", b"1"),
    ]


@pytest.mark.parametrize(
    ("size", "kept", "truncated"),
    [
        (MAX_VALUE_BYTES, MAX_VALUE_BYTES, b"false"),
        (MAX_VALUE_BYTES + 1, MAX_VALUE_BYTES, b"true"),
        (10 * MAX_VALUE_BYTES, MAX_VALUE_BYTES, b"true"),
    ],
)
def test_a_refused_value_is_cut_at_its_bound_and_named_by_length_and_hash(
    size: int, kept: int, truncated: bytes
) -> None:
    value = b"x" * size
    counted = Counted()
    counted.put(b"a", value)
    record = rejected(counted)
    headers = dict(record.headers)
    assert record.value == value[:kept]
    assert headers["netfollowers-truncated"] == truncated
    assert headers["netfollowers-original-length"] == b"%d" % size
    assert headers["netfollowers-sha256"] == hashlib.sha256(value).hexdigest().encode()


@pytest.mark.parametrize("size", [MAX_KEY_BYTES, MAX_KEY_BYTES + 1])
def test_a_refused_key_is_cut_at_its_bound_and_its_length_is_kept(size: int) -> None:
    counted = Counted()
    counted.put(b"k" * size, b"?")
    record = rejected(counted)
    assert record.key == b"k" * MAX_KEY_BYTES
    assert dict(record.headers)["netfollowers-original-key-length"] == b"%d" % size


def test_what_has_neither_key_nor_value_is_rejected_as_it_is() -> None:
    counted = Counted()
    counted.put(None, None)
    record = rejected(counted)
    assert (record.key, record.value) == (None, None)
    headers = dict(record.headers)
    assert headers["netfollowers-original-length"] == b"0"
    assert headers["netfollowers-original-key-length"] == b"0"
    assert headers["netfollowers-sha256"] == hashlib.sha256(b"").hexdigest().encode()


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    counted = Counted()
    counted.put(b"\xff\x00", b"\xfe\xff\x00")
    record = rejected(counted)
    assert (record.key, record.value) == (b"\xff\x00", b"\xfe\xff\x00")


def test_a_rejected_record_has_a_short_detail_however_long_the_fault() -> None:
    counted = Counted()
    counted.event(0, action="l" * 5_000)
    counted.event(0, occurred_at="t" * 5_000)
    counted.put(b"k" * 200, b"[" * 3_000)
    for record in counted.seal().rejected:
        assert len(dict(record.headers)["netfollowers-detail"] or b"") <= 256


def test_the_original_headers_are_kept_under_names_that_are_not_ours() -> None:
    counted = Counted()
    counted.put(b"a", b"?", headers=[("netfollowers-reason", b"forged"), ("trace", b"\xff")])
    found = rejected(counted).headers
    assert [value for name, value in found if name == "netfollowers-reason"] == [b"not_json"]
    assert ("original:netfollowers-reason", b"forged") in found
    assert ("original:trace", b"\xff") in found


def test_original_headers_that_are_too_large_are_counted_only() -> None:
    counted = Counted()
    counted.put(b"a", b"?", headers=[("trace", b"x" * 16_384), ("more", b"")])
    found = dict(rejected(counted).headers)
    assert found["netfollowers-original-headers-dropped"] == b"2"
    assert "original:more" not in found


def test_a_late_record_keeps_its_key_and_bytes() -> None:
    counted = Counted()
    counted.heartbeat(5_000)
    counted.event(10)
    [late] = counted.seal().late
    assert late.key == b"a"
    assert late.value == counted.log[-1].value
    assert json.loads(late.value or b"")["occurred_at"] == T0 + 10 * SECOND


def test_a_late_record_names_the_grains_that_missed_it_from_fine_to_coarse() -> None:
    # 1m kept 15 min, 1h kept 3 h, 1d kept 2 d
    counted = Counted(Rules())
    for at_s in (4 * 3_600 + 3_600, 5 * 86_400):
        counted.heartbeat(at_s)
        counted.event(0)
    counted.seal()
    missed = [headers["netfollowers-grains-missed"] for headers in counted.late]
    assert missed == ["1m,1h", "1m,1h,1d"]
    assert counted.engine.tally.late_by_grain == {"1m": 2, "1h": 2, "1d": 1}
    assert counted.rows["a"]["gained"] == 2


def test_a_late_record_tells_the_event_time_after_the_clamp() -> None:
    counted = Counted()
    counted.heartbeat(5_000)
    counted.event(9_000, stamp=T0)
    counted.seal()
    assert counted.late[0]["netfollowers-event-time-ms"] == str(T0)
    assert counted.engine.tally.clamped == 1


def test_late_and_rejected_records_are_handed_out_once_and_in_order() -> None:
    counted = Counted()
    counted.heartbeat(5_000)
    for _ in range(3):
        counted.event(0)
        counted.put(b"a", b"?")
    sealed = counted.seal()
    for records, offsets in ((sealed.late, [1, 3, 5]), (sealed.rejected, [2, 4, 6])):
        found = [int(dict(one.headers)["netfollowers-source-offset"] or b"") for one in records]
        assert found == offsets
    again = counted.seal()
    assert (again.late, again.rejected, again.updates, again.windows) == ([], [], [], [])
    assert again.records == 0
