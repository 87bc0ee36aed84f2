"""`netfollowers demo`: a broker, a worker, a real channel, live events, and an independent check.

Everything that is started stands in a `with`, so that nothing is left running, whatever happens.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from service.kafka import topics
from service.settings import Settings
from service.tools.broker import BrokerFailed, LocalBroker, start_local_broker
from service.tools.demo_channel import ChannelPhase
from service.tools.demo_check import counts_of, recompute, say, totals
from service.tools.demo_live import LivePhase, LivePlan
from service.tools.drawing import new_console
from service.tools.jars import JarsMissing
from service.tools.ports import free_ports
from service.tools.progress import Stalled, progress_of
from service.tools.send import outbox_to
from service.tools.worker_process import WorkerFailed, WorkerProcess

EXIT_BROKER: Final = 3
EXIT_CRASH: Final = 70
PARTITIONS: Final = 4
FLUSH_INTERVAL_S: Final = 0.1
LEAST_LIVE_SHARE: Final = 0.5
"""At least so much of --seconds is for the live events, however long the rest has taken."""
_CAUGHT_UP_WITHIN_S: Final = 60.0


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show everything; -> 0 only if all that was checked is right and all ended cleanly."""
    asked = Asked(
        LivePlan(arguments.seed, arguments.accounts, arguments.rate, arguments.seconds),
        Path(arguments.output_dir),
        time.monotonic(),
        arguments.browser,
    )
    asked.output.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # so that every `with` is left
    console = new_console()
    console.print("starting a broker ...", style="dim")
    try:
        broker = start_local_broker(arguments.broker)
    except (BrokerFailed, JarsMissing) as error:
        console.print(str(error), style="bold red", soft_wrap=True, markup=False)
        return EXIT_BROKER
    with broker:
        demo = Demo(_own(settings, broker), broker, asked, console)
        try:
            is_right = asyncio.run(demo.run())
        except (WorkerFailed, Stalled) as error:
            console.print(str(error), style="bold red", soft_wrap=True, markup=False)
            return EXIT_CRASH
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
    where = f"log and picture are in {asked.output}/"
    console.print(f"nothing is left running; {where}", soft_wrap=True, markup=False)
    return 0 if is_right else 1


def _own(settings: Settings, broker: LocalBroker) -> Settings:
    """Own names for everything, so that an external broker is not disturbed."""
    name = f"demo-{secrets.token_hex(3)}"
    return replace(
        settings,
        brokers=broker.bootstrap,
        app_id=name,
        input_topic=f"{name}-follow-events",
        updates_topic=f"{name}-net-follower-updates",
        windows_topic=f"{name}-net-follower-windows",
        late_topic=f"{name}-follow-events-late",
        rejected_topic=f"{name}-follow-events-rejected",
        partitions=PARTITIONS,
        replication_factor=1,
        min_isr=1,
        guarantee="exactly_once" if broker.has_transactions else "at_least_once",
        flush_interval_s=FLUSH_INTERVAL_S,
        instance_id="",
        web_host="127.0.0.1",
        web_port=free_ports(1)[0],
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say, and when it all `began` (time.monotonic)."""

    plan: LivePlan
    output: Path
    began: float
    browser: bool = False


class Demo:
    """One run."""

    def __init__(
        self, settings: Settings, broker: LocalBroker, asked: Asked, console: Console
    ) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._broker = broker
        self._asked = asked
        self._console = console
        self._output = asked.output
        self._stop = asyncio.Event()

    async def run(self) -> bool:
        """-> whether all that was checked is right and the worker ended with 0."""
        self._introduce()
        await topics.create(self._settings)
        with self._interruptible():
            async with WorkerProcess(self._settings, self._output / "worker.log") as worker:
                await self._show_page()
                is_right = await self._phases(worker)
                code = await worker.stop()
        say(self._console, f"worker stopped by SIGTERM: exit code {code}", is_right=code == 0)
        return is_right and code == 0

    async def _phases(self, worker: WorkerProcess) -> bool:
        settings, console = self._settings, self._console
        async with progress_of(settings) as progress, outbox_to(settings) as outbox:
            console.rule("1. a real channel, 2018 to 2025", align="left")
            phase = ChannelPhase(settings, outbox, worker, progress)
            is_exact = await phase.run(console, self._output / "channel.png")
            console.rule("2. live events (synthetic)", align="left")
            live = LivePhase(settings, outbox, worker, self._plan(), self._title())
            await live.run(console, self._stop)
            await outbox.settle()
            console.rule("3. the check", align="left")
            found = await progress.wait(
                outbox.ends, within_s=_CAUGHT_UP_WITHIN_S, look=worker.check
            )
            is_complete = totals(console, await counts_of(console, found, worker), outbox)
        is_agreed = await recompute(console, settings, is_tansu=self._broker.kind == "tansu")
        return is_exact and is_complete and is_agreed

    def _plan(self) -> LivePlan:
        plan = self._asked.plan
        spent = time.monotonic() - self._asked.began
        return replace(plan, seconds=max(plan.seconds * LEAST_LIVE_SHARE, plan.seconds - spent))

    def _title(self) -> str:
        settings = self._settings
        return f"{self._broker.kind} at {settings.brokers}, one worker, {settings.guarantee}"

    async def _show_page(self) -> None:
        """Say where the worker's page is, and open it if that was asked for."""
        url = f"http://127.0.0.1:{self._settings.web_port}/"
        self._console.print(f"the page, live: {url}", style="bold", soft_wrap=True)
        if self._asked.browser and not await asyncio.to_thread(webbrowser.open, url):
            self._console.print("no browser could be opened", style="bold yellow")

    def _introduce(self) -> None:
        self._console.print(f"{self._title()}; topics {self._settings.app_id}-*", soft_wrap=True)
        if not self._broker.has_transactions:
            self._console.print(
                "NOT EXACTLY ONCE: this broker has no transactions. Results can repeat after a "
                "crash. Install Java and Maven for a real Kafka.",
                style="bold yellow",
            )

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """First Ctrl-C: end the live events and check. Second, SIGTERM, SIGHUP: clean up and go."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            if self._stop.is_set():
                task.cancel()
            self._stop.set()

        loop.add_signal_handler(signal.SIGINT, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        yield  # the handlers end with the loop
