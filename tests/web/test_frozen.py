"""A worker that was frozen and wakes up: it tells nothing old as if it were new."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tests.broker.conftest import Deploy
from tests.web.told import START_MS, Sums, ask, event

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

ACCOUNTS = [f"acct-{number}" for number in range(60)]


async def test_a_worker_that_wakes_up_tells_no_old_number_without_its_age(
    deployed: Deploy,
) -> None:
    deployment = await deployed(partitions=4)
    sums = Sums()
    await deployment.produce(sums.count([event(name, START_MS) for name in ACCOUNTS]))
    frozen, other = (deployment.worker(api_rate=1e6) for _ in range(2))
    for worker in (frozen, other):
        await worker.until("ready")
    await deployment.caught_up()
    assert frozen.running()
    frozen.signal(signal.SIGSTOP)
    await deployment.produce(sums.count([event(name, START_MS + 1) for name in ACCOUNTS]))
    asking = [
        asyncio.create_task(
            asyncio.to_thread(ask, frozen.settings.web_port, f"/api/accounts/{one}")
        )
        for one in ACCOUNTS[:20]
    ]  # they wait in its socket
    await asyncio.sleep(8)
    frozen.signal(signal.SIGCONT)
    answers = list(await asyncio.gather(*asking, return_exceptions=True))
    until = time.monotonic() + 6
    while frozen.process.poll() is None and time.monotonic() < until:
        for name in ACCOUNTS:
            try:
                answers.append(
                    await asyncio.to_thread(ask, frozen.settings.web_port, f"/api/accounts/{name}")
                )
            except OSError:  # fenced, it ends
                break
    told = [one for one in answers if not isinstance(one, BaseException) and one.status == 200]
    old = [one for one in told if one.json["gained"] != 2]
    assert len(told) > len(old), "it, or the other for it, never told anything new"
    assert all(one.json["freshness"]["age_ms"] > 7_000 for one in old), old
    statuses = {one.status for one in answers if not isinstance(one, BaseException)}
    assert statuses <= {200, 503}
