"""Runs the stack, sends it a scenario, and asks Prometheus every query of every panel and alert.

`measure` returns one line for each query: the query, the truth, the measured value. The test needs
every line to be right. `python -m verify.panels` writes them into a page.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from deploy.stack.configuration import WORKERS, environment_of
from deploy.stack.stack import Stack, StackError
from service import __version__
from service.contract.topics import TOPICS
from service.kafka import clients
from service.settings import PREFIX, Settings
from service.synthetic.batch_sender import Outbox
from tests.support import dashboard_queries
from tests.support.optional import find, without
from tests.support.prometheus import Prometheus
from verify.panels.expected_accounts import CHOSEN
from verify.panels.expected_alerts import (
    AFTER_A_KILL,
    AFTER_THE_TAKEOVER,
    ALERTS,
    TRUTHS,
    WHILE_HELD,
)
from verify.panels.proc_stats import Watched
from verify.panels.result_topics import results_of
from verify.panels.scenario import WATCHED, Known, Story
from verify.panels.tolerance import RATE_S, Truth, Value, World, named

STORY_S: Final = 28
HELD_RECORDS: Final = 600
_SETTLES_S: Final = 3
_LAG_IS_KNOWN_S: Final = 8
"""The worker asks the broker every five seconds."""
_GRAINS: Final = "10s:10s:5m,1m,1h,1d"
_SERIES: Final = (
    'count by (instance) ({__name__=~"netfollowers_account_(net|gained|lost|followers)"})'
)


@dataclass(frozen=True, slots=True)
class Line:
    """One query, what is true, and what was measured."""

    name: str
    expr: str
    true: Mapping[str, Value]
    measured: Mapping[str, float]
    allowed: str
    wrong: list[str]


@dataclass(slots=True)
class Measured:
    """Everything that a run has shown."""

    panels: list[Line] = field(default_factory=list)
    alerts: list[Line] = field(default_factory=list)
    exported: dict[str, str] = field(default_factory=dict)
    """Type of each metric that a worker exports, by name."""
    accounts: set[str] = field(default_factory=set)
    """What the variable `account` offers."""
    firing: list[str] = field(default_factory=list)
    """Summaries of the alerts that fire or are pending after the kill."""

    @property
    def wrong(self) -> list[str]:
        """What is not as it must be."""
        lines = [*self.panels, *self.alerts]
        return [f"{line.name}: {why}\n    {line.expr}" for line in lines for why in line.wrong]


HELD_BY: Final = """
import asyncio, pathlib, sys
from service.cli import main
from service.runtime.reader import Reader
read = Reader._next
async def read_unless_held(reader, consumer):
    if pathlib.Path(%r).exists():
        await asyncio.sleep(0.1)
    else:
        await read(reader, consumer)
Reader._next = read_unless_held
sys.exit(main(["worker"]))
"""
"""A worker whose readers stop while a file is there. This makes a lag of known size."""


def substituted(expr: str) -> str:
    """Put in what Grafana puts in for its variables."""
    return expr.replace("$__rate_interval", f"{RATE_S}s").replace("$account", CHOSEN)


async def measure(brokers: str, home: Path, name: str) -> Measured:
    """Run everything on a broker that runs already. It takes about a minute."""
    own = Settings().with_prefix(name)
    changes = {
        f"{PREFIX}{variable.upper()}": value
        for variable, value in {
            "app_id": own.app_id,
            **{topic.setting: own.topic(topic) for topic in TOPICS},
            "session_timeout_s": "6",
            "grains": _GRAINS,
            "watch": ",".join(WATCHED),
        }.items()
    }
    environ = environment_of(WORKERS[0], brokers, changes)
    settings = Settings.from_env({k: v for k, v in environ.items() if k.startswith(PREFIX)})
    measured = Measured()
    hold = home / "hold"
    with Stack(home, brokers, changes=changes, worker_code=HELD_BY % str(hold)) as stack:
        stack.create_topics()
        stack.start_workers()
        stack.start_prometheus(_prometheus(), scrape_interval_s=1)
        await stack.until_ready()
        prometheus = Prometheus(stack.parts["prometheus"].url)
        prometheus.until("sum(netfollowers_running)", lambda n: n == settings.partitions)
        await asyncio.sleep(_SETTLES_S)
        world = await _tell(stack, settings, prometheus)
        _ask_all(measured, prometheus, world)
        at_s = world.known.at_s
        measured.alerts += _ask_alerts(prometheus, world, ALERTS, at_s=at_s, when="")
        measured.exported = _exported(stack)
        measured.accounts = prometheus.label_values("netfollowers_account_net", "account")
        await _hold_readers(measured, hold, settings, prometheus, world)
        await _kill_one(measured, stack, prometheus, world)
    return measured


def _prometheus() -> str:
    if missing := without("prometheus"):
        raise StackError(missing)
    return find("prometheus")


async def _tell(stack: Stack, settings: Settings, prometheus: Prometheus) -> World:
    """Send the scenario. Return what is true just after it."""
    watched = {
        name: Watched(stack.parts[name].child.pid, stack.parts[name].url.partition("//")[2])
        for name in WORKERS
    }

    async def look() -> None:
        for one in watched.values():
            one.look()

    ready_s = time.time()
    async with clients.producer(settings) as producer:
        story = Story(Outbox(producer, settings.input_topic, settings.partitions))
        await story.tell(STORY_S, look)
    await asyncio.sleep(_SETTLES_S)
    await look()
    at_s = time.time()
    results = await results_of(settings)
    series = prometheus.at(_SERIES, at_s)
    return World(
        known=Known(story.sent, at_s),
        partitions=settings.partitions,
        processes={name: one.at(at_s) for name, one in watched.items()},
        version=__version__,
        settings={
            "app_id": settings.app_id,
            "guarantee": settings.guarantee,
            "grains": settings.grains,
        },
        ready_s=ready_s,
        windows=results.windows,
        result_bytes=results.size,
        transactions=results.transactions,
        account_series={labels["instance"]: round(value) for labels, value in series},
    )


def _ask_all(measured: Measured, prometheus: Prometheus, world: World) -> None:
    for asked in dashboard_queries.asked():
        found = prometheus.at(substituted(asked.expr), world.known.at_s)
        line = _line(asked.name, asked.expr, TRUTHS.get(asked.name), world, named(asked, found))
        measured.panels.append(line)


def _ask_alerts(
    prometheus: Prometheus, world: World, truths: Mapping[str, Truth], *, at_s: float, when: str
) -> list[Line]:
    lines = []
    for name, truth in truths.items():
        expr = dashboard_queries.alerts()[name]["expr"]
        values = {
            labels.get("instance", labels.get("partition", "")): value
            for labels, value in prometheus.at(expr, at_s)
        }
        line = _line(name + when, expr, truth, world, values)
        if not truth.of(world) and not values:  # it must not fire, and does not
            line = Line(line.name, expr, {}, {}, line.allowed, [])
        lines.append(line)
    return lines


def _line(
    name: str, expr: str, truth: Truth | None, world: World, values: Mapping[str, float]
) -> Line:
    if truth is None:
        return Line(name, expr, {}, values, "", ["nobody has said what is true"])
    return Line(name, expr, truth.of(world), values, truth.allowed, truth.wrong(world, values))


def _exported(stack: Stack) -> dict[str, str]:
    with urllib.request.urlopen(stack.parts[WORKERS[0]].url + "/metrics") as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    return dict(line.split()[2:4] for line in lines if line.startswith("# TYPE "))


async def _hold_readers(
    measured: Measured, hold: Path, settings: Settings, prometheus: Prometheus, world: World
) -> None:
    """Let records wait: the panels of lag and age must say how many, and for how long."""
    await asyncio.to_thread(hold.touch)
    await asyncio.sleep(0.5)
    async with clients.producer(settings) as producer:
        story = Story(Outbox(producer, settings.input_topic, settings.partitions))
        await story.add(HELD_RECORDS)
    await asyncio.sleep(_LAG_IS_KNOWN_S)
    held = replace(world, known=Known(story.sent, time.time()))
    for asked in dashboard_queries.asked():
        if asked.name in WHILE_HELD:
            found = named(asked, prometheus.at(substituted(asked.expr), held.known.at_s))
            line = _line(asked.name, asked.expr, WHILE_HELD[asked.name], held, found)
            measured.panels.append(replace(line, name=f"{line.name} (readers stand still)"))
    await asyncio.to_thread(hold.unlink)
    lag = "sum(partition:netfollowers_lag_records:max)"
    await asyncio.to_thread(prometheus.until, lag, lambda n: n == 0)


async def _kill_one(measured: Measured, stack: Stack, prometheus: Prometheus, world: World) -> None:
    """Kill a worker, which two alerts must see. One of them must see the takeover, too."""
    counted = "netfollowers:partitions_counted:count"
    victim = stack.parts.pop(WORKERS[1])
    victim.child.kill()
    prometheus.until(counted, lambda n: n < world.partitions)
    truths, when = AFTER_A_KILL, " (a worker is killed)"
    measured.alerts += _ask_alerts(prometheus, world, truths, at_s=time.time(), when=when)
    await asyncio.sleep(1)
    measured.firing = [one["annotations"]["summary"] for one in prometheus.firing()]
    prometheus.until(counted, lambda n: n == world.partitions)
    truths, when = AFTER_THE_TAKEOVER, " (the other has taken over)"
    measured.alerts += _ask_alerts(prometheus, world, truths, at_s=time.time(), when=when)
