"""Finds the version of each worker of the group, from its /metrics.

The group's assignment names the workers' addresses (docs/design/decisions/0014). A member may
advertise any address. So the request contains no secret, and the time and the size of the response
are limited.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Iterable
from typing import Final

import aiohttp
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.assignor.client_assignment import ClientMetadata

from service import __version__
from service.commands.doctor_note import Note

_WITHIN_S: Final = 5.0
_MOST_BYTES: Final = 4_000_000
_MOST_WORKERS: Final = 64
_VERSION: Final = re.compile(r'^netfollowers_build_info\{version="([^"]{1,40})"\} 1', re.MULTILINE)
_ADDRESS: Final = re.compile(r"https?://[^/\s@]{1,260}/?")


async def look_at_workers(assignments: Iterable[bytes]) -> list[Note]:
    """Request the version of each worker. `assignments`: of the members of the group."""
    urls = sorted({url for url in map(_address, assignments) if _ADDRESS.fullmatch(url)})
    timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        versions = await asyncio.gather(*(_version(session, url) for url in urls[:_MOST_WORKERS]))
    if not versions:
        return []
    named = ", ".join(f"{url} {version}" for url, version in zip(urls, versions, strict=False))
    if set(versions) == {__version__}:
        return [Note("ok", f"workers: {named}")]
    todo = "this is normal only during a rolling upgrade: docs/operate/upgrading.md"
    return [Note("warning", f"not every worker reports version {__version__}: {named}", todo)]


def _address(assignment: bytes) -> str:
    """Return the address that a member advertises; "" if it is not that of a worker."""
    try:
        told = ConsumerProtocolMemberAssignment.decode(assignment)
        return str(ClientMetadata.loads(zlib.decompress(told.user_data)).url)
    except Exception:  # noqa: BLE001 - bytes of a stranger; a member without an address is no worker
        return ""


async def _version(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(f"{url.rstrip('/')}/metrics", allow_redirects=False) as answer:
            body = bytearray()
            while len(body) < _MOST_BYTES and (part := await answer.content.readany()):
                body += part
            text = body.decode(errors="replace")
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return "does not answer"
    found = _VERSION.search(text)
    return found[1] if found else "reports no version"
