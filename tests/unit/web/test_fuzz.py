"""Random questions, answers and bytes: each has one of a few outcomes, and the port lives."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from typing import Any

from aiohttp import web

from tests.support.api_client import START_MS
from tests.support.property_examples import some
from tests.support.web_port import ask, count, follows, listening, question, raw
from tests.unit.web.test_peer_authentication import (
    OURS,
    THEIRS,
    introduced,
    looked,
    row,
    shard_top,
    stranger,
    window,
)

ODD: list[Any] = [
    None, True, -1, 0, 1, 50, 51, 2**31, 2**63, 10**30, 0.5, 1e308, "", "a", "x" * 300, "1h", "1m",
    "gainers", "net-followers", "\x00", "\ud7ff", [], {}, [[]], [[0, "a"]], {"a": {}},
]  # fmt: skip


def mutated(draw: random.Random, value: Any) -> Any:
    """The same JSON with one place of it changed, left out, doubled, or put elsewhere."""
    if isinstance(value, dict) and value and draw.random() < 0.8:
        changed = dict(value)
        name = draw.choice(list(changed))
        if draw.random() < 0.15:
            del changed[name]
        elif draw.random() < 0.1:
            changed[draw.choice(list(changed))] = changed[name]
        else:
            changed[name] = mutated(draw, changed[name])
        return changed
    if isinstance(value, list) and value and draw.random() < 0.8:
        at = draw.randrange(len(value))
        middle = draw.choice([[], [value[at]] * 2, [mutated(draw, value[at])] * 1])
        return [*value[:at], *middle, *value[at + 1 :]]
    return draw.choice(ODD)


def bytes_of(draw: random.Random, value: Any) -> bytes:
    """JSON, now and then with a byte that is another."""
    text = bytearray(json.dumps(value).encode())
    if text and draw.random() < 0.2:
        text[draw.randrange(len(text))] = draw.randrange(256)
    return bytes(text)


async def test_whatever_is_asked_of_internal_is_answered_or_refused() -> None:
    draw = random.Random(1)
    top = {"grain": "1h", "rankings": ["gainers", "losers"], "n": 10, "trail": "1m"}
    good = {
        "app_id": "net-followers",
        "accounts": [[0, "a"], [1, "b"]],
        "top": top,
        "service": True,
    }
    statuses = set()
    async with listening(partitions=range(2), of=2, api_rate=1e6) as port:
        for shard in port.shards:
            count(shard, follows(["a", "b"], [START_MS]))
        for _ in some(1_500):
            asked = good
            for _ in range(draw.randrange(1, 4)):
                asked = mutated(draw, asked)
            statuses.add((await question(port, bytes_of(draw, asked))).status)
        assert statuses == {200, 400, 421}
        assert (await question(port, good)).status == 200


async def test_whatever_another_worker_answers_is_believed_or_503() -> None:
    draw = random.Random(2)
    empty: dict[str, Any] = {"1m": [window()], "1h": [], "1d": [window(gained=2, lost=1, net=1)]}
    rows = looked(row(windows=empty))
    tops = {"app_id": "net-followers", "top": [shard_top()]}
    statuses: dict[str, set[int]] = {"/api/top": set(), f"/api/accounts/{THEIRS[0]}": set()}

    async def answers(request: web.Request) -> web.StreamResponse:
        said = tops if b'"top":{' in await request.read() else rows
        for _ in range(draw.randrange(3)):
            said = mutated(draw, said)
        return web.Response(body=bytes_of(draw, said), content_type="application/json")

    async with (
        stranger(answers) as (url, _),
        listening(partitions=[0], of=2, api_rate=1e6) as port,
    ):
        introduced(port, url)
        count(port.shards[0], follows(OURS, [START_MS]))
        for path, found in statuses.items():
            for _ in some(500):
                answer = await ask(port, path)
                found.add(answer.status)
                assert answer.status != 200 or answer.json
    assert statuses["/api/top"] == {200, 503}
    assert statuses[f"/api/accounts/{THEIRS[0]}"] in ({200, 503}, {200, 404, 503})


REQUEST = (
    b"POST /internal/ask?a=%C3%A9 HTTP/1.1\r\nHost: 127.0.0.1:6066\r\nAuthorization: Bearer x\r\n"
    b"Content-Type: application/json\r\nContent-Length: 27\r\nOrigin: http://a\r\n"
    b'Last-Event-ID: 1.0:1:1\r\nConnection: close\r\n\r\n{"app_id": "net-followers"}'
)


async def test_whatever_bytes_come_the_port_lives() -> None:
    draw = random.Random(3)
    async with listening(api_rate=1e6) as port:
        for _ in some(400):
            text = bytearray(REQUEST)
            for _ in range(draw.randrange(1, 6)):
                at = draw.randrange(len(text))
                text[at : at + draw.choice([0, 1, 1, 20])] = bytes(
                    draw.choices(
                        [0, 10, 13, 32, 58, 97, 255, draw.randrange(256)], k=draw.choice([0, 1, 9])
                    )
                )
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.2):  # what is not whole is waited for
                    answer = await raw(port, bytes(text))
                    assert not answer.startswith(b"HTTP/1.1 500"), bytes(text)
        assert (await ask(port, "/live")).status == 200
        assert (await ask(port, "/api/service")).status == 200
