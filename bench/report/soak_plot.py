"""Draws a soak: one small panel per series, all over the same minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from bench.common.process_stats import Sample

PANELS: Final[tuple[tuple[str, Callable[[Sample], float]], ...]] = (
    ("resident MB", lambda s: s.rss_mb),
    ("accounts", lambda s: s.rows),
    ("open files", lambda s: s.files),
    ("sockets", lambda s: s.sockets),
    ("threads", lambda s: s.threads),
    ("tasks", lambda s: s.tasks),
    ("lag, records", lambda s: s.lag),
)


def rates(samples: Sequence[Sample]) -> tuple[list[float], list[float], list[float]]:
    """Between samples: events/s, mean checkpoint (ms), CPU (cores)."""
    events, checkpoints, cores = [], [], []
    for earlier, later in pairwise(samples):
        seconds = later.at_s - earlier.at_s
        count = later.checkpoints - earlier.checkpoints
        events.append((later.counted - earlier.counted) / seconds)
        checkpoints.append(1_000 * (later.checkpoint_s - earlier.checkpoint_s) / max(1, count))
        cores.append((later.cpu_s - earlier.cpu_s) / seconds)
    return events, checkpoints, cores


def draw(samples: Sequence[Sample], title: str, path: Path) -> None:
    """Write a PNG."""
    import matplotlib as mpl  # noqa: PLC0415 - an optional package

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    minutes = [one.at_s / 60 for one in samples]
    events, checkpoints, cores = rates(samples)
    series = [(name, minutes, [float(read(one)) for one in samples]) for name, read in PANELS]
    series += [
        ("events/s counted", minutes[1:], events),
        ("checkpoint, mean ms", minutes[1:], checkpoints),
        ("CPU, cores", minutes[1:], cores),
    ]
    figure, axes = plt.subplots(5, 2, figsize=(11, 11), sharex=True, layout="constrained")
    for axis, (name, at, values) in zip(axes.flat, series, strict=True):
        axis.plot(at, values, linewidth=1.0, color="#1f5f8b")
        axis.set_ylim(0, max(values) * 1.15 or 1)
        axis.set_title(name, loc="left", fontsize=10)
        axis.axvspan(minutes[len(minutes) // 2], minutes[-1], color="#1f5f8b", alpha=0.06)
        axis.grid(visible=True, alpha=0.3)
    for axis in axes[-1]:
        axis.set_xlabel("minutes")
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=90)
    plt.close(figure)
