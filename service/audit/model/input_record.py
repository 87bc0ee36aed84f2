"""Reads one input record: what it says, or everything that is wrong with it.

Knows the contract of the input topic, and nothing of counting. Times are epoch milliseconds.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from service.audit.model.cloudevents import EnvelopeError, binary, media_type, structured
from service.audit.model.strict_json import more_spellings_ms, parse, rfc_3339_ms

HEARTBEAT_HEADER: Final = "netfollowers-heartbeat"
MAX_VALUE_BYTES: Final = 65_536
MAX_ID_BYTES: Final = 256
FOLLOWERS_BELOW: Final = 2**53
FIRST_MS: Final = 946_684_800_000  # 2000-01-01T00:00:00Z
LAST_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z

REASONS: Final = (
    "empty_value",
    "value_too_large",
    "bad_header_name",
    "bad_envelope",
    "not_json",
    "not_an_object",
    "missing_field",
    "wrong_type",
    "unknown_action",
    "bad_id",
    "bad_time",
    "bad_followers",
    "unexpected_field",
    "missing_key",
    "key_mismatch",
    "unforeseen",
    "skipped",
)

UNFORESEEN: Final = "unforeseen"
SKIPPED: Final = "skipped"

NEWEST: Final = 3  # version of the counting rules described here; 0.1.0 had version 1
MORE_SPELLINGS: Final = 3
"""From here on 1.7e12 is a whole number, and "2023-11-14 22:13:20+0000" is a time."""

Fields = dict[str, object]


class LogRecord(NamedTuple):
    """One record of the input log. `timestamp_ms` is -1 if it is unknown."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Arrival(NamedTuple):
    """A valid record. A heartbeat has only a time. `followers`: the number of a baseline."""

    event_id: str
    account_id: str
    action: str
    occurred_ms: int
    followers: int
    follower_id: str = ""


class Faults(NamedTuple):
    """All reasons that apply to a rejected record. The service should name the first one."""

    reasons: tuple[str, ...]


def read(record: LogRecord, version: int = NEWEST) -> Arrival | Faults:
    """Read a record. Returns an Arrival (action "heartbeat" for a heartbeat), or its Faults.

    `version`: of the counting rules at the record's offset. An exception in this code becomes the
    fault "unforeseen", because one record must not end an audit.
    """
    try:
        return _read(record, version)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - by construction, and the comparison shows it
        return Faults((UNFORESEEN,))


def _read(record: LogRecord, version: int) -> Arrival | Faults:
    faults = _size_faults(record.value) or _name_faults(record)
    if faults is not None:
        return faults
    is_heartbeat = any(name == HEARTBEAT_HEADER for name, _ in record.headers)
    fields = fields_of(record.value) if is_heartbeat else _unwrapped(record, version)
    if isinstance(fields, Faults):
        return fields
    fields = spelled_out(fields, version)
    if is_heartbeat:
        reasons = _time_faults(fields)
        return Faults(tuple(reasons)) if reasons else _arrival({**fields, "action": "heartbeat"})
    reasons = _event_faults(fields, record.key)
    return Faults(tuple(reasons)) if reasons else _arrival(fields)


def spelled_out(fields: Fields, version: int) -> Fields:
    """Return the fields with their numbers and times in the one way that all versions know.

    A whole number with a fraction or exponent becomes an integer, and a readable time epoch ms.
    """
    if version < MORE_SPELLINGS:
        return fields
    fields = dict(fields)
    for name in ("occurred_at", "followers"):
        number = fields.get(name)
        if isinstance(number, float) and abs(number) < float("inf") and number % 1 == 0:
            fields[name] = int(number)
    at = fields.get("occurred_at")
    if isinstance(at, str) and (at_ms := more_spellings_ms(at)) is not None:
        fields["occurred_at"] = at_ms
    return fields


def _unwrapped(record: LogRecord, version: int) -> Fields | Faults:
    """Return the fields of the event, taken out of its envelope if it has one."""
    size_faults = _size_faults(record.value)
    if size_faults is not None or record.value is None:
        return size_faults or Faults(("empty_value",))
    try:
        if media_type(record.headers) == "application/cloudevents+json":
            data, stand_ins = structured(record.value, version)
            if not isinstance(data, dict):
                return Faults(("not_an_object",))
            return {**stand_ins, **data}
        stands_in = binary(record.headers)
    except EnvelopeError:
        return Faults(("bad_envelope",))
    fields = fields_of(record.value)
    return fields if isinstance(fields, Faults) else {**(stands_in or {}), **fields}


def _name_faults(record: LogRecord) -> Faults | None:
    """Find header names that are not UTF-8. They contain halves of surrogate pairs."""
    if any("\ud800" <= character <= "\udfff" for name, _ in record.headers for character in name):
        return Faults(("bad_header_name",))
    return None


def _size_faults(value: bytes | None) -> Faults | None:
    if not value:
        return Faults(("empty_value",))
    return Faults(("value_too_large",)) if len(value) > MAX_VALUE_BYTES else None


def fields_of(value: bytes | None) -> Fields | Faults:
    """Read a value as a JSON object within the size limits."""
    faults = _size_faults(value)
    if faults is not None or value is None:
        return faults or Faults(("empty_value",))
    try:
        fields = parse(value)
    except ValueError:
        is_object = value.lstrip().startswith(b"{")
        return Faults(("not_json",) if is_object else ("not_json", "not_an_object"))
    return fields if isinstance(fields, dict) else Faults(("not_an_object",))


def _arrival(fields: Fields) -> Arrival:
    followers = fields.get("followers")
    return Arrival(
        event_id=str(fields.get("event_id")),
        account_id=str(fields.get("account_id")),
        action=str(fields.get("action")),
        occurred_ms=stamped_ms(fields) or 0,
        followers=followers if isinstance(followers, int) else 0,
        follower_id=str(fields.get("follower_id") or ""),
    )


def stamped_ms(fields: Fields) -> int | None:
    """Return occurred_at in epoch ms; None if it is unreadable or out of range."""
    occurred_at = fields.get("occurred_at")
    if isinstance(occurred_at, str):
        when_ms = rfc_3339_ms(occurred_at)
    else:
        when_ms = occurred_at if isinstance(occurred_at, int) else None
    return when_ms if when_ms is not None and FIRST_MS <= when_ms <= LAST_MS else None


def _names(fields: Fields) -> list[str]:
    """Return the names of the ids that an event of this action must have."""
    names = ["event_id", "account_id"]
    return names if fields.get("action") in ("baseline", "forget") else [*names, "follower_id"]


def _event_faults(fields: Fields, key: bytes | None) -> list[str]:
    """Return all reasons to reject a record that is not a heartbeat."""
    action, account_id = fields.get("action"), fields.get("account_id")
    reasons = [reason for name in _names(fields) for reason in _id_faults(fields, name)]
    if "action" not in fields:
        reasons.append("missing_field")
    elif not isinstance(action, str):
        reasons.append("wrong_type")
    elif action not in {"follow", "unfollow", "baseline", "forget"}:
        reasons.append("unknown_action")
    if action == "baseline":
        reasons += _baseline_faults(fields)
    if action == "forget" and fields.get("follower_id") is not None:
        reasons.append("unexpected_field")
    reasons += _time_faults(fields)
    if not key:
        reasons.append("missing_key")
    elif isinstance(account_id, str) and account_id.encode() != key:
        reasons.append("key_mismatch")
    return sorted(set(reasons), key=REASONS.index)


def _id_faults(fields: Fields, name: str) -> list[str]:
    if name not in fields:
        return ["missing_field"]
    text = fields[name]
    if not isinstance(text, str):
        return ["wrong_type"]
    return [] if 1 <= len(text.encode()) <= MAX_ID_BYTES else ["bad_id"]


def _baseline_faults(fields: Fields) -> list[str]:
    unexpected = [] if fields.get("follower_id") is None else ["unexpected_field"]
    if "followers" not in fields:
        return ["missing_field", *unexpected]
    followers = fields["followers"]
    if isinstance(followers, bool) or not isinstance(followers, int):
        return ["wrong_type", *unexpected]
    return unexpected if 0 <= followers < FOLLOWERS_BELOW else ["bad_followers", *unexpected]


def _time_faults(fields: Fields) -> list[str]:
    if "occurred_at" not in fields:
        return ["missing_field"]
    occurred_at = fields["occurred_at"]
    if isinstance(occurred_at, bool) or not isinstance(occurred_at, int | str):
        return ["wrong_type"]
    return [] if stamped_ms(fields) is not None else ["bad_time"]
