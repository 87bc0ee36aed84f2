"""`python -m verify.chaos` hurts a real deployment for minutes; exit 1 if a number was wrong."""

# ruff: noqa: T201 - a command line

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.common.environment import machine
from verify.chaos import report as reports
from verify.chaos.markdown import page
from verify.chaos.plot import draw
from verify.chaos.run import Plan, Story, run


def main(arguments: Sequence[str]) -> int:
    """Run, and write FILE.json, FILE.md and FILE.png."""
    parser = argparse.ArgumentParser("verify.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of chaos; audits come on top")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=800.0, help="records per second")
    parser.add_argument("--checkpoints", type=int, default=3, help="besides the one at the end")
    parser.add_argument("--report", type=Path, default=Path("build/chaos.json"))
    parser.add_argument("--overlap", type=float, default=0.25, help="share not waited for")
    parser.add_argument("--logs", type=Path, help="keep logs and topics there")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("verify.chaos").setLevel(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="netfollowers-chaos-") as own:
        home = (asked.logs or Path(own)).absolute()
        home.mkdir(parents=True, exist_ok=True)
        plan = Plan(
            home,
            seed=asked.seed,
            seconds=asked.minutes * 60,
            rate=asked.rate,
            overlap=asked.overlap,
            checkpoints=asked.checkpoints,
        )
        story = asyncio.run(run(plan))
    command = f"make chaos MINUTES={asked.minutes:g} SEED={asked.seed}"
    found = write(story, asked.report, command)
    print(found)
    return 1 if story.wrong else 0


def write(story: Story, path: Path, command: str) -> str:
    """Write the three files. Return the text of the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = reports.of(story, command, machine())
    began = int(story.began_s)
    per_second = {at - began: count for at, count in story.per_second.items() if at >= began}
    png, markdown = path.with_suffix(".png"), path.with_suffix(".md")
    draw(report, per_second, png)
    text = page(report, json_name=path.name, png_name=png.name, rate=story.plan.rate)
    path.write_text(reports.text(report))
    markdown.write_text(text)
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
