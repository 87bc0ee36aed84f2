"""Logging: one event a line, key=value, and no line three thousand times.

A broker that is down makes aiokafka log every attempt of every client. `OncePerInterval` lets one
line per logger, level and message template through in an interval, and says how many it held back.
"""

from __future__ import annotations

import logging
import time
from typing import Final

_NOISY: Final = ("aiokafka", "faust", "mode", "asyncio", "kafka")
INTERVAL_S: Final = 10.0


class OncePerInterval(logging.Filter):
    """Lets a message template through once per interval."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        """`interval_s`: seconds between two lines of the same template."""
        super().__init__()
        self._interval_s = interval_s
        self._last: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide by logger, level and template, not by arguments."""
        if not record.name.startswith(_NOISY):
            return True
        now = time.monotonic()
        template = (record.name, record.levelno, str(record.msg)[:60])
        since, held_back = self._last.get(template, (float("-inf"), 0))
        if now - since < self._interval_s:
            self._last[template] = (since, held_back + 1)
            return False
        self._last[template] = (now, 0)
        if held_back:
            record.msg = f"{record.getMessage()} (and {held_back} like it before)"
            record.args = ()
        return True


def configure(level: str) -> None:
    """Log to stderr: time, level, logger, message. Libraries only from WARNING on."""
    sink = logging.StreamHandler()
    sink.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    sink.addFilter(OncePerInterval())
    logging.basicConfig(level=level.upper(), handlers=[sink], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("mode.timers").setLevel(logging.ERROR)  # a seal may overrun the 10 ms timer
