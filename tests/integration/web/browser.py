"""A real headless Chromium, and what every page in it must keep to: no error, no dialog, axe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright

from tests.support.optional import tool
from tests.support.patience import Patience

AXE: Final = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
"""axe-core 4.14.1 as npm has it, MPL-2.0 (the licence lies beside it)."""


PATIENCE_MS: Final = 600_000.0
"""For each step of the browser: a slow machine is no failure, and pytest's own limit is later."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start Debian's Chromium; skip without it."""
    path = tool("chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path,
            args=[*sandbox, "--force-prefers-reduced-motion"],
            timeout=PATIENCE_MS,
        )
        try:
            yield browser
        finally:
            await browser.close()


class Watched:
    """A page, and whatever went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        page.on("request", self._requested)
        page.on("console", self._said)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith("http://127.0.0.1:"):
            self.wrong.append(f"asked elsewhere: {request.url}")

    def _said(self, message: Any) -> None:
        is_network = "Failed to load resource" in message.text
        if message.type in ("error", "warning") and not is_network:
            self.wrong.append(f"console: {message.text}")

    async def axe(self) -> list[str]:
        """Violations that axe-core finds, all rules that it has by default."""
        await self.page.evaluate(AXE)
        found = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    async def text(self, selector: str) -> str:
        return (await self.page.locator(selector).inner_text()).strip()

    async def tile(self, box: str, word: str) -> str:
        return await self.text(f"#{box} [data-word='{word}'] dd")

    async def until(self, script: str) -> None:
        """Wait until a JavaScript expression is true."""
        patience = Patience(script)  # playwright's own waiting needs eval in the page
        while not await self.page.evaluate(script):
            patience.look(self.wrong)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def opened(
    browser: Browser, url: str, *, theme: Any = "light", width: int = 1_400
) -> AsyncIterator[Watched]:
    """Open a page in a window of its own; nothing may have gone wrong at its end."""
    context = await browser.new_context(
        color_scheme=theme, viewport={"width": width, "height": 900}, locale="en-GB"
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        watched = Watched(await context.new_page())
        await watched.page.goto(url, wait_until="domcontentloaded")
        yield watched
        assert not watched.wrong, watched.wrong
    finally:
        await context.close()


class Wire:
    """A TCP forwarder that can be cut: what stands between a reader and a worker."""

    def __init__(self, port: int) -> None:
        """`port` of the worker."""
        self.to = port
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def mend(self) -> None:
        """Listen, again on the same port."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            onward, back = await asyncio.open_connection("127.0.0.1", self.to)
            self._writers |= {writer, back}
            await asyncio.gather(self._pump(reader, back), self._pump(onward, writer))
            self._writers -= {writer, back}
        except OSError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
                await writer.drain()
        writer.transport.abort()
