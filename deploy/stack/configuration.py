"""Reads docker-compose.yml for processes of this machine, so that there is one configuration.

Commands and variables are those of compose. Only addresses differ. Nothing is started here. They
are read from services.json, because `make stack` has no YAML. `python -m deploy.stack.copy` writes
that file, and a test compares it with the file of compose.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from service.settings import PREFIX

ROOT: Final = Path(__file__).parents[2]
PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
GRAFANA: Final = ROOT / "deploy" / "grafana"
WORKERS: Final = ("worker-1", "worker-2")
SERVICES: Final = Path(__file__).parent / "services.json"
_INTERVAL: Final = re.compile(
    r"^(  (?:scrape_interval|scrape_timeout|evaluation_interval):) \S+", re.MULTILINE
)


def services() -> dict[str, Any]:
    """Compose's services by name: command, environment and ports of each."""
    found: dict[str, Any] = json.loads(SERVICES.read_text())
    return found


def command_of(service: str) -> list[str]:
    """What the container runs, without the entry point."""
    return list(services()[service]["command"])


def environment_of(service: str, brokers: str, changes: Mapping[str, str]) -> dict[str, str]:
    """Return the container's variables for a process here: other brokers, and `changes`.

    The caller's own settings are left out.
    """
    ours = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
    return {
        **ours,
        **services()[service].get("environment", {}),
        f"{PREFIX}BROKERS": brokers,
        "PYTHONUNBUFFERED": "1",
        **changes,
    }


def port_of(service: str) -> int:
    """The port of this machine that compose publishes it on."""
    return int(services()[service]["ports"][0].split(":")[1])


def write_prometheus(directory: Path, targets: list[str], scrape_interval_s: int | None) -> Path:
    """Write Prometheus' files for these workers. Return the path of its configuration file.

    The rules are those of the repository, byte for byte. So is the interval, unless one is given.
    """
    (directory / "targets").mkdir(parents=True)
    for rules in ("recording.yml", "alerts.yml"):
        (directory / rules).write_bytes((PROMETHEUS / rules).read_bytes())
    (directory / "targets" / "native.yml").write_text(json.dumps([{"targets": targets}]))
    text = (PROMETHEUS / "prometheus.yml").read_text()
    if scrape_interval_s is not None:
        text = _INTERVAL.sub(rf"\1 {scrape_interval_s}s", text)
    path = directory / "prometheus.yml"
    path.write_text(text)
    return path


def grafana_environment(home: Path, port: int, prometheus_url: str) -> dict[str, str]:
    """Compose's variables for Grafana, with paths and addresses of this machine."""
    return {
        **os.environ,
        **services()["grafana"]["environment"],
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(GRAFANA / "dashboards" / "accounts.json"),
        "GF_PATHS_DATA": str(home),
        "GF_PATHS_LOGS": str(home),
        "GF_PATHS_PROVISIONING": str(GRAFANA / "provisioning"),
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": str(port),
        "DASHBOARDS_PATH": str(GRAFANA / "dashboards"),
        "PROMETHEUS_URL": prometheus_url,
    }
