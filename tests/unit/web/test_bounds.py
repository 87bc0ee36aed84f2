"""What a client may request from a web port is bounded, and no answer holds the loop for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import pytest

from service.web.loop_turns import BOARDS, UNITS
from service.web.responses import RANKINGS
from tests.support.api_client import START_MS
from tests.support.web_port import Port, ask, count, follows, listening, question, raw

OURS = "net-followers"
MINUTE_MS = 60_000


def top(**changes: Any) -> dict[str, Any]:
    """A question for leaders."""
    asked = {"grain": "1h", "rankings": ["gainers"], "n": 10, "trail": None, **changes}
    return {"app_id": OURS, "top": asked}


TOO_MUCH: list[Any] = [
    top(rankings=["gainers"] * 7),
    top(rankings=["gainers"] * 80_000),
    top(rankings=["gainers", "gainers"]),
    top(rankings=["richest"]),
    top(n=0),
    top(n=-1),
    top(n=51),
    top(n=10**9),
    top(n=True),
    top(grain="2h"),
    top(trail="2h"),
    top(trail=""),
    top(grain=None),
    {"app_id": OURS, "accounts": [[0, "a"]] * 101},
    {"app_id": OURS, "accounts": [[-1, "a"]]},
    {"app_id": OURS, "accounts": [[0, ""]]},
    {"app_id": OURS, "accounts": [[0, "x" * 257]]},
    {"app_id": OURS, "accounts": [[0, 7]]},
    {"app_id": "x" * 2_000},
    {},
    [],
    b"",
    b"[" * 100_000,
    b'{"app_id": ' + b"[" * 100_000,
    b'{"more": ' + b"[" * 100_000,
    b'{"app_id": "\xff"}',
    b'{"app_id": "net-followers", "accounts": [[' + b"9" * 5_000 + b', "a"]]}',
]


async def test_a_question_that_no_worker_asks_is_refused() -> None:
    async with listening() as port:
        count(port.shards[0], follows(["a", "b"], [START_MS]))
        for asked in TOO_MUCH:
            answer = await question(port, asked)
            assert answer.status in {400, 413}, (asked, answer)
        assert (await question(port, {"app_id": "another"})).status == 421
        large = await question(port, b" " * 1_000_000)
        assert large.status == 413
        assert (await question(port, top(rankings=list(RANKINGS["net"]), n=50))).status == 200
        assert (await question(port, {"app_id": OURS, "accounts": [[0, "a"]]})).status == 200


async def test_a_question_is_json_by_its_content_type() -> None:
    """Else a browser would send it from any page, without asking this worker first."""
    async with listening() as port:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = await question(port, {"app_id": OURS}, Content_Type=kind)
            assert answer.status == 415, kind
        kind = "application/json; charset=utf-8"
        assert (await question(port, {"app_id": OURS}, Content_Type=kind)).status == 200


async def test_who_asks_too_much_of_internal_is_told_so_and_takes_nothing_from_the_api() -> None:
    async with listening(api_rate=5.0) as port:
        asked = top(n=50, trail="1m")
        statuses = [(await question(port, asked)).status for _ in range(30)]
        assert statuses[0] == 200
        assert statuses.count(429) > 10
        assert (await ask(port, "/api/service")).status == 200
        assert port.refusals()["rate"] == statuses.count(429)


async def turns_of(doing: Any) -> int:
    """How often the loop has turned while something was done."""
    task, turns = asyncio.ensure_future(doing), 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    await task
    return turns


async def test_the_loop_turns_while_many_windows_are_read() -> None:
    async with listening() as port:
        names = [f"acct-{number}" for number in range(100)]
        times = [START_MS + minute * MINUTE_MS for minute in range(14)]
        count(port.shards[0], follows(names, times))
        local = port.api._local
        many = [(0, name) for name in names] * 20
        read = 2_000 * (14 + 1 + 1)
        turns = await turns_of(local.looks(many))
        looked = await local.looks(many)
        rows = [one.row for one in looked if one.row is not None]
        assert sum(len(found) for row in rows for found in row.windows.values()) >= read
        assert turns > read // UNITS


async def test_the_loop_turns_between_the_boards_of_many_shards() -> None:
    async with listening(partitions=range(40), of=40) as port:
        for shard in port.shards:
            count(shard, follows(["a"], [START_MS]))
        turns = await turns_of(port.api.cluster.top("1h", "net", 50, "1m"))
        assert turns > 40 * BOARDS // UNITS


async def test_a_shard_that_is_lost_while_the_loop_turns_is_not_asked_any_more() -> None:
    async with listening() as port:
        names = [f"acct-{number}" for number in range(100)]
        times = [START_MS + minute * MINUTE_MS for minute in range(30)]
        count(port.shards[0], follows(names, times))
        looking = asyncio.ensure_future(port.api._local.looks([(0, name) for name in names] * 20))
        await asyncio.sleep(0)
        port.shards[0].is_running = False
        looked = await looking
        assert looked[0].freshness is not None
        assert looked[-1].freshness is None


async def test_only_places_that_may_lead_are_told_and_have_trails() -> None:
    async with listening(partitions=range(8), of=8) as port:
        for shard in port.shards:
            names = [f"{shard.partition}-{number}" for number in range(60)]
            count(shard, follows(names, [START_MS]))
        told = await question(port, top(n=50, trail="1m"))
        places = [
            place for one in told.json["top"] for place in one["current"]["rankings"]["gainers"]
        ]
        assert len(places) == 50
        assert all(place["trail"] for place in places)
        led = await port.api.cluster.top("1h", "net", 50, None)
        assert sorted(place["account_id"] for place in places) == sorted(
            place.account_id for place in led.current.rankings["gainers"]
        )


# ---- what comes before every limit


MALFORMED = [
    b"GET / HTTP/1.1\r\nX: " + b"0" * 100_000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nnot a header\r\n\r\n",
]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterable[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


async def test_a_request_that_cannot_be_read_is_one_line_without_a_traceback(
    said: pytest.LogCaptureFixture,
) -> None:
    async with listening() as port:
        for text in MALFORMED:
            assert b"400" in (await raw(port, text)).partition(b"\r\n")[0]
    lines = [one for one in said.records if one.levelno >= logging.INFO]
    assert len(lines) >= 4
    for line in lines:
        assert line.exc_info is None
        assert "\n" not in line.getMessage()
        assert len(line.getMessage()) < 400


async def test_a_body_that_does_not_come_whole_is_a_bad_request() -> None:
    async with listening() as port:
        head = b"POST /internal/ask HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        slow = await raw(port, head + b"Connection: close\r\nContent-Length: 100\r\n\r\n{")
        assert b" 400 " in slow.partition(b"\r\n")[0]
        bad = await raw(port, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert b" 400 " in bad.partition(b"\r\n")[0]


async def status(port: Port, path: str, **headers: str) -> int:
    return (await ask(port, path, **headers)).status


@pytest.mark.parametrize(
    ("path", "method"),
    [("/", "GET"), ("/api/service", "GET"), ("/metrics", "GET"), ("/internal/ask", "POST")],
)
async def test_a_page_of_another_site_or_name_is_refused(path: str, method: str) -> None:
    async with listening(web_names="net.example, stats.example") as port:
        own = f"127.0.0.1:{port.number}"
        data = b'{"app_id": "net-followers"}' if method == "POST" else None

        async def answered(**headers: str) -> int:
            headers = {"Content_Type": "application/json", **headers}
            return (await ask(port, path, method=method, data=data, **headers)).status

        foreign: list[dict[str, str]] = [
            {"Host": "evil.example"},
            {"Host": "evil.example:6066"},
            {"Host": "127.0.0.1.evil.example"},
            {"Host": "evil.net.example"},
            {"Origin": "http://evil.example"},
            {"Origin": "http://127.0.0.1:18899"},
            {"Origin": "http://localhost:18899"},
            {"Origin": "null"},
            {"Origin": "file://"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        ]
        for headers in foreign:
            assert await answered(**headers) == 403, headers
        ours: list[dict[str, str]] = [
            {},
            {"Host": "localhost:6066"},
            {"Host": "worker-1:6066"},
            {"Host": "10.0.0.7"},
            {"Host": "[::1]:6066"},
            {"Host": "NET.example"},
            {"Host": "stats.example:443", "Origin": "https://stats.example:443"},
            {"Origin": "https://net.example"},
            {"Origin": f"http://{own}", "Sec_Fetch_Site": "same-origin"},
            {"Sec_Fetch_Site": "none"},
        ]
        for headers in ours:
            assert await answered(**headers) == 200, headers
        found = port.refusals()
        assert (found["host"], found["origin"]) == (4, 8)


async def test_a_link_on_another_page_leads_here_all_the_same() -> None:
    follows_a_link = {
        "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document",
    }  # fmt: skip
    async with listening() as port:
        assert await status(port, "/", **follows_a_link) == 200
        assert await status(port, "/", **{**follows_a_link, "Sec_Fetch_Dest": "iframe"}) == 403
        assert await status(port, "/", Host="evil.example", **follows_a_link) == 403


async def test_an_orchestrator_may_ask_under_any_name() -> None:
    async with listening() as port:
        for path in ("/live", "/ready"):
            assert await status(port, path, Host="probe.example") == 200


async def test_the_name_that_a_worker_advertises_is_its_own() -> None:
    async with listening() as port:
        port.api.found_at("http://worker-0.workers.example:6066")
        assert await status(port, "/api/service", Host="worker-0.workers.example:6066") == 200
