"""What the service published, as it is in the topics. Nothing is interpreted here."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from service.audit.model.input_record import LogRecord

MAX_VALUE_BYTES: Final = 65_536
MAX_KEY_BYTES: Final = 1_024
MAX_HEADERS_BYTES: Final = 16_384
ORIGINAL: Final = "original:"


class Place(NamedTuple):
    """The audited input partition, and its guarantee."""

    topic: str
    partition: int
    at_least_once: bool = False


class Published(NamedTuple):
    """One record of a result topic. `timestamp_ms` is -1 if it is unknown."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp_ms: int = -1


class Committed(NamedTuple):
    """What was committed for one partition: the position and its metadata (JSON)."""

    position: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Original:
    """An input record that must appear as late or rejected; its bytes up to the limits."""

    key: bytes | None
    value: bytes | None
    length: int
    sha256: str
    key_length: int
    headers: tuple[tuple[str, bytes | None], ...] = ()
    dropped: int = 0  # number of headers left out because they are too large (then all are)

    @classmethod
    def of(cls, record: LogRecord) -> "Original":
        """Keep the bytes that the result topic keeps."""
        whole = record.value or b""
        headers = [(ORIGINAL + _escaped(name), value) for name, value in record.headers]
        size = sum(len(name.encode()) + len(value or b"") for name, value in headers)
        return cls(
            key=None if record.key is None else record.key[:MAX_KEY_BYTES],
            value=None if record.value is None else record.value[:MAX_VALUE_BYTES],
            length=len(whole),
            sha256=hashlib.sha256(whole).hexdigest(),
            key_length=len(record.key or b""),
            headers=() if size > MAX_HEADERS_BYTES else tuple(headers),
            dropped=len(headers) if size > MAX_HEADERS_BYTES else 0,
        )


def _escaped(name: str) -> str:
    """Write bytes that are not UTF-8 as text. They are halves of surrogate pairs in `name`."""
    return "".join(
        f"\\x{ord(one) - 0xDC00:02x}" if "\udc80" <= one <= "\udcff" else one for one in name
    )


def json_object(text: bytes | str) -> dict[str, object]:
    """Parse a JSON object. If it is not one, return {}, so that every field mismatches."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
