"""Reads a worker at every scrape, and yields the families of all its metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.metrics.account_series import AccountSeries
from service.metrics.observed import Metrics
from service.metrics.readings import READINGS, WORKER, Reading, Worker, WorkerReading


def bind(metrics: Metrics, worker: Worker, accounts: AccountSeries) -> None:
    """Make the registry read this worker at every scrape."""
    metrics.registry.register(_WorkerCollector(worker, accounts))


class _WorkerCollector(Collector):
    """Reads the worker at every scrape."""

    def __init__(self, worker: Worker, accounts: AccountSeries) -> None:
        self._worker = worker
        self._accounts = accounts

    def collect(self) -> Iterator[Metric]:
        """Yield every family: shards and worker at one moment, then the accounts."""
        yield from list(self._at_once())
        yield from self._accounts.collect()

    def _at_once(self) -> Iterator[Metric]:
        worker = self._worker
        shards = list(worker.held)
        for reading in READINGS:
            family = _family(reading, ("partition", *reading.labels))
            for shard in shards:
                for labels, value in reading.read(shard, worker):
                    family.add_metric((str(shard.partition), *labels), value)
            yield family
        for of_worker in WORKER:
            family = _family(of_worker, of_worker.labels)
            for labels, value in of_worker.read(worker):
                family.add_metric(labels, value)
            yield family


def _family(
    of: Reading | WorkerReading, labels: tuple[str, ...]
) -> CounterMetricFamily | GaugeMetricFamily:
    family_of = CounterMetricFamily if of.kind == "counter" else GaugeMetricFamily
    return family_of(of.name, of.help, labels=labels)
