"""The page, /api, /live, /ready and /metrics, from the worker's own loop: stuck, no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from service.api import Api

_STOP_TIMEOUT_S: Final = 1.0


class Web:
    """The worker's HTTP server."""

    def __init__(
        self, registry: CollectorRegistry, why_not_ready: Callable[[], str], api: Api
    ) -> None:
        """`why_not_ready`: empty when the worker is assigned, restored and moving."""
        self.api: Api = api
        self._registry = registry
        self._why_not_ready = why_not_ready
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen. OSError when the address is taken."""
        app = web.Application()
        app.router.add_get("/live", self._live)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._metrics)
        self.api.add_to(app, self._connected)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_TIMEOUT_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self.api.close()

    def _connected(self) -> int:
        """Connections at this moment."""
        server = self._runner.server if self._runner is not None else None
        return len(server.connections) if server is not None else 0

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def _ready(self, _: web.Request) -> web.Response:
        why_not = self._why_not_ready()
        if why_not:
            return web.Response(status=503, text=f"not ready: {why_not}\n")
        return web.Response(text="ready\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})
