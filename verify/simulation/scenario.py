"""Everything that a seed decides: rules, logs, faults, and how many workers there are."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from service.contract.input_record import LogRecord
from service.counting import Rules
from service.settings import Settings
from tests.support.random_log import random_log, small_rules
from verify.simulation.faults import PLANNED, Fault, Kind

PARTITIONS: Final = 2
SECONDS: Final = 16.0
LOG_RECORDS: Final = (40, 140)
FAULTS: Final = (6, 12)
AT_LEAST_ONCE: Final = frozenset(
    {
        Kind.CRASH, Kind.CRASH_BEFORE_SEND, Kind.CRASH_DURING_SEND, Kind.CRASH_AFTER_SEND,
        Kind.CRASH_IN_OPEN, Kind.REQUEST_LOST, Kind.RESPONSE_LOST, Kind.REQUEST_REPEATED,
        Kind.FREEZE, Kind.CUT, Kind.STALE_FETCH, Kind.REPEATED_FETCH, Kind.COMPACTION, Kind.STOP,
    }
)  # fmt: skip
"""What one worker without fencing must bear."""


@dataclass(frozen=True)
class Scenario:
    """One run: what is fed to each partition, what goes wrong and when."""

    seed: int
    rules: Rules
    logs: tuple[tuple[LogRecord, ...], ...]
    faults: tuple[Fault, ...]
    workers: int
    at_least_once: bool = False

    @classmethod
    def of(cls, seed: int) -> Scenario:
        """Decide everything by the seed."""
        random = Random(seed)
        at_least_once = seed % 8 == 7
        rules = small_rules(random)
        logs = tuple(
            tuple(random_log(random, random.randint(*LOG_RECORDS))) for _ in range(PARTITIONS)
        )
        kinds = [kind for kind in PLANNED if not at_least_once or kind in AT_LEAST_ONCE]
        faults = tuple(
            Fault(random.choice(kinds), SECONDS * random.random(), random.random())
            for _ in range(random.randint(*FAULTS))
        )
        workers = 1 if at_least_once else random.choice((1, 2, 2, 3))
        return cls(seed, rules, logs, faults, workers, at_least_once)

    def without_faults(self) -> Scenario:
        """The same input, and nothing goes wrong."""
        return replace(self, faults=())

    def settings(self, random: Random) -> Settings:
        """Settings of one life: what counts is the same, batches and flushes are its own."""
        grains = ",".join(
            f"{g.name}:{g.grace_ms // 1_000}s:{g.keep_ms // 1_000}s" for g in self.rules.grains
        )
        settings = Settings(
            app_id="simulated",
            partitions=PARTITIONS,
            guarantee="at_least_once" if self.at_least_once else "exactly_once",
            grains=grains,
            max_ahead_s=self.rules.max_ahead_ms / 1_000,
            dedup_generation=self.rules.dedup_generation,
            sweep_buckets=self.rules.sweep_buckets,
            expire_after_days=self.rules.expire_after_ms / 86_400_000,
            batch_records=random.choice((1, 3, 10, 50)),
            flush_records=random.choice((1, 5, 30, 500)),
            flush_interval_s=random.choice((0.02, 0.1, 0.5)),
            transaction_timeout_s=5.0,
            stuck_after_s=20.0,
        )
        assert settings.rules == self.rules
        return settings

    # ---- to and from a file: what a failing seed leaves behind

    def dump(self) -> str:
        """JSON that `load` reads."""
        return json.dumps(
            {
                "seed": self.seed,
                "workers": self.workers,
                "faults": [[f.kind.name, f.at_s, f.choice] for f in self.faults],
                "logs": [[_to_json(record) for record in log] for log in self.logs],
            },
            indent=1,
        )

    @classmethod
    def load(cls, text: str) -> Scenario:
        """Read what `dump` wrote; rules are the seed's."""
        said = json.loads(text)
        return replace(
            cls.of(said["seed"]),
            workers=said["workers"],
            faults=tuple(Fault(Kind[kind], at_s, choice) for kind, at_s, choice in said["faults"]),
            logs=tuple(tuple(map(_from_json, log)) for log in said["logs"]),
        )


def _to_json(record: LogRecord) -> list[Any]:
    def text(data: bytes | None) -> str | None:
        return None if data is None else b64encode(data).decode()

    headers = [[name, text(value)] for name, value in record.headers]
    return [record.offset, record.timestamp, text(record.key), text(record.value), headers]


def _from_json(said: list[Any]) -> LogRecord:
    def data(text: str | None) -> Any:
        return None if text is None else b64decode(text)

    offset, timestamp, key, value, headers = said
    return LogRecord(
        offset, timestamp, data(key), data(value), [(name, data(one)) for name, one in headers]
    )
