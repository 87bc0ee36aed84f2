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
from typing import Final, NamedTuple

import msgspec

from service.contract.rule_versions import LAST_ATTRIBUTE_COUNTS
from service.contract.strict_json import check_text

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


_LEFT_OUT: Final = msgspec.Raw(b"")


class _Structured(msgspec.Struct, gc=False):
    """The envelope of structured mode; unknown attributes are extensions and pass.

    Nothing is decoded yet: of an attribute that comes twice the last one counts, of whatever type
    the first one is.
    """

    specversion: msgspec.Raw = _LEFT_OUT
    id: msgspec.Raw = _LEFT_OUT
    source: msgspec.Raw = _LEFT_OUT
    type: msgspec.Raw = _LEFT_OUT
    subject: msgspec.Raw = _LEFT_OUT
    time: msgspec.Raw = _LEFT_OUT
    datacontenttype: msgspec.Raw = _LEFT_OUT
    data: msgspec.Raw = _LEFT_OUT


class _Typed(msgspec.Struct, gc=False):
    """The envelope as version 1 of the rules decoded it: each copy of an attribute has its type."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None


_decode_structured = msgspec.json.Decoder(_Structured).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_text = msgspec.json.Decoder(str).decode


def unwrap(
    headers: Iterable[tuple[str, bytes | None]], value: bytes, version: int
) -> Envelope | BadEnvelope | None:
    """Open the envelope; None when the record is not a CloudEvent.

    Of a header that comes twice the first counts. One whose value is null counts as left out, but
    a record with `ce_specversion` is a CloudEvent whatever its value is. `version` of the rules.
    """
    named: dict[str, bytes | None] = {}
    for name, text in headers:
        named.setdefault(name, text)
    media_type = _media_type(named.get("content-type"))
    if media_type.startswith("application/cloudevents"):
        return _structured(media_type, value, version)
    if _PREFIX + "specversion" not in named:
        return None
    if media_type and not _is_json(media_type):
        return BadEnvelope(f"content-type {media_type[:64]}")
    return _binary(named, value)


def _structured(media_type: str, value: bytes, version: int) -> Envelope | BadEnvelope:
    if media_type != STRUCTURED:
        return BadEnvelope(f"content-type {media_type[:64]}")
    try:
        check_text(value)
        if version < LAST_ATTRIBUTE_COUNTS:
            _decode_typed(value)
        found = _decode_structured(value)
        attributes = _attributes(found)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BadEnvelope(str(error)[:200])
    if not bytes(found.data):
        return BadEnvelope("no data")
    content_type = _media_type(attributes.get("datacontenttype", "").encode())
    if content_type and not _is_json(content_type):
        return BadEnvelope(f"datacontenttype {content_type[:64]}")
    return _envelope(bytes(found.data), attributes)


def _attributes(found: _Structured) -> dict[str, str]:
    """Decode what is there; an optional attribute may be null. msgspec.DecodeError."""
    attributes: dict[str, str] = {}
    for name in ("specversion", *_REQUIRED, *_OPTIONAL, "datacontenttype"):
        raw = bytes(getattr(found, name))
        is_optional = name not in ("specversion", *_REQUIRED)
        if raw and not (is_optional and raw == b"null"):
            attributes[name] = _decode_text(raw)
    return attributes


def _binary(named: dict[str, bytes | None], value: bytes) -> Envelope | BadEnvelope:
    attributes: dict[str, str] = {}
    for name in ("specversion", *_REQUIRED, *_OPTIONAL):
        text = named.get(_PREFIX + name)
        if text is None:
            continue
        try:
            attributes[name] = text.decode()
        except UnicodeDecodeError:
            return BadEnvelope(f"{_PREFIX}{name} is not UTF-8")
    return _envelope(value, attributes)


def _envelope(data: bytes, attributes: dict[str, str]) -> Envelope | BadEnvelope:
    version = attributes.get("specversion")
    if version != SPEC_VERSION:
        return BadEnvelope("no specversion" if version is None else f"specversion {version[:16]}")
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
