"""Workers prove a secret to each other; what others advertise and answer is believed by no one."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from service.kafka.aiokafka_ext.group_health import usable
from service.kafka.partitioning import partition_of
from service.settings import Settings
from service.web.peer_authentication import HEADER, Proofs, UnprovedError
from service.web.stream import Client
from tests.support.api_client import START_MS
from tests.support.patience import SILENCE_S
from tests.support.web_port import Port, ask, count, follows, listening, question

PATH = "/internal/ask"
NOW_S = 1_760_000_400.0
SECRET = "sesame"  # noqa: S105 - of a test
ALPHA = "http://alpha:6066"


def proofs(secret: str = SECRET, app_id: str = "net-followers", at_s: float = NOW_S) -> Proofs:
    return Proofs(secret, app_id, lambda: at_s)


def test_a_proof_is_good_once_for_one_question_to_one_worker_at_its_time() -> None:
    header, nonce = proofs().of_question(ALPHA, PATH, b"{}")
    judge = proofs()
    assert judge.judge_question(header, ALPHA, PATH, b"{}") == nonce
    with pytest.raises(UnprovedError, match="received before"):
        judge.judge_question(header, ALPHA, PATH, b"{}")
    wrong: list[tuple[Proofs, str, str, bytes]] = [
        (proofs(), "http://beta:6066", PATH, b"{}"),
        (proofs(), ALPHA, "/other", b"{}"),
        (proofs(), ALPHA, PATH, b"{ }"),
        (proofs("another"), ALPHA, PATH, b"{}"),
        (proofs(app_id="another"), ALPHA, PATH, b"{}"),
        (proofs(at_s=NOW_S + 61), ALPHA, PATH, b"{}"),
        (proofs(at_s=NOW_S - 61), ALPHA, PATH, b"{}"),
    ]
    for by, target, path, body in wrong:
        with pytest.raises(UnprovedError):
            by.judge_question(header, target, path, body)
    for clock in (NOW_S - 59, NOW_S + 59):
        assert proofs(at_s=clock).judge_question(header, ALPHA, PATH, b"{}") == nonce


@pytest.mark.parametrize(
    "header", ["", "1", "Bearer sesame", "1 2 3 4", f"1 {'1' * 13} {'a' * 32} {'0' * 64}", "é" * 9]
)
def test_what_is_no_proof_is_refused(header: str) -> None:
    with pytest.raises(UnprovedError):
        proofs().judge_question(header, ALPHA, PATH, b"{}")


def test_a_nonce_is_remembered_no_longer_than_it_is_believed() -> None:
    at_s = NOW_S
    judge = Proofs("sesame", "a", lambda: at_s)
    for _ in range(100):
        judge.judge_question(judge.of_question(ALPHA, PATH, b"")[0], ALPHA, PATH, b"")
        at_s += 10.0
    assert len(judge._seen) < 20


def test_the_proof_is_a_keyed_hash_as_documented() -> None:
    """By hand, after docs/operate/security.md: nothing of the secret can be read from it."""
    header, nonce = proofs().of_question(ALPHA, PATH, b"{}")
    _, at, given, mac = header.split(" ")
    key = hmac.digest(b"sesame", b"netfollowers workers net-followers", "sha256")
    parts = ("question", ALPHA, PATH, at, given, "{}")
    hashed = b"".join(hashlib.sha256(part.encode()).digest() for part in parts)
    assert (given, mac) == (nonce, hmac.digest(key, hashed, "sha256").hex())


def test_the_secret_of_workers_is_the_token_unless_they_have_their_own(tmp_path: Path) -> None:
    token, own = tmp_path / "token", tmp_path / "own"
    token.write_text("token-secret\n")
    own.write_text("own-secret\n")
    by_token = Proofs.of(Settings(api_token_file=str(token)))
    by_own = Proofs.of(Settings(api_token_file=str(token), peer_secret_file=str(own)))
    assert by_token.of_answer("n", b"") == Proofs("token-secret", "net-followers").of_answer(
        "n", b""
    )
    assert by_own.of_answer("n", b"") == Proofs("own-secret", "net-followers").of_answer("n", b"")
    assert not Proofs.of(Settings()).is_needed


# ---- two workers


@asynccontextmanager
async def two(**changes: Any) -> AsyncIterator[tuple[Port, Port]]:
    """Two web ports of a group of two partitions, each of which runs one."""
    async with (
        listening(partitions=[0], of=2, **changes) as one,
        listening(partitions=[1], of=2, **changes) as other,
    ):
        introduced(one, other.url)
        introduced(other, one.url)
        for port in (one, other):
            count(port.shards[0], follows(THEIRS + OURS, [START_MS]))
        yield one, other


def introduced(port: Port, url: str) -> None:
    """Let a worker know, by the group's assignment, which worker runs the other partition."""
    mine = port.shards[0].partition
    port.membership.assigned(2, usable({mine: port.url, 1 - mine: url}))


def accounts_of(partition: int) -> list[str]:
    names = [f"acct-{number}" for number in range(40)]
    return [name for name in names if partition_of(name.encode(), 2) == partition]


OURS, THEIRS = accounts_of(0), accounts_of(1)


async def test_two_workers_with_one_secret_answer_for_each_other(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("sesame")
    async with two(api_token_file=str(token)) as (one, other):
        for port in (one, other):
            for name in (OURS[0], THEIRS[0]):
                answer = await ask(port, f"/api/accounts/{name}", Authorization="bearer sesame")
                assert (answer.status, answer.json["gained"]) == (200, 1)
            top = await ask(port, "/api/top?trail=1m", Authorization="Bearer sesame")
            assert top.status == 200
            service = await ask(port, "/api/service", Authorization="BEARER sesame")
            assert service.json["is_complete"]


async def test_a_partition_without_events_is_answered_for_too() -> None:
    """Its boards are as an open leaves them: of a window before the epoch."""
    async with (
        listening(partitions=[0], of=2) as one,
        listening(partitions=[1], of=2) as other,
    ):
        introduced(one, other.url)
        for leaders in other.shards[0].engine.leaders:
            leaders.restore(-1, -1, -1)
            assert leaders.current.start_ms < 0
        for path in ("/api/top", "/api/service"):
            assert (await ask(one, path)).status == 200
        assert (await ask(one, "/api/service")).json["is_complete"]
        assert (await ask(one, f"/api/accounts/{THEIRS[0]}")).status == 404


async def test_the_token_itself_is_no_proof(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("sesame")
    async with two(api_token_file=str(token)) as (one, _):
        asked = {"app_id": "net-followers", "service": True}
        for headers in ({}, {"Authorization": "Bearer sesame"}, {"Netfollowers_Proof": "1 x"}):
            refused = await question(one, asked, **headers)
            assert refused.status == 401
            assert "WWW-Authenticate" not in refused.headers
        assert one.refusals() == {"proof": 3}


async def test_strangers_do_not_use_up_what_workers_ask_each_other(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("sesame")
    async with two(api_token_file=str(token), api_rate=5.0) as (one, other):
        for _ in range(150):
            assert (await question(other, {"app_id": "x"})).status == 401
        answer = await ask(one, f"/api/accounts/{THEIRS[0]}", Authorization="Bearer sesame")
        assert answer.status == 200


async def test_workers_with_different_secrets_believe_nothing_of_each_other(tmp_path: Path) -> None:
    secrets = [tmp_path / "a", tmp_path / "b"]
    for path in secrets:
        path.write_text(path.name)
    async with (
        listening(partitions=[0], of=2, peer_secret_file=str(secrets[0])) as one,
        listening(partitions=[1], of=2, peer_secret_file=str(secrets[1])) as other,
    ):
        introduced(one, other.url)
        answer = await ask(one, f"/api/accounts/{THEIRS[0]}")
        assert answer.status == 503
        assert "status 401" in answer.json["detail"]


# ---- a member that answers what it likes

Answers = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def stranger(answers: Answers) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Listen at a member's address. Yield the address, and the requests that came."""
    heard: list[web.Request] = []

    async def hear(request: web.Request) -> web.StreamResponse:
        await request.read()
        heard.append(request)
        return await answers(request)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", hear)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", heard
    finally:
        await runner.cleanup()


def fresh(**changes: Any) -> dict[str, Any]:
    return {
        "partition": 1, "owner": "http://a:1", "watermark_ms": 1, "applied_offset": 9,
        "committed_offset": 9, "age_ms": 0, **changes,
    }  # fmt: skip


def row(**changes: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"1m": [], "1h": [], "1d": []}
    return {
        "account_id": THEIRS[0], "gained": 10, "lost": 3, "net": 7, "followers": None,
        "baseline": None, "last_event_ms": START_MS, "offset": 1, "windows": empty,
        "freshness": fresh(), **changes,
    }  # fmt: skip


def window(**changes: Any) -> dict[str, Any]:
    return {
        "start_ms": START_MS, "end_ms": START_MS + 1, "gained": 1, "lost": 0, "net": 1,
        "revision": 0, "state": "open", **changes,
    }  # fmt: skip


def looked(row: Any, **changes: Any) -> dict[str, Any]:
    return {"app_id": "net-followers", "accounts": [{"freshness": fresh(**changes), "row": row}]}


LIES: list[Any] = [
    {"app_id": "net-followers", "accounts": []},
    {"app_id": "net-followers", "accounts": looked(row())["accounts"] * 2},
    {"app_id": "another", "accounts": looked(row())["accounts"]},
    {**looked(row()), "shards": [{"partition": 1, "owner": "x", "state": "running"}]},
    {"app_id": "net-followers", "accounts": [{"freshness": None, "row": row()}]},
    looked(row(), partition=0),
    looked(row(account_id=OURS[0])),
    looked(row(gained=10**15)),
    looked(row(gained=-1, net=-4)),
    looked(row(gained="10")),
    looked(row(gained=10**30, net=10**30 - 3)),
    looked(row(windows={})),
    looked(row(windows={"1m": [], "1h": [], "1d": [], "2d": []})),
    looked(row(windows={"1m": [window(net=5)], "1h": [], "1d": []})),
    looked(row(windows={"1m": [window(start_ms=10**17)], "1h": [], "1d": []})),
    looked(row(windows={"1m": [window(end_ms=0)], "1h": [], "1d": []})),
    looked(row(windows={"1m": [window(state="maybe")], "1h": [], "1d": []})),
    looked(row(), applied_offset=-1),
    looked(row(), owner="x" * 1_000),
    [],
    None,
]


def telling(text: bytes, **headers: str) -> Answers:
    async def answers(_: web.Request) -> web.StreamResponse:
        return web.Response(body=text, content_type="application/json", headers=headers)

    return answers


async def test_a_good_answer_of_a_stranger_is_believed_where_there_is_no_secret() -> None:
    """Else the lies below would show nothing."""
    async with (
        stranger(telling(json.dumps(looked(row())).encode())) as (url, _),
        listening(partitions=[0], of=2) as port,
    ):
        introduced(port, url)
        answer = await ask(port, f"/api/accounts/{THEIRS[0]}")
        assert (answer.status, answer.json["gained"]) == (200, 10)


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_about_an_account_is_not_passed_on(lie: Any) -> None:
    async with (
        stranger(telling(json.dumps(lie).encode())) as (url, heard),
        listening(partitions=[0], of=2) as port,
    ):
        introduced(port, url)
        answer = await ask(port, f"/api/accounts/{THEIRS[0]}")
        assert answer.status == 503, answer.body
        assert heard


TEXTS = [
    b"",
    b"{",
    b"[" * 60_000,
    b'{"app_id":"\xff"}',
    b'{"more": ' + b"[" * 60_000,
    b"\x1f\x8b" + b"\0" * 100,
    b"9" * 5_000,
]


@pytest.mark.parametrize("text", TEXTS)
async def test_what_is_no_answer_is_503(text: bytes) -> None:
    async with (
        stranger(telling(text)) as (url, _),
        listening(partitions=[0], of=2) as port,
    ):
        introduced(port, url)
        for path in (f"/api/accounts/{THEIRS[0]}", "/api/top"):
            assert (await ask(port, path)).status == 503
        service = await ask(port, "/api/service")
        assert (service.status, service.json["is_complete"]) == (200, False)


def shard_top(**changes: Any) -> dict[str, Any]:
    board = {"start_ms": START_MS, "is_exact": True, "rankings": {"gainers": [], "losers": []}}
    return {"freshness": fresh(), "current": board, "final": board, **changes}


def board(**rankings: Any) -> dict[str, Any]:
    return {"start_ms": START_MS, "is_exact": True, "rankings": rankings}


PLACE = {"account_id": "a", "value": 1, "trail": []}
FALSE_TOPS: list[Any] = [
    [],
    [shard_top(), shard_top()],
    [shard_top(freshness=fresh(partition=2))],
    [shard_top(current=board())],
    [shard_top(current=board(gainers=[]))],
    [shard_top(current=board(gainers=[PLACE] * 11, losers=[]))],
    [shard_top(current=board(gainers=[{**PLACE, "value": 0}], losers=[]))],
    [shard_top(current=board(gainers=[{**PLACE, "trail": [[10**17, 1]]}], losers=[]))],
]


async def test_leaders_that_were_not_asked_for_are_not_passed_on() -> None:
    tops: Any = [shard_top()]
    told = {"app_id": "net-followers"}

    async def answers(_: web.Request) -> web.StreamResponse:
        return web.json_response({**told, "top": tops})

    async with stranger(answers) as (url, _), listening(partitions=[0], of=2) as port:
        introduced(port, url)
        assert (await ask(port, "/api/top")).status == 200
        for tops in FALSE_TOPS:
            assert (await ask(port, "/api/top")).status == 503, tops


async def test_an_answer_without_end_is_cut_off() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)
            sent += 65_536

    async with stranger(endless) as (url, _), listening(partitions=[0], of=2) as port:
        introduced(port, url)
        answer = await ask(port, f"/api/accounts/{THEIRS[0]}")
        assert answer.status == 503
        assert "too many bytes" in answer.json["detail"]
        assert sent < 20_000_000, "what the kernel's buffers hold, and no more"


async def test_a_stranger_gets_no_secret_and_its_answer_needs_one(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("sesame-token")
    good = json.dumps(looked(row())).encode()
    async with (
        stranger(telling(good, **{HEADER: "1 " + "0" * 64})) as (url, heard),
        listening(partitions=[0], of=2, api_token_file=str(token)) as port,
    ):
        introduced(port, url)
        name = f"/api/accounts/{THEIRS[0]}"
        answer = await ask(port, name, Authorization="Bearer sesame-token")
        assert answer.status == 503
        assert "proof" in answer.json["detail"]
        [request] = heard
        assert "Authorization" not in request.headers
        assert "sesame" not in repr(request.headers)
        header = request.headers[HEADER]
        body = await request.read()
        relayed = await ask(
            port, "/internal/ask", method="POST", data=body, Content_Type="application/json",
            Netfollowers_Proof=header,
        )  # fmt: skip
        assert relayed.status == 401, "a question to another is none to this worker"


async def test_an_answer_of_a_stranger_ends_no_stream() -> None:
    lies = iter(LIES * 100)

    async def answers(_: web.Request) -> web.StreamResponse:
        return web.json_response(next(lies))

    async with stranger(answers) as (url, _), listening(partitions=[0], of=2) as port:
        introduced(port, url)
        count(port.shards[0], follows(OURS, [START_MS]))
        events = port.api._hub.events(Client((THEIRS[0],), "1h", {}))
        async with asyncio.timeout(SILENCE_S):
            for _ in range(3):
                text = await anext(events)
                assert b"event: problem" in text
                assert b"event: service" in text
        await events.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "address",
    [
        "", "10.0.0.1:6066", "http://10.0.0.1", "http://10.0.0.1:6066/admin?x=", "file:///etc",
        "http://a:b@10.0.0.1:6066", "http://10.0.0.1:66666", "http://10.0.0.1:6066#", "ftp://a:1",
        "http://a b:1", "http://a:6066\r\nX: y", "http://169.254.169.254:80/latest",
    ],
)  # fmt: skip
def test_an_address_that_could_not_be_set_is_not_asked(address: str) -> None:
    assert usable({0: address, 1: ALPHA}) == {1: ALPHA}


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1:6066", "http://[::1]:6066", "https://w-1.a:1"]
)
def test_an_address_that_could_be_set_is_asked(address: str) -> None:
    assert usable({0: address}) == {0: address}
