"""A worker's connection to the broker: latency, death, freezing, and where faults strike.

Every effect that a worker has on the world passes through `Link.call`. A dead worker's calls never
return and do nothing, whatever its tasks still run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum
from random import Random
from typing import Protocol, TypeVar

from aiokafka.errors import KafkaTimeoutError, RequestTimedOutError

T = TypeVar("T")

LATENCY_S = 0.01


class Verb(Enum):
    """The requests that matter, by what they are for."""

    INIT = "init"
    FETCH_OFFSETS = "fetch offsets"
    LIST_OFFSETS = "list offsets"
    FETCH = "fetch"
    SEND = "send"
    OFFSETS = "offsets"
    COMMIT = "commit"


class Moment(Enum):
    """Where in a request a fault strikes."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Strike(Enum):
    """What a fault does to the request that it strikes."""

    CRASH = "crash"
    LOSE = "lose"
    REPEAT = "repeat"


class Faults(Protocol):
    """Decides at each request whether a fault strikes. The ledger counts its decisions."""

    def strike(self, link: Link, verb: Verb, moment: Moment) -> Strike | None:
        """Return the fault that strikes a request, or None."""


class Link:
    """The connection of one life of a worker."""

    def __init__(self, random: Random, faults: Faults, crash: Callable[[str], None]) -> None:
        """`crash(why)` is `kill -9`."""
        self.random = random
        self.is_alive = True
        self.is_active: Callable[[], bool] = lambda: False
        self.tasks: list[asyncio.Task[object]] = []
        self.partial = random.random() < 0.5
        self.stale_fetch = False
        self.repeat_fetch = False
        self.was_misled = False
        self._faults = faults
        self._crash = crash
        self._flows = asyncio.Event()
        self._flows.set()
        self._answers = asyncio.Event()
        self._answers.set()

    @property
    def is_frozen(self) -> bool:
        """True between freeze and thaw."""
        return not self._flows.is_set()

    @property
    def is_cut(self) -> bool:
        """True while requests get no answer."""
        return not self._answers.is_set()

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Take the network away: requests hang."""
        self._answers.clear()

    def mend(self) -> None:
        """Bring the network back."""
        self._answers.set()

    async def awake(self) -> None:
        """Wait while the worker is frozen, and for ever if it is dead."""
        await self._flows.wait()
        if not self.is_alive:
            await asyncio.Event().wait()

    async def call(self, verb: Verb, what: Callable[[], T | None], *, again: float = 0.02) -> T:
        """Send a request and wait for the answer. If `what` returns None, send it again."""
        while True:
            answer = await self._once(verb, what)
            if answer is not None:
                return answer
            await asyncio.sleep(again)

    async def _once(self, verb: Verb, what: Callable[[], T | None]) -> T | None:
        await self._pass(verb, Moment.BEFORE)
        answer = what()
        if await self._pass(verb, Moment.DURING):
            what()  # the answer was lost, and the client sent the request again
        if self._faults.strike(self, verb, Moment.AFTER) is not None:
            self._crash(f"after {verb.value}")
        await self.awake()
        return answer

    async def _pass(self, verb: Verb, moment: Moment) -> bool:
        """Pass one way, to the broker or back. Return whether the request is repeated."""
        await asyncio.sleep(self.random.random() * LATENCY_S)
        await self.awake()
        await self._answers.wait()
        strike = self._faults.strike(self, verb, moment)
        if strike is Strike.CRASH:
            self._crash(f"{moment.value} {verb.value}")
        elif strike is Strike.LOSE:
            raise RequestTimedOutError if verb is Verb.COMMIT else KafkaTimeoutError
        await self.awake()
        return strike is Strike.REPEAT


CURRENT: ContextVar[Link] = ContextVar("link")
"""The link of the worker whose code is running."""
