"""A worker as a separate process: started, queried, watched, stopped or killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from service.errors import WorkerError
from service.local.ports import free_ports
from service.settings import PREFIX, Settings

ROOT: Final = Path(__file__).parents[2]
SILENT_FOR_S: Final = 180.0
"""Seconds without output. The restore of a large table may write nothing for a long time."""
STOPPED_WITHIN_S: Final = 60.0
_POLL_S: Final = 0.05
_OK: Final = 200
_TAIL_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class Gauges:
    """The values of /metrics, summed over the worker's partitions (watermark: the oldest)."""

    lag_records: int
    counted: int
    watermark_s: float
    outcomes: dict[str, int]
    by_partition: dict[int, dict[str, int]]


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables that give these settings."""
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
    """One worker process with its own web port. The code that starts one must call `end`."""

    def __init__(self, settings: Settings, log: Path, code: str = "", *, root: Path = ROOT) -> None:
        """Start the worker and do not wait. Its output is appended to `log`.

        `code`: Python that runs the worker in another way. `root`: the checkout whose code runs.
        """
        self.settings = replace(settings, web_port=free_ports(1)[0])
        self.log = log
        self._is_stopping = False
        with log.open("ab") as sink:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, *(["-c", code] if code else ["-m", "service", "worker"])],
                env=environment(self.settings) | {"PYTHONPATH": str(root)},
                cwd=root,
                stdout=sink,
                stderr=sink,
                start_new_session=True,  # Ctrl-C ends this process, which then stops the worker
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def url(self) -> str:
        """Address of its web port, without a slash at the end."""
        return f"http://127.0.0.1:{self.settings.web_port}"

    def get(self, path: str, timeout_s: float = 10.0) -> tuple[int, str]:
        """Return HTTP status and body; (0, "") without a response."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=timeout_s) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    async def gauges(self) -> Gauges | None:
        """Request /metrics. Return None if the worker does not answer. WorkerError."""
        self.check()
        status, text = await asyncio.to_thread(self.get, "/metrics", 2.0)
        return parse(text) if status == _OK else None

    def said(self) -> str:
        """The whole log."""
        return self.log.read_text(errors="replace")

    def check(self) -> None:
        """Raise WorkerError if the worker has ended by itself."""
        code = self.process.poll()
        if code is not None:
            raise WorkerError(self._last_words(f"ended with {code}"))

    async def watch(self) -> None:
        """Return when the worker is stopped. WorkerError as soon as it ends by itself."""
        while not self._is_stopping:
            self.check()
            await asyncio.sleep(_POLL_S)

    async def ready(self) -> None:
        """Wait until /ready answers with 200, as long as the log gets new lines. WorkerError."""
        size, until = -1, 0.0
        while (await asyncio.to_thread(self.get, "/ready"))[0] != _OK:
            self.check()
            now, found = time.monotonic(), self.log.stat().st_size
            if found != size:
                size, until = found, now + SILENT_FOR_S
            if now > until:
                what = f"is not ready and has written nothing for {SILENT_FOR_S:.0f} s"
                raise WorkerError(self._last_words(what))
            await asyncio.sleep(_POLL_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker."""
        self.process.send_signal(number)

    async def stop(self) -> int:
        """Send SIGTERM, then SIGKILL after a time. Return the exit code, or minus the signal."""
        self.check()
        self._is_stopping = True
        self.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            return await asyncio.to_thread(self.process.wait, STOPPED_WITHIN_S)
        self.process.kill()
        return self.process.wait()

    async def kill(self) -> None:
        """Send SIGKILL, and wait."""
        self.end()

    def end(self) -> None:
        """End the worker in any state, also when it is paused."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _last_words(self, what: str) -> str:
        lines = self.said().splitlines()[-_TAIL_LINES:]
        return "\n".join([f"the worker {what}; its log {self.log} ends with:", *lines])


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
