"""TCP ports of this machine: finds free ones, and checks whether a Kafka broker answers."""

from __future__ import annotations

import random
import socket
import struct
from contextlib import ExitStack, suppress
from typing import Final

_OURS: Final = range(15_000, 32_000)
"""These ports are below those that systems use for outgoing connections.

Otherwise a client that tries to reach a stopped broker could get the broker's own port and keep it.
"""


def free_ports(count: int) -> list[int]:
    """Find different TCP ports of 127.0.0.1 that are free and not used for outgoing connections."""
    found: list[int] = []
    with ExitStack() as probes:
        while len(found) < count:
            port = random.choice(_OURS)  # noqa: S311 - nothing to guess
            probe = probes.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
    return found


def answers(host: str, port: int) -> bool:
    """Send a metadata request (version 1, all topics). Return True if a broker names itself."""
    client_id = b"start"
    header = struct.pack(">hhih", 3, 1, 1, len(client_id)) + client_id
    request = header + struct.pack(">i", -1)
    try:
        with socket.create_connection((host, port), timeout=2.0) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            head = b""
            while len(head) < 12:  # noqa: PLR2004 - size, correlation id, number of brokers
                received = connection.recv(12 - len(head))
                if not received:
                    return False
                head += received
    except OSError:
        return False
    brokers: int = struct.unpack(">iii", head)[2]
    return brokers >= 1
