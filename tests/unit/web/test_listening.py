"""A port or address on which nothing can listen is named, and what is wrong with it."""

from __future__ import annotations

import socket

import pytest
from prometheus_client import CollectorRegistry

from service.errors import UsageError
from service.web.server import Web
from tests.support.web_port import listening


async def test_a_port_that_is_taken_is_named() -> None:
    async with listening() as worker:
        web = Web(CollectorRegistry(), lambda: "", worker.api)
        with socket.create_server(("127.0.0.1", 0)) as other:
            number = other.getsockname()[1]
            with pytest.raises(UsageError, match=rf"^NETFOLLOWERS_WEB_PORT={number}: another proc"):
                await web.start("127.0.0.1", number)


async def test_an_address_of_another_machine_is_named() -> None:
    async with listening() as worker:
        web = Web(CollectorRegistry(), lambda: "", worker.api)
        with pytest.raises(UsageError, match=r"^NETFOLLOWERS_WEB_HOST=192\.0\.2\.1: this machine"):
            await web.start("192.0.2.1", 0)
