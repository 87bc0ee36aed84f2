"""Checks each request before its route: host, origin, token, rate. Turns errors into problems.

/live and /ready always pass, because an orchestrator must not be refused. /metrics needs no token
and has no rate limit. service/metrics/exposition.py computes it once for all requests of a moment.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from service.web.allowed_hosts import Visitors
from service.web.connections import Door
from service.web.peer_protocol import PATH as INTERNAL
from service.web.problems import ApiError, unavailable
from service.web.rate_limits import Rate, client_of

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
_OPEN: Final = ("/live", "/ready")
_METRICS: Final = "/metrics"
_COSTS: Final = {"/api/top": 10}
"""Cost of leaders with their trails, which read a few hundred rows."""
GUESSES: Final = 10
_GUESSES_PER_S: Final = 0.5
_SHOWN: Final = 200


class Guard:
    """The middleware, and the headers of every answer."""

    def __init__(
        self,
        *,
        token: str,
        rate: float,
        door: Door,
        visitors: Visitors,
        refused: Callable[[str], None],
    ) -> None:
        """`token`: "" means that no token is needed. `refused` is called with each reason."""
        self._token = token.encode()
        self._rate = Rate(rate)
        self._guesses = Rate(_GUESSES_PER_S, most=GUESSES)
        self._door = door
        self._visitors = visitors
        self._refused = refused

    def add_to(self, app: web.Application) -> None:
        """Add the middleware to the app."""
        app.middlewares.append(self._around)
        app.on_response_prepare.append(_add_headers)

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        with self._door.asking(request.transport) as is_spare:
            if request.path in _OPEN:
                return await handler(request)
            try:
                self._check(request, is_spare=is_spare)
                return await handler(request)
            except ApiError as wrong:
                return wrong.response()
            except web.HTTPException as error:
                return _as_problem(error).response()
            except Exception:
                log.exception("api: request failed path=%.*r", _SHOWN, request.path)
                return ApiError("failed", "see the log of the worker").response()

    def _check(self, request: web.Request, *, is_spare: bool) -> None:
        reason = self._visitors.why_refused(request)
        if reason == "host":
            self._refused(reason)
            raise ApiError("foreign", "this host name is not allowed (NETFOLLOWERS_WEB_NAMES)")
        if reason:
            self._refused(reason)
            raise ApiError("foreign", "a page of another site sent the request")
        if request.path == INTERNAL:
            return
        if is_spare:
            self._refused("connections")
            raise unavailable("too many connections, in total or from this address")
        if request.path == _METRICS:
            return
        client = client_of(request.remote)
        if request.path.startswith("/api") and self._token:
            self._check_token(request, client)
        if not self._rate.take(client, _COSTS.get(request.path, 1)):
            self._refused("rate")
            raise ApiError(
                "too-many-requests",
                "too many requests from this address (NETFOLLOWERS_API_RATE)",
                retry_after_s=1,
            )

    def _check_token(self, request: web.Request, client: str) -> None:
        """Check the token. ApiError 401: it is missing or wrong. 429: too many wrong tokens.

        After several wrong tokens, no token of the address is checked for a while, not even the
        right one. Otherwise an attacker could continue to guess.
        """
        given = request.headers.get("Authorization")
        if given is None:
            raise ApiError("unauthorized", "send Authorization: Bearer TOKEN")
        if not self._guesses.has(client):
            self._refused("token")
            wait_s = self._guesses.wait_s()
            raise ApiError(
                "too-many-requests", "too many wrong tokens from this address", retry_after_s=wait_s
            )
        scheme, _, token = given.partition(" ")
        right = hmac.compare_digest(token.strip().encode(errors="surrogateescape"), self._token)
        if not right or scheme.lower() != "bearer":
            self._guesses.take(client)
            self._refused("token")
            log.warning("web: wrong token address=%s path=%.*r", client, _SHOWN, request.path)
            raise ApiError("unauthorized", "send Authorization: Bearer TOKEN")


def _as_problem(error: web.HTTPException) -> ApiError:
    names = {
        HTTPStatus.NOT_FOUND: "not-found",
        HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    }
    name = names.get(HTTPStatus(error.status), "bad-request")
    return ApiError(name, "see /api/openapi.json" if name == "not-found" else error.reason)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
