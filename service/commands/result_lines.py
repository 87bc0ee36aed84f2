"""Result records as JSON Lines: {"topic", "key", "value", "headers"}, as they were published."""

from __future__ import annotations

import base64
from typing import IO, Any

import msgspec

from service.contract.input_record import Headers
from service.counting import Sealed

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class ResultsFile:
    """An outlet of `Offline`.

    A value that is not JSON, or a key that is not UTF-8, becomes *_base64.
    """

    def __init__(self, out: IO[bytes]) -> None:
        """Write to an open file."""
        self._out = out

    def __call__(self, sealed: Sealed) -> None:
        """Write a checkpoint's records, topic after topic."""
        for topic, pairs in (("updates", sealed.updates), ("windows", sealed.windows)):
            for key, value in pairs:
                self._write(topic, key, value, [])
        for topic, records in (("late", sealed.late), ("rejected", sealed.rejected)):
            for record in records:
                self._write(topic, record.key, record.value, record.headers)

    def _write(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        line: dict[str, Any] = {"topic": topic}
        line |= _text("key", key) | _json("value", value)
        if headers:
            line["headers"] = {
                name: None if text is None else text.decode(errors="replace")
                for name, text in headers
            }
        self._out.write(_encode(line) + b"\n")


def _text(name: str, text: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if text is None else text.decode()}
    except UnicodeDecodeError:
        return _base64(name, text)


def _json(name: str, value: bytes | None) -> dict[str, Any]:
    try:
        _decode(b"null" if value is None else value)
        return {name: msgspec.Raw(b"null" if value is None else value)}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _base64(name, value)


def _base64(name: str, content: bytes | None) -> dict[str, str | None]:
    return {f"{name}_base64": base64.b64encode(content or b"").decode()}
