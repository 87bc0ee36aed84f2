"""Judges every record that the service writes in any test by the schemas, closed.

Fast (a validator in Rust): it looks at millions of them. `seal` is hooked for whatever runs in the
process of the tests (`tests/conftest.py`), the topics are read behind workers that do not
(`tests/support/contract_checker.py`), the simulation hands over what its brokers hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

import orjson
from jsonschema_rs import Draft202012Validator

from service.contract.results import ORIGINAL
from service.contract.topics import LATE, REJECTED, UPDATES, WINDOWS, RecordKind, Topic
from service.counting import Sealed
from tests.support.contract.channels import METADATA
from tests.support.contract.schemas import as_written, schema

AS_BYTES: Final = {"as-sent.key", "as-sent.value", "any.key", "follow-events-late.value"}
"""Schemas of bytes, which they see as Latin-1."""
MOST_METADATA_BYTES: Final = 4_095

Headers = Sequence[tuple[str, bytes | None]]


def wrong_with(
    topic: Topic, key: bytes | None, value: bytes | None, headers: Headers
) -> str | None:
    """Return why a record on this topic breaks the contract; None if it obeys."""
    kind = _kind(topic, key, value)
    try:
        parts = {
            kind.key: _text(kind.key, key),
            kind.value: _value(kind.value, value),
            kind.headers: {
                name: (content or b"").decode(
                    errors="replace" if name.startswith(ORIGINAL) else "strict"
                )
                for name, content in headers
            },
        }
    except ValueError as error:
        return f"{kind.name}: {error}"
    for name, part in parts.items():
        if not _validator(name).is_valid(part):
            found = next(iter(_validator(name).iter_errors(part)))
            return f"{kind.name}: {name}: {found.message} at {found.instance_path}"
    account = parts[kind.value]
    named = account.get("account_id") if isinstance(account, dict) else None
    if isinstance(named, str) and named.encode() != key:
        return f"{kind.name}: the key is {key!r}, account_id is {named!r}"
    return _twice(headers)


def wrong_with_metadata(text: str) -> str | None:
    """The same of what travels with a committed offset."""
    if len(text.encode()) > MOST_METADATA_BYTES:
        return f"commit metadata of {len(text)} bytes"
    try:
        found = json.loads(text)
    except ValueError as error:
        return f"commit metadata: {error}"
    errors = [f"{METADATA}: {e.message}" for e in _validator(METADATA).iter_errors(found)]
    return errors[0] if errors else None


def wrong_in(sealed: Sealed) -> list[str]:
    """The same of all that one checkpoint makes durable."""
    found: list[str | None] = [wrong_with_metadata(sealed.checkpoint.to_metadata())]
    for topic, pairs in ((UPDATES, sealed.updates), (WINDOWS, sealed.windows)):
        found += [wrong_with(topic, key, value, ()) for key, value in pairs]
    for topic, records in ((LATE, sealed.late), (REJECTED, sealed.rejected)):
        found += [wrong_with(topic, *record) for record in records]
    return list(filter(None, found))


def first(found: Iterable[str], most: int = 5) -> str:
    """The first few, a line each."""
    lines = list(found)
    return "\n".join([*lines[:most], *([f"... {len(lines)} in all"] if len(lines) > most else [])])


def _kind(topic: Topic, key: bytes | None, value: bytes | None) -> RecordKind:
    if topic is not UPDATES:
        (only,) = topic.records
        return only
    row, removal, checkpoint = topic.records
    if key == b"":
        return checkpoint
    return removal if value is None else row


def _text(name: str, content: bytes | None) -> str | None:
    if content is None:
        return None
    return content.decode("latin-1" if name in AS_BYTES else "utf-8")


def _value(name: str, content: bytes | None) -> object:
    if content is None or name in AS_BYTES:
        return _text(name, content)
    return orjson.loads(content)


def _twice(headers: Headers) -> str | None:
    names = [name for name, _ in headers if not name.startswith(ORIGINAL)]
    return f"headers {names}: one is there twice" if len(set(names)) < len(names) else None


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(as_written(schema(name)))
