"""The network between clients and broker: toxiproxy, and what can be done to it.

One proxy per client, each before a listener of its own, so that one worker can be cut off or all.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from service.local.child_process import Child
from tests.support.patience import SILENCE_S

ROOT: Final = Path(__file__).parents[2]
_NAME: Final = "toxiproxy-server"
_ANSWERS_WITHIN_S: Final = SILENCE_S


def toxiproxy() -> Path | None:
    """Find the server that `make chaos` installs, or one on the PATH."""
    ours = ROOT / ".tools" / _NAME
    if ours.exists():
        return ours
    found = shutil.which(_NAME)
    return None if found is None else Path(found)


class Proxies:
    """`async with`: a toxiproxy server with a proxy for each (name, listen, upstream)."""

    def __init__(self, server: Path, port: int, log: Path) -> None:
        """`port`: of its HTTP API."""
        self._child = Child((str(server.absolute()), "-host", "127.0.0.1", "-port", str(port)), log)
        self._session = aiohttp.ClientSession(f"http://127.0.0.1:{port}")
        self._made = 0

    async def __aenter__(self) -> Self:
        """Wait until it answers."""
        until = time.monotonic() + _ANSWERS_WITHIN_S
        while True:
            try:
                async with self._session.get("/version") as answer:
                    answer.raise_for_status()
                    return self
            except aiohttp.ClientError:
                if time.monotonic() > until or not self._child.is_running:
                    await self.__aexit__(None, None, None)
                    raise
                await asyncio.sleep(0.05)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()
        self._child.stop()

    async def add(self, name: str, listen: int, upstream: int) -> None:
        """Forward a port to another."""
        ends = {"listen": f"127.0.0.1:{listen}", "upstream": f"127.0.0.1:{upstream}"}
        await self._ask("POST", "/proxies", {"name": name, **ends, "enabled": True})

    @asynccontextmanager
    async def down(self, names: Iterable[str]) -> AsyncIterator[None]:
        """Close every connection and refuse new ones."""
        names = list(names)
        for name in names:
            await self._ask("POST", f"/proxies/{name}", {"enabled": False})
        try:
            yield
        finally:
            for name in names:
                await self._ask("POST", f"/proxies/{name}", {"enabled": True})

    @asynccontextmanager
    async def toxic(
        self, names: Iterable[str], kind: str, attributes: dict[str, int], *, upstream: bool
    ) -> AsyncIterator[None]:
        """Poison what flows to the broker, or what comes back from it."""
        self._made += 1
        toxic = f"{kind}-{self._made}"
        names = list(names)
        stream = "upstream" if upstream else "downstream"
        wanted = {"name": toxic, "type": kind, "stream": stream, "attributes": attributes}
        for name in names:
            await self._ask("POST", f"/proxies/{name}/toxics", wanted)
        try:
            yield
        finally:
            for name in names:
                await self._ask("DELETE", f"/proxies/{name}/toxics/{toxic}")

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        async with self._session.request(method, path, json=body) as answer:
            said = await answer.text()
            assert answer.ok, f"toxiproxy {method} {path}: {answer.status} {said}"
