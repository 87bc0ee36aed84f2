"""What was checked at the start is checked again while the worker runs: topics change under it.

A change that would make results wrong ends the worker at once, and a new start refuses as it does.
One that only weakens something is logged once. The partition counts are looked at every few
seconds: keys go to other partitions from the moment on at which producers hear of new ones.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from aiokafka.errors import KafkaError

from service.kafka import topics
from service.settings import Settings

log = logging.getLogger(__name__)

INTERVAL_S: Final = 5.0
_EACH: Final = 12
"""Configurations are looked at every so many intervals."""


class TopicWatch:
    """Looks for ever; `fail` ends the process."""

    def __init__(
        self, settings: Settings, partitions: int, fail: Callable[[str, BaseException | None], None]
    ) -> None:
        """`partitions`: of the input, as found at the start."""
        self._settings = settings
        self._partitions = partitions
        self._fail = fail
        self._told: set[str] | None = None
        """What has been logged; before the first look, that is what the start has logged."""

    async def run(self) -> None:
        """Look again and again. A broker that does not answer is told of elsewhere."""
        for turn in range(2**63):
            await asyncio.sleep(INTERVAL_S)
            try:
                await self._look_at_partitions()
                if turn % _EACH == 0:
                    await self._look_at_configurations()
            except (KafkaError, OSError, TimeoutError) as error:
                log.debug("the topics cannot be looked at: %r", error)

    async def _look_at_partitions(self) -> None:
        found = await topics.partitions_of_input(self._settings)
        if found is not None and found != self._partitions:
            self._fail(topics.grown(self._settings, found, self._partitions), None)

    async def _look_at_configurations(self) -> None:
        findings = await topics.check(self._settings)
        for finding in findings:
            if finding.is_error:
                self._fail(f"the topics have changed: {finding.text}; fix: {finding.fix}", None)
            elif self._told is not None and finding.text not in self._told:
                log.warning("%s; fix: %s", finding.text, finding.fix)
        self._told = {finding.text for finding in findings}
