"""What figures were seen on, and what the operating system knows about a process."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from service.local.kafka_jars import KafkaJarsError, java

ROOT: Final = Path(__file__).parents[2]
OUTPUT: Final = ROOT / "bench-output"


def machine() -> dict[str, Any]:
    """Describe the machine, the versions and the commit."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "java": _java(),
        "kafka": _of_pom("deploy/kafka/pom.xml"),
        "kafka_streams": _of_pom("bench/peers/kafka-streams/pom.xml"),
        **{name: version(name) for name in ("faust-streaming", "aiokafka", "msgspec", "orjson")},
        "commit": _commit(),
    }


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """Resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _commit() -> str:
    """Name the commit, with a + when files differ from it."""
    command = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


def _java() -> str:
    try:
        answer = subprocess.run([java(), "-version"], capture_output=True, text=True, check=False)
    except KafkaJarsError:
        return "none"
    return answer.stderr.split('"')[1]


def _of_pom(path: str) -> str:
    """Version of the first dependency."""
    found = re.search(r"<dependency>.*?<version>(.*?)<", (ROOT / path).read_text(), re.DOTALL)
    assert found is not None, path
    return found[1]
