"""The metrics that a worker notes when they happen: durations, sizes and failures.

Each worker has one registry. service/metrics/worker_collector.py adds what a scrape reads. This
module knows no shard: a shard calls its `ShardObserver` (service/runtime/shard.py), and
`ShardMetrics` is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

_BYTES: Final = tuple(4.0**power * 1_024 for power in range(8))
_DELAYS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


@dataclass(frozen=True, slots=True)
class Observed:
    """A histogram."""

    name: str
    help: str
    buckets: tuple[float, ...]


CHECKPOINT: Final = Observed(
    "netfollowers_checkpoint_duration_seconds",
    "Seconds from sealing a checkpoint to its commit.",
    _SECONDS,
)
CHECKPOINT_SIZE: Final = Observed(
    "netfollowers_checkpoint_size_bytes", "Bytes of the result records of one checkpoint.", _BYTES
)
SEAL: Final = Observed(
    "netfollowers_seal_duration_seconds",
    "Seconds to encode what changed. The worker does nothing else meanwhile.",
    _SECONDS,
)
OPEN: Final = Observed(
    "netfollowers_open_duration_seconds",
    "Seconds from assignment of a partition to its opening, with the restore.",
    _SECONDS,
)
LOOP_DELAY: Final = Observed(
    "netfollowers_loop_delay_seconds", "Seconds by which a sleeping task wakes too late.", _DELAYS
)
OBSERVED: Final = (CHECKPOINT, CHECKPOINT_SIZE, SEAL, OPEN, LOOP_DELAY)
FAILURES: Final = (
    "netfollowers_checkpoint_failures",
    "Failed checkpoints. Each one ends the worker: see its restarts (docs/operate/runbook.md).",
)
REFUSED: Final = (
    "netfollowers_web_refused",
    "Requests and connections that the web port has refused, by reason.",
)
REFUSALS: Final = ("connections", "host", "origin", "proof", "rate", "streams", "token")


class Metrics:
    """The registry of one worker, and the metrics that are observed in it."""

    def __init__(self) -> None:
        """Each worker has its own registry, so that two can live in one process."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.checkpoint_seconds = self._histogram(CHECKPOINT)
        self.checkpoint_bytes = self._histogram(CHECKPOINT_SIZE)
        self.seal_seconds = self._histogram(SEAL)
        self.open_seconds = self._histogram(OPEN)
        self.loop_delay_seconds = self._histogram(LOOP_DELAY)
        self.checkpoint_failures = Counter(*FAILURES, registry=self.registry)
        self._refused = Counter(*REFUSED, ("reason",), registry=self.registry)
        for reason in REFUSALS:
            self._refused.labels(reason)

    def refused(self, reason: str) -> None:
        """Note that the web port has refused a request or connection."""
        assert reason in REFUSALS, reason
        self._refused.labels(reason).inc()

    def for_shard(self) -> ShardMetrics:
        """Make the observer of one shard."""
        return ShardMetrics(self)

    def _histogram(self, observed: Observed) -> Histogram:
        return Histogram(
            observed.name, observed.help, buckets=observed.buckets, registry=self.registry
        )


class ShardMetrics:
    """Observes one shard: the `ShardObserver` of a worker."""

    def __init__(self, metrics: Metrics) -> None:
        """`metrics`: of the worker."""
        self._metrics = metrics

    def opened(self, seconds: float) -> None:
        """Note that the shard has been restored."""
        self._metrics.open_seconds.observe(seconds)

    def sealed(self, seconds: float) -> None:
        """Note a sealed checkpoint."""
        self._metrics.seal_seconds.observe(seconds)

    def committed(self, seconds: float, size: int, partition: int, position: int) -> None:
        """Note a durable checkpoint: its duration, its bytes, its partition and position."""
        exemplar = {"partition": str(partition), "position": str(position)}
        self._metrics.checkpoint_seconds.observe(seconds, exemplar)
        self._metrics.checkpoint_bytes.observe(size, exemplar)

    def failed(self) -> None:
        """Note that a checkpoint failed. The worker ends."""
        self._metrics.checkpoint_failures.inc()
