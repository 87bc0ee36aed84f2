"""POST /internal/ask: what one worker answers another. Nobody is believed to be one.

A question is read up to a bound, its proof is judged before it is decoded, and its work is taken
from a budget of its own: strangers cannot use up what workers ask each other.
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
"""So many times what a client may ask, a worker may ask of another."""
_ACCOUNTS: Final = 20
_TOP: Final = 10
"""Leaders cost as much as on /api/top, accounts by the score."""


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
        """`rate`: what a client may ask in a second. `refused` is told the reason of a refusal."""
        self._cluster = cluster
        self._proofs = proofs
        self._rate = Rate(_PER_CLIENT * rate)
        self._refused = refused
        self.url = ""
        """Where the other workers find this one."""

    async def ask(self, request: web.Request) -> web.Response:
        """Answer one question. ApiError: 400, 401, 413, 415, 421, 429."""
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
        """-> the nonce of a question that is proved; "" where nothing has to be."""
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
