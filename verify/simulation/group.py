"""The group coordinator: its members, their generation and their partitions. Eager rebalances.

A member that sends no heartbeat for the session timeout is removed. A member that does not join
again within the rebalance timeout has missed the generation. Neither gets a message. It finds out
by its next request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from random import Random
from typing import Final, Protocol

SESSION_TIMEOUT_S: Final = 2.0
REBALANCE_TIMEOUT_S: Final = 1.5
HEARTBEAT_S: Final = 0.1


Share = asyncio.Future[tuple[int, frozenset[int]]]
"""Generation and partitions, when they are known."""


class Member(Protocol):
    """What the coordinator knows of a worker."""

    @property
    def can_be_heard(self) -> bool:
        """False when dead, frozen, or cut off from the coordinator."""


class Group:
    """One consumer group over partitions 0..n-1."""

    def __init__(self, random: Random, partitions: int) -> None:
        self.generation = 0
        self.rebalances = 0
        self._random = random
        self._partitions = partitions
        self._members: dict[Member, float] = {}
        self._joining: dict[Member, Share] = {}
        self._is_wanted = False

    def is_member(self, member: Member) -> bool:
        """True until it is thrown out."""
        return member in self._members

    async def join(self, member: Member) -> tuple[int, frozenset[int]]:
        """Wait for the next generation. Return its number, and the member's partitions in it."""
        self._is_wanted = True
        self._members[member] = asyncio.get_running_loop().time()
        future: Share = asyncio.get_running_loop().create_future()
        self._joining[member] = future
        return await future

    async def until_rejoin(self, member: Member, generation: int) -> None:
        """Heartbeat until the member has to join again."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if not member.can_be_heard:
                continue
            if self._is_wanted or generation != self.generation or not self.is_member(member):
                return

    def rebalance(self) -> None:
        """Begin a new generation, for no reason."""
        self._is_wanted = True

    async def run(self) -> None:
        """Coordinate, for ever."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self._throw_out_the_silent()
            if self._is_wanted and self._members:
                await self._next_generation()

    def _throw_out_the_silent(self) -> None:
        now = asyncio.get_running_loop().time()
        for member, heard in list(self._members.items()):
            if member.can_be_heard:
                self._members[member] = now
            elif now - heard > SESSION_TIMEOUT_S:
                self._throw_out(member)

    def _throw_out(self, member: Member) -> None:
        del self._members[member]
        self._joining.pop(member, None)
        self._is_wanted = True

    async def _next_generation(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + REBALANCE_TIMEOUT_S
        while self._joining.keys() != self._members.keys() and loop.time() < until:
            await asyncio.sleep(HEARTBEAT_S)
            self._throw_out_the_silent()
        for member in [one for one in self._members if one not in self._joining]:
            self._throw_out(member)
        self._is_wanted = False
        self.generation += 1
        self.rebalances += 1
        joined, self._joining = self._joining, {}
        members = list(joined)
        self._random.shuffle(members)
        shares = self._share(len(members))
        for member, share in zip(members, shares, strict=True):
            loop.call_later(
                self._random.random() * 0.05, _tell, joined[member], self.generation, share
            )

    def _share(self, members: int) -> Iterable[frozenset[int]]:
        return [
            frozenset(p for p in range(self._partitions) if p % members == place)
            for place in range(members)
        ]


def _tell(future: Share, generation: int, share: frozenset[int]) -> None:
    if not future.done():
        future.set_result((generation, share))
