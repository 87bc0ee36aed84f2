"""One hash over everything that depends only on a partition's log up to an offset.

    the settings that change results, the offset, the watermark, the five counts
    row       account, totals, offset of its last record; not of an account that was forgotten, or
              has expired at the watermark: when its row goes depends on when a worker flushed
    kept      account, grain, start, revision, gained, lost     of windows before the end of keep
    ended     the same, the last revision                       of windows past it
    late      source offset, event time, watermark, grains missed, key and value
    rejected  source offset, length and SHA-256, key and value as kept (the wording of why is free)

Some things depend on when a worker flushed or swept, so they are not in the hash: the revisions
published before the last one, their order, and windows past keep that an unchanged row still lists.

The entries are a set. Their SHA-256 values are added modulo 2^256, in any order, so nothing is
sorted or stored. This finds accidents. It does not protect against a search for collisions.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from service.audit.checks.rejects import source_offset
from service.audit.model.types import Content, Rules, WindowKey

VERSION: Final = 1
TOTALS: Final = (
    "gained", "lost", "net", "followers", "baseline", "net_at_baseline", "last_event_ms", "offset",
)  # fmt: skip


class Certificate(NamedTuple):
    """The hash of one partition up to an offset. `gaps`: why it does not cover everything."""

    partition: int
    offset: int
    digest: str
    gaps: tuple[str, ...] = ()


class Entries:
    """Collects the entries of one partition."""

    def __init__(self) -> None:
        """Start with no entries."""
        self._sum = 0

    def row(self, account_id: str, totals: Mapping[str, object]) -> None:
        """Add an account's totals, by the names of a row."""
        self._add("row", account_id, *(totals.get(name) for name in TOTALS))

    def kept(self, key: WindowKey, revision: object, content: object) -> None:
        """Add a window that is still kept."""
        self._add("kept", *key, revision, content)

    def ended(self, key: WindowKey, revision: object, content: object) -> None:
        """Add a window that nothing can change any more."""
        self._add("ended", *key, revision, content)

    def late(self, labels: Mapping[str, str], key: bytes | None, value: bytes | None) -> None:
        """Add a late record."""
        names = ("event-time-ms", "watermark-ms", "grains-missed")
        told = [labels.get(f"netfollowers-{name}") for name in names]
        self._add("late", source_offset(labels), told, _digest(key), _digest(value))

    def rejected(self, labels: Mapping[str, str], key: bytes | None, value: bytes | None) -> None:
        """Add a rejected record."""
        names = ("original-length", "sha256", "truncated", "original-key-length")
        told = [labels.get(f"netfollowers-{name}") for name in names]
        self._add("rejected", source_offset(labels), told, _digest(key), _digest(value))

    def digest(
        self, rules: Rules, offset: int, watermark_ms: object, counts: Mapping[str, object]
    ) -> str:
        """Hash all entries together with the rules, the offset, the watermark and the counts."""
        settings: list[object] = [list(rules.grains), rules.max_ahead_ms, rules.dedup_generation]
        if rules.expire_after_ms:  # certificates from before expiry existed stay as they are
            settings.append(rules.expire_after_ms)
        head = [VERSION, settings, offset, watermark_ms, sorted(counts.items())]
        return sha256(f"{_text(head)} {self._sum:064x}".encode()).hexdigest()

    def _add(self, *fields: object) -> None:
        entry = sha256(_text(fields).encode()).digest()
        self._sum = (self._sum + int.from_bytes(entry)) % 2**256


def source_label(offset: int, labels: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the expected headers as text, with the source offset."""
    told = {name: values[0] for name, values in labels.items() if values}
    return {**told, "netfollowers-source-offset": str(offset)}


def last_content(contents: list[Content]) -> tuple[int, Content]:
    """Return the newest revision of a window, and its content."""
    return len(contents) - 1, contents[-1]


def _digest(content: bytes | None) -> str | None:
    return None if content is None else sha256(content).hexdigest()


def _text(fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"))
