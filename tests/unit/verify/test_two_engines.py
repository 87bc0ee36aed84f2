"""Two engines through the same Shard and Journal, each exact by a judge of its own."""

from __future__ import annotations

from typing import Final

import pytest

from verify.simulation.planted_bugs import Bug, sabotaged
from verify.simulation.scenario import Scenario
from verify.simulation.two_engines import run

SEEDS: Final = 32
BUGS: Final = (
    Bug("an engine is told of a commit before it is one", "shard.py",
        "        self._committing = asyncio.create_task(self._journal.commit(sealed))\n",
        "        self.engine.committed(sealed.checkpoint)\n"
        "        self._committing = asyncio.create_task(self._journal.commit(sealed))\n"),
    Bug("an engine is not told of the first commit", "shard.py",
        "        self.engine.committed(sealed.checkpoint)\n        return", "        return"),
    Bug("the table is the one of counting", "journal_kafka.py",
        "for topic in publisher.table_topics]", "for topic in (settings.updates_topic,)]"),
    Bug("records for another partition go to the own one", "journal_send.py",
        "            topic, partition = at\n",
        "            topic, partition = at[0], own_partition\n"),
    Bug("rows of the table are committed apart", "journal_transactional.py",
        "        size = await self._send(tables + others)\n",
        "        size = await self._send(others)\n"
        "        await producer.commit_transaction()\n"
        "        await producer.begin_transaction()\n"
        "        await self._send(tables)\n"),
    Bug("the second engine reads nothing again", "journal_kafka.py",
        "recent_from = max(start, replay_from(checkpoint))", "recent_from = checkpoint.position"),
    Bug("a checkpoint of before is taken for the start", "shard_restore.py",
        "engine.restore(restored.checkpoint or engine.initial_checkpoint(restored.start))",
        "engine.restore(engine.initial_checkpoint(restored.start))"),
)  # fmt: skip
"""Bugs of the port; those that must be seen in the second engine."""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_both_engines_are_exact_whatever_goes_wrong(seed: int) -> None:
    assert run(Scenario.of(seed)) == []


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_of_the_port_is_caught_by_the_second_engine(bug: Bug) -> None:
    with sabotaged(bug) as house:
        assert any(_is_seen(seed, house) for seed in range(SEEDS))


def _is_seen(seed: int, house: object) -> bool:
    try:
        found = run(Scenario.of(seed), house)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - it shows as well
        return True
    return any(line.startswith("second:") for line in found)
