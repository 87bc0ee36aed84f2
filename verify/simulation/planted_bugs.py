"""Bugs planted into the shell: a copy of the service with one line changed, under another name."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import service
from verify.simulation.checker import verdict
from verify.simulation.run import run
from verify.simulation.scenario import Scenario
from verify.simulation.worker import House

SERVICE: Final = Path(service.__file__).parent
SEEDS: Final = 250
_COPIED: Final = (
    "*.py",
    "kafka/**/*.py",
    "runtime/*.py",
    "counting/*.py",
    "contract/*.py",
    "contract/schemas/*",
    "metrics/*.py",
)


class Bug(NamedTuple):
    """A text of the source, and what it is sabotaged to. `first`: of its `SEEDS` seeds."""

    name: str
    file: str
    text: str
    sabotage: str
    first: int = 0

    @property
    def source(self) -> Path:
        """The file that is sabotaged."""
        return SERVICE / "runtime" / self.file


_SEND = """        size = await self._send(tables + others)
        await producer.send_offsets_to_transaction({self.source: position}, app_id)
        await producer.commit_transaction()
"""

_NEXT = "assert batch.start == self.engine.position, (batch.start, self.engine.position)\n"
_CONSISTENT = "assert batch.is_consistent, (batch.start, batch.end, batch.records[0].offset)\n"
_READ = "self.reader.run(self.engine.position)"

BUGS: Final = (
    Bug("commit before send", "journal_transactional.py", _SEND,
        """        await producer.send_offsets_to_transaction({self.source: position}, app_id)
        await producer.commit_transaction()
        await producer.begin_transaction()
        size = await self._send(tables + others)
        await producer.commit_transaction()
"""),
    Bug("offsets outside the transaction", "journal_transactional.py", _SEND,
        """        size = await self._send(tables + others)
        await producer.commit_transaction()
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({self.source: position}, app_id)
        await producer.commit_transaction()
"""),
    Bug("late and rejected outside the transaction", "journal_transactional.py", _SEND,
        """        size = await self._send(others[1:])
        await producer.commit_transaction()
        await producer.begin_transaction()
        await self._send(tables + others[:1])
        await producer.send_offsets_to_transaction({self.source: position}, app_id)
        await producer.commit_transaction()
"""),
    Bug("the transaction is not committed", "journal_transactional.py",
        "        await producer.commit_transaction()\n", "        pass\n"),
    Bug("restore before fencing", "journal_kafka.py",
        "        await self._fence()\n        reader = restore_consumer",
        "        before = await self.committed()\n"
        "        self.committed = lambda: asyncio.sleep(0, before)\n"
        "        await self._fence()\n        reader = restore_consumer",
        first=1_400),  # it takes one seed in a hundred
    Bug("no fencing: an id of its own for every life", "journal_transactional.py",
        'name = f"{self._settings.app_id}-{self.source.partition}"',
        'name = f"{self._settings.app_id}-{self.source.partition}-{id(self)}"'),
    Bug("one transactional id for all partitions", "journal_transactional.py",
        'name = f"{self._settings.app_id}-{self.source.partition}"',
        'name = f"{self._settings.app_id}"'),
    Bug("wrong partition", "journal_send.py",
        "else (target, own_partition)", "else (target, 0)"),
    Bug("rows read uncommitted", "journal_restore.py",
        "raw_consumer(settings, max_partition_fetch_bytes=RESTORE_FETCH_BYTES)",
        'raw_consumer(settings, isolation_level="read_uncommitted")'),
    Bug("an old row wins", "journal_restore.py",
        "rows[record.key] = record.value", "rows.setdefault(record.key, record.value)"),
    Bug("the last rows are not read", "journal_restore.py",
        "async for records in _until(reader, table, end):",
        "async for records in _until(reader, table, end - 3):"),
    Bug("seen ids are not restored", "journal_kafka.py",
        "self.input(around(skipped, recent_from, position))", "self.input(())"),
    Bug("seen ids of half the horizon", "journal_kafka.py",
        "recent_from = max(start, replay_from(checkpoint))",
        "recent_from = (max(start, replay_from(checkpoint)) + checkpoint.position) // 2"),
    Bug("a retained shard trusts its memory", "shard.py",
        "return found == self._last", "return True"),
    Bug("rows without a commit are taken", "shard_restore.py",
        "if restored.checkpoint is None and rows:", "if False:"),
    Bug("rows ahead of the commit are taken", "shard_restore.py",
        "and newest >= checkpoint.position:", "and False:"),
    Bug("the commit's result is not looked at", "shard.py",
        "        if error is not None:\n", "        if False:\n"),
    Bug("two checkpoints at a time", "shard.py",
        "        if self.state is not State.RUNNING or self._committing is not None:\n",
        "        if self.state is not State.RUNNING:\n"),
    Bug("a batch of an earlier assignment is taken", "shard.py",
        "return self.state is State.RUNNING and batch.reader is self.reader",
        "return self.state is State.RUNNING"),
    Bug("a revoke drops what was counted", "shard.py",
        "        if self.state is State.HELD and self.engine.has_unsealed:",
        "        self.engine.seal()\n        if False:"),
    Bug("a batch's position is believed", "shard.py",
        _CONSISTENT, "\n"),
    Bug("reading begins one late", "shard.py",
        _READ, "self.reader.run(self.engine.position + 1)"),
    Bug("reading begins at the last row", "shard.py",
        _READ, "self.reader.run(max(0, self.engine.position - 1))"),
    Bug("a position that does not fit is let pass", "shard.py",
        f"{_NEXT}            {_CONSISTENT}", "\n"),
    Bug("a saturated shard forgets what waits", "shard.py",
        "        if not self._is_saturated:\n            self._apply_backlog()",
        "        if self._is_saturated:\n            self._backlog.clear()\n"
        "        self._apply_backlog()"),
    Bug("a shard opens without its rows", "shard_restore.py",
        "tables, newest = restored.rows, -1",
        "tables, newest = {topic: dict(list(rows.items())[1:]) for topic, rows in "
        "restored.rows.items()}, -1"),
    Bug("counts begin anew", "shard_restore.py",
        "engine.restore(restored.checkpoint or engine.initial_checkpoint(restored.start))",
        "empty = engine.initial_checkpoint(restored.start)\n"
        "            import msgspec\n"
        "            engine.restore(restored.checkpoint and "
        "msgspec.structs.replace(restored.checkpoint, counts=empty.counts) or empty)"),
    Bug("records of a batch are skipped when it is partial", "reader.py",
        "found.get(self._source, ())", "found.get(self._source, ())[-100:][:19]"),
)  # fmt: skip


@contextmanager
def sabotaged(bug: Bug | None) -> Iterator[House]:
    """Yield a copy of the service with the bug in it; without a bug, the copy alone."""
    name = f"sabotaged_{abs(hash(bug))}"
    home = Path(tempfile.mkdtemp())
    sys.path.insert(0, str(home))
    try:
        _copy(bug, home / name, name)
        importlib.invalidate_caches()
        yield House(name)
    finally:
        sys.path.remove(str(home))
        for module in [one for one in sys.modules if one.split(".")[0] == name]:
            del sys.modules[module]
        shutil.rmtree(home)


def _copy(bug: Bug | None, copy: Path, name: str) -> None:
    found = bug is None
    for pattern in _COPIED:
        for source in SERVICE.glob(pattern):
            target = copy / source.relative_to(SERVICE)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text()
            if bug is not None and source == bug.source:
                assert bug.text in text, f"the source has changed: {bug}"
                text, found = text.replace(bug.text, bug.sabotage), True
            target.write_text(
                text.replace("from service", f"from {name}").replace('"service.', f'"{name}.')
            )
    assert found, bug


def caught_by(bug: Bug) -> tuple[int, str] | None:
    """Return the first seed that shows the bug, and what it shows; None if it survives all."""
    with sabotaged(bug) as house:
        for seed in range(bug.first, bug.first + SEEDS):
            scenario = Scenario.of(seed)
            try:
                wrong = verdict(run(scenario, house))
            except Exception as error:  # noqa: BLE001 - it shows as well
                wrong = [repr(error)]
            if wrong:
                return seed, wrong[0]
    return None
