"""The page in a real Chromium, from a web port without a broker: what it does with odd requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession, web
from playwright.async_api import Browser

from tests.integration.web.browser import Watched, chromium, opened
from tests.support.api_client import START_MS, baseline
from tests.support.web_port import Port, count, follows, forget, listening

LIVE = "document.body.dataset.state === 'live'"
NOTE = "document.getElementById('account-note').textContent"
LEADERS = "document.querySelectorAll('#gainers button').length > 2"
NAMES = [f"acct-{number}" for number in range(350, 360)]
LONG = "W" * 256


@asynccontextmanager
async def shown(width: int = 1_400, account: str = "") -> AsyncIterator[tuple[Watched, Port]]:
    """The page, and the port that it comes from."""
    async with chromium() as browser, listening(api_rate=1_000.0) as port:
        times = [START_MS + number * 60_000 for number in range(8)]
        count(port.shards[0], follows([*NAMES, LONG], times))
        address = port.url + (f"/#account={quote(account, safe='')}" if account else "/")
        async with opened(browser, address, width=width) as seen:
            await seen.until(LEADERS)
            yield seen, port


@pytest.mark.parametrize("account", ["д" * 200, "x" * 257])
async def test_an_id_that_is_too_long_is_said_beside_the_field_and_all_else_goes_on(
    account: str,
) -> None:
    async with shown(account=account) as (seen, port):
        await seen.until(LIVE)
        assert "at most 256 bytes" in await seen.text("#account-note")
        await seen.page.locator("#account-id").fill(account[:256])
        await seen.page.locator("#account-form button").click()
        await seen.until(
            f"{LIVE} && {NOTE}.includes('{'at most' if 'д' in account else 'No event'}')"
        )
        before = await seen.tile("tiles", "Applied")
        count(port.shards[0], follows(NAMES[:3], [START_MS + 600_000]))
        await seen.until(
            f"document.querySelector('#tiles [data-word=Applied] dd').textContent !== '{before}'"
        )
        await seen.page.locator("#account-id").fill(NAMES[0])
        await seen.page.locator("#account-form button").click()
        await seen.until("!document.getElementById('account').hidden")


@asynccontextmanager
async def under_prefix(port: Port) -> AsyncIterator[str]:
    """A proxy that serves the worker under /net/, as an ingress does that takes the prefix off."""

    async def forward(request: web.Request) -> web.StreamResponse:
        path = request.raw_path.removeprefix("/net")
        async with ClientSession() as session, session.get(port.url + path) as answer:
            response = web.StreamResponse(status=answer.status, headers=answer.headers)
            await response.prepare(request)
            async for part in answer.content.iter_any():
                await response.write(part)
            return response

    app = web.Application()
    app.router.add_get("/net/{rest:.*}", forward)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/net/"
    finally:
        await runner.cleanup()


async def test_the_page_works_under_a_path_prefix() -> None:
    async with chromium() as browser, listening(api_rate=1_000.0) as port:
        count(port.shards[0], follows(NAMES, [START_MS]))
        async with under_prefix(port) as address, opened(browser, address, width=1_400) as seen:
            await seen.until(f"{LIVE} && {LEADERS}")
            await seen.page.locator("#account-id").fill(NAMES[0])
            await seen.page.locator("#account-form button").click()
            await seen.until("!document.getElementById('account').hidden")
            assert seen.page.url.startswith(f"{address}#account=")


async def test_an_account_that_the_worker_refuses_is_left_out(tmp_path: Path) -> None:
    """Whatever the reason is: a worker of a later version may have other limits."""
    del tmp_path
    async with shown() as (seen, _):
        refused = {"status": 400, "title": "No", "detail": "ids of this kind are not kept"}

        async def answer(route: Any) -> None:
            if "account=odd" in route.request.url:
                await route.fulfill(
                    status=400, content_type="application/problem+json", body=json.dumps(refused)
                )
            else:
                await route.continue_()

        await seen.page.route("**/api/stream*", answer)
        await seen.page.locator("#account-id").fill("odd")
        await seen.page.locator("#account-form button").click()
        await seen.until(f"{NOTE}.includes('ids of this kind are not kept')")
        await seen.until(LIVE)


@pytest.mark.parametrize("width", [320, 360, 390])
async def test_leaders_have_names_on_a_phone(width: int) -> None:
    async with shown(width=width) as (seen, _):
        script = """[...document.querySelectorAll('#gainers bdi')]
            .filter((one) => one.textContent.startsWith('acct'))
            .map((one) => [one.scrollWidth, one.clientWidth])"""
        names = await seen.page.evaluate(script)
        assert len(names) >= 9
        for needed, given in names:
            assert needed <= given, f"a name needs {needed} px and has {given}"
        wide = await seen.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
        assert await seen.axe() == []


async def test_a_forgotten_account_goes_from_the_page_at_once() -> None:
    async with shown() as (seen, port):
        count(port.shards[0], [baseline("quiet", START_MS + 420_000, 500)])
        await seen.page.locator("#account-id").fill("quiet")
        await seen.page.locator("#account-form button").click()
        await seen.until("!document.getElementById('account').hidden")
        assert await seen.tile("totals", "Followers") == "500"
        forget(port.shards[0], "quiet")
        assert port.shards[0].engine.row(b"quiet") is None
        await seen.until(
            f"document.getElementById('account').hidden && {NOTE}.startsWith('No event')"
        )


async def test_back_leads_to_the_account_shown_before() -> None:
    async with shown(account=NAMES[0]) as (seen, _):
        name = "document.querySelector('#account-name bdi').textContent"
        await seen.until(f"{name} === '{NAMES[0]}'")
        for account in NAMES[1:3]:
            await seen.page.locator("#account-id").fill(account)
            await seen.page.locator("#account-form button").click()
            await seen.until(f"{name} === '{account}'")
        for account in (NAMES[1], NAMES[0]):
            await seen.page.evaluate("history.back()")
            await seen.until(
                f"{name} === '{account}' && !document.getElementById('account').hidden"
            )


ATTACK = """async (url) => {
  const top = {grain: "1h", rankings: ["gainers"], n: 50, trail: "1m"};
  const body = JSON.stringify({app_id: "net-followers", top});
  const said = (asked) => asked.then((a) => a.type + a.status, () => "failed");
  const asked = [];
  for (const type of ["text/plain", "application/json"])
    for (const mode of ["no-cors", "cors"])
      asked.push(said(fetch(url + "/internal/ask",
        {method: "POST", mode, headers: {"Content-Type": type}, body})));
  asked.push(said(fetch(url + "/metrics", {mode: "no-cors"})));
  return Promise.all(asked);
}"""


@asynccontextmanager
async def another_site(browser: Browser) -> AsyncIterator[Any]:
    """A page of another site, on this machine."""
    app = web.Application()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>x</title>", content_type="text/html")

    app.router.add_get("/", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    context = await browser.new_context()
    try:
        found = await context.new_page()
        await found.goto(f"http://localhost:{runner.addresses[0][1]}/")
        yield found
    finally:
        await context.close()
        await runner.cleanup()


async def test_a_page_of_another_site_gets_nothing_done_here() -> None:
    async with chromium() as browser, listening() as port, another_site(browser) as page:
        answers = await page.evaluate(ATTACK, port.url)
        assert set(answers) <= {"failed", "opaque0"}, "opaque: sent, and refused"
        found = port.refusals()
        assert set(found) == {"origin"}
        assert found["origin"] >= 2
        await asyncio.sleep(0)
