"""Opens records that are CloudEvents 1.0 over Kafka, in either mode.

Under the engine's import ban. The mode is found from the headers alone, so a plain event costs
nothing:

    binary       header `ce_specversion`; the other attributes are `ce_...` headers, the value is
                 the data
    structured   header `content-type: application/cloudevents+json`; the value is the envelope,
                 the data is its `data`

The data is an event of the contract. Fields that it leaves out are taken from the attributes:
event_id = source + "#" + id (together they are unique by CloudEvents), account_id = subject, action
= the last part of type after a dot, occurred_at = time.
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
    """The bytes of the data, and the fields that the envelope gives (None: it gives no value)."""

    data: bytes
    event_id: str
    account_id: str | None
    action: str
    occurred_at: str | None


class BadEnvelope(NamedTuple):
    """The record claims to be a CloudEvent, but cannot be read as one."""

    detail: str


_LEFT_OUT: Final = msgspec.Raw(b"")


class _Structured(msgspec.Struct, gc=False):
    """The envelope of structured mode. Unknown attributes are extensions and are allowed.

    Its attributes are decoded later. If an attribute comes twice, the last one counts, whatever
    type the first one has.
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
    """The envelope by version 1 of the rules: each copy of an attribute has the right type."""

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
    """Open the envelope. Return None if the record is not a CloudEvent.

    If a header comes twice, the first one counts. A header with a null value counts as missing, but
    a record with `ce_specversion` is a CloudEvent even if its value is null. `version`: of the
    rules.
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
    """Decode the attributes. An optional one may be null. msgspec.DecodeError if one is wrong."""
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
    """Turn 'Application/JSON; charset=utf-8' into 'application/json'."""
    return (text or b"").decode(errors="replace").partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    return media_type in {"application/json", "text/json"} or media_type.endswith("+json")
