"""Requests in versions that aiokafka lacks, or whose answer it cannot read.

Each request negotiates its version: a broker that knows no version of these answers with an error
of aiokafka (`NotImplementedError`, `IncompatibleBrokerVersion`), not with other bytes.
"""

from __future__ import annotations

from typing import Any, Final

from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetFetchRequest_v3
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)

_TEXT: Final = String("utf-8")
_COMPACT: Final = CompactString("utf-8")


class OffsetFetchResponseV7(Response):
    """Offsets by topic and partition, with an error code for the whole response."""

    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _COMPACT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", _COMPACT),
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


class OffsetFetchRequestV7(RequestStruct):
    """Can ask for an error if an offset may still change (`require_stable`). aiokafka has 3."""

    API_KEY = 9
    API_VERSION = 7
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = OffsetFetchResponseV7
    SCHEMA = Schema(
        ("group_id", _COMPACT),
        (
            "topics",
            CompactArray(
                ("name", _COMPACT), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
            ),
        ),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class StableOffsetFetch(Request[OffsetFetchRequest_v3 | OffsetFetchRequestV7]):
    """Requests a group's offsets: with version 7 if the broker knows it, else with version 3."""

    API_KEY = 9

    def __init__(self, group_id: str, topics: dict[str, list[int]]) -> None:
        """`topics`: the partitions of each topic name."""
        self._group_id = group_id
        self._topics = topics

    def build(
        self, request_struct_class: type[OffsetFetchRequest_v3 | OffsetFetchRequestV7]
    ) -> OffsetFetchRequest_v3 | OffsetFetchRequestV7:
        """Build the struct of the negotiated version."""
        if request_struct_class is OffsetFetchRequestV7:
            topics: list[Any] = [(*topic, {}) for topic in self._topics.items()]
            return OffsetFetchRequestV7(self._group_id, topics, True, {})  # noqa: FBT003
        return OffsetFetchRequest_v3(self._group_id, list(self._topics.items()))


class LeaveGroupResponseV3(Response):
    """An error code for the whole response, and one for each member."""

    API_KEY = 13
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "members",
            Array(("member_id", _TEXT), ("group_instance_id", _TEXT), ("error_code", Int16)),
        ),
    )


class LeaveGroupRequestV3(RequestStruct):
    """Names members by their instance id. aiokafka has version 1."""

    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = LeaveGroupResponseV3
    SCHEMA = Schema(
        ("group_id", _TEXT),
        ("members", Array(("member_id", _TEXT), ("group_instance_id", _TEXT))),
    )


class LeaveGroup(Request[LeaveGroupRequestV3]):
    """Removes an instance from a group, whatever its member id is."""

    API_KEY = 13

    def __init__(self, group: str, instance_id: str) -> None:
        """`instance_id`: NETFOLLOWERS_INSTANCE_ID of the worker."""
        self._group = group
        self._instance_id = instance_id

    def build(self, request_struct_class: type[LeaveGroupRequestV3]) -> LeaveGroupRequestV3:
        """Build the only version."""
        return request_struct_class(self._group, [("", self._instance_id)])


class MetadataResponseV8(Response):
    """Topics, each with the operations that this user may do, as a bit field."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("name", _TEXT),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class MetadataRequestV8(RequestStruct):
    """Asks for rights, too. aiokafka has version 5."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = MetadataResponseV8
    SCHEMA = Schema(
        ("topics", Array(_TEXT)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class MetadataWithRights(Request[MetadataRequestV8]):
    """Requests topics by name, with the user's rights for each. Creates no topic."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        """`topics`: names."""
        self._topics = topics

    def build(self, request_struct_class: type[MetadataRequestV8]) -> MetadataRequestV8:
        """Build the only version."""
        return request_struct_class(self._topics, False, False, True)  # noqa: FBT003 - the wire's


class DescribeGroupsRequestV3(DescribeGroupsRequest_v3):
    """Has the response that belongs to it. aiokafka's class names that of version 2."""

    RESPONSE_TYPE = DescribeGroupsResponse_v3


class GroupWithRights(Request[DescribeGroupsRequestV3]):
    """Requests a group, with the user's rights for it."""

    API_KEY = DescribeGroupsRequest_v3.API_KEY

    def __init__(self, group: str) -> None:
        """`group`: its id."""
        self._group = group

    def build(self, request_struct_class: type[DescribeGroupsRequestV3]) -> DescribeGroupsRequestV3:
        """Build the only version."""
        return request_struct_class([self._group], True)  # noqa: FBT003 - the wire's
