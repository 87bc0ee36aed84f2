"""`netfollowers demo`: a broker, a worker, live events, a real channel, and an independent check.

Everything is started inside a `with` block, so that nothing is left running in any case.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from service.background_tasks import beside
from service.charts.drawing import new_console
from service.demo.channel_phase import ChannelPhase
from service.demo.check_phase import judge
from service.demo.live_phase import LivePhase, LivePlan
from service.demo.pipeline import Pipeline, pipeline
from service.errors import BrokerError
from service.exit_codes import ExitCode
from service.local.broker import LocalBroker, start_local_broker
from service.settings import Settings

PARTITIONS: Final = 4
LIVE_LOG: Final = "worker.log"
CHANNEL_LOG: Final = "channel-worker.log"
FLUSH_INTERVAL_S: Final = 0.1
TANSU_SESSION_S: Final = 8.0
"""Tansu makes a new group wait for half of this time. With the default that is 10 s."""
BESIDE_LIVE_S: Final = 50
"""Time of the other parts on two slow cores, for the announcement. It limits nothing."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_S: Final = 0.5


def run(settings: Settings, options: argparse.Namespace) -> ExitCode:
    """Show everything. OK only if all that was checked is right and all ended cleanly.

    BrokerError, WorkerError.
    """
    plan = LivePlan(options.seed, options.accounts, options.rate, options.seconds)
    asked = Asked(plan, Path(options.output_dir), options.browser)
    asked.output.mkdir(parents=True, exist_ok=True)
    for log in (LIVE_LOG, CHANNEL_LOG):
        (asked.output / log).unlink(missing_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # so that every `with` block ends
    console = new_console()
    _announce(console, plan.seconds)
    with start_local_broker(options.broker) as broker:
        try:
            is_right = asyncio.run(Demo(settings, broker, asked, console).run())
        except BrokenPipeError:  # nothing was shown to be right, because the output is closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.WRONG
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            for number in _SIGNALS:  # the broker ends within seconds and must not be interrupted
                signal.signal(number, signal.SIG_IGN)
    where = f"the logs and the picture are in {asked.output}/"
    console.print(f"all processes have ended; {where}", soft_wrap=True, markup=False)
    return ExitCode.OK if is_right else ExitCode.WRONG


def _announce(console: Console, seconds: float) -> None:
    console.print(
        f"About {seconds + BESIDE_LIVE_S:.0f} s, more on a busy machine: {seconds:g} s of live "
        "events, then a real channel, then a check. Ctrl-C ends it.",
        soft_wrap=True,
    )
    console.print("starting a broker ...", style="dim")


def _own(settings: Settings, broker: LocalBroker, name: str, partitions: int) -> Settings:
    """Use separate names for everything, so that an external broker is not disturbed."""
    return settings.with_prefix(
        name,
        brokers=broker.bootstrap,
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
    """The values of the options."""

    plan: LivePlan
    output: Path
    browser: bool = False


class Demo:
    """One run of the demo."""

    def __init__(
        self, settings: Settings, broker: LocalBroker, asked: Asked, console: Console
    ) -> None:
        """Build. Connects to nothing yet."""
        name = f"demo-{secrets.token_hex(3)}"
        self._live = _own(settings, broker, name, PARTITIONS)
        self._channel = _own(settings, broker, f"{name}-channel", 1)
        self._broker = broker
        self._asked = asked
        self._console = console

    async def run(self) -> bool:
        """Return whether all checks are right and the workers ended with 0."""
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
                "Its events are years old, so it has separate topics and a separate worker.",
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
            except BrokerError:  # one cause is enough: the clients also report it
                logging.getLogger("asyncio").setLevel(logging.CRITICAL)
                raise
            await asyncio.sleep(_LOOK_S)

    def _title(self) -> str:
        settings = self._live
        return f"{self._broker.kind} at {settings.brokers}, one worker, {settings.guarantee}"

    async def _show_page(self, live: Pipeline) -> None:
        """Print the address of the worker's page. Open it if --browser was given."""
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
    """Let Ctrl-C, SIGTERM and SIGHUP end the run through every `with` block."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    for number in _SIGNALS:
        loop.add_signal_handler(number, task.cancel)
    yield  # the handlers end with the loop
