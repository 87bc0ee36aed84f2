"""What of the stack is on this machine, looked for before anything is started."""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import shutil
from typing import Final, NamedTuple

from deploy.stack import configuration
from service.local.kafka_jars import jars, java

_PROMETHEUS: Final = "Prometheus (Debian: prometheus)"
_GRAFANA: Final = "Grafana (not in Debian; grafana.com/grafana/download)"


class Found(NamedTuple):
    """Paths of the programs. None: the program is left out."""

    prometheus: str | None
    grafana: str | None


def look() -> Found:
    """Find the programs and say in one line what is missing. KafkaJarsError: there is no Kafka."""
    java()
    jars()
    prometheus = shutil.which("prometheus")
    grafana = shutil.which("grafana") or shutil.which("grafana-server")
    missing = [] if prometheus else [_PROMETHEUS]
    missing += [] if grafana else [_GRAFANA]
    if missing:
        dashboards = (configuration.GRAFANA / "dashboards").relative_to(configuration.ROOT)
        print(f"missing: {' and '.join(missing)}. The rest runs; dashboards are in {dashboards}/.")
    if grafana and not prometheus:
        print("Grafana is left out too: it shows what Prometheus has.")
    return Found(prometheus, grafana if prometheus else None)
