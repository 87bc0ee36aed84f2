"""Checks that this worker is still a member: the coordinator answers and assigns partitions.

A worker without partitions has no reader that would notice. A worker with partitions may read on
although the group has given them to another worker. Knows aiokafka's coordinator; decides nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from service.settings import is_web_address

log = logging.getLogger(__name__)

_WELL: Final = (0, 27, 79)
"""NONE, REBALANCE_IN_PROGRESS, MEMBER_ID_REQUIRED: the coordinator knows this worker."""


def usable(owners: Mapping[int, str]) -> dict[int, str]:
    """Return only addresses of web ports, because a member of the group can advertise any text.

    NETFOLLOWERS_ADVERTISED_URL must have the same form.
    """
    wrong = sorted({url for url in owners.values() if not is_web_address(url)})
    if wrong:
        log.warning(
            "members without an http://HOST:PORT address get no requests: %d, one %.200r",
            len(wrong),
            wrong[0],
        )
    return {partition: url for partition, url in owners.items() if is_web_address(url)}


def why_ended(coordinator: Any) -> BaseException | None:  # noqa: ANN401 - aiokafka's
    """Return the error that has ended the membership; None if all is well.

    aiokafka raises it only inside `poll()`, which nothing here calls on that consumer.
    """
    task = coordinator._coordination_task  # noqa: SLF001
    ended = task.exception() if task.done() and not task.cancelled() else None
    return ended or coordinator._pending_exception  # type: ignore[no-any-return] # noqa: SLF001


class Membership:
    """When the coordinator last gave a good response, and since when no assignment has come."""

    def __init__(self, lost_after_s: float) -> None:
        """`lost_after_s`: longer than a rebalance, and than an outage that must be survived."""
        self.lost_after_s: Final = lost_after_s
        self._answered_at = time.monotonic()
        self._waits_since: float | None = self._answered_at
        self._heard: Any = None
        self.generation = -1
        """Generation of the group at the last assignment; -1 before the first one."""
        self.assignments = 0
        self.owners: dict[int, str] = {}
        """URL of each partition's worker; empty from a revoke to the next assignment."""

    def hear(self, coordinator: Any) -> None:  # noqa: ANN401 - aiokafka's
        """Note every response of the coordinator from now on. A second call does nothing."""
        if coordinator is self._heard:
            return
        self._heard, send = coordinator, coordinator._send_req  # noqa: SLF001

        async def send_and_note(request: Any) -> Any:  # noqa: ANN401
            answer = await send(request)
            if getattr(answer, "error_code", 0) in _WELL:
                self._answered_at = time.monotonic()
            return answer

        coordinator._send_req = send_and_note  # noqa: SLF001

    def revoked(self) -> None:
        """Expect an assignment from now on."""
        self._waits_since = time.monotonic()
        self.owners = {}

    def assigned(self, generation: int = 0, owners: Mapping[int, str] | None = None) -> None:
        """Note an assignment. It may be empty for a standby worker. `owners`: of all partitions."""
        self.owners = dict(owners or {})
        self._waits_since = None
        self.generation = generation
        self.assignments += 1

    def why_lost(self) -> str:
        """Return what has been missing for too long; "" if all is well."""
        now = time.monotonic()
        silent_s = now - self._answered_at
        if silent_s > self.lost_after_s:
            return f"the group's coordinator has not answered for {silent_s:.0f} s"
        if self._waits_since is not None and now - self._waits_since > self.lost_after_s:
            return f"the group has assigned nothing for {now - self._waits_since:.0f} s"
        return ""
