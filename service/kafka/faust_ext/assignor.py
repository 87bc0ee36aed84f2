"""Faust's assignor: sticky, with equal shares, and able to handle a worker with a new address.

Faust plans for standby replicas of tables. With them, a new worker receives partitions only if
another worker holds more than its share rounded up: a third worker gets none of four partitions,
and a fourth none of six. This service has no standbys, so `replicas` is 0 and shares differ by at
most one. (Faust's setting `table_standby_replicas=0` would remove this assignor.)

A worker may come back with its instance id at another address. It then gets its old assignment,
with the old address in it, and no member joins again. Faust asserts that the address is the
worker's own. The address only says where the other workers find this one
(docs/design/decisions/0014). So it is corrected here, and a warning is logged.
"""

from __future__ import annotations

import logging
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.assignor.client_assignment import ClientMetadata
from faust.assignor.partition_assignor import PartitionAssignor
from faust.types import AppT

log = logging.getLogger(__name__)


class Assignor(PartitionAssignor):
    """Shares differ by at most one. An assignment may contain an earlier address of this worker."""

    def __init__(self, app: AppT, replicas: int = 0) -> None:
        """`replicas`: the number of standbys that Faust assumes. It is ignored."""
        del replicas
        super().__init__(app, replicas=0)

    def on_assignment(self, assignment: Any) -> None:  # noqa: ANN401 - aiokafka's
        """Accept an assignment."""
        told = ClientMetadata.loads(self._decompress(assignment.user_data))
        own = str(self._url)
        if told.url != own:
            log.warning(
                "back at another address: the other workers send requests to %s, not to %s, "
                "until the next rebalance (set NETFOLLOWERS_ADVERTISED_URL to a stable URL)",
                told.url,
                own,
            )
            assignment = self._at(own, told, assignment)
        super().on_assignment(assignment)

    def _at(self, own: str, told: Any, assignment: Any) -> Any:  # noqa: ANN401
        """Return the same assignment with the present address in place of the earlier one."""
        mine = ClientMetadata(
            assignment=told.assignment,
            url=own,
            changelog_distribution=told.changelog_distribution,
            external_topic_distribution={
                own if url == told.url else url: topics
                for url, topics in told.external_topic_distribution.items()
            },
            topic_groups=told.topic_groups,
        )
        return ConsumerProtocolMemberAssignment(
            assignment.version, assignment.assignment, self._compress(mine.dumps())
        )
