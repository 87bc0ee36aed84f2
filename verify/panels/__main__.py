"""`make panels` measures every panel and alert, writes docs/measured/panels.md, fails if wrong."""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from service.local.broker import start_local_broker
from verify.panels.report import PAGE, page, table
from verify.panels.run import measure


def main() -> int:
    """Measure all panels and write the page. Return 0 if every value is true."""
    with start_local_broker("kafka") as broker, tempfile.TemporaryDirectory() as home:
        measured = asyncio.run(measure(broker.bootstrap, Path(home) / "stack", "panels"))
    print(table(measured))
    if measured.wrong:
        print("\n".join(measured.wrong), file=sys.stderr)
        return 1
    PAGE.write_text(page(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
