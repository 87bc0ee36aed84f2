"""`netfollowers demo`: a broker, a worker, a real channel, live events, and an independent check.

Everything that is started stands in a `with`, so that nothing is left running, whatever happens.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from service.audit.check import check
from service.engine import Checkpoint
from service.kafka import clients, topics
from service.settings import Settings
from service.tools.broker import LocalBroker, start_local_broker
from service.tools.demo_channel import ChannelPhase
from service.tools.demo_live import LivePhase, LivePlan
from service.tools.drawing import new_console
from service.tools.outbox import Outbox
from service.tools.progress import Stalled, progress_of
from service.tools.send import outbox_to
from service.tools.summary import counts_line
from service.tools.worker_process import WorkerFailed, WorkerProcess, free_port

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
    )
    asked.output.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # so that every `with` is left
    console = new_console()
    console.print("starting a broker ...", style="dim")
    with start_local_broker(arguments.broker) as broker:
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
        web_port=free_port(),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say, and when it all `began` (time.monotonic)."""

    plan: LivePlan
    output: Path
    began: float


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
                is_right = await self._phases(worker)
                code = await worker.stop()
        self._say(f"worker stopped by SIGTERM: exit code {code}", is_right=code == 0)
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
            is_complete = self._totals(found, outbox)
        return await self._recompute() and is_exact and is_complete

    def _plan(self) -> LivePlan:
        plan = self._asked.plan
        spent = time.monotonic() - self._asked.began
        return replace(plan, seconds=max(plan.seconds * LEAST_LIVE_SHARE, plan.seconds - spent))

    def _totals(self, found: Mapping[int, Checkpoint], outbox: Outbox) -> bool:
        """Print the five counts per partition, and whether they sum to what was produced."""
        counted = 0
        for partition, checkpoint in sorted(found.items()):
            records = outbox.ends.get(partition, 0)
            line = counts_line(checkpoint.counts, records)
            self._console.print(f"partition {partition}: {line}", soft_wrap=True)
            counted += checkpoint.counts.total
        sent = sum(outbox.sent.values())
        self._say(f"{sent:,} records produced, {counted:,} counted", is_right=sent == counted)
        return sent == counted

    async def _recompute(self) -> bool:
        settings = self._settings
        with self._console.status("recomputing everything from the input, by other code ..."):
            report = await check(
                settings.brokers,
                input_topic=settings.input_topic,
                updates_topic=settings.updates_topic,
                windows_topic=settings.windows_topic,
                late_topic=settings.late_topic,
                rejected_topic=settings.rejected_topic,
                app_id=settings.app_id,
                at_least_once=not settings.is_exactly_once,
                tansu=self._broker.kind == "tansu",
                client_options=_credentials(settings),
            )
        self._console.print(str(report), markup=False, soft_wrap=True)
        verdict = "agrees with" if report.ok else "DISAGREES with"
        self._say(f"the independent recomputation {verdict} the table", is_right=report.ok)
        return report.ok

    def _title(self) -> str:
        settings = self._settings
        return f"{self._broker.kind} at {settings.brokers}, one worker, {settings.guarantee}"

    def _introduce(self) -> None:
        self._console.print(f"{self._title()}; topics {self._settings.app_id}-*", soft_wrap=True)
        if not self._broker.has_transactions:
            self._console.print(
                "NOT EXACTLY ONCE: this broker has no transactions. Results can repeat after a "
                "crash. Install Java and Maven for a real Kafka.",
                style="bold yellow",
            )

    def _say(self, text: str, *, is_right: bool) -> None:
        self._console.print(text, style="bold" if is_right else "bold red", soft_wrap=True)

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


def _credentials(settings: Settings) -> dict[str, object]:
    """Client options without the brokers' addresses."""
    return {k: v for k, v in clients.options(settings).items() if k != "bootstrap_servers"}
