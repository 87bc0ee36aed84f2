"""The other workers: one HTTP request to one of them. Knows nothing of partitions."""

from __future__ import annotations

from typing import Final

import aiohttp
import msgspec

from service.api import asked
from service.api.problems import unavailable

_TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0)
_CONNECTIONS: Final = 32


class Peers:
    """Asks other workers, over connections that are kept."""

    def __init__(self, token: str) -> None:
        """`token`: the bearer token that all workers share; empty: none."""
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, url: str, question: asked.Question) -> asked.Told:
        """Ask one worker. Wrong (503) when it does not answer, or is of another deployment."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit_per_host=_CONNECTIONS)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=_TIMEOUT, headers=self._headers, trust_env=False
            )
        try:
            async with self._session.post(
                url + asked.PATH, data=asked.encode(question), allow_redirects=False
            ) as answer:
                body = await answer.read()
                status = answer.status
            told = asked.decode_told(body) if status == 200 else None  # noqa: PLR2004
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError) as error:
            message = f"the worker at {url} does not answer ({type(error).__name__})"
            raise unavailable(message) from error
        if told is None or told.app_id != question.app_id:
            message = f"what answers at {url} is not our worker: status {status}"
            raise unavailable(message)
        return told

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
