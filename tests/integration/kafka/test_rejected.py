"""Rejected and late records as a workflow, and forgetting: on the real broker, by the commands."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.local.worker_process import ROOT, environment
from service.synthetic.events import Made
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

POISONED = 10_000
T0_MS = 1_763_000_000_000
MEND = """
import json, sys
for line in sys.stdin:
    one = json.loads(line)
    event = json.loads(one["value"])
    event["occurred_at"] = int(event.pop("when")) * 1000
    one["value"] = json.dumps(event)
    print(json.dumps(one))
"""


def events(count: int, *, poisoned: bool) -> Iterator[Made]:
    """Follow events; poisoned ones say when in seconds, in a field of another name."""
    for number in range(count):
        account = f"a{number % 7}"
        event = {"event_id": f"p{number}", "account_id": account, "follower_id": f"f{number}"}
        event["action"] = "unfollow" if number % 3 == 0 else "follow"
        at_s = T0_MS // 1_000 + number // 500
        timed = {"when": str(at_s)} if poisoned else {"occurred_at": at_s * 1_000}
        headers = [("trace", b"%d" % number)]
        yield Made(account.encode(), json.dumps({**event, **timed}).encode(), headers, "bad")


async def command(deployment: Deployment, *arguments: str, code: int = 0) -> str:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "service", *arguments],
        env=environment(deployment.settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


async def counted(deployment: Deployment) -> int:
    """Records that the commits account for."""
    commits = (await deployment.committed()).values()
    return sum(sum(json.loads(at.metadata)["counts"].values()) for at in commits)


async def table(deployment: Deployment) -> dict[str, tuple[int, int]]:
    found = {}
    for number in range(7):
        said = await command(deployment, "show", f"a{number}", "--json")
        row = json.loads(said)
        found[row["account_id"]] = (row["gained"], row["lost"])
    return found


async def test_ten_thousand_poisoned_records_are_found_understood_mended_and_replayed(
    deployed: Deploy, tmp_path: Path
) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker()
    await deployment.produce(events(POISONED, poisoned=True))
    await deployment.caught_up()

    stats = await command(deployment, "rejected", "stats")
    assert "10,000  missing_field" in stats
    listed = await command(deployment, "rejected", "list", "--account", "a3", "--limit", "2")
    first = listed.splitlines()[0].split()
    assert first[2:4] == ["missing_field", "a3"]
    assert "and 1,427 more" in listed
    shown = await command(deployment, "rejected", "show", first[0])
    assert "a required field is missing; occurred_at" in shown
    assert '"when"' in shown
    assert "header      trace" in shown
    assert (await command(deployment, "rejected", "list", "--until", "1000")).startswith("0 rec")

    mend = tmp_path / "mend.py"
    mend.write_text(MEND)
    replay = ["rejected", "replay", "--reason", "missing_field"]
    replay += ["--filter", f"{sys.executable} {mend}", "--rate", "0"]
    said = await command(deployment, *replay)
    assert "dry run: 10,000 records would be sent" in said
    await deployment.caught_up()
    assert await counted(deployment) == POISONED, "a dry run sends nothing"
    for _ in range(2):  # a double replay changes nothing: the ids are the same
        assert "sent 10,000 records" in await command(deployment, *replay, "--send")
        await deployment.caught_up()

    clean: dict[str, tuple[int, int]] = {}
    for number in range(POISONED):
        gained, lost = clean.get(f"a{number % 7}", (0, 0))
        clean[f"a{number % 7}"] = (gained + (number % 3 != 0), lost + (number % 3 == 0))
    assert await table(deployment) == clean
    assert await worker.stop() == 0
    report = await deployment.audit()
    assert report.compared["duplicate"] == POISONED
    assert report.compared["applied"] + report.compared["late"] == POISONED


async def test_what_was_replayed_and_refused_again_is_not_replayed_again(
    deployed: Deploy,
) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker()
    await deployment.produce(events(10, poisoned=True))
    await deployment.caught_up()
    await command(deployment, "rejected", "replay", "--send")
    await deployment.caught_up()
    said = await command(deployment, "rejected", "replay")
    assert "not sent: 10 replayed before" in said
    assert "dry run: 10 records" in said, "those that were never replayed themselves"
    refusal = await command(
        deployment, "rejected", "replay", "--filter", "head -1", "--send", code=2
    )
    assert refusal == ""
    assert await worker.stop() == 0


async def test_late_records_are_listed_and_shown(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker()
    now = list(events(1, poisoned=False))
    later = json.loads(now[0].value or b"")
    later |= {"event_id": "later", "occurred_at": later["occurred_at"] + 86_400_000}
    headers: list[tuple[str, bytes]] = []
    await deployment.produce([Made(b"a0", json.dumps(later).encode(), headers, "event"), *now])
    await deployment.caught_up()
    listed = await command(deployment, "late", "list")
    place, _, why, account = listed.splitlines()[0].split()
    assert (why, account) == ("1m,1h", "a0")
    assert "missed its windows of 1m,1h" in await command(deployment, "late", "show", place)
    assert "1  1m,1h" in await command(deployment, "late", "stats", "--reason", "1h")
    await command(deployment, "late", "show", "0:999999", code=1)
    assert await worker.stop() == 0


async def test_what_strangers_send_is_printed_without_control_characters(
    deployed: Deploy,
) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker()
    hostile = "\x1b[31mRED\x1b]0;pwned\x07\x1b[2J\nFAKE 9:9 \x9b1m\u2028"
    [first] = events(1, poisoned=False)
    [bad] = events(1, poisoned=True)
    now = json.loads(first.value or b"")
    named: list[Made] = []
    for number, (made, days) in enumerate([(first, 1), (first, 0), (bad, 0)]):
        said = {**json.loads(made.value or b""), "event_id": f"h{number}", "account_id": hostile}
        if days:
            said["occurred_at"] = now["occurred_at"] + 3 * 86_400_000
        named.append(Made(hostile.encode(), json.dumps(said).encode(), [("h\x1b", b"")], "event"))
    await deployment.produce(named)
    await deployment.caught_up()
    for topic in ("late", "rejected"):
        listed = await command(deployment, topic, "list")
        place = listed.split()[0]
        shown = [await command(deployment, topic, *more) for more in (["show", place], ["stats"])]
        for said_of_it in (listed, *shown):
            assert all(line.isprintable() for line in said_of_it.split("\n"))
            assert "RED" in said_of_it
        assert listed.count("\n") == 2
    row = await command(deployment, "show", hostile, "--json")
    assert row.rstrip("\n").isprintable()
    assert json.loads(row)["account_id"] == hostile
    assert await worker.stop() == 0


async def test_an_account_is_forgotten_through_the_log(deployed: Deploy) -> None:
    deployment = await deployed()
    worker = await deployment.ready_worker()
    await deployment.produce(events(700, poisoned=False))
    await deployment.caught_up()
    said = await command(deployment, "forget", "a3")
    assert deployment.settings.updates_topic in said
    await deployment.caught_up()
    gone = await command(deployment, "show", "a3", code=1)
    assert "a3" in gone or gone == ""
    await command(deployment, "show", "a4")
    assert await worker.stop() == 0
    again = await deployment.ready_worker()
    await deployment.produce(
        Made(b"a3", json.dumps({**json.loads(one.value or b""), "event_id": "new"}).encode(),
             [], "event")
        for one in [list(events(4, poisoned=False))[3]]
    )  # fmt: skip
    await deployment.caught_up()
    row = json.loads(await command(deployment, "show", "a3", "--json"))
    assert (row["gained"], row["lost"]) == (0, 1)
    assert await again.stop() == 0
    await deployment.audit()
