"""What aiohttp's server logs. A request that cannot be read is one line, without a traceback.

Such requests come before every limit, and any scanner sends them. That an answer of ours has failed
is another matter: it keeps its traceback.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError


class QuietServer(logging.LoggerAdapter[logging.Logger]):
    """Logs as the web port."""

    def __init__(self) -> None:
        """`service.logs` lets one line like it through in an interval."""
        super().__init__(logging.getLogger("service.web.server"), {})

    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:  # noqa: ANN401 - logging's own
        """Log what aiohttp takes for an error."""
        if isinstance(exc_info, HttpProcessingError):
            what = (exc_info.message.splitlines() or [""])[0]
            self.warning("web: a request could not be read address=%s: %.200s", args[-1], what)
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)
