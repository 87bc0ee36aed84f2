"""Answers for all partitions: finds the owner of each partition and merges the workers' answers.

The owners come with the group's assignment (docs/design/decisions/0014). While partitions move,
nothing is guessed: `ApiError` with status 503 says when to try again.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from service import __version__
from service.kafka.partitioning import partition_of
from service.web import merge as merging
from service.web import peer_checks as checked
from service.web import peer_protocol as asked
from service.web import responses as answers
from service.web.local_shards import Local
from service.web.peer_protocol import Looked, Question, Told, TopQuestion
from service.web.peers import Peers
from service.web.problems import ApiError, unavailable
from service.web.responses import By, GrainRule, ShardStatus, WorkerStatus

if TYPE_CHECKING:
    from service.kafka.aiokafka_ext.group_health import Membership
    from service.settings import Settings


class Cluster:
    """All workers of the group, as this worker knows them."""

    def __init__(
        self,
        settings: Settings,
        partitions: int,
        *,
        local: Local,
        peers: Peers,
        membership: Callable[[], Membership | None],
    ) -> None:
        """`partitions`: number of partitions of the input."""
        self._settings = settings
        self._partitions = partitions
        self._local = local
        self._peers = peers
        self._membership = membership
        ranked = settings.ranked_grains
        self.grains = [
            GrainRule(
                grain.name, grain.size_ms, grain.grace_ms, grain.keep_ms, grain.name in ranked
            )
            for grain in settings.rules.grains
        ]

    @property
    def _owners(self) -> dict[int, str]:
        """Return the owner's URL of each partition, all workers included; {} during a rebalance."""
        membership = self._membership()
        return membership.owners if membership is not None else {}

    # ---- accounts

    async def accounts(self, ids: Sequence[str]) -> list[Looked]:
        """Look accounts up, each in its partition. ApiError (503) if an owner is not known.

        The partition that murmur2 chooses comes first. If it has no row, the partition that CRC32
        chooses (the default of librdkafka) is tried too.
        """
        found = await self._look([(self._murmur2(key), key) for key in ids])
        again = [
            index
            for index, (key, looked) in enumerate(zip(ids, found, strict=True))
            if looked.row is None and self._crc32(key) != self._murmur2(key)
        ]
        if again:
            second = await self._look([(self._crc32(ids[index]), ids[index]) for index in again])
            for index, looked in zip(again, second, strict=True):
                if looked.row is not None:
                    found[index] = looked
        return found

    def _murmur2(self, account_id: str) -> int:
        return partition_of(account_id.encode(), self._partitions)

    def _crc32(self, account_id: str) -> int:
        return crc32(account_id.encode()) % self._partitions

    async def _look(self, wanted: list[tuple[int, str]]) -> list[Looked]:
        mine = self._local.running()
        here = [index for index, (partition, _) in enumerate(wanted) if partition in mine]
        elsewhere: dict[str, list[int]] = defaultdict(list)
        for index, (partition, _) in enumerate(wanted):
            if partition not in mine:
                elsewhere[self._owner(partition)].append(index)
        looked = await self._local.looks([wanted[index] for index in here])
        found = dict(zip(here, looked, strict=True))
        told = await asyncio.gather(
            *(
                self._ask(url, accounts=[wanted[index] for index in indexes])
                for url, indexes in elsewhere.items()
            )
        )
        for indexes, answer in zip(elsewhere.values(), told, strict=True):
            found |= zip(indexes, answer.accounts, strict=True)
        for index, (partition, _) in enumerate(wanted):
            if found[index].freshness is None:
                raise unavailable(f"partition {partition} is moving to another worker")
        return [found[index] for index in range(len(wanted))]

    def _owner(self, partition: int) -> str:
        owners = self._owners
        if not owners:
            message = f"the group is rebalancing: partition {partition} has no known worker yet"
            raise unavailable(message)
        url = owners.get(partition)
        if url is None or (url == self._local.url and not self._local.holds(partition)):
            message = (
                f"the worker of partition {partition} is not known: does each worker have an "
                "address of its own (NETFOLLOWERS_ADVERTISED_URL)?"
            )
            raise unavailable(message, 5)
        if url == self._local.url:
            message = (
                f"partition {partition} is being restored, or this worker was stopped for a moment"
            )
            raise unavailable(message)
        return url

    async def _ask(
        self,
        url: str,
        *,
        accounts: list[tuple[int, str]] | None = None,
        top: TopQuestion | None = None,
        service: bool = False,
    ) -> Told:
        question = Question(self._settings.app_id, accounts or [], top, service)
        grains = [grain.name for grain in self.grains]
        return await self._peers.ask(
            url,
            question,
            most_bytes=checked.most_bytes(question, self._partitions, len(grains)),
            why_wrong=lambda told: checked.why_wrong(
                told, question, partitions=self._partitions, grains=grains
            ),
        )

    # ---- leaders

    async def top(self, grain: str, by: By, n: int, trail: str | None) -> answers.Top:
        """Return the rankings over all shards. ApiError (503): a partition has not answered."""
        question = TopQuestion(grain, answers.RANKINGS[by], n, trail)
        mine = await self._local.tops(question)
        here = {shard.freshness.partition for shard in mine}
        missing = set(range(self._partitions)) - here
        urls = sorted({self._owner(partition) for partition in missing})
        told = await asyncio.gather(*(self._ask(url, top=question) for url in urls))
        shards = {shard.freshness.partition: shard for answer in told for shard in answer.top}
        shards |= {shard.freshness.partition: shard for shard in mine}
        if moving := sorted(set(range(self._partitions)) - shards.keys()):
            raise unavailable(f"partition {moving[0]} is moving to another worker")
        rule = next(rule for rule in self.grains if rule.name == grain)
        return merging.top(rule, by, n, [shards[number] for number in sorted(shards)])

    # ---- the service

    async def service(self) -> answers.Service:
        """Return all that is known. A worker that does not answer is marked as not answering."""
        owners = self._owners
        told = {self._local.url: self._local.statuses()}
        others = sorted(set(owners.values()) - told.keys())
        heard = await asyncio.gather(*(self._statuses(url) for url in others))
        told |= {url: one for url, one in zip(others, heard, strict=True) if one is not None}
        shards = self._by_partition(told.values(), owners)
        known = [shard for shard in shards if shard.freshness is not None]
        membership = self._membership()
        held: dict[str, list[int]] = {url: [] for url in {self._local.url, *owners.values()}}
        for partition, url in sorted(owners.items()):
            held[url].append(partition)
        return answers.Service(
            version=__version__,
            app_id=self._settings.app_id,
            guarantee=self._settings.guarantee,
            input_topic=self._settings.input_topic,
            partitions=self._partitions,
            generation=membership.generation if membership is not None else -1,
            is_rebalancing=not owners,
            is_complete=len(known) == self._partitions,
            now_ms=round(time.time() * 1_000),
            lag_records=sum(shard.lag_records or 0 for shard in known),
            accounts=sum(shard.accounts or 0 for shard in known),
            outcomes=merging.outcomes(shards),
            grains=self.grains,
            settings=self._settings.fingerprint(self._partitions),
            workers=[WorkerStatus(url, held[url], url in told) for url in sorted(held)],
            shards=shards,
        )

    async def _statuses(self, url: str) -> list[ShardStatus] | None:
        try:
            return (await self._ask(url, service=True)).shards
        except ApiError:
            return None

    def _by_partition(
        self, told: Iterable[list[ShardStatus]], owners: dict[int, str]
    ) -> list[ShardStatus]:
        """Return one status per partition: of the running shard, of any shard, or `unknown`."""
        found: dict[int, ShardStatus] = {}
        for shard in (shard for one in told for shard in one):
            if shard.freshness is not None or shard.partition not in found:
                found[shard.partition] = shard
        return [
            found.get(number, ShardStatus(number, owners.get(number), "unknown"))
            for number in range(self._partitions)
        ]

    async def answer(self, question: Question) -> Told:
        """Answer another worker from the shards of this worker alone.

        ApiError (421) if the request belongs to another group, ApiError (400) if it is not valid.
        """
        if question.app_id != self._settings.app_id:
            message = f"this worker belongs to the deployment {self._settings.app_id}"
            raise ApiError("other-deployment", message)
        top, names = question.top, {None, *(grain.name for grain in self.grains)}
        if top is not None and not {top.grain, top.trail} <= names:
            raise ApiError("bad-request", "there is no such grain")
        if top is not None and len(set(top.rankings)) < len(top.rankings):
            raise ApiError("bad-request", "a ranking may be requested only once")
        return await self._local.answer(question)


__all__ = ["Cluster", "asked"]
