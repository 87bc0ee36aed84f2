"""What runs beside a block, and how progress is shown without a terminal."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console

from service.background_tasks import beside
from service.commands import progress_bar as bar


async def test_what_fails_beside_a_block_ends_it_and_is_raised_as_it_is() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        message = "the worker ended"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="the worker ended"):
        async with beside(fails(), asyncio.sleep(3_600)):
            await asyncio.sleep(3_600)


async def test_what_runs_beside_a_block_ends_with_it() -> None:
    ended = asyncio.Event()

    async def runs() -> None:
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.set()

    async with beside(runs()):
        await asyncio.sleep(0)
    assert ended.is_set()


def test_without_a_terminal_progress_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bar, "EVERY_S", 0.0)
    out = io.StringIO()
    with bar.Bar(Console(file=out)) as shown:
        more = shown.begin("counted of the channel", 1_000)
        more(250)
        more(0)
        more(250)
    assert out.getvalue().splitlines() == [
        "counted of the channel: 250 of 1,000 records (25%)",
        "counted of the channel: 500 of 1,000 records (50%)",
    ]
