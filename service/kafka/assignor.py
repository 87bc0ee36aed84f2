"""Faust's assignor, for a worker that comes back under its instance id at another address.

The broker then hands it the assignment as it was, the old address in it, and has nobody join anew;
Faust asserts that the address is the worker's own. What changes with it is only where the others
look for us (docs/decisions/0014), so it is put right here and said.
"""

from __future__ import annotations

import logging
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.assignor.client_assignment import ClientMetadata
from faust.assignor.partition_assignor import PartitionAssignor

log = logging.getLogger(__name__)


class Assignor(PartitionAssignor):
    """Takes an assignment that names us by an earlier address."""

    def on_assignment(self, assignment: Any) -> None:  # noqa: ANN401 - aiokafka's
        """Take up an assignment."""
        told = ClientMetadata.loads(self._decompress(assignment.user_data))
        own = str(self._url)
        if told.url != own:
            log.warning(
                "back at another address: the other workers ask for this one at %s, not at %s, "
                "until the next rebalance (NETFOLLOWERS_ADVERTISED_URL: one that stays)",
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
