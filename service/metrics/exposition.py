"""Builds the text of /metrics: one text at a time, for at most a tenth of the loop's time.

Requests that come while a text is being built share the next text. So four hundred requests at once
cost two texts. The samples of all shards are of one moment (service/metrics/worker_collector.py).
The text is built in slices, and the event loop turns between them.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

SLICE: Final = 2_000
"""Samples between two turns of the loop: some milliseconds.

At full speed a turn of the loop is a whole batch, so with many turns a text would come late.
"""
REST_S: Final = 1.0
_SHARE: Final = 10
_VERSION: Final = re.compile(r"version=([^;]*)")
_VERSIONS: Final = {"0.0.1", "0.0.4", "1.0.0"}
_EOF: Final = b"# EOF\n"


class _Part(Collector):
    """One family, in the form that an encoder takes."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


class Exposition:
    """Builds texts of one registry."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        now: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        """`now`: seconds, monotonic. `cpu`: seconds of the loop's thread."""
        self._registry = registry
        self._now = now
        self._cpu = cpu
        self._one = asyncio.Lock()
        self._began = 0
        self._families: list[Metric] = []
        self._texts: dict[str, bytes] = {}
        self._not_before = 0.0

    async def text(self, accept: str) -> tuple[bytes, str]:
        """Return a text whose samples are not older than this call, and its content type."""
        encode, content_type = choose_encoder(_known(accept))
        wanted = self._began + 1
        async with self._one:
            if self._began < wanted:
                await self._rest()
                self._began += 1
                self._families, self._texts = await self._collected(), {}
            if content_type not in self._texts:
                if self._texts:
                    await self._rest()
                self._texts[content_type] = await self._encoded(encode)
            return self._texts[content_type], content_type

    async def _rest(self) -> None:
        await asyncio.sleep(max(0.0, self._not_before - self._now()))

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """Delay the next text by ten times the duration of this work, at most by REST_S."""
        began = self._cpu()
        yield
        now = self._now()
        later = max(now, self._not_before) + _SHARE * (self._cpu() - began)
        self._not_before = min(later, now + REST_S)

    async def _collected(self) -> list[Metric]:
        families: list[Metric] = []
        done = 0
        more = iter(self._registry.collect())
        while True:
            with self._resting():
                family = next(more, None)
            if family is None:
                return families
            families.append(family)
            done += len(family.samples)
            if done >= SLICE:
                done = 0
                await asyncio.sleep(0)

    async def _encoded(self, encode: Callable[[Any], bytes]) -> bytes:
        """Encode as in one step, but let the loop turn after every SLICE samples."""
        texts, done, ends = [], 0, b""
        for part, is_continued in _parts(self._families):
            with self._resting():
                text = encode(_Part(part))
            ends = _EOF if text.endswith(_EOF) else b""
            text = text.removesuffix(_EOF)
            texts.append(_without_head(text) if is_continued else text)
            done += len(part.samples)
            if done >= SLICE:
                done = 0
                await asyncio.sleep(0)
        return b"".join(texts) + ends


def _known(accept: str) -> str:
    """Drop versions that do not exist. Each would become a separate text, or an error."""
    wanted = [one for one in accept.split(",") if set(_VERSION.findall(one)) <= _VERSIONS]
    return ",".join(wanted)


def _parts(families: Iterable[Metric]) -> Iterator[tuple[Metric, bool]]:
    """Yield families; long ones in parts. True: the part continues the family before it."""
    for family in families:
        if len(family.samples) <= SLICE:
            yield family, False
            continue
        for first in range(0, len(family.samples), SLICE):
            part = Metric(family.name, family.documentation, family.type, family.unit)
            part.samples = family.samples[first : first + SLICE]
            yield part, first > 0


def _without_head(text: bytes) -> bytes:
    """Drop the name and the type of a family, which its first part already has."""
    while text.startswith(b"# "):
        text = text.partition(b"\n")[2]
    return text
