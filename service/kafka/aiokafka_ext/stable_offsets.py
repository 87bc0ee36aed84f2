"""Reads committed offsets that no transaction can still change (KIP-447, `require_stable`).

After a transaction has been committed, the group coordinator may not have applied it yet, and may
answer with older offsets. aiokafka uses a version of the request (3) that cannot ask the
coordinator to wait for this. That needs version 7, which is defined here. An older broker gets
version 3. `tests/integration/kafka/test_libraries.py` fails if aiokafka changes.
"""

from __future__ import annotations

from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import GroupLoadInProgressError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetFetchRequest_v3
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)
from aiokafka.structs import OffsetAndMetadata

UNSTABLE: Final = 88
"""UNSTABLE_OFFSET_COMMIT: a transaction is still being applied, so the request must be repeated."""
_LOADING: Final = 14
_NOT_COORDINATOR: Final = 16
_TEXT: Final = CompactString("utf-8")


class OffsetFetchResponse_v7(Response):  # noqa: N801 - as the library names them
    """Offsets by topic and partition, with an error code for the whole response."""

    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", _TEXT),
                        ("error_code", Int16),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("error_code", Int16),
        ("tags", TaggedFields),
    )


class OffsetFetchRequest_v7(RequestStruct):  # noqa: N801
    """Requests a group's offsets.

    `require_stable`: return an error if an offset may still change.
    """

    API_KEY = 9
    API_VERSION = 7
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = OffsetFetchResponse_v7
    SCHEMA = Schema(
        ("group_id", _TEXT),
        (
            "topics",
            CompactArray(
                ("name", _TEXT), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
            ),
        ),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class StableOffsetFetch(Request[OffsetFetchRequest_v3 | OffsetFetchRequest_v7]):
    """Version 7 if the broker knows it, else version 3."""

    API_KEY = 9

    def __init__(self, group_id: str, topics: dict[str, list[int]]) -> None:
        """`topics`: the partitions of each topic name."""
        self._group_id = group_id
        self._topics = topics

    def build(
        self, request_struct_class: type[OffsetFetchRequest_v3 | OffsetFetchRequest_v7]
    ) -> OffsetFetchRequest_v3 | OffsetFetchRequest_v7:
        """Build the struct of the negotiated version."""
        if request_struct_class is OffsetFetchRequest_v7:
            topics: list[Any] = [(*topic, {}) for topic in self._topics.items()]
            return OffsetFetchRequest_v7(self._group_id, topics, True, {})  # noqa: FBT003
        return OffsetFetchRequest_v3(self._group_id, list(self._topics.items()))


def ask_for_stable(coordinator: Any) -> None:  # noqa: ANN401 - aiokafka's
    """Make `coordinator.fetch_committed_offsets` wait for stable offsets from now on."""

    async def fetch(partitions: list[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        topics: dict[str, list[int]] = {}
        for tp in partitions:
            topics.setdefault(tp.topic, []).append(tp.partition)
        request = StableOffsetFetch(coordinator.group_id, topics)
        return _read(await coordinator._send_req(request), coordinator)  # noqa: SLF001

    coordinator._do_fetch_commit_offsets = fetch  # noqa: SLF001


def _read(response: Any, coordinator: Any) -> dict[TopicPartition, OffsetAndMetadata]:  # noqa: ANN401
    """Return the offsets of a response. A retriable error makes aiokafka send the request again."""
    found = {}
    is_7 = isinstance(response, OffsetFetchResponse_v7)
    _check(response.error_code, coordinator)
    for name, partitions, *_ in response.topics:
        for partition, offset, *more in partitions:
            metadata, error_code = more[1:3] if is_7 else more
            _check(error_code, coordinator)
            if offset >= 0:
                found[TopicPartition(name, partition)] = OffsetAndMetadata(offset, metadata)
    return found


def _check(error_code: int, coordinator: Any) -> None:  # noqa: ANN401
    if error_code in (UNSTABLE, _LOADING):
        raise GroupLoadInProgressError
    if error_code:
        if error_code == _NOT_COORDINATOR:
            coordinator.coordinator_dead()
        raise for_code(error_code)
