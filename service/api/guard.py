"""What stands before every request: headers, connections, token, rate; and errors as problems.

/live, /ready and /metrics pass: an orchestrator must not be refused.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from service.api.asked import PATH as INTERNAL
from service.api.problems import Wrong, unavailable

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_OPEN: Final = ("/live", "/ready", "/metrics")
_COSTS: Final = {"/api/top": 10}
"""Leaders with their trails are a few hundred rows."""
_MOST_ADDRESSES: Final = 10_000


class Rate:
    """So many requests a second and address, twice as many in a burst."""

    def __init__(self, per_s: float, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: seconds, monotonic."""
        self._per_s = per_s
        self._most = 2 * per_s
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, address: str, cost: int = 1) -> bool:
        """Take `cost` requests of an address; False when so many are not left."""
        now = self._now()
        left, at = self._left.get(address, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_s)
        if len(self._left) > _MOST_ADDRESSES:
            self._left.clear()  # everybody begins anew: better than a list without end
        self._left[address] = (left - cost if left >= cost else left, now)
        return left >= cost


class Guard:
    """The middleware, and the headers of every answer."""

    def __init__(
        self, *, token: str, rate: float, connections: int, connected: Callable[[], int]
    ) -> None:
        """`connected`: how many connections there are."""
        self._token = f"Bearer {token}".encode() if token else b""
        self._rate = Rate(rate)
        self._most = connections
        self._connected = connected

    def add_to(self, app: web.Application) -> None:
        """Stand before the app's routes."""
        app.middlewares.append(self._around)
        app.on_response_prepare.append(_add_headers)

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN:
            return await handler(request)
        try:
            self._check(request)
            return await handler(request)
        except Wrong as wrong:
            return wrong.response()
        except web.HTTPException as error:
            return _as_problem(error).response()
        except Exception:
            log.exception("api: no answer could be made path=%r", request.path)
            return Wrong("failed", "see the worker's log").response()

    def _check(self, request: web.Request) -> None:
        if self._connected() > self._most:
            message = f"more than {self._most} connections"
            raise unavailable(message)
        is_internal = request.path == INTERNAL
        if (is_internal or request.path.startswith("/api")) and self._token:
            given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
            if not hmac.compare_digest(given, self._token):
                raise Wrong("unauthorized", "send Authorization: Bearer TOKEN")
        if not is_internal and not self._rate.take(
            request.remote or "", _COSTS.get(request.path, 1)
        ):
            message = "slower, please (NETFOLLOWERS_API_RATE)"
            raise Wrong("too-many-requests", message, retry_after_s=1)


def _as_problem(error: web.HTTPException) -> Wrong:
    names = {
        HTTPStatus.NOT_FOUND: "not-found",
        HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    }
    name = names.get(HTTPStatus(error.status), "bad-request")
    return Wrong(name, "see /api/openapi.json" if name == "not-found" else error.reason)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
