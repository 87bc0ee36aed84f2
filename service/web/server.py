"""Serves the page, /api, /live, /ready and /metrics from the worker's own event loop.

If the loop is stuck, the server does not answer, and the orchestrator can see it.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from service.errors import UsageError
from service.metrics.exposition import Exposition
from service.web import Api
from service.web.peer_protocol import MOST_BYTES
from service.web.server_logs import QuietServer

_STOP_TIMEOUT_S: Final = 1.0
_BACKLOG: Final = 128
"""Number of connections that wait to be accepted."""


def _why_not_listening(host: str, port: int, error: OSError) -> str:
    """Say which of the two settings is wrong, and why."""
    if error.errno == errno.EADDRINUSE:
        return f"NETFOLLOWERS_WEB_PORT={port}: another process listens on this port of {host}"
    if error.errno == errno.EACCES:
        return f"NETFOLLOWERS_WEB_PORT={port}: this user may not listen on it (below 1024?)"
    return f"NETFOLLOWERS_WEB_HOST={host}: this machine cannot listen on it: {error.strerror}"


class Web:
    """The worker's HTTP server."""

    def __init__(
        self, registry: CollectorRegistry, why_not_ready: Callable[[], str], api: Api
    ) -> None:
        """`why_not_ready` returns "" if the worker is assigned, restored and making progress."""
        self.api: Api = api
        self._exposition = Exposition(registry)
        self._why_not_ready = why_not_ready
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Start to listen. UsageError if that is not possible: it names the setting.

        The door decides which connections may enter. Sites of aiohttp have no place for that.
        """
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_get("/live", self._live)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._metrics)
        self.api.add_to(app)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=QuietServer(),
            auto_decompress=False,
            lingering_time=_STOP_TIMEOUT_S,
            shutdown_timeout=_STOP_TIMEOUT_S,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                self.api.door.around(self._runner.server), host, port, backlog=_BACKLOG
            )
        except OSError as error:
            await self._runner.cleanup()
            raise UsageError(_why_not_listening(host, port, error)) from error
        self.port = self._listener.sockets[0].getsockname()[1]
        self.api.door.start()

    async def stop(self) -> None:
        """Stop listening."""
        self.api.door.stop()
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self.api.close()

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def _ready(self, _: web.Request) -> web.Response:
        why_not = self._why_not_ready()
        if why_not:
            return web.Response(status=503, text=f"not ready: {why_not}\n")
        return web.Response(text="ready\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        text, content_type = await self._exposition.text(request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})
