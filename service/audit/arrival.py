"""What one record of the input says, or everything that is wrong with it.

Knows the contract of the input topic, nothing of counting. Times are epoch milliseconds.
"""

from typing import Final, NamedTuple

from service.audit.text import is_encodable, parse, rfc_3339_ms

HEARTBEAT_HEADER: Final = "netfollowers-heartbeat"
MAX_VALUE_BYTES: Final = 65_536
MAX_ID_BYTES: Final = 256
FOLLOWERS_BELOW: Final = 2**53
FIRST_MS: Final = 946_684_800_000  # 2000-01-01T00:00:00Z
LAST_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z

REASONS: Final = (
    "empty_value",
    "value_too_large",
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
)

Fields = dict[str, object]


class LogRecord(NamedTuple):
    """One record of the input as it lies in the log; timestamp_ms is -1 when unknown."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Arrival(NamedTuple):
    """An acceptable record. A heartbeat has only a time; `followers` is that of a baseline."""

    event_id: str
    account_id: str
    action: str
    occurred_ms: int
    followers: int


class Faults(NamedTuple):
    """Every reason that is true of a refused record; the first is the one we would name."""

    reasons: tuple[str, ...]


def read(record: LogRecord) -> Arrival | Faults:
    """Read a record: an arrival (action "heartbeat" for a heartbeat) or its faults."""
    fields = _object(record.value)
    if isinstance(fields, Faults):
        return fields
    if any(name == HEARTBEAT_HEADER for name, _ in record.headers):
        reasons = _time_faults(fields)
        arrival = Arrival("", "", "heartbeat", _time_ms(fields) or 0, 0)
    else:
        reasons = _shape_faults(fields) or _content_faults(fields)
        reasons += _key_faults(record.key, fields.get("account_id"))
        arrival = _arrival(fields)
    return Faults(tuple(reasons + _in_other_words(fields))) if reasons else arrival


def _object(value: bytes | None) -> Fields | Faults:
    if not value:
        return Faults(("empty_value",))
    if len(value) > MAX_VALUE_BYTES:
        return Faults(("value_too_large",))
    try:
        fields = parse(value)
    except ValueError:
        return Faults(("not_json",))
    return fields if isinstance(fields, dict) else Faults(("not_an_object",))


def _arrival(fields: Fields) -> Arrival:
    return Arrival(
        event_id=str(fields.get("event_id")),
        account_id=str(fields.get("account_id")),
        action=str(fields.get("action")),
        occurred_ms=_time_ms(fields) or 0,
        followers=_int_or_zero(fields.get("followers")),
    )


def _time_ms(fields: Fields) -> int | None:
    """Epoch ms of occurred_at; None when it is unreadable or out of range."""
    occurred_at = fields.get("occurred_at")
    if isinstance(occurred_at, str):
        when_ms = rfc_3339_ms(occurred_at)
    else:
        when_ms = occurred_at if isinstance(occurred_at, int) else None
    return when_ms if when_ms is not None and FIRST_MS <= when_ms <= LAST_MS else None


def _time_faults(fields: Fields) -> list[str]:
    if "occurred_at" not in fields:
        return ["missing_field"]
    if not _is_int(fields["occurred_at"]) and not isinstance(fields["occurred_at"], str):
        return ["wrong_type"]
    return [] if _time_ms(fields) is not None else ["bad_time"]


def _names(fields: Fields) -> list[str]:
    """Names of the ids that an event of this action must have."""
    names = ["event_id", "account_id"]
    return names if fields.get("action") == "baseline" else [*names, "follower_id"]


def _shape_faults(fields: Fields) -> list[str]:
    """Name what is missing or of the wrong type."""
    texts = [*_names(fields), "action"]
    numbers = ["followers"] if fields.get("action") == "baseline" else []
    missing = any(name not in fields for name in [*texts, *numbers])
    wrong = any(name in fields and not isinstance(fields[name], str) for name in texts)
    wrong |= any(name in fields and not _is_int(fields[name]) for name in numbers)
    reasons = (["missing_field"] if missing else []) + (["wrong_type"] if wrong else [])
    return reasons + [reason for reason in _time_faults(fields) if reason != "bad_time"]


def _content_faults(fields: Fields) -> list[str]:
    """Name what is of the right shape but means nothing to us."""
    action = fields["action"]
    reasons = [] if action in ("follow", "unfollow", "baseline") else ["unknown_action"]
    if not all(_is_id(fields[name]) for name in _names(fields)):
        reasons.append("bad_id")
    reasons += _time_faults(fields)
    if action == "baseline":
        if not 0 <= _int_or_zero(fields["followers"]) < FOLLOWERS_BELOW:
            reasons.append("bad_followers")
        if fields.get("follower_id") is not None:
            reasons.append("unexpected_field")
    return reasons


def _key_faults(key: bytes | None, account_id: object) -> list[str]:
    if key is None:
        return ["missing_key"]
    if not isinstance(account_id, str) or not is_encodable(account_id):
        return []
    mismatch = [] if key == account_id.encode() else ["key_mismatch"]
    return mismatch if key else ["missing_key", *mismatch]


def _in_other_words(fields: Fields) -> list[str]:
    """Name what a stricter reader of JSON may say of a record that is refused anyway."""
    known = [fields.get(name) for name in (*_names(fields), "action", "occurred_at", "followers")]
    reasons = []
    if any(isinstance(field, str) and not is_encodable(field) for field in known):
        reasons.append("not_json")
    if any(isinstance(field, int) and not -(2**63) <= field < 2**63 for field in known):
        reasons.append("wrong_type")
    return reasons


def _is_int(field: object) -> bool:
    return isinstance(field, int) and not isinstance(field, bool)


def _int_or_zero(field: object) -> int:
    return field if isinstance(field, int) else 0


def _is_id(field: object) -> bool:
    text = str(field)
    return is_encodable(text) and 1 <= len(text.encode()) <= MAX_ID_BYTES
