"""Opens CloudEvents 1.0 over Kafka, by the letter of the contract."""

from collections.abc import Mapping, Sequence

from service.audit.model.strict_json import parse, top_level

Fields = dict[str, object]


class EnvelopeError(Exception):
    """The record claims to be a CloudEvent, but it is not one that the contract allows."""


Headers = Sequence[tuple[str, bytes | None]]
"""The value of a header may be null."""


def media_type(headers: Headers) -> str:
    """Return the first content-type without parameters, in lower case; "" without one."""
    for name, value in headers:
        if name == "content-type":
            return "" if value is None else _bare(value.decode(errors="replace"))
    return ""


def structured(value: bytes, version: int) -> tuple[object, Fields]:
    """Return (data, fields that the envelope gives) of a record in structured mode. EnvelopeError.

    By version 1 of the rules, each copy of an attribute must have the right type. Now only the last
    copy must have it.
    """
    try:
        envelope = parse(value)
        if version == 1:
            _check_each_copy(value)
    except ValueError as error:
        raise EnvelopeError from error
    if not isinstance(envelope, dict) or "data" not in envelope:
        raise EnvelopeError
    for name in ("subject", "time", "datacontenttype"):
        if not isinstance(envelope.get(name), str | None):
            raise EnvelopeError
    if not _is_json(_bare(envelope.get("datacontenttype") or "")):
        raise EnvelopeError
    return envelope["data"], _stand_ins(envelope)


def _check_each_copy(value: bytes) -> None:
    """Check every copy of an attribute, also those that a later copy replaces. EnvelopeError."""
    for name, told in top_level(value):
        is_optional = name in ("subject", "time", "datacontenttype")
        is_text = isinstance(told, str) or (is_optional and told is None)
        if (is_optional or name in ("specversion", "id", "source", "type")) and not is_text:
            raise EnvelopeError


def binary(headers: Headers) -> Fields | None:
    """Return the fields that the headers give in binary mode; None in no mode. EnvelopeError."""
    first: dict[str, bytes | None] = {}
    for name, value in headers:
        if name.startswith("ce_") and name not in first:
            first[name] = value
    if media_type(headers).startswith("application/cloudevents"):
        raise EnvelopeError
    if "ce_specversion" not in first:
        return None
    if not _is_json(media_type(headers)):
        raise EnvelopeError
    wanted = ("specversion", "id", "source", "type", "subject", "time")
    try:
        told = {name: first.get("ce_" + name) for name in wanted}
        return _stand_ins({name: text.decode() for name, text in told.items() if text is not None})
    except UnicodeDecodeError as error:
        raise EnvelopeError from error


def _stand_ins(attributes: Mapping[str, object]) -> Fields:
    if attributes.get("specversion") != "1.0":
        raise EnvelopeError
    for name in ("id", "source", "type"):
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise EnvelopeError
    found: Fields = {
        "event_id": f"{attributes['source']}#{attributes['id']}",
        "action": str(attributes["type"]).split(".")[-1],
    }
    if attributes.get("subject") is not None:
        found["account_id"] = attributes["subject"]
    if attributes.get("time") is not None:
        found["occurred_at"] = attributes["time"]
    return found


def _bare(text: str) -> str:
    return text.partition(";")[0].strip().lower()


def _is_json(kind: str) -> bool:
    return kind in ("", "application/json", "text/json") or kind.endswith("+json")
