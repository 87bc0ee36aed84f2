"""Recognises the format of a record that is not an event, so that its producer can be corrected.

Under the engine's import ban. It is called only for records that are already rejected, and it
changes no verdict. It returns the words that people search for: the name of the format, and what
to do. Each check looks at the first bytes or at the names of the outermost object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from service.contract.strict_json import check_text

Headers = Sequence[tuple[str, bytes | None]]

LOOKS_LIKE: Final = "; it looks like "
"""Stands in the detail of a rejection before what `recognised` returns."""
_NAMES: Final = frozenset(
    ("event_id", "account_id", "follower_id", "action", "occurred_at", "followers")
)
_BY_LETTERS: Final = {name.replace("_", ""): name for name in _NAMES}
_FEW: Final = 2
"""Names of an event that an object must have before it is taken for an event."""

_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\xef\xbb\xbf", "a byte order mark (BOM) before the JSON: write UTF-8 without BOM"),
    (b"\xff\xfe\x00\x00", "UTF-32 text: send UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32 text: send UTF-8"),
    (b"\xff\xfe", "UTF-16 text with a byte order mark: send UTF-8"),
    (b"\xfe\xff", "UTF-16 text with a byte order mark: send UTF-8"),
    (b"\x1f\x8b", "gzip: set compression.type of the producer, and do not compress the value"),
    (b"\x28\xb5\x2f\xfd", "zstd: set compression.type, and do not compress the value"),
    (b"\x04\x22\x4d\x18", "lz4: set compression.type, and do not compress the value"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy: set compression.type, and do not compress the value"),
    (b"\x82SNAPPY\x00", "snappy: set compression.type, and do not compress the value"),
    (b"PK\x03\x04", "a zip file: send one event as JSON"),
    (b"Obj\x01", "an Avro file (object container): send JSON"),
    (b"\xc3\x01", "Avro (single-object encoding): send JSON"),
    (b"PAR1", "a Parquet file: send one event as JSON"),
    (b"\xac\xed\x00\x05", "a serialized Java object: use a JSON serializer"),
    (b"<", "XML or HTML: send JSON"),
)
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05]")
_TEXTS: Final = (
    (re.compile(rb"\{\s*'.*", re.DOTALL), "single quotes, as Python prints a dict: use json.dumps"),
    (re.compile(rb"(?:eyJ|ewo|eyAi)[A-Za-z0-9+/_-]*=*"), "base64 of JSON: send the JSON itself"),
    (
        re.compile(rb"[A-Za-z_]+=[^&\s]*(?:&[A-Za-z_]+=[^&\s]*)+"),
        "a query string (form data): send JSON",
    ),
)
_PROTOBUF_WIDTHS: Final = {0: None, 1: 8, 2: None, 5: 4}
"""Bytes of a field by its wire type; None: a number of variable length tells it."""
_LENGTH_FIRST: Final = 2
_PREFIX_BYTES: Final = 5
"""Of Confluent: a zero byte and the id of a schema."""
_TEXT_CONTROLS: Final = b"\t\n\r"

_decode = msgspec.json.Decoder().decode


def recognised(value: bytes | None, headers: Headers) -> str:
    """Return the name of the format and what to do, or "" if it is not recognised.

    It raises no error, whatever the bytes are. MemoryError excepted.
    """
    try:
        return _recognised(value or b"", headers)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a help for people must not change what a record is
        return ""


def _recognised(value: bytes, headers: Headers) -> str:
    for check in (_known_bytes, _wide_text, _confluent, _binary_json):
        found = check(value)
        if found:
            return found
    try:
        check_text(value)
        parsed = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _not_json(value)
    if isinstance(parsed, dict):
        return _object(parsed, headers)
    return _no_object(parsed)


def _known_bytes(value: bytes) -> str:
    for magic, meaning in _MAGIC:
        if value.startswith(magic):
            return meaning
    if _PICKLE.match(value):
        return "a Python pickle: send JSON"
    return ""


def _confluent(value: bytes) -> str:
    """Recognise a zero byte and a schema id of four bytes before the payload."""
    if len(value) <= _PREFIX_BYTES or value[0] != 0:
        return ""
    schema = int.from_bytes(value[1:_PREFIX_BYTES], "big")
    payload = value[_PREFIX_BYTES:]
    kind = "JSON" if payload.lstrip()[:1] == b"{" else "Avro or Protobuf"
    return f"Confluent wire format with schema id {schema}, then {kind}: send plain JSON"


def _wide_text(value: bytes) -> str:
    return "UTF-16 text: send UTF-8" if _is_utf_16(value) else ""


def _is_utf_16(value: bytes) -> bool:
    """Tell whether every second byte of the beginning is zero, as in UTF-16 of English text."""
    head = value[:16]
    if len(head) < 4 or len(value) % 2:  # noqa: PLR2004 - two characters
        return False
    odd, even = head[1::2], head[0::2]
    return (not any(odd) and all(even)) or (not any(even) and all(odd))


def _binary_json(value: bytes) -> str:
    """Recognise a map of MessagePack, CBOR or BSON by its first name."""
    if int.from_bytes(value[:4], "little") == len(value) and value[-1:] == b"\x00":
        return "BSON: send JSON"
    for name in (b"event_id", b"account_id", b"action", b"occurred_at", b"follower_id"):
        at = value.find(name, 0, 8 + len(name))
        if at < 1:
            continue
        length = value[at - 1]
        if length in (0xA0 + len(name), len(name)) and value[0] & 0xF0 in (0x80, 0xD0):
            return "MessagePack: send JSON"
        if length == 0x60 + len(name):
            return "CBOR: send JSON"
    return ""


def _not_json(value: bytes) -> str:
    text = value.strip()
    for pattern, meaning in _TEXTS:
        if pattern.fullmatch(text):
            return meaning
    first, line_end, _ = text.partition(b"\n")
    if line_end and _is_object(first):
        return "several lines of JSON in one record: send one record per event"
    if value.endswith(b"\x00") and _is_object(value.rstrip(b"\x00")):
        return "a zero byte after the JSON, as in a C string: send the text without it"
    if _is_latin_1(value):
        return "text in Latin-1 or Windows-1252: send UTF-8"
    return _binary(value)


def _is_latin_1(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return _is_object(value.decode("latin-1").encode())
    return False


def _binary(value: bytes) -> str:
    if not any(byte < 0x20 and byte not in _TEXT_CONTROLS for byte in value[:64]):  # noqa: PLR2004
        return ""
    if _is_protobuf(value):
        return "Protobuf: send JSON"
    return "binary data (Avro or Protobuf without a prefix?): send JSON"


def _is_protobuf(value: bytes) -> bool:
    """Tell whether the whole value is a run of Protobuf fields, in the order of their numbers."""
    at = newest = fields = 0
    try:
        while at < len(value):
            tag, at = _varint(value, at)
            number, kind = tag >> 3, tag & 7
            if number < max(1, newest) or kind not in _PROTOBUF_WIDTHS:
                return False
            width = _PROTOBUF_WIDTHS[kind]
            if width is None:
                more, at = _varint(value, at)
                width = more if kind == _LENGTH_FIRST else 0
            at += width
            newest, fields = number, fields + 1
    except IndexError:
        return False
    return at == len(value) and fields >= _FEW


def _varint(value: bytes, at: int) -> tuple[int, int]:
    """Return a number of 7 bits per byte, and the place after it. IndexError at the end."""
    number = shift = 0
    while True:
        byte = value[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte of the number
            return number, at


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(_decode(text), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _no_object(parsed: object) -> str:
    if isinstance(parsed, list):
        return "an array: send one record per event"
    if isinstance(parsed, str) and _is_object(parsed.encode()):
        return "JSON text inside a JSON string: it is encoded twice"
    return ""


def _object(fields: Mapping[str, Any], headers: Headers) -> str:
    for name, _ in headers:
        if name.startswith("ce-"):
            return f"a header {name[:32]}: in Kafka the attributes of a CloudEvent begin with ce_"
    if "specversion" in fields and "data" in fields:
        return _cloud_event(headers)
    inner = fields.get("payload")
    if "schema" in fields and isinstance(inner, dict | None):
        what = "a Kafka Connect envelope (schema, payload): set schemas.enable=false"
        return f"{what}; its payload is a Debezium change event" if _is_change(inner) else what
    if _is_change(fields):
        return "a Debezium change event (before, after, op): make events of it (outbox pattern)"
    return _other_names(fields) or _nested(fields)


def _cloud_event(headers: Headers) -> str:
    for name, kind in headers:
        if name == "content-type" and (kind or b"").lower().startswith(b"application/cloudevents"):
            return ""  # it was read as what it is
        if name.lower() == "content-type" and name != "content-type":
            return f"a CloudEvent whose header is written {name[:32]}: write content-type"
    return "a CloudEvent without the header content-type: application/cloudevents+json"


def _is_change(fields: object) -> bool:
    return isinstance(fields, dict) and "op" in fields and bool({"before", "after"} & fields.keys())


def _other_names(fields: Mapping[str, Any]) -> str:
    """Recognise names that differ from those of an event only by capitals or underscores."""
    for name in fields:
        letters = name.replace("_", "").replace("-", "").replace(" ", "").lower()
        known = _BY_LETTERS.get(letters)
        if known is None or known in fields:
            continue
        kind = "names in capitals (ksqlDB?)" if name.isupper() else _style(name)
        return f"{kind}: {name} should be {known}"
    return ""


def _style(name: str) -> str:
    return "names in camelCase" if name.isalpha() else "names that are written in another way"


def _nested(fields: Mapping[str, Any]) -> str:
    for name, inner in fields.items():
        if isinstance(inner, dict) and len(_NAMES & inner.keys()) >= _FEW:
            return f"the fields of the event are inside {name[:64]!r}: send them at the top"
    return ""
