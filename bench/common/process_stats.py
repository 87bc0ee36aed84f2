"""One look at a running worker: what the operating system knows, and what its metrics say."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from bench.common.environment import cpu_s, rss_bytes

CHECKPOINT = "netfollowers_checkpoint_duration_seconds"


@dataclass(frozen=True)
class Sample:
    """One row of the soak's table; `at_s` since its begin."""

    at_s: float
    rss_mb: float
    cpu_s: float
    files: int
    sockets: int
    threads: int
    tasks: int
    counted: int
    rows: int
    lag: int
    checkpoints: int
    checkpoint_s: float
    checkpoints_over_1s: int
    collections: int


def sample(at_s: float, pid: int, metrics: str) -> Sample:
    """Look at process `pid`, whose /metrics were `metrics`."""
    proc = Path(f"/proc/{pid}")
    found = sums(metrics)
    files = links(proc / "fd")
    checkpoints = int(found.get(f"{CHECKPOINT}_count", 0))
    return Sample(
        at_s=round(at_s, 2),
        rss_mb=rss_bytes(pid) / 1e6,
        cpu_s=cpu_s(pid),
        files=len(files),
        sockets=sum(name.startswith("socket:") for name in files),
        threads=len(list((proc / "task").iterdir())),
        tasks=int(found.get("netfollowers_tasks", 0)),
        counted=int(found.get("netfollowers_records_total", 0)),
        rows=int(found.get("netfollowers_table_rows", 0)),
        lag=int(found.get("netfollowers_lag_records", 0)),
        checkpoints=checkpoints,
        checkpoint_s=found.get(f"{CHECKPOINT}_sum", 0.0),
        checkpoints_over_1s=checkpoints - int(found.get(f"{CHECKPOINT}_bucket le=1.0", 0)),
        collections=int(found.get("python_gc_collections_total", 0)),
    )


def sums(metrics: str) -> Mapping[str, float]:
    """Return the sum over all labels, by sample name. The name of a bucket has its bound."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics):
        for one in family.samples:
            name = f"{one.name} le={one.labels['le']}" if "le" in one.labels else one.name
            found[name] = found.get(name, 0.0) + one.value
    return found


def links(directory: Path) -> list[str]:
    """Return the targets of the links in a directory. A link that disappears is left out."""
    found = []
    for link in directory.iterdir():
        with suppress(FileNotFoundError):
            found.append(str(link.readlink()))
    return found
