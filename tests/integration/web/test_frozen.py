"""A worker that was frozen and wakes up: it tells nothing old as if it were new."""

from __future__ import annotations

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_client import START_MS, Sums, ask, event
from tests.support.deployment_fixtures import SHORT_SESSION_S, Deploy
from tests.support.patience import Patience, until
from tests.support.traffic import owners

pytestmark = [pytest.mark.broker, pytest.mark.transactions]


def is_new(one: Any) -> bool:
    """Whether it tells what was counted while the worker was frozen."""
    return bool(one.status == 200 and one.json["gained"] == 2)


ACCOUNTS = [f"acct-{number}" for number in range(60)]


async def test_a_worker_that_wakes_up_tells_no_old_number_without_its_age(
    deployed: Deploy,
) -> None:
    deployment = await deployed(partitions=4, session_timeout_s=SHORT_SESSION_S)
    sums = Sums()
    await deployment.produce(sums.count([event(name, START_MS) for name in ACCOUNTS]))
    frozen, other = (deployment.worker(api_rate=1e6) for _ in range(2))
    for worker in (frozen, other):
        await worker.until("ready")
    await owners(frozen, other)
    await deployment.caught_up()
    frozen.signal(signal.SIGSTOP)
    stat = Path(f"/proc/{frozen.process.pid}/stat")
    await until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "it to be frozen")
    began = time.monotonic()
    await deployment.produce(sums.count([event(name, START_MS + 1) for name in ACCOUNTS]))
    loop, waiting = asyncio.get_running_loop(), ThreadPoolExecutor(20)  # in its socket
    asking = [
        loop.run_in_executor(waiting, ask, frozen.settings.web_port, f"/api/accounts/{one}")
        for one in ACCOUNTS[:20]
    ]
    await owners(other)
    frozen_ms = (time.monotonic() - began) * 1_000
    frozen.signal(signal.SIGCONT)
    answers = list(await asyncio.gather(*asking, return_exceptions=True))
    waiting.shutdown()
    patience, round_of_new = Patience("the end of the frozen worker, or only new numbers"), False
    while frozen.process.poll() is None and not round_of_new:
        patience.look()
        first = len(answers)
        for name in ACCOUNTS:
            try:
                answers.append(
                    await asyncio.to_thread(ask, frozen.settings.web_port, f"/api/accounts/{name}")
                )
            except OSError:  # fenced, it ends
                break
        round_of_new = len(answers) == first + len(ACCOUNTS) and all(map(is_new, answers[first:]))
    told = [one for one in answers if not isinstance(one, BaseException) and one.status == 200]
    old = [one for one in told if one.json["gained"] != 2]
    assert len(told) > len(old), "it, or the other for it, never told anything new"
    assert all(one.json["freshness"]["age_ms"] >= frozen_ms for one in old), old
    statuses = {one.status for one in answers if not isinstance(one, BaseException)}
    assert statuses <= {200, 503}
