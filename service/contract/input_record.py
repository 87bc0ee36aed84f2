"""Turns one record of the input topic into an event, a heartbeat or a rejection.

Under the engine's import ban: no broker, clock, log, metric or environment here. The verdict
depends only on the record's own bytes, so it is the same live, after a restart and offline.

There are two ways in and one set of rules. The engine's hot loop calls `decode_plain` inline. It
accepts nearly every record, but only records that need no further check. All other records go to
`judge`, and so do those that `is_plain` refuses. `judge` knows all the rules and names the reason
of a rejection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol

import msgspec

from service.contract.cloudevents import BadEnvelope, Envelope, unwrap
from service.contract.other_formats import LOOKS_LIKE, recognised
from service.contract.readable_values import as_json, why_no_time
from service.contract.rule_versions import CURRENT, MORE_SPELLINGS
from service.contract.strict_json import MAX_DEPTH, check_text

HEARTBEAT_HEADER: Final = "netfollowers-heartbeat"
MAX_VALUE_BYTES: Final = 65_536
MAX_ID_BYTES: Final = 256
MIN_EVENT_MS: Final = 946_684_800_000  # 2000-01-01T00:00:00Z
MAX_EVENT_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
_EVENT_MS: Final = range(MIN_EVENT_MS, MAX_EVENT_MS + 1)
MAX_FOLLOWERS: Final = 2**53

_BEYOND: Final = 2**64
"""Stands for an integer that is too long to be decoded. It is beyond every limit."""

PLAIN_BYTES: Final = 256
"""In a value of at most this many bytes, no id can exceed MAX_ID_BYTES.

Its nesting cannot exceed MAX_DEPTH either: JSON needs at least one byte per byte of an id, and two
per level.
"""


Headers = Sequence[tuple[str, bytes | None]]
"""Names and values. Kafka allows a null value.

A byte of a name that is not UTF-8 becomes half a surrogate pair (Python's `surrogateescape`), which
no name in UTF-8 can contain.
"""


class RawRecord(Protocol):
    """One record of the log. aiokafka's record class fits, and so does `LogRecord`."""

    @property
    def offset(self) -> int:
        """Offset in the partition."""

    @property
    def timestamp(self) -> int:
        """Log timestamp in epoch ms; negative if there is no timestamp."""

    @property
    def key(self) -> bytes | None:
        """The account id in UTF-8."""

    @property
    def value(self) -> bytes | None:
        """The event as JSON."""

    @property
    def headers(self) -> Headers:
        """Record headers, in order."""


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """A `RawRecord` that did not come from a broker (offline replay, tests)."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = []


class Reason(StrEnum):
    """Why a record was rejected. A closed list: a published reason keeps its name and meaning."""

    EMPTY_VALUE = "empty_value"
    VALUE_TOO_LARGE = "value_too_large"
    BAD_HEADER_NAME = "bad_header_name"
    BAD_ENVELOPE = "bad_envelope"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_ACTION = "unknown_action"
    BAD_ID = "bad_id"
    BAD_TIME = "bad_time"
    BAD_FOLLOWERS = "bad_followers"
    UNEXPECTED_FIELD = "unexpected_field"
    MISSING_KEY = "missing_key"
    KEY_MISMATCH = "key_mismatch"
    UNFORESEEN = "unforeseen"
    SKIPPED = "skipped"


REASON_TEXT: Final[dict[Reason, str]] = {
    Reason.EMPTY_VALUE: "the record has no value",
    Reason.VALUE_TOO_LARGE: f"the value is longer than {MAX_VALUE_BYTES} bytes",
    Reason.BAD_HEADER_NAME: "the name of a header is not UTF-8",
    Reason.BAD_ENVELOPE: "it claims to be a CloudEvent, but not one of version 1.0 with JSON data",
    Reason.NOT_JSON: f"the value is not UTF-8 JSON nested at most {MAX_DEPTH} deep",
    Reason.NOT_AN_OBJECT: "the value is JSON, but not an object",
    Reason.MISSING_FIELD: "a required field is missing",
    Reason.WRONG_TYPE: "a field has the wrong JSON type",
    Reason.UNKNOWN_ACTION: "action is not follow, unfollow, baseline or forget",
    Reason.BAD_ID: f"an id is not 1 to {MAX_ID_BYTES} bytes of UTF-8",
    Reason.BAD_TIME: "occurred_at is not a time from 2000 to 9999 (epoch ms or RFC 3339)",
    Reason.BAD_FOLLOWERS: "followers of a baseline is not a whole number from 0 to 2^53 - 1",
    Reason.UNEXPECTED_FIELD: "a baseline or a forget has a follower_id",
    Reason.MISSING_KEY: "the record has no key",
    Reason.KEY_MISMATCH: "the key is not account_id in UTF-8",
    Reason.UNFORESEEN: "the service raised an error for it: this is a bug, please report it",
    Reason.SKIPPED: "it could not be unpacked, and an operator has stepped over it",
}

Id = Annotated[str, msgspec.Meta(min_length=1)]
EventMs = Annotated[int, msgspec.Meta(ge=MIN_EVENT_MS, le=MAX_EVENT_MS)]


class PlainEvent(msgspec.Struct, gc=False):
    """A follow or an unfollow with its time in epoch ms: the shape of nearly every record."""

    event_id: Id
    account_id: Id
    follower_id: Id
    action: Literal["follow", "unfollow"]
    occurred_at: EventMs


class Baseline(msgspec.Struct, gc=False):
    """The number of `followers` that an account had when counting began."""

    event_id: str
    account_id: str
    followers: int
    occurred_at: int
    action: ClassVar[str] = "baseline"


class Forget(msgspec.Struct, gc=False):
    """Erases an account. Later records of it in the log count from zero. It moves no time."""

    event_id: str
    account_id: str
    occurred_at: int
    action: ClassVar[str] = "forget"


class Heartbeat(msgspec.Struct, gc=False):
    """Moves the watermark of a silent partition to `occurred_at` (epoch ms)."""

    occurred_at: int


class Rejection(msgspec.Struct, gc=False):
    """A record that cannot be read: a reason from the closed list, and what was found."""

    reason: Reason
    detail: str


Verdict = PlainEvent | Baseline | Forget | Heartbeat | Rejection

_MAYBE_ANOTHER_FORMAT: Final = {
    Reason.BAD_ENVELOPE,
    Reason.NOT_JSON,
    Reason.NOT_AN_OBJECT,
    Reason.MISSING_FIELD,
}

decode_plain = msgspec.json.Decoder(PlainEvent).decode
UNREADABLE: Final = (msgspec.DecodeError, TypeError, UnicodeDecodeError, RecursionError)
"""The errors that `decode_plain` raises for bytes it does not accept (TypeError: no value)."""


class _Known(msgspec.Struct, gc=False):
    """The known fields, with any contents. Unknown fields are skipped, as in `decode_plain`.

    `followers` stays raw, because only a baseline reads it. In a follow it is an unknown field.
    """

    event_id: Any = msgspec.UNSET
    account_id: Any = msgspec.UNSET
    follower_id: Any = msgspec.UNSET
    action: Any = msgspec.UNSET
    occurred_at: Any = msgspec.UNSET
    followers: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Raw(msgspec.Struct, gc=False):
    """The same fields, not decoded."""

    event_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    account_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    follower_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    action: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    occurred_at: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    followers: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_known = msgspec.json.Decoder(_Known).decode
_decode_raw = msgspec.json.Decoder(_Raw).decode
_decode_any = msgspec.json.Decoder().decode
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)([Tt ])(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-]\d\d)(:?)([0-5]\d))",
    re.ASCII,
)
_ACTIONS: Final = {"follow", "unfollow", "baseline", "forget"}
_OF_A_FOLLOW: Final = ("follower_id",)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def read(record: RawRecord, version: int = CURRENT) -> Verdict:
    """Judge a record as the hot loop does: on the short way if that is enough.

    `version`: of the rules. All versions accept the same short records.
    """
    value = record.value
    try:
        event = decode_plain(value)  # type: ignore[arg-type] # no value raises TypeError
    except Exception:  # noqa: BLE001 - `judge` decides, whatever the error is
        return judge(record, version)
    assert value is not None
    is_plain = value.isascii() and not record.headers
    is_plain &= len(value) <= PLAIN_BYTES or is_plain_though_long(value, event)
    is_plain &= record.key == event.account_id.encode()
    return event if is_plain else judge(record, version)


def is_plain_though_long(value: bytes, event: PlainEvent) -> bool:
    """Tell whether an ASCII value longer than PLAIN_BYTES, decoded to `event`, needs no judge.

    Without escapes, an id has as many characters as bytes. And the nesting is not deeper than the
    number of brackets.
    """
    return (
        len(value) <= MAX_VALUE_BYTES
        and max(len(event.event_id), len(event.account_id), len(event.follower_id)) <= MAX_ID_BYTES
        and b"\\" not in value
        and value.count(b"[") + value.count(b"{") <= MAX_DEPTH
    )


def judge(record: RawRecord, version: int = CURRENT) -> Verdict:
    """Decide what a record is. If that raises an error, the record is rejected.

    `version`: of the rules (service/contract/rule_versions.py). MemoryError concerns the machine
    and not the record, so it ends the worker.
    """
    try:
        verdict = _judge(record, version)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - by construction: no record stops the service
        return Rejection(Reason.UNFORESEEN, f"{type(error).__name__}: {error}"[:200])
    if isinstance(verdict, Rejection) and verdict.reason in _MAYBE_ANOTHER_FORMAT:
        what = recognised(record.value, record.headers)
        if what:
            verdict.detail += LOOKS_LIKE + what
    return verdict


def _judge(record: RawRecord, version: int) -> Verdict:
    """Apply all rules. The order of the checks is the order of precedence."""
    value = record.value
    if not value:
        return Rejection(Reason.EMPTY_VALUE, "")
    refused = _out_of_bounds(record, len(value))
    if refused is not None:
        return refused
    is_heartbeat = any(name == HEARTBEAT_HEADER for name, _ in record.headers)
    envelope = None if is_heartbeat else unwrap(record.headers, value, version)
    if isinstance(envelope, BadEnvelope):
        return Rejection(Reason.BAD_ENVELOPE, envelope.detail)
    fields = _fields(value if envelope is None else envelope.data)
    if isinstance(fields, Rejection):
        return fields
    if is_heartbeat:
        return _heartbeat(fields, version)
    if envelope is not None:
        _stand_in(fields, envelope)
    return _event(fields, record.key, version)


def _out_of_bounds(record: RawRecord, length: int) -> Rejection | None:
    if length > MAX_VALUE_BYTES:
        return Rejection(Reason.VALUE_TOO_LARGE, f"{length} bytes")
    for name, _ in record.headers:
        if not is_utf_8(name):
            return Rejection(Reason.BAD_HEADER_NAME, escaped(name)[:200])
    return None


def is_utf_8(name: str) -> bool:
    """Tell whether the name of a header was UTF-8 in the log."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(name: str) -> str:
    r"""Write the name of a header as text: a byte that is not UTF-8 becomes `\xNN`."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def epoch_ms(text: str, version: int = CURRENT) -> int | None:
    """Return the epoch ms of an RFC 3339 date-time, rounded down; None if it is not one.

    A time with 60 seconds is not one. `version`: of the rules; since MORE_SPELLINGS a blank may
    stand for the T, and the colon of the offset may be missing.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    date, blank, time, fraction, hours, colon, minutes = match.groups()
    if version < MORE_SPELLINGS and (blank == " " or (hours and not colon)):
        return None
    offset = f"{hours}:{minutes}" if hours else "+00:00"
    try:
        seconds = datetime.fromisoformat(f"{date}T{time}{offset}") - _EPOCH
    except (ValueError, OverflowError):
        return None
    return seconds // _MILLISECOND + int(((fraction or "") + "000")[:3])


def _fields(value: bytes) -> _Known | Rejection:
    try:
        check_text(value)
        return _decode(value)
    except msgspec.ValidationError as error:
        return Rejection(Reason.NOT_AN_OBJECT, str(error)[:200])
    except UNREADABLE as error:
        return Rejection(Reason.NOT_JSON, str(error)[:200])


def _decode(value: bytes) -> _Known:
    try:
        return _decode_known(value)
    except msgspec.ValidationError:
        return _one_by_one(_decode_raw(value))


def _stand_in(fields: _Known, envelope: Envelope) -> None:
    """Take the fields that the data leaves out from the envelope."""
    for name in ("event_id", "account_id", "action", "occurred_at"):
        stand_in = getattr(envelope, name)
        if getattr(fields, name) is msgspec.UNSET and stand_in is not None:
            setattr(fields, name, stand_in)


def _one_by_one(raw: _Raw) -> _Known:
    """Decode fields one by one, because a number may fit no type.

    It must spoil only its own field.
    """
    names = ("event_id", "account_id", "follower_id", "action", "occurred_at")
    fields = {name: _decode_field(getattr(raw, name)) for name in names}
    return _Known(**fields, followers=raw.followers)


def _decode_field(raw: msgspec.Raw | msgspec.UnsetType) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(raw, msgspec.Raw):
        return raw
    try:
        return _decode_any(raw)
    except msgspec.ValidationError as error:
        return _BEYOND if str(error) == "Integer value out of range" else float("inf")


def _heartbeat(fields: _Known, version: int) -> Heartbeat | Rejection:
    if fields.occurred_at is msgspec.UNSET:
        return Rejection(Reason.MISSING_FIELD, "occurred_at")
    at = _time(fields.occurred_at, version)
    return at if isinstance(at, Rejection) else Heartbeat(at)


def _event(
    fields: _Known, key: bytes | None, version: int
) -> PlainEvent | Baseline | Forget | Rejection:
    more = {"baseline": ("followers",), "forget": ()}
    named = (
        more.get(fields.action, _OF_A_FOLLOW) if isinstance(fields.action, str) else _OF_A_FOLLOW
    )
    for name in ("event_id", "account_id", "action", "occurred_at", *named):
        if getattr(fields, name) is msgspec.UNSET:
            return Rejection(Reason.MISSING_FIELD, name)
    refused = _bad_text(fields) or _bad_key(fields.account_id, key)
    if refused is not None:
        return refused
    at = _time(fields.occurred_at, version)
    if isinstance(at, Rejection):
        return at
    if fields.action == "baseline":
        return _baseline(fields, at, version)
    if fields.action == "forget":
        refused = _unexpected(fields)
        return refused or Forget(fields.event_id, fields.account_id, at)
    return PlainEvent(fields.event_id, fields.account_id, fields.follower_id, fields.action, at)


def _bad_text(fields: _Known) -> Rejection | None:
    names = ["event_id", "account_id", "action"]
    if fields.action not in ("baseline", "forget"):
        names.append("follower_id")
    for name in names:
        text = getattr(fields, name)
        if not isinstance(text, str):
            return Rejection(Reason.WRONG_TYPE, f"{name} {as_json(text)} is not text")
        if name == "action" and text not in _ACTIONS:
            return Rejection(Reason.UNKNOWN_ACTION, as_json(text))
        if not 1 <= len(text.encode()) <= MAX_ID_BYTES:
            return Rejection(
                Reason.BAD_ID, f"{name} {as_json(text)} has {len(text.encode())} bytes"
            )
    return None


def _bad_key(account_id: str, key: bytes | None) -> Rejection | None:
    if not key:
        return Rejection(Reason.MISSING_KEY, "")
    if key != account_id.encode():
        shown = as_json(key.decode(errors="backslashreplace"))
        return Rejection(Reason.KEY_MISMATCH, f"key {shown}, account_id {as_json(account_id)}")
    return None


def _time(at: object, version: int) -> int | Rejection:
    at = _whole(at, version)
    if isinstance(at, bool) or not isinstance(at, int | str):
        return Rejection(Reason.WRONG_TYPE, f"occurred_at {as_json(at)} is no whole number or text")
    ms = epoch_ms(at, version) if isinstance(at, str) else at
    if ms is None or not MIN_EVENT_MS <= ms <= MAX_EVENT_MS:
        return Rejection(Reason.BAD_TIME, f"occurred_at {as_json(at)}{why_no_time(at, _EVENT_MS)}")
    return ms


def _whole(number: object, version: int) -> object:
    """Return a float that is a whole number as int, and anything else as it is."""
    if version >= MORE_SPELLINGS and isinstance(number, float) and number.is_integer():
        return int(number)
    return number


def _baseline(fields: _Known, at: int, version: int) -> Baseline | Rejection:
    assert isinstance(fields.followers, msgspec.Raw)
    followers = _whole(_decode_field(fields.followers), version)
    if isinstance(followers, bool) or not isinstance(followers, int):
        return Rejection(Reason.WRONG_TYPE, f"followers {as_json(followers)} is no whole number")
    if not 0 <= followers < MAX_FOLLOWERS:
        return Rejection(Reason.BAD_FOLLOWERS, as_json(followers))
    return _unexpected(fields) or Baseline(fields.event_id, fields.account_id, followers, at)


def _unexpected(fields: _Known) -> Rejection | None:
    if fields.follower_id is not msgspec.UNSET and fields.follower_id is not None:
        return Rejection(Reason.UNEXPECTED_FIELD, f"follower_id {as_json(fields.follower_id)}")
    return None
