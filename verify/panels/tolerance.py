"""How a measured value is compared with the truth: exactly, within an error, or between bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.support.dashboard_queries import Asked
from tests.support.prometheus import Labels
from verify.panels.scenario import Known

RATE_S: Final = 20
"""What `$__rate_interval` stands for in these tests."""


@dataclass(frozen=True, slots=True)
class Process:
    """What the kernel says about a worker, at the moment of measuring."""

    instance: str
    resident_bytes: float
    open_files: int
    most_files: int
    started_s: float
    cpu_share: float
    """Share of one core, over the last RATE_S."""


@dataclass(frozen=True, slots=True)
class World:
    """All that is known without the metrics."""

    known: Known
    partitions: int
    processes: Mapping[str, Process]
    version: str
    settings: Mapping[str, str]
    ready_s: float
    """When the workers ran and Prometheus had scraped them for the first time."""
    windows: Sequence[tuple[float, str, str]]
    """Records of the windows topic: log time (s), account, grain."""
    result_bytes: int
    """Bytes of keys, values and headers of all records on the result topics."""
    transactions: int
    """That wrote rows: the log of the updates topic has a marker for each."""
    account_series: Mapping[str, int]
    """Number of account series on the metrics page of each worker."""


@dataclass(frozen=True, slots=True)
class Within:
    """The allowed error: a share of the truth, a constant on top of it, and its reason."""

    share: float = 0.0
    plus: float = 0.0
    why: str = ""


EXACT: Final = Within()
Value = float | tuple[float, float]
"""A value, or the least and the most."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a query must return: the value of each legend."""

    of: Callable[[World], Mapping[str, Value]]
    error: Within = EXACT
    some: int | None = None
    """Least number of series that must be there, each of them true. None: exactly these series."""

    @property
    def allowed(self) -> str:
        """The error in words."""
        error = self.error
        parts = [f"{error.share:.0%}"] if error.share else []
        parts += [f"{error.plus:g}"] if error.plus else []
        return (" + ".join(parts) or "0") + (f" ({error.why})" if error.why else "")

    def wrong(self, world: World, measured: Mapping[str, float]) -> list[str]:
        """Return a line for each wrong value; empty if all are true."""
        true = self.of(world)
        if not measured:
            return ["no data"]
        wrong = [f"{name}: unknown to the truth" for name in sorted(measured.keys() - true.keys())]
        if self.some is None:
            wrong += [f"{name}: not there" for name in sorted(true.keys() - measured.keys())]
        elif len(measured) < self.some:
            wrong.append(f"{len(measured)} series, not {self.some}")
        for name in sorted(measured.keys() & true.keys()):
            low, high = self._bounds(true[name])
            if not low <= measured[name] <= high:
                wrong.append(f"{name}: {measured[name]:g} is not in [{low:g}, {high:g}]")
        return wrong

    def _bounds(self, value: Value) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        error = abs(value) * self.error.share + self.error.plus
        return value - error, value + error


def one(name: str, of: Callable[[World], Value], error: Within = EXACT) -> Truth:
    """Build the truth of a query that returns one series."""
    return Truth(lambda world: {name: of(world)}, error)


def named(asked: Asked, found: list[tuple[Labels, float]]) -> dict[str, float]:
    """Return the series by their legends, and the rows of a table by their labels.

    One of a name that there is already, or with a `{{label}}` that is not there, is no truth's.
    """
    named: dict[str, float] = {}
    for labels, value in found:
        shown = {name: text for name, text in labels.items() if name != "__name__"}
        if asked.is_table:
            legend = " ".join(shown[name] for name in sorted(shown))
        else:
            legend = asked.legend
            for name, text in shown.items():
                legend = legend.replace("{{" + name + "}}", text)
        twins = sum(other.split(" (again")[0] == legend for other in named)
        named[f"{legend} (again, {twins})" if twins else legend] = value
    return named
