"""`python -m deploy.stack.copy`: writes services.json from docker-compose.yml."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml

from deploy.stack.configuration import ROOT, SERVICES

READ: Final = ("command", "environment", "ports")


def copied() -> dict[str, Any]:
    """Return the parts of each service of compose that the stack reads."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return {
        name: {key: service[key] for key in READ if key in service}
        for name, service in services.items()
    }


if __name__ == "__main__":
    SERVICES.write_text(json.dumps(copied(), indent=1) + "\n")
