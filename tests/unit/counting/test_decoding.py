"""Whatever bytes arrive: the engine never raises, and reads them as the model does (G1, G4).

The model reads JSON with the standard library, the engine with msgspec; where the two disagree, one
of them is wrong about the contract of the input topic.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Final

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from service.audit.model import counting
from service.contract.input_record import (
    HEARTBEAT_HEADER,
    MAX_VALUE_BYTES,
    Headers,
    LogRecord,
    Reason,
    Rejection,
    judge,
    read,
)
from service.counting import Engine, Rules
from tests.support.crash_harness import SOURCE, World
from tests.support.property_examples import many

NOW_MS: Final = 1_700_000_000_000

Members = list[tuple[str, str]]
"""The members of a JSON object, in order: name and value, both as JSON text."""

NAMES: Final = ("event_id", "account_id", "follower_id", "action", "occurred_at", "followers")
PLAIN: Final[dict[str, str]] = {
    "event_id": '"e1"',
    "account_id": '"ann"',
    "follower_id": '"bob"',
    "action": '"follow"',
    "occurred_at": str(NOW_MS),
}
NUMBERS: Final = (
    *("0", "-0", "-1", "1", "1.0", "1e3", "0.5e1", "1e-400", "1E+2", "-", "+1", "01", "-01", ".5"),
    *("1.", "1e", "1e+", "0x10", "NaN", "Infinity", "-Infinity", "1_000", "1 2", "1.7e12"),
    *(str(2**53 - 1), str(2**53), str(2**63), str(2**64), str(-(2**63) - 1), "9007199254740991.0"),
    *("946684799999", "946684800000", "253402300799999", "253402300800000", "0." + "3" * 400),
    *(str(NOW_MS), f"{NOW_MS}.0", f"{NOW_MS}.5", str(NOW_MS // 1_000), str(NOW_MS * 1_000)),
)
HUGE: Final = ("1.5e400", "-1e400", "9" * 5_000, "-" + "9" * 5_000, "1" + "0" * 400 + ".0")
"""JSON, but beyond a double."""
TIMES: Final = (
    *("2023-11-14T22:13:20Z", "2023-11-14t22:13:20z", "2023-11-14 22:13:20Z"),
    *("2023-11-14T22:13:20", "2023-11-14T22:13:20.1Z", "2023-11-14T22:13:20.123456789Z"),
    *("2023-11-14T22:13:20.1234567890Z", "2023-11-14T22:13:20.Z", "2023-11-14T22:13:20,5Z"),
    *("2023-11-14T22:13:60Z", "2023-11-14T24:00:00Z", "2023-11-14T22:13:20+23:59"),
    *("2023-11-14T22:13:20-23:59", "2023-11-14T22:13:20+24:00", "2023-11-14T22:13:20-00:00"),
    *("2023-11-14T22:13:20+0000", "2023-11-14 22:13:20.5-0930", "2023-11-14 22:13:20+00"),
    *("2023-11-14  22:13:20Z", "2023-11-14T22:13:20+2400", "2023-11-14 22:13:20 +0000"),
    *("2023-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
    *("2023-13-01T00:00:00Z", "2023-00-10T00:00:00Z", "0000-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999-00:01", "9999-12-31T23:59:59.9999Z"),
    *("9999-12-31T23:59:59.999Z", "2000-01-01T00:00:00+00:01", "2000-01-01T00:00:00Z"),
    *("1999-12-31T23:59:59.999Z", "1999-12-31T23:59:59-00:01", "1970-01-01T00:00:00Z"),
    *(" 2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z\\n", "2023-11-14T22:13Z"),
    *("٢٠٢٣-11-14T22:13:20Z", "2023-11-14T22:13:20.٣Z", "2023-W46-2T22:13:20Z"),
    *("+2023-11-14T22:13:20Z", "", "now", str(NOW_MS), "2023-11-14T22\\u003a13:20Z"),
    *("2023-11-14T22:13:20\\u005A",),
)  # fmt: skip
ACTIONS: Final = ('"Follow"', '"like"', '"forget"', '"unfollow"', '""', "1")
PIECES: Final = (
    *("a", "7", "ü", "😀", "\u2028", "\ufeff", "\x7f", "\x00", "\x1f", "\t", "\n", "'", "/", "{"),
    *("[", "\\\\", '\\"', "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\x41", "\\u", "\\u12"),
    *("\\uD8", "\\", "\\u00fc", "\\u00FC", "\\u0000", "\\u0061", "\\ud83d\\ude00", "\\ud83d"),
    *("\\ude00", "\\uFFFF", "\\ud83d\\u0061", "\\ude00\\ud83d", "\\u00g0", '"', "}", "]"),
    *("\\ud800\\", "\\uD83D\\uDE00", "x" * 100, "x" * 255, "x" * 256, "x" * 257, "ü" * 128),
    *("ü" * 129, "\\u00fc" * 128),
)  # fmt: skip
SPACES: Final = ("", "", "", " ", "\n", "\t\r ", "\x0b", "\xa0", "\ufeff", "/**/")


def text() -> st.SearchStrategy[str]:
    """A JSON string, mostly a valid one."""
    return st.lists(st.sampled_from(PIECES), max_size=3).map(lambda parts: f'"{"".join(parts)}"')


def nested(depth: int, kind: str) -> str:
    """A value nested `depth` deep, or text that only looks so."""
    return {
        "lists": "[" * depth + "]" * depth,
        "objects": '{"a":' * depth + "1" + "}" * depth,
        "open": "[" * depth,
        "crossed": "[{" * (depth // 2) + "]}" * (depth // 2),
        "wide": "[" + ",".join(["[]"] * depth) + "]",
        "text": '"' + "[" * depth + '"',
        "escaped": '"\\"' + "[" * depth + '\\\\"',
    }[kind]


KINDS: Final = ("lists", "objects", "open", "crossed", "wide", "text", "escaped")
DEPTHS: Final = (1, 2, 126, 127, 128, 129, 200, 3_000)
SCALARS: Final = st.one_of(
    text(),
    st.sampled_from(NUMBERS),
    st.sampled_from(TIMES).map(lambda time: f'"{time}"'),
    st.sampled_from(("null", "true", "false", "nul", "True", "", "undefined", "'a'", '"follow"')),
    st.sampled_from(('"unfollow"', '"baseline"', '"Follow"', '"\\u0066ollow"', '"e1"', '"ann"')),
)
DEEP: Final = st.builds(nested, st.sampled_from(DEPTHS), st.sampled_from(KINDS))


LISTS: Final = st.lists(SCALARS, max_size=3).map(lambda values: f"[{','.join(values)}]")
OBJECTS: Final = st.deferred(lambda: st.lists(st.tuples(text(), SCALARS), max_size=3).map(as_text))
ANY_VALUES: Final = st.one_of(SCALARS, SCALARS, st.sampled_from(HUGE), DEEP, LISTS, OBJECTS)


def as_text(members: Members, space: str = "") -> str:
    """Write an object; `space` between all its tokens."""
    inner = f"{space},{space}".join(f"{name}{space}:{space}{value}" for name, value in members)
    return f"{{{space}{inner}{space}}}"


@st.composite
def event_members(draw: st.DrawFn) -> Members:
    """Draw a valid event, spoilt in 0 to 3 ways (some of which leave it valid)."""
    fields = dict(PLAIN)
    if draw(st.integers(0, 3)) == 0:
        fields |= {
            "action": '"baseline"',
            "followers": draw(st.sampled_from(("5", "0", *NUMBERS, *HUGE))),
        }
        if draw(st.booleans()):
            del fields["follower_id"]
    members = [(f'"{name}"', value) for name, value in fields.items()]
    for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2, 3)))):
        _spoil(draw, members)
    return members


def _spoil(draw: st.DrawFn, members: Members) -> None:
    """Change, drop, repeat, respell or add one member."""
    place = draw(st.integers(0, max(0, len(members) - 1)))
    how = draw(
        st.sampled_from(("change", "time", "action", "drop", "repeat", "respell", "add", "known"))
    )
    if how == "add" or not members:
        members.insert(place, (draw(text()), draw(ANY_VALUES)))
        return
    name, value = members[place]
    if how == "change":
        members[place] = (name, draw(ANY_VALUES))
    elif how == "time":
        times = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(TIMES).map(json_text))
        members.append(('"occurred_at"', draw(times)))
    elif how == "action":
        members.append(('"action"', draw(st.sampled_from(ACTIONS))))
    elif how == "drop":
        del members[place]
    elif how == "repeat":
        members.insert(draw(st.integers(0, len(members))), (name, draw(ANY_VALUES)))
    elif how == "respell":
        members[place] = (name.replace("a", "\\u0061", 1), value)
    else:
        members.insert(place, (f'"{draw(st.sampled_from(NAMES))}"', draw(ANY_VALUES)))


def json_text(raw: str) -> str:
    """Put quotes round what is already escaped."""
    return f'"{raw}"'


BYTES: Final = (
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xf4\x90\x80\x80",
    b"\x00",
    b"\xc2\xa0",
)


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """The bytes of an event, mostly; of a certain size, with a wrong byte, cut or recoded."""
    space = draw(st.sampled_from(SPACES)) if draw(st.integers(0, 6)) == 0 else ""
    members = draw(event_members())
    value = as_text(members, space).encode()
    how = draw(
        st.sampled_from(
            (*[""] * 12, "size", "size", "byte", "cut", "more", "coding", "value", "empty")
        )
    )
    place = draw(st.integers(0, len(value)))
    if how == "size":
        size = draw(st.sampled_from((256, 65_536))) + draw(st.integers(-1, 1))
        if draw(st.booleans()):
            value += b" " * (size - len(value))
        else:
            value = _padded(members, space, size)
    elif how == "byte":
        value = (
            value[:place] + draw(st.sampled_from(BYTES)) + value[place + draw(st.integers(0, 1)) :]
        )
    elif how == "cut":
        value = value[:place]
    elif how == "more":
        value += draw(st.sampled_from((b"x", b"{}", b",", b"}", b"\n", b"\x00", b"null", b"\xff")))
    elif how == "coding":
        value = value.decode().encode(draw(st.sampled_from(("utf-16", "utf-8-sig", "utf-32-le"))))
    elif how == "value":
        value = draw(ANY_VALUES).encode()
    elif how == "empty":
        value = b""
    return value


def _padded(members: Members, space: str, size: int) -> bytes:
    """The event with an unknown member that fills it up to `size` bytes."""
    short = as_text([*members, ('"padding"', '""')], space).encode()
    fill = "p" * max(0, size - len(short))
    return as_text([*members, ('"padding"', f'"{fill}"')], space).encode()


KEYS: Final[st.SearchStrategy[bytes | None]] = st.sampled_from(
    [*[b"ann"] * 16, b"bob", b"", None, b"\xff", b"e1", b"\xc3\xbc", b"x" * 300]
)
BEAT: Final = (HEARTBEAT_HEADER, b"")
HEADERS: Final[tuple[Headers, ...]] = (
    *([], [], [], [], [], [("trace", b"1")], [BEAT], [("trace", b"\xff"), BEAT]),
    *([("trace", None)], [("content-type", None)], [("netfollowers-heartbeat", None)]),
    *([("tr\udcff", b"1")], [("ce_specversion", None)]),
)


def account_key(value: bytes, other: bytes | None) -> bytes | None:
    """The key that belongs to a value, where it has one and `other` does not stand against it."""
    if other != b"ann":
        return other
    try:
        return str(json.loads(value)["account_id"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return other


RECORDS: Final = st.builds(
    lambda value, key, headers, stamp: LogRecord(
        0, stamp, account_key(value, key), value, list(headers)
    ),
    values(),
    KEYS,
    st.sampled_from(HEADERS),
    st.sampled_from((NOW_MS, NOW_MS, -1, 0)),
)


ATTRIBUTES: Final[dict[str, tuple[object, ...]]] = {
    "specversion": ("1.0", "1.0", "1.0", "0.3", 1, None),
    "id": ("17", "17", "17", "", "i" * 250, 17),
    "source": ("/app", "/app", "/app", "", None),
    "type": ("com.example.follow", "unfollow", "x.baseline", "like", "", "a.", 1),
    "subject": ("ann", "ann", "eve", "", None, 7),
    "time": ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20.123456789+05:30", "never", None, 5),
    "datacontenttype": ("application/json", "application/json", "text/xml", "a/b+json", None, {}),
    "extension": (None, "x", 10**400, {"deep": [1]}),
}
MEDIA_TYPES: Final = (
    *("application/cloudevents+json", "application/cloudevents+json; charset=UTF-8"),
    *("application/cloudevents-batch+json", "application/json", "application/avro", ""),
)


@st.composite
def in_envelopes(draw: st.DrawFn) -> LogRecord:
    """Any record as a CloudEvent, some attributes left out or spoilt, in either mode."""
    record = draw(RECORDS)
    names = draw(st.sets(st.sampled_from(sorted(ATTRIBUTES)), min_size=4))
    must = {"specversion", "id", "source", "type"} if draw(st.integers(0, 5)) else set()
    found = {name: draw(st.sampled_from(ATTRIBUTES[name])) for name in sorted(names | must)}
    media_type = draw(st.sampled_from(MEDIA_TYPES)).encode()
    if draw(st.booleans()):
        twice = draw(st.lists(st.sampled_from(sorted(found)), max_size=2))
        pairs = [(name, draw(st.sampled_from(ATTRIBUTES[name]))) for name in twice]
        pairs = draw(st.permutations([*found.items(), *pairs]))
        members = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs]
        data = [b'"data":' + (record.value or b"null")] if draw(st.integers(0, 9)) else []
        value = b"{" + b",".join([*(one.encode() for one in members), *data]) + b"}"
        return LogRecord(0, record.timestamp, record.key, value, [("content-type", media_type)])
    headers: list[tuple[str, bytes | None]] = [
        (f"ce_{name}", None if value is None else str(value).encode())
        for name, value in found.items()
    ]
    if draw(st.booleans()):
        headers.append(("content-type", media_type))
    if not draw(st.integers(0, 20)):
        headers.insert(0, ("ce_time", b"\xff"))
    return LogRecord(0, record.timestamp, record.key, record.value, headers)


def verdict(record: LogRecord) -> tuple[str, str | None]:
    """Outcome and reason of one record that is all there is, by the engine."""
    engine = Engine(Rules(), SOURCE)
    engine.apply([record], record.offset + 1)
    counts = engine.counts
    assert counts.total == 1
    outcome = next(
        name for name in ("applied", "late", "duplicate", "rejected", "heartbeat")
        if getattr(counts, name)
    )  # fmt: skip
    refused = engine.seal().rejected
    reason = dict(refused[0].headers)["netfollowers-reason"] if refused else None
    return outcome, reason.decode() if reason else None


def assert_agreement(record: LogRecord) -> None:
    """The engine and the model say the same of a record, and the engine has a true reason."""
    outcome, reason = verdict(record)
    judges = counting.Model()
    due = judges.feed(
        counting.LogRecord(
            record.offset, record.timestamp, record.key, record.value, record.headers
        )
    )
    true_reasons = judges.faults.get(record.offset)
    assert outcome == due, (reason, true_reasons)
    assert true_reasons is None or reason in true_reasons


@many(1_500)
@given(RECORDS)
def test_a_record_is_read_as_the_model_reads_it(record: LogRecord) -> None:
    assert_agreement(record)


@many(1_000)
@given(in_envelopes())
def test_a_cloud_event_is_read_as_the_model_reads_it(record: LogRecord) -> None:
    assert_agreement(record)


@many(300)
@given(st.binary(max_size=60), KEYS, st.sampled_from(HEADERS))
@example(b"", b"ann", [])
@example(b"\xef\xbb\xbf{}", b"ann", [])
def test_arbitrary_bytes_are_read_as_the_model_reads_them(
    value: bytes, key: bytes | None, headers: Headers
) -> None:
    assert_agreement(LogRecord(0, NOW_MS, key, value, headers))


@many(150)
@given(st.lists(RECORDS, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_a_log_of_spoilt_records_ends_as_the_model_has_it(
    records: list[LogRecord], random: Random
) -> None:
    log = [
        LogRecord(offset, one.timestamp, one.key, one.value, one.headers)
        for offset, one in enumerate(records)
    ]
    world = World(Rules(), log)
    world.run(random)
    assert world.engine.counts.total == len(log)
    findings = world.findings()
    assert findings.ok, str(findings)


def longer(record: LogRecord) -> LogRecord:
    """The record with an unknown member in front: too long for the short way."""
    value = (record.value or b"").replace(b"{", b'{"padding":"%s",' % (b"p" * 300), 1)
    return LogRecord(record.offset, record.timestamp, record.key, value, record.headers)


def labelled(record: LogRecord) -> LogRecord:
    """The record with a header that means nothing."""
    headers = [*record.headers, ("trace", b"1")]
    return LogRecord(record.offset, record.timestamp, record.key, record.value, headers)


@pytest.mark.parametrize("change", [longer, labelled])
@many(300)
@given(members=event_members(), key=KEYS, headers=st.sampled_from(HEADERS))
def test_what_means_nothing_does_not_change_the_verdict(
    change: Callable[[LogRecord], LogRecord],
    members: Members,
    key: bytes | None,
    headers: Headers,
) -> None:
    assume(members)
    record = LogRecord(0, NOW_MS, key, as_text(members).encode(), headers)
    assume(len(longer(record).value or b"") <= MAX_VALUE_BYTES)
    assert verdict(change(record)) == verdict(record)


@many(500)
@given(RECORDS)
def test_the_short_way_ends_where_the_long_way_does(record: LogRecord) -> None:
    short, whole = read(record), judge(record)
    if isinstance(whole, Rejection):
        assert isinstance(short, Rejection)
        assert short.reason == whole.reason
    else:
        assert short == whole


LONG: Final[dict[str, Any]] = {
    "event_id": "e1", "account_id": "a", "follower_id": "f", "action": "follow",
    "occurred_at": NOW_MS,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"padding": "p" * 60_000}, None),
        ({"padding": "p" * MAX_VALUE_BYTES}, Reason.VALUE_TOO_LARGE),
        ({"event_id": "e" * 256}, None),
        ({"event_id": "e" * 257}, Reason.BAD_ID),
        ({"follower_id": "f" * 257}, Reason.BAD_ID),
        ({"account_id": "a" * 257}, Reason.BAD_ID),
        ({"event_id": "\u00e9" * 129, "padding": "p" * 300}, Reason.BAD_ID),
        ({"padding": "p" * 300, "deep": json.loads("[" * 127 + "]" * 127)}, None),
        ({"padding": "p" * 300, "deep": json.loads("[" * 128 + "]" * 128)}, Reason.NOT_JSON),
    ],
)
def test_a_long_event_is_held_to_the_rules_of_a_short_one(
    change: dict[str, Any], reason: Reason | None
) -> None:
    members = LONG | change
    key = members["account_id"].encode()
    record = LogRecord(0, NOW_MS, key, json.dumps(members).encode(), [])
    for found in (read(record), judge(record)):
        assert getattr(found, "reason", None) == reason
    engine = Engine(Rules(), SOURCE)
    engine.apply([record], 1)
    assert (engine.counts.applied, engine.counts.rejected) == ((0, 1) if reason else (1, 0))


def test_the_spoilt_records_hold_what_they_promise() -> None:
    """The tests above saw every outcome and every reason, not one kind of failure only."""
    seen: Counter[str] = Counter()

    @many(1_500)
    @given(st.one_of(RECORDS, RECORDS, in_envelopes()))
    def see(record: LogRecord) -> None:
        outcome, reason = verdict(record)
        seen[reason or outcome] += 1

    see()
    assert set(seen) == {*Reason, "applied", "heartbeat"} - {Reason.UNFORESEEN, Reason.SKIPPED}
    assert min(seen["applied"], seen["heartbeat"]) > 20, seen


def spoilt(**members: str | None) -> Members:
    """A valid event with some members changed (JSON text), added, or taken out (None)."""
    return [(f'"{name}"', text) for name, text in {**PLAIN, **members}.items() if text is not None]


DIGITS: Final = "9" * 5_000
BASELINE: Final[dict[str, str | None]] = {"action": '"baseline"', "follower_id": None}


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        (spoilt(occurred_at=DIGITS), "bad_time"),
        (spoilt(occurred_at=f"-{DIGITS}"), "bad_time"),
        (spoilt(occurred_at="1.5e400"), "wrong_type"),
        (spoilt(event_id=DIGITS), "wrong_type"),
        (spoilt(followers=DIGITS), "applied"),
        (spoilt(more=f'[1.5e400, {DIGITS}, {{"a": -1e400}}]'), "applied"),
        (spoilt(**BASELINE, followers=DIGITS), "bad_followers"),
        (spoilt(**BASELINE, followers="1.5e400"), "wrong_type"),
        pytest.param(
            spoilt(**BASELINE, followers=f"[{DIGITS}]"),
            "wrong_type",
        ),
    ],
)
def test_a_number_beyond_a_double_is_judged_where_it_is_read(
    members: Members, outcome: str
) -> None:
    record = LogRecord(0, NOW_MS, b"ann", as_text(members).encode())
    found, reason = verdict(record)
    assert (reason or found) == outcome
    assert_agreement(record)


@pytest.mark.parametrize(
    ("members", "headers"),
    [
        pytest.param(spoilt(event_id="1.5e400"), [BEAT], id="a heartbeat's event_id"),
        pytest.param([('"event_id"', "1.5e400"), *spoilt()], [], id="an id again"),
        pytest.param([('"occurred_at"', DIGITS), *spoilt()], [], id="a time again"),
        pytest.param(
            spoilt(action='"baseline"', followers="5", follower_id="1.5e400"),
            [],
            id="a baseline's follower_id",
        ),
        pytest.param(
            spoilt(occurred_at=f"[{DIGITS}]"),
            [],
            id="a list of digits for a time",
        ),
        pytest.param(
            spoilt(occurred_at='"2023-11-14T22:13:20+00:60"'),
            [],
            id="an offset of 60 minutes",
        ),
    ],
)
def test_the_engine_and_the_model_agree_on_rarities(members: Members, headers: Headers) -> None:
    assert_agreement(LogRecord(0, NOW_MS, b"ann", as_text(members).encode(), headers))
