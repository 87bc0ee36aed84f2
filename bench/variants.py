"""Workers with one thing switched off, for the benchmark only: none of these is a setting.

python -c "from bench import variants; variants.main('no-dedup')"
"""

from __future__ import annotations

import inspect
import os
import textwrap
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from service import app
from service.contract.results import ResultRecord
from service.counting import Sealed, engine
from service.runtime import journal
from service.settings import Settings

_DUPLICATE: Final = "if event_id in current or event_id in previous:"
_REMEMBERED: Final = "current[event_id] = key\n"
CHANGED: Final = "the hot loop has changed, mend bench/variants.py"


def code(name: str) -> str:
    """Python code that runs the variant, for `bench.workers.Worker`."""
    return f"from bench import variants; variants.main({name!r})"


def without_dedup() -> None:
    """Take the two lines that look ids up and keep them out of the hot loop."""
    text = textwrap.dedent(inspect.getsource(engine.Engine.apply))
    for line, instead in ((_DUPLICATE, "if False:"), (_REMEMBERED, "\n")):
        assert text.count(line) == 1, f"{CHANGED}: {line}"
        text = text.replace(line, instead)
    made: dict[str, Any] = {}
    exec(compile(text, engine.__file__, "exec"), vars(engine), made)  # noqa: S102 - our own text
    engine.Engine.apply = made["apply"]  # type: ignore[method-assign]


def without_late_output() -> None:
    """Count late events, publish none."""
    nothing = ResultRecord(b"", b"", [])
    seal = engine.Engine.seal

    def seal_without(self: engine.Engine) -> Sealed:
        return msgspec.structs.replace(seal(self), late=[])

    vars(engine)["late_record"] = lambda *_, **__: nothing
    engine.Engine.seal = seal_without  # type: ignore[method-assign]


def with_restore_times() -> None:
    """Print when each shard begins each step of its restore."""
    enter = journal.Progress.enter

    def timed(self: journal.Progress, step: str) -> None:
        print(f"step at={time.time():.3f} {step}", flush=True)
        enter(self, step)

    journal.Progress.enter = timed  # type: ignore[method-assign]


VARIANTS: Final[dict[str, Callable[[], None]]] = {
    "no-dedup": without_dedup,
    "no-late": without_late_output,
    "restore-times": with_restore_times,
}


def main(name: str) -> int:
    """Run a worker; -> its exit code."""
    VARIANTS[name]()
    return app.run(Settings.from_env(os.environ))
