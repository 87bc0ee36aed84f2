"""Sends requests to the other workers. Knows nothing of partitions.

Any program may listen at a worker's address. So an answer is limited in time and bytes, needs a
proof if there is a secret, and is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple

import aiohttp

from service.web import peer_protocol as asked
from service.web.peer_authentication import HEADER, Proofs
from service.web.problems import ApiError, unavailable

_TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0)
_CONNECTIONS: Final = 32
_CHUNK: Final = 65_536
_SHOWN: Final = 100
_HEADERS: Final = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
_CUT: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
"""The other worker closed a kept connection. One new connection is tried."""


class _Answer(NamedTuple):
    status: int
    proof: str
    body: bytes | None
    """None: longer than any valid answer."""


class Peers:
    """Sends requests to other workers over kept connections."""

    def __init__(self, proofs: Proofs) -> None:
        """`proofs`: made and checked with the secret that all workers share."""
        self._proofs = proofs
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        url: str,
        question: asked.Question,
        *,
        most_bytes: int,
        why_wrong: Callable[[asked.Told], str],
    ) -> asked.Told:
        """Send one question to one worker. ApiError (503): no answer, or no valid answer."""
        body = asked.encode(question)
        try:
            try:
                answer, nonce = await self._send(url, body, most_bytes)
            except _CUT:
                answer, nonce = await self._send(url, body, most_bytes)
            told = self._believed(answer, nonce, url)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as error:
            why = f": {error}"[:_SHOWN] if isinstance(error, ValueError) else ""
            message = f"the worker at {url} does not answer ({type(error).__name__}{why})"
            raise unavailable(message) from error
        why = "it belongs to another group" if told.app_id != question.app_id else why_wrong(told)
        if why:
            raise _no_answer(url, why)
        return told

    def _believed(self, answer: _Answer, nonce: str, url: str) -> asked.Told:
        if answer.status != HTTPStatus.OK:
            raise _no_answer(url, f"status {answer.status}")
        if answer.body is None:
            raise _no_answer(url, "too many bytes")
        if self._proofs.is_needed and not self._proofs.is_answer(answer.proof, nonce, answer.body):
            raise _no_answer(
                url, "it has no proof of the shared secret (NETFOLLOWERS_PEER_SECRET_FILE)"
            )
        return asked.decode_told(answer.body)

    async def _send(self, url: str, body: bytes, most_bytes: int) -> tuple[_Answer, str]:
        headers, nonce = dict(_HEADERS), ""
        if self._proofs.is_needed:
            headers[HEADER], nonce = self._proofs.of_question(url, asked.PATH, body)
        async with self._connections().post(
            url + asked.PATH, data=body, headers=headers, allow_redirects=False
        ) as answer:
            found = bytearray()
            while chunk := await answer.content.read(_CHUNK):
                found += chunk
                if len(found) > most_bytes:
                    answer.close()
                    return _Answer(answer.status, "", None), nonce
            proof = answer.headers.get(HEADER, "")
            return _Answer(answer.status, proof, bytes(found)), nonce

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit_per_host=_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_TIMEOUT,
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def _no_answer(url: str, why: str) -> ApiError:
    return unavailable(f"the answer from {url} is not from a worker of this deployment: {why}")
