"""One worker as a process of its own: started, watched, stopped, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Final, Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from service.errors import WorkerError
from service.settings import PREFIX, Settings

SILENT_FOR_S: Final = 60.0
STOPPED_WITHIN_S: Final = 40.0
_POLL_S: Final = 0.1
_TAIL_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class Gauges:
    """What /metrics says, summed over the worker's partitions (watermark: the oldest)."""

    lag_records: int
    counted: int
    watermark_s: float
    outcomes: dict[str, int]
    by_partition: dict[int, dict[str, int]]


def environment(settings: Settings) -> dict[str, str]:
    """Spell out settings as the environment that makes them."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
    default = Settings()
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if value != getattr(default, setting.name):
            environ[PREFIX + setting.name.upper()] = (
                str(value).lower() if isinstance(value, bool) else str(value)
            )
    return environ


class WorkerProcess:
    """`async with`: the worker runs; afterwards it does not, whatever happened."""

    def __init__(self, settings: Settings, log: Path) -> None:
        """`settings.web_port` must be a port of its own; the worker's output goes to `log`."""
        self._settings = settings
        self._log = log
        self._sink: IO[bytes] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._is_stopping = False
        self._url = f"http://127.0.0.1:{settings.web_port}"

    async def __aenter__(self) -> Self:
        """Start it and wait until it is ready."""
        self._sink = self._log.open("wb")
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service",
            "worker",
            env=environment(self._settings),
            cwd=Path(__file__).parents[2],
            stdout=self._sink,
            stderr=self._sink,
            start_new_session=True,  # Ctrl-C is for us; we stop it
        )
        try:
            await self._ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it by force if it still runs."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._session is not None:
            await self._session.close()
        if self._sink is not None:
            self._sink.close()

    async def stop(self) -> int:
        """SIGTERM, and wait; -> its exit code (negative: the signal that ended it)."""
        assert self._process is not None
        self.check()
        self._is_stopping = True
        self._process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self._process.wait(), STOPPED_WITHIN_S)
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()

    def check(self) -> None:
        """Raise WorkerError when it has ended by itself."""
        assert self._process is not None
        if self._process.returncode is not None:
            raise WorkerError(self._last_words(f"ended with {self._process.returncode}"))

    async def watch(self) -> None:
        """Return when it is stopped; WorkerError as soon as it has ended by itself."""
        while not self._is_stopping:
            self.check()
            await asyncio.sleep(_POLL_S)

    async def gauges(self) -> Gauges | None:
        """Ask for /metrics; None when it does not answer."""
        assert self._session is not None
        self.check()
        try:
            async with self._session.get(f"{self._url}/metrics") as response:
                return parse(await response.text())
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def _ready(self) -> None:
        """Wait until it is, as long as it writes lines to its log."""
        assert self._session is not None
        size, until = -1, 0.0
        while True:
            self.check()
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(f"{self._url}/ready") as response:
                    if response.ok:
                        return
            now, found = time.monotonic(), self._log.stat().st_size
            if found != size:
                size, until = found, now + SILENT_FOR_S
            if now > until:
                what = f"is not ready and has written nothing for {SILENT_FOR_S:.0f} s"
                raise WorkerError(self._last_words(what))
            await asyncio.sleep(_POLL_S)

    def _last_words(self, what: str) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"the worker {what}; its log {self._log} ends with:", *lines])


def parse(text: str) -> Gauges:
    """Read the worker's metrics."""
    by_partition: dict[int, dict[str, int]] = {}
    lag = 0
    watermarks = []
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "netfollowers_records_total":
                counts = by_partition.setdefault(int(sample.labels["partition"]), {})
                counts[sample.labels["outcome"]] = int(sample.value)
            elif sample.name == "netfollowers_lag_records":
                lag += int(sample.value)
            elif sample.name == "netfollowers_watermark_timestamp_seconds" and sample.value > 0:
                watermarks.append(sample.value)
    oldest = min(watermarks, default=0.0)
    outcomes: Counter[str] = Counter()
    for counts in by_partition.values():
        outcomes.update(counts)
    return Gauges(lag, sum(outcomes.values()), oldest, dict(outcomes), by_partition)
