"""The Faust app of a worker: no tables, no directory, no web server, and our transport."""

from __future__ import annotations

import logging
from typing import Final

import faust
import yarl
from faust.tables import TableManager
from mode import CrashingSupervisor

from service.kafka import security
from service.kafka.faust_ext.assignor import Assignor
from service.kafka.faust_ext.transport import AssignedShards, BatchTransport
from service.settings import Settings

_IDLE_POLL_S: Final = 86_400.0
_REBALANCE_S: Final = 30.0
_ANSWER_S: Final = 5.0
"""If a join has no answer this long after the latest end of a rebalance, it is sent again."""


class _App(faust.App):
    """Faust stores no state of this service, so it needs no directory."""

    logger = logging.getLogger("faust.app")  # Faust would log under the name of this module

    def _create_directories(self) -> None:
        """Create no directory."""


class NoTables(TableManager):
    """Faust waits a second here for tables that may still be added. This service adds no table."""

    logger = logging.getLogger(
        "faust.tables"
    )  # otherwise it would log under the name of this module

    async def on_start(self) -> None:
        """Do the rest of what Faust does."""
        await self._update_channels()
        await self.recovery.start()


def new_app(settings: Settings, shards: AssignedShards) -> faust.App:
    """Build the Faust app of a worker. Its batches come from `shards`. Nothing is connected."""
    rebalance_s = settings.flush_interval_s + _REBALANCE_S
    urls = [yarl.URL(f"kafka://{address}") for address in settings.brokers.split(",")]
    app = _App(
        settings.app_id,
        broker=urls,
        broker_credentials=security.faust_credentials(settings),
        store="memory://",
        TableManager=NoTables,
        PartitionAssignor=Assignor,
        web_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=16,
        agent_supervisor=CrashingSupervisor,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.instance_id or None,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_interval_s,
        broker_rebalance_timeout=rebalance_s,
        broker_request_timeout=max(rebalance_s, settings.session_timeout_s) + _ANSWER_S,
        broker_max_poll_interval=_IDLE_POLL_S,
        topic_disable_leader=True,
        topic_allow_declare=False,
        worker_redirect_stdouts=False,
    )
    app.transport = BatchTransport(
        app.conf.broker_consumer,
        app,
        shards=shards,
        input_topic=settings.input_topic,
        lost_after_s=max(settings.transaction_timeout_s, settings.session_timeout_s) + rebalance_s,
    )
    return app
