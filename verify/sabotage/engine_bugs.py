"""Bugs planted into the engine: a copy of its package with one text changed."""

from __future__ import annotations

import importlib
from pathlib import Path
from random import Random
from types import ModuleType
from typing import NamedTuple

import service.counting
from tests.support.crash_harness import World
from tests.support.random_log import random_log, small_rules

SOURCES = Path(service.counting.__file__).parent
SEEDS = range(150)


class Bug(NamedTuple):
    """A text of the engine's source, and what it is sabotaged to."""

    name: str
    file: str
    text: str
    sabotage: str


BUGS = [
    Bug("watermark reset on restore", "engine.py",
        "self._watermark_ms = checkpoint.watermark_ms", "self._watermark_ms = NEVER_MS"),
    Bug("dedup generation off by one", "seen_ids.py",
        "position // self.size - 1", "position // self.size"),
    Bug("previous generation forgotten", "seen_ids.py",
        "self.current if start == self.end else {}", "{}"),
    Bug("< for <= at final", "engine.py",
        "if watermark >= final_at:", "if watermark > final_at:"),
    Bug("< for <= at late", "engine.py",
        "if watermark >= end + grain.keep_ms:", "if watermark > end + grain.keep_ms:"),
    Bug("revision not raised", "engine.py", "window[REVISION] += 1", "pass"),
    Bug("correction not published", "engine.py",
        "self._corrected[key, index, start] = None", "pass"),
    Bug("correction published ahead of the sweep too", "engine.py",
        "            if is_published:\n", "            if True:\n"),
    Bug("sweep cursor lost", "engine.py",
        "self._sweep.bucket = checkpoint.sweep.bucket", "self._sweep.bucket = 0"),
    Bug("sweep's end lost", "engine.py",
        "self._sweep.closing_to_ms = checkpoint.sweep.closing_to_ms",
        "self._sweep.closing_to_ms = checkpoint.sweep.closed_to_ms"),
    Bug("index not rebuilt", "engine.py",
        "                        waiting[final_at].append(key)\n                    elif",
        "                        pass\n                    elif"),
    Bug("a running sweep's index not rebuilt", "engine.py",
        "                        sweep.expect(final_at, key)\n", "                        pass\n"),
    Bug("a late window is not expected", "engine.py",
        "        if is_new and not is_published:", "        if False:"),
    Bug("windows that do not hold each other are taken for one", "engine.py",
        "smallest if does_nest else 0", "smallest"),
    Bug("the first grain is taken for the finest", "engine.py",
        "return self._sizes.index(smallest),", "return 0,"),
    Bug("a window holds its end", "engine.py",
        "0 <= at - newest[-1][0] < shared", "0 <= at - newest[-1][0] <= shared"),
    Bug("clamp ignored", "engine.py",
        "if at > stamp + max_ahead and stamp >= 0:", "if False:"),
    Bug("clamp without a log time", "engine.py",
        "if at > stamp + max_ahead and stamp >= 0:", "if at > stamp + max_ahead:"),
    Bug("kept windows dropped before they are swept", "engine.py",
        "if not (is_past_keep and sweep.is_published(window[0] + span, key)):",
        "if not is_past_keep:"),
    Bug("counts not restored", "engine.py",
        "self._duplicate, self._rejected_count = counts.duplicate, counts.rejected",
        "self._duplicate, self._rejected_count = 0, 0"),
    Bug("rejected ids are remembered", "engine.py",
        "            if isinstance(event, PlainEvent | Baseline | Forget):\n",
        "            if record.value and not isinstance(event, PlainEvent | Baseline | Forget):\n"
        "                import re\n"
        "                for found in re.findall(r'\"(e[0-9]+)\"', str(record.value)):\n"
        "                    self._seen.current[found] = b'a'\n"
        "            if isinstance(event, PlainEvent | Baseline | Forget):\n"),
    Bug("a duplicate moves time", "engine.py",
        "                if self._is_duplicate(event_id, key, event.action):\n",
        "                if self._is_duplicate(event_id, key, event.action):\n"
        "                    watermark = max(watermark, event.occurred_at)\n"),
    Bug("a duplicate is not remembered again", "seen_ids.py",
        "        self.current[event_id] = key if bits", "        self.current[''] = key if bits"),
    Bug("the same id with another action is a duplicate", "engine.py",
        "        if before & bit or", "        if before or"),
    Bug("an action of the previous generation is not seen", "seen_ids.py",
        "return now | before,", "return now,"),
    Bug("an action keeps another one remembered", "seen_ids.py",
        "        bits = now | bit\n", "        bits = now | before | bit\n"),
    Bug("a new id is not marked as an unfollow's", "engine.py",
        "current[event_id] = key + UNFOLLOWED", "current[event_id] = key"),
    Bug("a baseline's time does not count", "engine.py",
        "                net_since += gained - lost\n", "                pass\n"),
    Bug("a baseline reaches back to windows past keep", "engine.py",
        "            if start <= oldest or start + size <= at:\n",
        "            if start + size <= at:\n"),
    Bug("a baseline counts the window that holds its time", "engine.py",
        "            if start >= at:\n", "            if start + size > at:\n"),
    Bug("a holder past keep leaves no doubt of a baseline", "engine.py",
        "is_uncertain = at - at % size <= oldest", "is_uncertain = at <= oldest"),
    Bug("doubt of a baseline though nothing came since", "engine.py",
        "is_uncertain and row.last_event_ms >= at", "is_uncertain"),
    Bug("rows are counted before those of the seal are packed", "engine.py",
        "        updates = self._pack_awake() + removed\n",
        "        checkpoint = type(self)._checkpoint(self)\n"
        "        self._checkpoint = lambda: checkpoint\n"
        "        updates = self._pack_awake() + removed\n"),
    Bug("an expired row's last event outlives it", "engine.py",
        "                self._clear(row)\n                last = NEVER_MS\n",
        "                self._clear(row)\n"),
    Bug("what happened before a baseline's time counts on top", "engine.py",
        "elif row.baseline_ms is not None and at < row.baseline_ms:", "elif False:"),
    Bug("an older baseline replaces a newer one", "engine.py",
        "        if row.baseline_ms is not None and at < row.baseline_ms:\n            self.tally",
        "        if False:\n            self.tally"),
    Bug("the time of a baseline is not restored", "rows.py",
        "None if public.baseline_ms is msgspec.UNSET else public.baseline_ms", "None"),
    Bug("rows that have expired stay in the sums", "engine.py",
        "                self._table_gained -= row.gained\n                self._table_lost",
        "                self._table_lost"),
    Bug("an entry that was taken too early is not made again", "engine.py",
        "                if self.rules.expire_after_ms or row.is_empty:\n",
        "                if row.is_empty:\n"),
    Bug("the version that counted is not committed", "engine.py",
        "            rules=self._versions,\n", ""),
    Bug("unfollows gain", "engine.py", "side = LOST", "side = GAINED"),
    Bug("baseline forgets the net before it", "rows.py",
        "self.net_at_baseline = self.gained - self.lost - net_since",
        "self.net_at_baseline = -net_since"),
    Bug("the bucket's end is its start", "sweep.py",
        "self.bucket = bucket + 1", "self.bucket = bucket"),
    Bug("sweep republishes its lower bound", "engine.py",
        "if final_at > closed_to:", "if final_at >= closed_to:"),
    Bug("sweep misses its upper bound", "engine.py",
        "if final_at > closing_to:", "if final_at >= closing_to:"),
    Bug("a replayed generation never turns", "engine.py",
        "                if record.offset >= self._seen.end:\n"
        "                    self._seen.turn(record.offset)\n",
        ""),
    Bug("remember forgets baselines", "engine.py",
        "            if isinstance(event, PlainEvent | Baseline | Forget):\n",
        "            if isinstance(event, PlainEvent | Forget):\n"),
    Bug("remember forgets what was asked to be forgotten", "engine.py",
        "            if isinstance(event, PlainEvent | Baseline | Forget):\n",
        "            if isinstance(event, PlainEvent | Baseline):\n"),
    Bug("open windows outlive a forget", "engine.py",
        "windows[:] = [window for window in windows if window[0] + span <= watermark]", "pass"),
    Bug("a forgotten window has no revision of its own", "engine.py",
        "                    window[REVISION] += 1\n                    if self._sweep",
        "                    if self._sweep"),
    Bug("a forget touches windows past keep", "engine.py",
        "if window[0] + keep > watermark and (", "if True and ("),
    Bug("a forget leaves the baseline", "rows.py",
        "        self.baseline = self.net_at_baseline = self.baseline_ms = None\n", ""),
    Bug("an event does not renew an expired row", "engine.py",
        "if does_expire and watermark - last >= expire_after:", "if False:"),
    Bug("a row ends while windows are kept", "engine.py",
        "elif any(row.windows):", "elif False:"),
    Bug("a row that still counts is removed", "engine.py",
        "if does_stay or not endings.has_ended(row, watermark):", "if does_stay:"),
    Bug("a row that has ended stays in the topic", "engine.py",
        "removed.append((key, None))", "pass"),
    Bug("clamp of heartbeats and baselines ignored", "engine.py",
        "if at > record.timestamp + self.rules.max_ahead_ms and record.timestamp >= 0:",
        "if False:"),
    Bug("watermark lost before a rare record", "engine.py",
        "                    self._watermark_ms = watermark\n                    self._other",
        "                    self._other"),
    Bug("watermark of a rare record lost", "engine.py",
        "                    watermark = self._watermark_ms\n", ""),
    Bug("generations never turn", "engine.py",
        "                seen.turn(offset)\n                current", "                current"),
    Bug("ids sought in generations gone by", "engine.py",
        "                seen.turn(offset)\n"
        "                current, previous, end = seen.current, seen.previous, seen.end\n",
        "                seen.turn(offset)\n"
        "                end = seen.end\n"),
    Bug("headers not looked at", "engine.py",
        "                    and not record.headers\n", ""),
    Bug("key not looked at", "engine.py",
        "key == event.account_id.encode()\n                    and ", ""),
    Bug("length not looked at", "engine.py",
        "and (len(value) <= PLAIN_BYTES or is_plain_though_long(value, event))", "and True"),
    Bug("ascii not looked at", "engine.py",
        "                    and value.isascii()\n", ""),
    Bug("finality looked for too late", "engine.py",
        "self._quiet_ms = min(", "self._quiet_ms = max("),
    Bug("a window dropped a millisecond early", "engine.py",
        "is_past_keep = window[0] + keep <= watermark\n",
        "is_past_keep = window[0] + keep <= watermark + 1\n"),
    Bug("last event goes back", "engine.py",
        "row.last_event_ms = max(row.last_event_ms, at)", "row.last_event_ms = at"),
    Bug("a late record counts as applied too", "engine.py",
        "            self._applied -= 1\n", ""),
    Bug("windows out of order", "rows.py",
        "    windows.insert(place, window)", "    windows.append(window)"),
    Bug("open window not expected", "engine.py",
        "        if is_new:\n            self._sweep.waiting",
        "        if False:\n            self._sweep.waiting"),
    Bug("late records sealed again", "engine.py",
        "late, self._late = self._late, []", "late = self._late"),
    Bug("an unfinished sweep is not due", "engine.py",
        " or self._sweep.is_due(self._watermark_ms)", ""),
    Bug("sweep's beginning lost", "engine.py",
        "self._sweep.closed_to_ms = checkpoint.sweep.closed_to_ms", "pass"),
    Bug("sweep begins over a running one", "sweep.py",
        "if self.is_running or not self.is_due(watermark_ms):",
        "if not self.is_due(watermark_ms):"),
    Bug("the bucket ahead taken for swept", "sweep.py",
        "final_at_ms <= self.closing_to_ms and self.bucket_of(key) < self.bucket",
        "final_at_ms <= self.closing_to_ms and self.bucket_of(key) <= self.bucket"),
    Bug("a window at the sweep's edge waits for the next", "sweep.py",
        "if final_at_ms > self.closing_to_ms:", "if final_at_ms >= self.closing_to_ms:"),
    Bug("kept windows forgotten on restore", "rows.py",
        "[public.windows[name] for name in names]", "[[] for name in names]"),
    Bug("every duplicate seems to be under two accounts", "engine.py",
        "            self.tally.ids_under_two_accounts += account != key\n",
        "            self.tally.ids_under_two_accounts += 1\n"),
    Bug("a row is not woken", "engine.py",
        "row = new_row(len(self._sizes)) if packed is None else unpack(packed)",
        "row = new_row(len(self._sizes))"),
    Bug("control records not counted in the position", "engine.py",
        "        self._position = position\n        counted",
        "        self._position = records[-1].offset + 1\n        counted"),
    Bug("heartbeats not restored", "engine.py",
        "self._heartbeat = counts.heartbeat", "pass"),
    Bug("followers ignore unfollows", "rows.py",
        "baseline + net - (row.net_at_baseline or 0)",
        "baseline + gained - (row.net_at_baseline or 0)"),
    Bug("remembers one generation only", "seen_ids.py",
        "(position // self.size - 1) * self.size", "(position // self.size) * self.size"),
    Bug("remembers from the middle of a generation", "seen_ids.py",
        "return max(0, (position // self.size - 1) * self.size)",
        "return max(0, position - self.size)"),
]  # fmt: skip
AT_LEAST_ONCE = [
    Bug("replay guard removed", "engine.py", "if offset <= row.offset:", "if False:"),
    Bug("a replayed late record vanishes", "engine.py",
        "        if missed:\n            self._late_count",
        "        if missed and side:\n            self._late_count"),
    Bug("baseline's replay guard removed", "engine.py",
        "if record.offset > row.offset:", "if True:"),
]  # fmt: skip


def sabotaged(home: Path, bug: Bug | None) -> ModuleType:
    """The engine's package under another name, with the bug planted."""
    name = f"sabotaged_{abs(hash(bug))}"
    (home / name).mkdir()
    for source in SOURCES.glob("*.py"):
        text = source.read_text().replace("service.counting", name)
        if bug is not None and source.name == bug.file:
            assert bug.text in text, f"the source has changed: {bug}"
            text = text.replace(bug.text, bug.sabotage)
        text = text.replace("SLICE_WINDOWS: Final = 20_000", "SLICE_WINDOWS: Final = 2")
        (home / name / source.name).write_text(text)
    importlib.invalidate_caches()
    return importlib.import_module(f"{name}.engine")


def is_caught(engine: ModuleType, *, at_least_once: bool = False) -> bool:
    """Whether a random life shows a difference, or the engine's own asserts do."""
    for seed in SEEDS:
        random = Random(seed)
        rules = small_rules(random)
        log = random_log(random, random.randrange(20, 200))
        try:
            world = World(rules, log, new_engine=engine.Engine)
            crashes = random.choice((0, 0.05, 0.2))
            world.run(random, crashes=crashes, at_least_once=at_least_once)
        except (AssertionError, AttributeError, KeyError, StopIteration, IndexError):
            return True
        if not world.findings(at_least_once=at_least_once).ok:
            return True
    return False
