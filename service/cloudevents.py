"""CloudEvents 1.0 over Kafka: the envelope of a record that comes in one, in either mode.

Under the engine's import ban. Detected by header alone, so a plain event pays nothing:

    binary       header `ce_specversion`; the other attributes are `ce_...` headers, the value is
                 the data
    structured   header `content-type: application/cloudevents+json`; the value is the envelope,
                 the data is its `data`

The data is one of our events; what it leaves out, the envelope's attributes stand in for:
event_id = source + "#" + id (together they are unique by CloudEvents), account_id = subject,
action = the type's last part after a dot, occurred_at = time.
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from service.json_text import check_text

SPEC_VERSION: Final = "1.0"
STRUCTURED: Final = "application/cloudevents+json"
_PREFIX: Final = "ce_"
_REQUIRED: Final = ("id", "source", "type")
_OPTIONAL: Final = ("subject", "time")


class Envelope(NamedTuple):
    """The bytes of the data, and what stands in for fields that they leave out (None: nothing)."""

    data: bytes
    event_id: str
    account_id: str | None
    action: str
    occurred_at: str | None


class BadEnvelope(NamedTuple):
    """It says that it is a CloudEvent, and cannot be read as one."""

    detail: str


class _Structured(msgspec.Struct, gc=False):
    """The envelope of structured mode; unknown attributes are extensions and pass."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")


_decode_structured = msgspec.json.Decoder(_Structured).decode


def unwrap(headers: Iterable[tuple[str, bytes]], value: bytes) -> Envelope | BadEnvelope | None:
    """Open the envelope; None when the record is not a CloudEvent. Of a header twice the first."""
    named: dict[str, bytes] = {}
    for name, text in headers:
        named.setdefault(name, text)
    media_type = _media_type(named.get("content-type"))
    if media_type.startswith("application/cloudevents"):
        return _structured(media_type, value)
    if _PREFIX + "specversion" not in named:
        return None
    if media_type and not _is_json(media_type):
        return BadEnvelope(f"content-type {media_type[:64]}")
    return _binary(named, value)


def _structured(media_type: str, value: bytes) -> Envelope | BadEnvelope:
    if media_type != STRUCTURED:
        return BadEnvelope(f"content-type {media_type[:64]}")
    try:
        check_text(value)
        found = _decode_structured(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BadEnvelope(str(error)[:200])
    if not found.data:
        return BadEnvelope("no data")
    content_type = _media_type((found.datacontenttype or "").encode())
    if content_type and not _is_json(content_type):
        return BadEnvelope(f"datacontenttype {content_type[:64]}")
    return _envelope(bytes(found.data), msgspec.structs.asdict(found))


def _binary(named: dict[str, bytes], value: bytes) -> Envelope | BadEnvelope:
    attributes: dict[str, Any] = {}
    for name in ("specversion", *_REQUIRED, *_OPTIONAL):
        text = named.get(_PREFIX + name)
        if text is None:
            continue
        try:
            attributes[name] = text.decode()
        except UnicodeDecodeError:
            return BadEnvelope(f"{_PREFIX}{name} is not UTF-8")
    return _envelope(value, attributes)


def _envelope(data: bytes, attributes: dict[str, Any]) -> Envelope | BadEnvelope:
    if attributes["specversion"] != SPEC_VERSION:
        return BadEnvelope(f"specversion {attributes['specversion'][:16]}")
    for name in _REQUIRED:
        if not attributes.get(name):
            return BadEnvelope(f"no {name}")
    return Envelope(
        data,
        f"{attributes['source']}#{attributes['id']}",
        attributes.get("subject"),
        attributes["type"].rpartition(".")[2],
        attributes.get("time"),
    )


def _media_type(text: bytes | None) -> str:
    """'Application/JSON; charset=utf-8' -> 'application/json'."""
    return (text or b"").decode(errors="replace").partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    return media_type in {"application/json", "text/json"} or media_type.endswith("+json")
