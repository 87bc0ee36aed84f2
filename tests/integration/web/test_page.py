"""The page in a real Chromium: every view, both themes, phone and desk, keys, hostile names."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.web.browser import Wire, chromium, opened
from tests.support.api_client import HOSTILE, HOUR_MS, Sums, ask, baseline, event, of
from tests.support.deployment import Deployment, Worker
from tests.support.deployment_fixtures import Deploy

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

MINUS = "\N{MINUS SIGN}"
LIVE = "document.body.dataset.state === 'live'"
SHOWN = "!document.getElementById('account').hidden"
LEADERS = "document.querySelectorAll('#gainers button').length > 2"


def recent() -> tuple[list[Any], Sums]:
    """Two hours up to now: a star, a falling one, hostile names, a quiet crowd."""
    draw, sums, now = random.Random(5), Sums(), int(time.time() * 1_000)
    made = []
    crowd = [f"acct-{number}" for number in range(40)]
    for index in range(3_000):
        age = (1 - index / 3_000) ** 2
        at = now - 5_000 - int(age * 2.2 * HOUR_MS)
        choice = draw.random()
        if choice < 0.3:
            name, share = "studio-north", 0.75
        elif choice < 0.5:
            name, share = "old-news", 0.2
        elif choice < 0.6:
            name, share = draw.choice(HOSTILE), 0.8
        else:
            name, share = draw.choice(crowd), 0.6
        made.append(event(name, at, "follow" if draw.random() < share else "unfollow"))
    return sums.count(made), sums


async def started(deployed: Deploy) -> tuple[Deployment, Worker, Sums]:
    deployment = await deployed(partitions=3)
    made, sums = recent()
    first = baseline("studio-north", int(time.time() * 1_000) - 3 * HOUR_MS, 120_000)
    await deployment.produce([first, *made])
    worker = await deployment.ready_worker(api_rate=10_000.0)
    await deployment.caught_up()
    return deployment, worker, sums


def address(worker: Worker, account: str = "") -> str:
    page = f"http://127.0.0.1:{worker.settings.web_port}/"
    return page + (f"#account={quote(account, safe='')}" if account else "")


async def test_every_view_in_both_themes_on_phone_and_desk_without_a_violation(
    deployed: Deploy, tmp_path: Path
) -> None:
    """SCREENSHOTS=docs/guide/page saves what was seen there."""
    _, worker, _ = await started(deployed)
    pictures = Path(os.environ.get("SCREENSHOTS", tmp_path))
    async with chromium() as browser:
        for theme in ("light", "dark"):
            for width in (390, 1_400):
                url = address(worker, "studio-north")
                async with opened(browser, url, theme=theme, width=width) as seen:
                    for state in (LIVE, SHOWN, LEADERS):
                        await seen.until(state)
                    await asyncio.sleep(1.2)  # a rate needs two looks
                    name = f"{'phone' if width < 500 else 'desk'}-{theme}.png"
                    await seen.page.screenshot(path=pictures / name, full_page=True)
                    for summary in await seen.page.locator("summary").all():
                        await summary.click()
                    await seen.until("document.querySelectorAll('#shards tr').length === 3")
                    assert await seen.axe() == []
                    wide = await seen.page.evaluate("document.documentElement.scrollWidth")
                    assert wide <= width, f"{theme} {width}: {wide} px wide"


async def test_the_page_says_what_the_api_says(deployed: Deploy) -> None:
    _, worker, sums = await started(deployed)
    port = worker.settings.web_port
    row = ask(port, of("studio-north")).json
    top = ask(port, "/api/top", grain="1h").json
    async with chromium() as browser, opened(browser, address(worker, "studio-north")) as seen:
        for state in (LIVE, SHOWN, LEADERS):
            await seen.until(state)
        gained, lost = sums.of("studio-north")
        assert (row["gained"], row["lost"]) == (gained, lost)
        assert await seen.tile("totals", "Gained") == f"▲ +{gained:,}"
        assert await seen.tile("totals", "Lost") == f"▼ {MINUS}{lost:,}"
        assert await seen.tile("totals", "Net") == f"+{gained - lost:,}"
        assert await seen.tile("totals", "Followers") == f"{120_000 + gained - lost:,}"
        assert await seen.tile("tiles", "Applied") == f"{3_001:,}"
        assert await seen.tile("tiles", "Lag") == "0"
        for board in ("current", "final"):
            await seen.page.locator(f"input[name=board][value={board}]").check()
            for ranking, sign in (("gainers", "▲ +"), ("losers", f"▼ {MINUS}")):
                names = await seen.page.locator(f"#{ranking} bdi").all_text_contents()
                values = await seen.page.locator(f"#{ranking} .value").all_text_contents()
                places = top[board]["rankings"][ranking]
                assert names == [one["account_id"] for one in places]
                assert values == [f"{sign}{one['value']:,}" for one in places]
        for grain in ("1m", "1h", "1d"):
            await seen.page.locator(f"input[name=grain][value='{grain}']").check()
            await seen.page.locator("#account details").evaluate("one => one.open = true")
            cells = await seen.page.locator("#windows tr").all_inner_texts()
            windows = row["windows"][grain]
            assert len(cells) == len(windows)
            for cell, window in zip(cells, windows, strict=True):
                said = cell.split("\t")
                assert said[1:3] == [f"{window['gained']:,}", f"{window['lost']:,}"]
                assert said[4].startswith(window["state"])
            open_ones = sum(window["state"] == "open" for window in windows)
            dashed = await seen.page.locator("#chart rect.is-open").count()
            assert bool(dashed) == bool(open_ones)


async def test_hostile_names_are_only_ever_text(deployed: Deploy) -> None:
    _, worker, sums = await started(deployed)
    async with chromium() as browser, opened(browser, address(worker), width=390) as seen:
        await seen.until(LEADERS)
        for name in HOSTILE:
            await seen.page.locator("#account-id").fill(name)
            await seen.page.locator("#account-form button").click()
            await seen.until(
                f"{SHOWN} && document.querySelector('#account-name bdi').textContent === {name!r}"
            )
            gained, _ = sums.of(name)
            assert await seen.tile("totals", "Gained") == f"▲ +{gained:,}"
            wide = await seen.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, name
        assert await seen.page.locator("img, main script").count() == 0
        names = set(await seen.page.locator("#gainers bdi").all_text_contents())
        assert names & set(HOSTILE), "no hostile name leads: the test shows nothing"
        assert await seen.axe() == []


async def test_everything_can_be_done_with_keys(deployed: Deploy) -> None:
    _, worker, _ = await started(deployed)
    async with chromium() as browser, opened(browser, address(worker)) as seen:
        await seen.until(LEADERS)
        press = seen.page.keyboard.press
        focused = "document.activeElement."

        async def tab_to(script: str) -> None:
            for _ in range(80):
                await press("Tab")
                if await seen.page.evaluate(script):
                    return
            pytest.fail(f"never came to {script}")

        await press("Tab")
        assert await seen.page.evaluate(focused + "className") == "skip"
        await tab_to(focused + "textContent === 'Lag'")
        tip = seen.page.locator("#tip-tiles-Lag")
        assert await tip.is_visible()
        await press("Escape")
        assert not await tip.is_visible()
        await tab_to(focused + "name === 'board'")
        await press("ArrowRight")
        assert "final" in await seen.text("#board-window")
        await press("ArrowLeft")
        await tab_to(focused + "dataset.account === 'studio-north'")
        await press("Enter")
        await seen.until(SHOWN)
        await tab_to(focused + "id === 'account-id'")
        await press("Control+A")
        await seen.page.keyboard.type("old-news")
        await press("Enter")
        await seen.until("document.querySelector('#account-name bdi').textContent === 'old-news'")
        await tab_to(focused + "name === 'grain'")
        await press("ArrowRight")
        assert await seen.page.locator("input[name=grain]:checked").get_attribute("value") == "1h"
        await tab_to(focused + "id === 'chart'")
        await press("Home")
        assert "gained" in await seen.text("#readout")
        first = await seen.text("#readout")
        await press("ArrowRight")
        assert await seen.text("#readout") != first


async def test_a_cut_connection_is_said_and_comes_back(deployed: Deploy) -> None:
    deployment, worker, sums = await started(deployed)
    other = deployment.worker(api_rate=10_000.0)
    wire = Wire(worker.settings.web_port)
    await wire.mend()
    async with chromium() as browser:
        url = f"http://127.0.0.1:{wire.port}/#account=studio-north"
        async with opened(browser, url) as seen:
            for state in (LIVE, SHOWN):
                await seen.until(state)
            await wire.cut()
            await seen.until("document.body.dataset.state === 'lost'")
            assert "Connection lost" in await seen.text("#connection")
            assert "The numbers are from" in await seen.text("#connection")
            await other.until("ready")
            more = sums.count([event("studio-north", int(time.time() * 1_000)) for _ in range(7)])
            await deployment.produce(more)
            await deployment.caught_up()
            wire.to = other.settings.web_port  # any worker continues where another one stopped
            await wire.mend()
            gained, _ = sums.of("studio-north")
            await seen.until(
                "document.querySelector('#totals [data-word=Gained] dd').textContent"
                f" === '▲ +{gained:,}' && {LIVE}"
            )
    await wire.cut()


async def test_empty_unknown_and_a_token(deployed: Deploy, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("sesame")
    deployment = await deployed(partitions=1)
    worker = await deployment.ready_worker(api_token_file=str(token))
    async with chromium() as browser, opened(browser, address(worker, "nobody")) as seen:
        await seen.until("!document.getElementById('token-form').hidden")
        assert await seen.axe() == []
        await seen.page.keyboard.type("sesame")
        await seen.page.keyboard.press("Enter")
        await seen.until(LIVE)
        assert await seen.page.locator("#token-form").is_hidden()
        assert "Nothing has been counted yet" in await seen.text("#board-window")
        await seen.until(
            "document.getElementById('account-note').textContent.startsWith('No event of this')"
        )
        assert await seen.axe() == []
        await deployment.produce([event("nobody", int(time.time() * 1_000))])
        await seen.until(SHOWN)
        assert await seen.tile("totals", "Followers") == "unknown"
