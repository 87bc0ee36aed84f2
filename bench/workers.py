"""A worker process under measurement: started, asked, hurt by pid, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

from service.local.ports import free_ports
from service.local.worker_process import environment
from service.settings import Settings

ROOT = Path(__file__).parents[1]
POLL_S = 0.05
READY_WITHIN_S = 180.0


class Worker:
    """One worker process; its output is appended to `log`."""

    def __init__(self, settings: Settings, log: Path, code: str = "") -> None:
        """Start it, or the Python `code` that runs it in another way; do not wait."""
        self.settings = replace(settings, web_port=free_ports(1)[0])
        self.log = log
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, *(["-c", code] if code else ["-m", "service", "worker"])],
                env=environment(self.settings),
                cwd=ROOT,
                stdout=sink,
                stderr=sink,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def get(self, path: str) -> tuple[int, str]:
        """HTTP status and body; (0, "") when nobody answers."""
        url = f"http://127.0.0.1:{self.settings.web_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    async def ready(self) -> None:
        """Wait until /ready says so."""
        async with asyncio.timeout(READY_WITHIN_S):
            while (await asyncio.to_thread(self.get, "/ready"))[0] != 200:
                self.check()
                await asyncio.sleep(POLL_S)

    def check(self) -> None:
        """Fail when it has ended by itself."""
        assert self.process.poll() is None, self.log.read_text()[-2_000:]

    async def stop(self) -> None:
        """SIGTERM, and wait."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """`kill -9`, and wait."""
        await self._end(signal.SIGKILL)

    def end(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    async def _end(self, number: signal.Signals) -> None:
        self.check()
        os.kill(self.pid, number)
        await asyncio.to_thread(self.process.wait, 60)
