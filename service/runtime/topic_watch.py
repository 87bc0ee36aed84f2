"""Repeats the checks of the start while the worker runs, because topics may change meanwhile.

A change that would make results wrong ends the worker. A new start then refuses for the same
reason. A change that only weakens the service is logged once. The partition count of the input is
checked every few seconds, because keys go to other partitions as soon as producers see new ones.

A broker that has just started may not know all topics yet. So a change counts only if two
consecutive checks have seen it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from service.kafka import clients
from service.kafka import topic_admin as topics
from service.settings import Settings

log = logging.getLogger(__name__)

INTERVAL_S: Final = 3.0
_EACH: Final = 20
"""Configurations are checked once in this many intervals."""


class TopicWatch:
    """Checks without end. `fail` ends the process."""

    def __init__(
        self, settings: Settings, partitions: int, fail: Callable[[str, BaseException | None], None]
    ) -> None:
        """`partitions`: of the input, as found at the start."""
        self._settings = settings
        self._partitions = partitions
        self._fail = fail
        self._told: set[str] | None = None
        """The findings that are logged already.

        Before the first check: those that the start logged.
        """
        self._suspected = ""
        """The finding of the last check that would end the worker."""

    async def run(self) -> None:
        """Check again and again. Other code reports a broker that does not answer."""
        turn = 0
        while True:
            admin = clients.admin(self._settings)
            try:
                await admin.start()
                while True:
                    await asyncio.sleep(INTERVAL_S)
                    await self._look(admin, is_whole=turn % _EACH == 0 or bool(self._suspected))
                    turn += 1
            except (KafkaError, OSError, TimeoutError) as error:
                log.debug("the topics could not be checked: %r", error)
            finally:
                await admin.close()
            await asyncio.sleep(INTERVAL_S)

    async def _look(self, admin: AIOKafkaAdminClient, *, is_whole: bool) -> None:
        wrong = await self._partitions_wrong(admin)
        if not wrong and is_whole:
            wrong = await self._configurations_wrong()
        if wrong and wrong == self._suspected:
            self._fail(wrong, None)
        self._suspected = wrong

    async def _partitions_wrong(self, admin: AIOKafkaAdminClient) -> str:
        found = await topics.partitions_of_input(admin, self._settings)
        if found is None or found == self._partitions:
            return ""
        return topics.grown(self._settings, found, self._partitions)

    async def _configurations_wrong(self) -> str:
        """Log new warnings once. Returns the first error; empty without one."""
        findings = await topics.check(self._settings)
        for finding in findings:
            is_new = self._told is not None and finding.text not in self._told
            if is_new and not finding.is_error:
                log.warning("%s; fix: %s", finding.text, finding.fix)
        self._told = {finding.text for finding in findings}
        errors = [finding for finding in findings if finding.is_error]
        return f"the topics have changed: {errors[0].text}; fix: {errors[0].fix}" if errors else ""
