"""What the service published, as it lies in its topics; nothing is interpreted here."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from service.audit.arrival import LogRecord

MAX_VALUE_BYTES: Final = 65_536
MAX_KEY_BYTES: Final = 1_024


class Place(NamedTuple):
    """Which input partition is audited, and how strict the guarantee is."""

    topic: str
    partition: int
    at_least_once: bool = False


class Published(NamedTuple):
    """One record of a result topic; timestamp_ms is -1 when unknown."""

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
    """An input record that must be found again as late or rejected; its bytes up to the bounds."""

    key: bytes | None
    value: bytes | None
    length: int
    sha256: str
    key_length: int

    @classmethod
    def of(cls, record: LogRecord) -> "Original":
        """Keep what the result topic keeps."""
        whole = record.value or b""
        return cls(
            key=None if record.key is None else record.key[:MAX_KEY_BYTES],
            value=None if record.value is None else record.value[:MAX_VALUE_BYTES],
            length=len(whole),
            sha256=hashlib.sha256(whole).hexdigest(),
            key_length=len(record.key or b""),
        )


def json_object(text: bytes | str) -> dict[str, object]:
    """Parse a JSON object; an empty one when it is none, so that every field then mismatches."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
