"""The API of live workers on a real Kafka, compared with a plain count and with the table."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from service.kafka import clients
from tests.support.api_client import (
    HOSTILE,
    HOUR_MS,
    START_MS,
    Answer,
    Sums,
    ask,
    baseline,
    event,
    of,
)
from tests.support.deployment import Deployment, Worker
from tests.support.deployment_fixtures import SHORT_SESSION_S, Deploy
from tests.support.patience import POLL_S, Patience

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

ACCOUNTS = 300


def drawn(count: int, seed: int = 1) -> list[Any]:
    """Events of two hours, of many accounts and of the hostile ones."""
    draw = random.Random(seed)
    names = [*(f"acct-{number}" for number in range(ACCOUNTS)), *HOSTILE]
    span = 2 * HOUR_MS
    return [
        event(
            names[int(draw.random() ** 2 * len(names))],
            START_MS + index * span // count,
            "follow" if draw.random() < 0.6 else "unfollow",
        )
        for index in range(count)
    ]


async def get(worker: Worker, path: str, **query: Any) -> Answer:
    return await asyncio.to_thread(ask, worker.settings.web_port, path, None, **query)


async def table(deployment: Deployment) -> dict[str, Any]:
    """Return each account's newest row of the updates topic."""
    async with clients.consumer(deployment.settings, auto_offset_reset="earliest") as reader:
        tps = deployment._of(deployment.settings.updates_topic)
        reader.assign(tps)
        ends, rows = await reader.end_offsets(tps), {}
        for tp in tps:
            while await reader.position(tp) < ends[tp]:
                for record in (await reader.getmany(tp, timeout_ms=200)).get(tp, ()):
                    rows[record.key.decode()] = json.loads(record.value)
        return rows


def as_in_table(row: dict[str, Any]) -> dict[str, Any]:
    """What an answer has in common with a row of the table."""
    windows = {
        grain: [[w["start_ms"], w["gained"], w["lost"], w["revision"]] for w in found]
        for grain, found in row["windows"].items()
    }
    names = ("account_id", "gained", "lost", "net", "followers", "baseline", "offset")
    return {**{name: row[name] for name in names}, "windows": windows}


def kept(row: dict[str, Any], watermark_ms: int) -> dict[str, Any]:
    """Return a row of the table without the windows that it drops at its next change."""
    ends = {"1m": 60_000 + 900_000, "1h": 4 * HOUR_MS, "1d": 3 * 24 * HOUR_MS}
    windows = {
        grain: [window for window in found if window[0] + ends[grain] > watermark_ms]
        for grain, found in row["windows"].items()
    }
    return {**{k: v for k, v in row.items() if k in as_in_table_names()}, "windows": windows}


def as_in_table_names() -> tuple[str, ...]:
    return ("account_id", "gained", "lost", "net", "followers", "baseline", "offset")


async def test_any_of_three_workers_answers_for_any_account_also_while_one_is_killed(
    deployed: Deploy,
) -> None:
    deployment = await deployed(partitions=6, session_timeout_s=SHORT_SESSION_S)
    sums = Sums()
    records = sums.count(drawn(6_000))
    told = [baseline(name, START_MS, 1_000_000) for name in HOSTILE]
    await deployment.produce([*told, *records])
    workers = [deployment.worker(api_rate=100_000.0) for _ in range(3)]
    for worker in workers:
        await worker.until("ready")
    await deployment.caught_up()
    names = [*(f"acct-{number}" for number in range(ACCOUNTS)), *HOSTILE]
    rows = await table(deployment)
    draw = random.Random(2)
    owners = set()
    asked = [(draw.choice(workers), name) for name in draw.choices(names, k=1_000)]
    for worker, name in asked:
        answer = await get(worker, of(name))
        assert answer.status == 200, answer
        row = answer.json
        fresh = row["freshness"]
        assert (row["gained"], row["lost"]) == sums.of(name)
        assert as_in_table(row) == kept(rows[name], fresh["watermark_ms"])
        assert row["followers"] == (1_000_000 + row["net"] if name in HOSTILE else None)
        assert fresh["applied_offset"] == fresh["committed_offset"] > row["offset"]
        assert 0 <= fresh["age_ms"] < 600_000, "an age, and no moment"
        owners.add(fresh["owner"])
    assert owners == {f"http://127.0.0.1:{worker.settings.web_port}" for worker in workers}

    await workers[0].kill()
    statuses: Counter[int] = Counter()
    good, patience = 0, Patience("300 good answers after one that is not ready")
    while good < 300:
        patience.look((good, statuses[200], [worker.said() for worker in workers]))
        name = draw.choice(names)
        answer = await get(draw.choice(workers[1:]), of(name))
        statuses[answer.status] += 1
        if answer.status == 200:
            assert (answer.json["gained"], answer.json["lost"]) == sums.of(name)
            good = good + 1 if statuses[503] else good
        else:
            assert answer.status == 503, answer
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["Content-Type"] == "application/problem+json"
            good = 0
            await asyncio.sleep(0.02)
    assert statuses[503], "the killed worker was never asked for"
    assert [await worker.stop() for worker in workers[1:]] == [0, 0]


async def test_leaders_of_all_shards_are_exact_with_ties_by_id(deployed: Deploy) -> None:
    deployment = await deployed(partitions=4)
    sums = Sums()
    known = [baseline(f"acct-{number}", START_MS, 40 + number) for number in range(0, ACCOUNTS, 3)]
    records = known + sums.count(drawn(8_000, seed=3))
    await deployment.produce(records)
    workers = [deployment.worker(api_rate=100_000.0) for _ in range(2)]
    for worker in workers:
        await worker.until("ready")
    await deployment.caught_up()
    for worker in workers:
        for by in ("net", "gained", "lost"):
            top = (await get(worker, "/api/top", grain="1h", by=by, n=50)).json
            for board in (top["current"], top["final"]):
                assert board["is_exact"]
                assert board["pending_partitions"] == []
                names = {"net": {"gainers": "net", "losers": "-net"}}.get(by, {by: by})
                for ranking, order in names.items():
                    expected = sums.leaders(board["start_ms"], order)[:50]
                    found = [
                        (one["account_id"], one["value"]) for one in board["rankings"][ranking]
                    ]
                    assert found == expected, (by, ranking, board["start_ms"])
        top = (await get(worker, "/api/top", grain="1h", by="growth", n=50)).json
        for board in (top["current"], top["final"]):
            assert board["is_exact"]
            before = {f"acct-{number}": 40 + number for number in range(0, ACCOUNTS, 3)}
            if board is top["current"]:
                net = dict(sums.leaders(START_MS, "net"))
                net |= {name: -value for name, value in sums.leaders(START_MS, "-net")}
                before = {name: size + net.get(name, 0) for name, size in before.items()}
            for ranking, order in (("growing", "net"), ("shrinking", "-net")):
                growth = [
                    (-(value * 10**9 // before[name]), name)
                    for name, value in sums.leaders(board["start_ms"], order)
                    if before.get(name, 0) > 0
                ]
                found = [(-one["value"], one["account_id"]) for one in board["rankings"][ranking]]
                assert found == sorted(growth)[:50], (ranking, board["start_ms"])
                assert len(found) > 10
            assert top["current"]["start_ms"] == START_MS - START_MS % HOUR_MS + HOUR_MS
            assert top["final"]["start_ms"] == START_MS - START_MS % HOUR_MS
            assert len(top["shards"]) == 4
    trail = (await get(workers[0], "/api/top", trail="1h", n=1)).json
    [first] = trail["current"]["rankings"]["gainers"]
    row = (await get(workers[1], of(first["account_id"]))).json
    assert first["trail"] == [[w["start_ms"], w["net"]] for w in row["windows"]["1h"]]
    service = (await get(workers[0], "/api/service")).json
    assert service["is_complete"]
    assert not service["is_rebalancing"]
    assert sum(service["outcomes"].values()) == len(records)
    assert service["lag_records"] == 0
    assert sorted(p for one in service["workers"] for p in one["partitions"]) == [0, 1, 2, 3]
    assert all(one["is_answering"] for one in service["workers"])


async def test_windows_say_open_or_final(deployed: Deploy) -> None:
    deployment = await deployed(partitions=1)
    await deployment.produce(
        [event("a", START_MS), event("a", START_MS + HOUR_MS + 61_000, "unfollow")]
    )
    worker = await deployment.ready_worker()
    await deployment.caught_up()
    answer = (await get(worker, "/api/accounts/a/windows", grain="1h")).json
    states = [(one["gained"], one["lost"], one["net"], one["state"]) for one in answer["windows"]]
    assert states == [(1, 0, 1, "final"), (0, 1, -1, "open")]
    assert answer["grain"] == "1h"
    assert answer["windows"][0]["end_ms"] == answer["windows"][1]["start_ms"]


WRONG = [
    ("/api/accounts/nobody", 404, "unknown-account"),
    ("/api/accounts/" + "x" * 257, 400, "bad-request"),
    ("/api/accounts/%FF", 400, "bad-request"),
    ("/api/accounts/a?grain=1h", 400, "bad-request"),
    ("/api/accounts/a/windows?grain=2h", 400, "bad-request"),
    ("/api/top?by=size", 400, "bad-request"),
    ("/api/top?n=51", 400, "bad-request"),
    ("/api/top?n=0", 400, "bad-request"),
    ("/api/top?n=1&n=2", 400, "bad-request"),
    ("/api/top?grain=1m", 400, "bad-request"),
    ("/api/top?n=%FF", 400, "bad-request"),
    ("/api/stream?" + "&".join(f"account=a{number}" for number in range(21)), 400, "bad-request"),
    ("/api/nothing", 404, "not-found"),
    ("/nothing", 404, "not-found"),
    ("/internal/ask", 405, "method-not-allowed"),
]


async def test_errors_are_problem_details_and_headers_are_safe(deployed: Deploy) -> None:
    deployment = await deployed(partitions=1)
    worker = await deployment.ready_worker()
    for path, status, name in WRONG:
        answer = await get(worker, path)
        assert answer.status == status, (path, answer)
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json
        assert problem["type"] == f"urn:netfollowers:problem:{name}"
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]
    for path in ("/", "/api/service", "/api/openapi.json", "/api/nothing", "/app.js"):
        answer = await get(worker, path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers
    patience = Patience("a ready worker that says so")
    while (said := (await get(worker, "/ready")).text) != "ready\n":
        patience.look(said)
        await asyncio.sleep(POLL_S)


async def test_a_token_is_asked_for_and_workers_prove_that_they_have_it(
    deployed: Deploy, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("sesame\n")
    deployment = await deployed(partitions=2)
    await deployment.produce([event(f"acct-{number}", START_MS) for number in range(20)])
    workers = [deployment.worker(api_token_file=str(token)) for _ in range(2)]
    for worker in workers:
        await worker.until("ready")
    await deployment.caught_up()
    port = workers[0].settings.web_port
    for path in ("/api/service", "/api/accounts/acct-1", "/api/stream"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "sesame"}):
            answer = await asyncio.to_thread(ask, port, path, headers)
            assert answer.status == 401, path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for number in range(20):
        headers = {"Authorization": "Bearer sesame"}
        answer = await asyncio.to_thread(ask, port, f"/api/accounts/acct-{number}", headers)
        assert (answer.status, answer.json["gained"]) == (200, 1)
    assert (await get(workers[0], "/")).status == 200
    assert (await get(workers[0], "/metrics")).status == 200
    assert all("sesame" not in worker.said() for worker in workers)


async def test_workers_that_advertise_one_address_say_what_to_set(deployed: Deploy) -> None:
    deployment = await deployed(partitions=4)
    await deployment.produce([event(f"acct-{number}", START_MS) for number in range(40)])
    address = "http://127.0.0.1:9"
    workers = [deployment.worker(advertised_url=address) for _ in range(2)]
    for worker in workers:
        await worker.until("ready")
    await deployment.caught_up()
    answers = [await get(workers[0], f"/api/accounts/acct-{number}") for number in range(40)]
    assert {answer.status for answer in answers} == {200, 503}
    refused = [answer for answer in answers if answer.status == 503]
    assert all("Retry-After" in answer.headers for answer in refused)
    told = " ".join(answer.json["detail"] for answer in refused)
    assert "NETFOLLOWERS_ADVERTISED_URL" in told
    service = (await get(workers[0], "/api/service")).json
    assert not service["is_complete"]


async def test_a_worker_back_under_its_instance_id_at_another_address_counts_and_answers(
    deployed: Deploy,
) -> None:
    """The group hands out the assignment as it was, with the address that is gone."""
    deployment = await deployed(partitions=4)
    first = deployment.worker(instance_id="a")
    second = deployment.worker(instance_id="b")
    await first.until("ready")
    await second.until("ready")
    sums = Sums()
    await deployment.produce(sums.count(drawn(2_000)))
    await deployment.caught_up()
    names = [f"acct-{number}" for number in range(40)]
    asked = [(name, await get(second, of(name))) for name in names]
    old = f"http://127.0.0.1:{first.settings.web_port}"
    moved = [name for name, one in asked if one.json["freshness"]["owner"] == old]
    assert moved
    await first.kill()
    back = await deployment.ready_worker(instance_id="a")
    assert "back at another address" in back.said()
    for name in names:
        own, other = await get(back, of(name)), await get(second, of(name))
        assert own.status == 200
        assert (own.json["gained"], own.json["lost"]) == sums.of(name)
        assert other.status == (503 if name in moved else 200)
    assert await back.stop() == 0
    assert await second.stop() == 0


async def test_who_asks_too_often_is_told_so(deployed: Deploy) -> None:
    deployment = await deployed(partitions=1)
    worker = await deployment.ready_worker(api_rate=5.0)
    answers = [await get(worker, "/api/service") for _ in range(30)]
    refused = [answer for answer in answers if answer.status == 429]
    assert len(refused) > 10
    assert refused[0].headers["Retry-After"] == "1"
    assert (await get(worker, "/live")).status == 200
