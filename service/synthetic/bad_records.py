"""Records that must be rejected: a few for every reason, each for exactly that reason.

They are part of the synthetic source, so that a demo or a test contains every error of a producer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from service.contract.input_record import MAX_ID_BYTES, MAX_VALUE_BYTES, Headers, Reason


class Good(NamedTuple):
    """A valid event to be spoiled. Key: account id in UTF-8. Value: one flat JSON object."""

    key: bytes
    value: bytes
    occurred_at: int


class Spoiled(NamedTuple):
    """A record that must be rejected."""

    key: bytes | None
    value: bytes | None
    headers: Headers


Spoil = Callable[[Good], Spoiled]


def _value(change: Callable[[Good], bytes | None]) -> Spoil:
    return lambda good: Spoiled(good.key, change(good), [])


def _without(field: bytes) -> Spoil:
    """Rename a field, so that it is missing."""
    return _value(lambda good: good.value.replace(b'"%s"' % field, b'"x_%s"' % field, 1))


def _action(text: bytes) -> Spoil:
    def change(good: Good) -> bytes:
        value = good.value
        for action in (b'"follow"', b'"unfollow"'):
            value = value.replace(b'"action":' + action, b'"action":' + text)
        return value

    return _value(change)


def _time(change: Callable[[int], bytes]) -> Spoil:
    def spoil(good: Good) -> bytes:
        return good.value.replace(
            b'"occurred_at":%d' % good.occurred_at, b'"occurred_at":' + change(good.occurred_at)
        )

    return _value(spoil)


def _baseline(extra: bytes, *, keep_follower: bool = False) -> Spoil:
    """Turn the event into a baseline with `extra` fields."""

    def change(good: Good) -> bytes:
        value = _action(b'"baseline"')(good).value or b""
        if not keep_follower:
            value = value.replace(b'"follower_id"', b'"x_follower_id"', 1)
        return value[:-1] + b"," + extra + b"}"

    return _value(change)


def _with_id(text: bytes) -> Spoil:
    return _value(lambda good: good.value.replace(b'"event_id":"', b'"event_id":"' + text, 1))


def _no_id(good: Good) -> bytes:
    head, _, rest = good.value.partition(b'"event_id":"')
    return head + b'"event_id":""' + rest[rest.index(b'"') + 1 :]


def _with_field(extra: bytes) -> Spoil:
    return _value(lambda good: good.value[:-1] + b',"extra":' + extra + b"}")


def _with_headers(*headers: tuple[str, bytes | None]) -> Spoil:
    return lambda good: Spoiled(good.key, good.value, list(headers))


SPOILERS: Final[tuple[tuple[Reason, Spoil], ...]] = (
    (Reason.EMPTY_VALUE, _value(lambda _: None)),
    (Reason.EMPTY_VALUE, _value(lambda _: b"")),
    (Reason.VALUE_TOO_LARGE, _with_field(b'"%s"' % (b"x" * MAX_VALUE_BYTES))),
    (Reason.BAD_ENVELOPE, _with_headers(("ce_specversion", None))),
    (Reason.BAD_ENVELOPE, _with_headers(("ce_specversion", b"1.0"), ("ce_id", None))),
    (Reason.NOT_JSON, _value(lambda good: good.value[: len(good.value) // 2])),
    (Reason.NOT_JSON, _value(lambda _: b"hello")),
    (Reason.NOT_JSON, _with_field(b'"\xff\xfe"')),
    (Reason.NOT_JSON, _with_field(b"NaN")),
    (Reason.NOT_JSON, _with_field(b"[" * 10_000 + b"]" * 10_000)),
    (Reason.NOT_AN_OBJECT, _value(lambda good: b"[" + good.value + b"]")),
    (Reason.NOT_AN_OBJECT, _value(lambda _: b"42")),
    (Reason.MISSING_FIELD, _without(b"event_id")),
    (Reason.MISSING_FIELD, _without(b"follower_id")),
    (Reason.MISSING_FIELD, _without(b"occurred_at")),
    (Reason.WRONG_TYPE, _action(b"1")),
    (Reason.WRONG_TYPE, _time(lambda at: b"%d.5" % at)),
    (Reason.WRONG_TYPE, _time(lambda _: b"null")),
    (Reason.UNKNOWN_ACTION, _action(b'"block"')),
    (Reason.BAD_ID, _value(_no_id)),
    (Reason.BAD_ID, _with_id(b"x" * MAX_ID_BYTES)),
    (Reason.BAD_TIME, _time(lambda at: b"%d" % (at // 1_000))),
    (Reason.BAD_TIME, _time(lambda _: b"0")),
    (Reason.BAD_TIME, _time(lambda _: b'"yesterday"')),
    (Reason.BAD_FOLLOWERS, _baseline(b'"followers":-1')),
    (Reason.BAD_FOLLOWERS, _baseline(b'"followers":9007199254740992')),
    (Reason.UNEXPECTED_FIELD, _baseline(b'"followers":10', keep_follower=True)),
    (Reason.MISSING_KEY, lambda good: Spoiled(None, good.value, [])),
    (Reason.KEY_MISMATCH, lambda good: Spoiled(good.key + b"-other", good.value, [])),
)
"""(reason, how): every reason except three.

aiokafka cannot write a header name that is not UTF-8, an unforeseen error cannot be made on
purpose, and only an operator skips a range.
"""
