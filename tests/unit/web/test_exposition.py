"""/metrics is as prometheus_client writes it, once for all requests at a time, in slices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.exposition import choose_encoder

from service.metrics.exposition import REST_S, SLICE, Exposition
from tests.support.api_client import START_MS
from tests.support.web_port import ask, count, follows, listening
from tests.unit.web.test_bounds import turns_of

ACCEPTS = [
    "", "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0",
    "application/openmetrics-text; version=1.0.0; escaping=allow-utf-8", "text/html", "\x00",
]  # fmt: skip
MANY: dict[str, Any] = {"watch": ",".join(f"acct-{number}" for number in range(1_000))}


def ours(text: bytes) -> list[bytes]:
    """Lines of our own metrics that do not move with time."""
    return [
        line for line in text.splitlines()
        if b"netfollowers_" in line and b"timestamp" not in line and b"tasks" not in line
    ]  # fmt: skip


@pytest.mark.parametrize("accept", ACCEPTS)
async def test_a_text_made_in_slices_is_the_one_made_in_one_go(accept: str) -> None:
    async with listening(**MANY) as port:
        count(port.shards[0], follows(MANY["watch"].split(","), [START_MS]))
        text, content_type = await Exposition(port.metrics.registry).text(accept)
        encode, right_type = choose_encoder(accept)
        right = encode(port.metrics.registry)
    assert content_type == right_type
    assert ours(text) == ours(right)
    assert len(ours(text)) > 5 * SLICE
    assert text.count(b"# EOF") == right.count(b"# EOF")
    assert text.endswith(b"# EOF\n") == right.endswith(b"# EOF\n")


async def test_the_loop_turns_while_a_long_text_is_made() -> None:
    async with listening(**MANY) as port:
        count(port.shards[0], follows(MANY["watch"].split(","), [START_MS]))
        samples = 1_000 * 4 * 3
        exposition = Exposition(port.metrics.registry)
        exposition._families = list(port.metrics.registry.collect())
        assert await turns_of(exposition._encoded(choose_encoder("")[0])) > samples // SLICE
        assert await turns_of(exposition._collected()) > 3


class Counted:
    """A registry that counts how often it is collected."""

    def __init__(self) -> None:
        self.times = 0

    def collect(self) -> list[object]:
        self.times += 1
        return []


async def test_four_hundred_who_ask_at_once_cost_two_texts() -> None:
    registry = Counted()
    exposition = Exposition(registry)  # type: ignore[arg-type]
    await asyncio.gather(*(exposition.text("") for _ in range(400)))
    assert registry.times <= 2


async def test_a_text_is_never_older_than_the_question() -> None:
    async with listening() as port:
        for number in range(1, 6):
            count(port.shards[0], follows(["a"], [START_MS]))
            text = (await ask(port, "/metrics")).body
            assert b'netfollowers_position{partition="0"} %d.0' % number in text


@pytest.mark.parametrize(("takes_s", "rests_s"), [(0.01, 0.1), (0.05, 0.5), (5.0, REST_S)])
async def test_texts_take_a_tenth_of_the_time_at_most_or_come_once_a_second(
    takes_s: float, rests_s: float
) -> None:
    now = 0.0

    class Slow:
        """Takes some time, by the clock of this test."""

        def collect(self) -> Iterator[object]:
            """Let the time pass."""
            nonlocal now
            now += takes_s
            yield from ()

    exposition = Exposition(Slow(), now=lambda: now, cpu=lambda: now)  # type: ignore[arg-type]
    await exposition.text("")
    assert exposition._not_before - now == pytest.approx(rests_s)


ODD = [
    "application/openmetrics-text; version=9.9.9", "application/openmetrics-text;version=1.x",
    "text/plain;version=99999999999999999999", "application/openmetrics-text;version=",
    "text/plain; version=1.0.0; version=2.0.0", ",;,=",
    "application/openmetrics-text;version=1.0.0.7",
]  # fmt: skip


async def test_a_version_that_there_is_not_makes_no_text_of_its_own() -> None:
    """A client could request a thousand of them."""
    async with listening() as port:
        exposition = Exposition(port.metrics.registry)
        plain = (await exposition.text(""))[1]
        for accept in ODD:
            assert (await exposition.text(accept))[1] == plain, accept
            assert len(exposition._texts) == 1
        for accept in ODD:
            assert (await ask(port, "/metrics", Accept=accept)).status == 200


async def test_live_is_answered_while_many_ask_for_metrics() -> None:
    """By count: all of them together are a few texts, not hundreds."""
    async with listening(api_connections=1_000) as port:
        calls = 0
        collect = port.metrics.registry.collect

        def counted() -> object:
            nonlocal calls
            calls += 1
            return collect()

        port.metrics.registry.collect = counted  # type: ignore[assignment, method-assign]
        asking = [asyncio.ensure_future(ask(port, "/metrics")) for _ in range(200)]
        assert (await ask(port, "/live")).status == 200
        answers = await asyncio.gather(*asking)
        assert {one.status for one in answers} == {200}
        assert calls < 20
