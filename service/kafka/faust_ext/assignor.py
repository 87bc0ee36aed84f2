"""Faust's assignor: sticky, in equal shares, and at home with a worker at another address.

It is made for tables with standby replicas. With those, a worker that joins gets nothing while
nobody has more than his share rounded up: the third of four partitions, the fourth of six. We have
none. (Faust's own setting for none, `table_standby_replicas`, takes this assignor away.)

A worker that comes back under its instance id at another address is handed the assignment as it
was, the old address in it, and nobody joins anew; Faust asserts that the address is the worker's
own. What changes with it is only where the others look for us (docs/design/decisions/0014), so it
is put right here and said.
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
    """Shares differ by one at most; an assignment may name us by an earlier address."""

    def __init__(self, app: AppT, replicas: int = 0) -> None:
        """`replicas` are what Faust thinks we have: standbys of tables."""
        del replicas
        super().__init__(app, replicas=0)

    def on_assignment(self, assignment: Any) -> None:  # noqa: ANN401 - aiokafka's
        """Take up an assignment."""
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
        """-> the same assignment, with our address in place of the earlier one."""
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
