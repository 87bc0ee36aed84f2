"""`netfollowers demo`: a broker, a worker, live events, a real channel, and an independent check.

Everything that is started stands in a `with`, so that nothing is left running, whatever happens.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import signal
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from service.background_tasks import beside
from service.charts.drawing import new_console
from service.demo.channel_phase import ChannelPhase
from service.demo.check_phase import judge
from service.demo.group_progress import Stalled
from service.demo.live_phase import LivePhase, LivePlan
from service.demo.pipeline import Pipeline, pipeline
from service.local.broker import BrokerFailed, LocalBroker, start_local_broker
from service.local.kafka_jars import JarsMissing
from service.local.worker_process import WorkerFailed
from service.settings import Settings

EXIT_WRONG: Final = 1
EXIT_BROKER: Final = 3
EXIT_CRASH: Final = 70
PARTITIONS: Final = 4
LIVE_LOG: Final = "worker.log"
CHANNEL_LOG: Final = "channel-worker.log"
FLUSH_INTERVAL_S: Final = 0.1
TANSU_SESSION_S: Final = 8.0
"""Tansu lets a new group wait for half of it: for 10 s with the default."""
BESIDE_LIVE_S: Final = 50
"""What the rest takes on two slow cores, to say it beforehand; nothing is cut off by it."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_S: Final = 0.5


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show everything; -> 0 only if all that was checked is right and all ended cleanly."""
    plan = LivePlan(arguments.seed, arguments.accounts, arguments.rate, arguments.seconds)
    asked = Asked(plan, Path(arguments.output_dir), arguments.browser)
    asked.output.mkdir(parents=True, exist_ok=True)
    for log in (LIVE_LOG, CHANNEL_LOG):
        (asked.output / log).unlink(missing_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # so that every `with` is left
    console = new_console()
    _announce(console, plan.seconds)
    try:
        broker = start_local_broker(arguments.broker)
    except (BrokerFailed, JarsMissing) as error:
        _fail(console, error)
        return EXIT_BROKER
    with broker:
        try:
            is_right = asyncio.run(Demo(settings, broker, asked, console).run())
        except BrokerFailed as error:
            _fail(console, error)
            return EXIT_BROKER
        except (WorkerFailed, Stalled) as error:
            _fail(console, error)
            return EXIT_CRASH
        except BrokenPipeError:  # nobody reads on, so nothing was shown to be right
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_WRONG
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            for number in _SIGNALS:  # the broker ends within seconds: not half way
                signal.signal(number, signal.SIG_IGN)
    where = f"logs and picture are in {asked.output}/"
    console.print(f"nothing is left running; {where}", soft_wrap=True, markup=False)
    return 0 if is_right else EXIT_WRONG


def _announce(console: Console, seconds: float) -> None:
    console.print(
        f"About {seconds + BESIDE_LIVE_S:.0f} s, more on a busy machine: {seconds:g} s of live "
        "events, a real channel, a check. Ctrl-C ends it."
    )
    console.print("starting a broker ...", style="dim")


def _fail(console: Console, error: Exception) -> None:
    console.print(str(error), style="bold red", soft_wrap=True, markup=False)


def _own(settings: Settings, broker: LocalBroker, name: str, partitions: int) -> Settings:
    """Own names for everything, so that an external broker is not disturbed."""
    return replace(
        settings,
        brokers=broker.bootstrap,
        app_id=name,
        input_topic=f"{name}-follow-events",
        updates_topic=f"{name}-net-follower-updates",
        windows_topic=f"{name}-net-follower-windows",
        late_topic=f"{name}-follow-events-late",
        rejected_topic=f"{name}-follow-events-rejected",
        partitions=partitions,
        replication_factor=1,
        min_isr=1,
        guarantee="exactly_once" if broker.has_transactions else "at_least_once",
        flush_interval_s=FLUSH_INTERVAL_S,
        session_timeout_s=TANSU_SESSION_S if broker.kind == "tansu" else settings.session_timeout_s,
        instance_id="",
        web_host="127.0.0.1",
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say."""

    plan: LivePlan
    output: Path
    browser: bool = False


class Demo:
    """One run."""

    def __init__(
        self, settings: Settings, broker: LocalBroker, asked: Asked, console: Console
    ) -> None:
        """Connect to nothing yet."""
        name = f"demo-{secrets.token_hex(3)}"
        self._live = _own(settings, broker, name, PARTITIONS)
        self._channel = _own(settings, broker, f"{name}-channel", 1)
        self._broker = broker
        self._asked = asked
        self._console = console

    async def run(self) -> bool:
        """-> whether all that was checked is right and the workers ended with 0."""
        with _interruptible():
            self._introduce()
            async with beside(self._watch_broker()):
                return await self._run()

    async def _run(self) -> bool:
        console, output = self._console, self._asked.output
        console.print("starting a worker ...", style="dim")
        async with pipeline(self._live, output / LIVE_LOG) as live:
            await self._show_page(live)
            console.rule("1. live events (synthetic)", align="left")
            await LivePhase(live, self._asked.plan).run(console)
            console.rule("2. a real channel, 2018 to 2025", align="left")
            console.print(
                "Its time is of years ago, so it has topics and a worker of its own.",
                soft_wrap=True,
            )
            console.print("starting the channel's worker ...", style="dim")
            async with pipeline(self._channel, output / CHANNEL_LOG) as channel:
                console.print(f"the channel's page: {channel.page}", soft_wrap=True)
                is_exact = await ChannelPhase(channel).run(console, output / "channel.png")
                console.rule("3. the check", align="left")
                return await self._judge(live, channel) and is_exact

    async def _judge(self, live: Pipeline, channel: Pipeline) -> bool:
        verdicts = []
        for what, one in (("the live events", live), ("the channel", channel)):
            self._console.print(f"{what}:")
            verdicts.append(await judge(self._console, one))
        return all(verdicts)

    async def _watch_broker(self) -> None:
        while True:
            try:
                self._broker.check()
            except BrokerFailed:  # one cause is enough: the clients complain of it too
                logging.getLogger("asyncio").setLevel(logging.CRITICAL)
                raise
            await asyncio.sleep(_LOOK_S)

    def _title(self) -> str:
        settings = self._live
        return f"{self._broker.kind} at {settings.brokers}, one worker, {settings.guarantee}"

    async def _show_page(self, live: Pipeline) -> None:
        """Say where the worker's page is, and open it if that was asked for."""
        self._console.print(f"the page, live: {live.page}", style="bold", soft_wrap=True)
        if self._asked.browser and not await asyncio.to_thread(webbrowser.open, live.page):
            self._console.print("no browser could be opened", style="bold yellow")

    def _introduce(self) -> None:
        self._console.print(f"{self._title()}; topics {self._live.app_id}-*", soft_wrap=True)
        if not self._broker.has_transactions:
            self._console.print(
                "NOT EXACTLY ONCE: this broker has no transactions. Results can repeat after a "
                "crash. Install Java and Maven for a real Kafka.",
                style="bold yellow",
                soft_wrap=True,
            )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP: leave every `with`, and go."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    for number in _SIGNALS:
        loop.add_signal_handler(number, task.cancel)
    yield  # the handlers end with the loop
