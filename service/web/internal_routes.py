"""POST /internal/ask: one worker's request to another. Each request must prove its sender.

The body is read up to a limit. The proof is checked before the body is decoded. These requests have
a budget of their own, so that other clients cannot use up the budget of the workers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from aiohttp import web

from service.web import peer_protocol as asked
from service.web.cluster import Cluster
from service.web.peer_authentication import HEADER, Proofs, UnprovedError
from service.web.problems import ApiError
from service.web.rate_limits import Rate, client_of

log = logging.getLogger(__name__)

_READ_S: Final = 2.0
_PER_CLIENT: Final = 10
"""A worker may send this many times the requests of a normal client."""
_ACCOUNTS: Final = 20
_TOP: Final = 10
"""Cost of one request for leaders, as on /api/top. Accounts cost one unit per 20."""


class Internal:
    """Answers other workers."""

    def __init__(
        self,
        cluster: Cluster,
        proofs: Proofs,
        *,
        rate: float,
        refused: Callable[[str], None],
    ) -> None:
        """`rate`: requests per second of a normal client. `refused` is called with each reason."""
        self._cluster = cluster
        self._proofs = proofs
        self._rate = Rate(_PER_CLIENT * rate)
        self._refused = refused
        self.url = ""
        """URL at which the other workers find this worker."""

    async def ask(self, request: web.Request) -> web.Response:
        """Answer one request. ApiError: 400, 401, 413, 415, 421, 429."""
        if request.content_type != "application/json":
            raise ApiError("unsupported-media-type", "send Content-Type: application/json")
        body = await _read(request)
        nonce = self._proved(request, body)
        try:
            question = asked.decode_question(body)
        except (ValueError, RecursionError) as error:
            raise ApiError("bad-request", "the body is not a request of a worker") from error
        cost = 1 + len(question.accounts) // _ACCOUNTS + (_TOP if question.top else 0)
        if not self._rate.take(client_of(request.remote), cost):
            self._refused("rate")
            raise ApiError("too-many-requests", "too many requests for a worker", retry_after_s=1)
        answer = asked.encode(await self._cluster.answer(question))
        proof = {HEADER: self._proofs.of_answer(nonce, answer)} if nonce else {}
        return web.Response(body=answer, content_type="application/json", headers=proof)

    def _proved(self, request: web.Request, body: bytes) -> str:
        """Return the nonce of a request with a valid proof; "" if no proof is needed."""
        if not self._proofs.is_needed:
            return ""
        try:
            return self._proofs.judge_question(
                request.headers.get(HEADER, ""), self.url, asked.PATH, body
            )
        except UnprovedError as error:
            self._refused("proof")
            log.warning(
                "web: refused a request without a valid worker proof address=%s: %s",
                request.remote,
                error,
            )
            raise ApiError("unproved", str(error)) from error


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_READ_S):
            return await request.read()
    except (TimeoutError, web.RequestPayloadError) as error:
        raise ApiError("bad-request", "the request body is incomplete") from error
