"""A worker under another policy of garbage collection, that notes every collection.

    python -m bench.gc_worker POLICY NOTES_FILE

`ours`: as `service.app` has it. `default`: as Python has it. `refreeze`: young objects are
collected once a minute, what is left is frozen. `never`: not collected at all. Every few seconds a
line of JSON is appended to NOTES_FILE: collections and their pauses since the line before, objects
tracked and frozen.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service import app
from service.settings import Settings

NOTE_EVERY_S = 5.0
collect, freeze = gc.collect, gc.freeze


class Notes:
    """Counts what the collector does."""

    def __init__(self, path: Path) -> None:
        """`path` is appended to."""
        self._path = path
        self._began = 0.0
        self._pauses: list[tuple[int, float, int]] = []

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """Be told by the collector that it begins or ends."""
        if phase == "start":
            self._began = time.perf_counter()
        else:
            seconds = time.perf_counter() - self._began
            self._pauses.append((info["generation"], seconds, info["collected"]))

    def run(self) -> None:
        """Write a line now and then, for ever."""
        while True:
            time.sleep(NOTE_EVERY_S)
            pauses, self._pauses = self._pauses, []
            line = {
                "at": time.time(),
                "collections": [sum(p[0] == g for p in pauses) for g in range(3)],
                "longest_s": max((p[1] for p in pauses), default=0.0),
                "all_s": sum(p[1] for p in pauses),
                "collected": sum(p[2] for p in pauses),
                "tracked": len(gc.get_objects()),
                "frozen": gc.get_freeze_count(),
            }
            with self._path.open("a") as notes:
                notes.write(json.dumps(line) + "\n")


def nothing(_: int = 2) -> int:
    """Stand in for what a policy does not do."""
    return 0


def collect_young() -> int:
    """Collect what is younger than the last freeze, and freeze the rest."""
    collected = collect(1)
    freeze()
    return collected


POLICIES: dict[str, dict[str, Callable[..., Any]]] = {
    "ours": {},
    "default": {"disable": nothing, "collect": nothing, "freeze": nothing},
    "refreeze": {"collect": collect_young},
    "never": {"collect": nothing, "freeze": nothing},
}


def main(policy: str, path: str) -> int:
    """Run a worker; -> its exit code."""
    for name, instead in POLICIES[policy].items():
        setattr(gc, name, instead)
    notes = Notes(Path(path))
    gc.callbacks.append(notes)
    threading.Thread(target=notes.run, daemon=True).start()
    return app.run(Settings.from_env(os.environ))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
