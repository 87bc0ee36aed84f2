"""Logs of aiohttp's server. A request that cannot be read is one line, without a traceback.

Such requests come before every limit, and any port scanner sends them. An error in an answer of
this service is different: it keeps its traceback.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError


class QuietServer(logging.LoggerAdapter[logging.Logger]):
    """Logs as the web port."""

    def __init__(self) -> None:
        """`service.logs` passes one line of a kind per interval."""
        super().__init__(logging.getLogger("service.web.server"), {})

    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:  # noqa: ANN401 - logging's own
        """Log what aiohttp reports as an error."""
        if isinstance(exc_info, HttpProcessingError):
            what = (exc_info.message.splitlines() or [""])[0]
            self.warning("web: a request could not be read address=%s: %.200s", args[-1], what)
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)
