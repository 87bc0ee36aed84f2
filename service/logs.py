"""Logging: one event per line, key=value, and no line thousands of times.

When a broker is down, aiokafka logs every attempt of every client. Per interval, `OncePerInterval`
passes one connection error per broker and one refusal of the credentials (it says more than the
closed connection before it). Of all other library lines it passes one per logger, level and message
template. The next line says how many were held back.
"""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime
from typing import Final

import orjson

_NOISY: Final = ("aiokafka", "faust", "mode", "asyncio", "kafka", "aiohttp")
_OF_STRANGERS: Final = ("service.web", "service.web.server")
"""Loggers of this service whose lines any request can cause."""
INTERVAL_S: Final = 10.0
_KEYS: Final = 1_000
_CONNECTION: Final = re.compile(r"connect|errno|nodenotready|timed ?out|closed", re.IGNORECASE)
_REFUSAL: Final = re.compile(r"authent|sasl|certificate", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"([\w.-]+):(\d{2,5})\b|\('([^']+)', (\d+)\)")
_NODE: Final = re.compile(r"\bnode(?: with id)? (\d+)|\b(?:from|to) (\d+):")

_PAIR: Final = re.compile(r"(?:^|\s)([a-z_]+)=(\S*)")

_Key = tuple[str, int, str]


class OncePerInterval(logging.Filter):
    """Passes a message template, or the connection error of a broker, once per interval."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        """`interval_s`: seconds between two lines of the same template."""
        super().__init__()
        self._interval_s = interval_s
        self._last: dict[_Key, tuple[float, int]] = {}
        self._address_of: dict[str, str] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide by broker, else by logger, level and template. The arguments do not matter."""
        if not record.name.startswith((*_NOISY, *_OF_STRANGERS)):
            return True
        now = time.monotonic()
        broker = None if record.name.startswith(_OF_STRANGERS) else self._broker(record)
        key = broker or (record.name, record.levelno, str(record.msg)[:60])
        since, held_back = self._last.get(key, (float("-inf"), 0))
        if now - since < self._interval_s:
            self._last[key] = (since, held_back + 1)
            return False
        if len(self._last) >= _KEYS:
            self._last.clear()
        self._last[key] = (now, 0)
        if held_back:
            record.msg = f"{record.getMessage()} (and {held_back} similar lines before)"
            record.args = ()
        return True

    def _broker(self, record: logging.LogRecord) -> _Key | None:
        """Return the broker of a connection error. Another node id does not mean another broker."""
        message = record.getMessage()
        if not _CONNECTION.search(message):
            return None
        address, node = _first(_ADDRESS, message), _first(_NODE, message)
        if address and node and len(self._address_of) < _KEYS:
            self._address_of[node] = address
        broker = address or self._address_of.get(node, node)
        kind = "refusal" if _REFUSAL.search(message) else "connection"
        return (kind, 0, broker) if broker else None


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return ":".join(group for group in found.groups() if group) if found else ""


class AsJson(logging.Formatter):
    """Writes one object per line: time, level, logger, message, `key=value` pairs, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Encode one record."""
        message = record.getMessage()
        line: dict[str, str] = dict(_PAIR.findall(message))
        line |= {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def configure(level: str, log_format: str = "text") -> None:
    """Log to stderr: time, level, logger, message. Libraries log from WARNING on.

    `log_format`: "text" or "json".
    """
    sink = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    sink.setFormatter(AsJson() if log_format == "json" else text)
    sink.addFilter(OncePerInterval())
    logging.basicConfig(level=level.upper(), handlers=[sink], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("mode.timers").setLevel(logging.ERROR)  # a seal may overrun the 10 ms timer
