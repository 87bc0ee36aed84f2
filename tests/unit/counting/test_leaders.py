"""The boards against all rows: after every seal, after every restart, whatever rose and fell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from random import Random

import pytest

import service.counting.engine as engine_module
from service.contract.input_record import HEARTBEAT_HEADER, LogRecord
from service.contract.results import Source
from service.counting import Engine, Rules, leaders
from service.counting.leaders import Board, By, Ranking
from service.counting.rows import Row, new_row
from tests.support.property_examples import some
from tests.support.random_log import SMALL, START_MS

DEPTH, ROOM, TRIMMED = 3, 10, 6
RULES = Rules(grains=SMALL, max_ahead_ms=800, dedup_generation=10_000, sweep_buckets=5)
ALL = tuple(grain.name for grain in SMALL)
SOURCE = Source("follow-events", 0)
BY: tuple[By, ...] = ("gainers", "losers", "gained", "lost")
GROWTH: tuple[By, ...] = ("growing", "shrinking")


@pytest.fixture(autouse=True, scope="module")
def small_boards() -> Iterator[None]:
    """So few places that the floor rises, and falls short, all the time."""
    patch = pytest.MonkeyPatch()
    for name, value in (("DEPTH", DEPTH), ("_ROOM", ROOM), ("_TRIMMED", TRIMMED), ("_SLICE", 4)):
        patch.setattr(leaders, name, value)
    yield
    patch.undo()


def value(by: By, gained: int, lost: int) -> int:
    return {"gainers": gained - lost, "losers": lost - gained, "gained": gained, "lost": lost}[by]


def growth(by: By, row: Row, index: int, start_ms: int, net: int) -> int:
    """N / F_s in parts per billion; 0 where it is undefined, or of the other sign."""
    sign = {"growing": 1, "shrinking": -1}[by]
    if row.baseline is None or row.net_at_baseline is None or net * sign <= 0:
        return 0
    now = Fraction(row.baseline + row.gained - row.lost - row.net_at_baseline)
    later = sum(g - x for start, g, x, _ in row.windows[index] if start > start_ms)
    before = now - later - net
    return int(abs(net) / before * 1_000_000_000) if before > 0 else 0


def first(places: list[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
    """Return the truth: sort all accounts."""
    return sorted((p for p in places if p[1] > 0), key=lambda p: (-p[1], p[0]))[:DEPTH]


def parts_of(engine: Engine, index: int, start_ms: int) -> dict[bytes, tuple[int, int]]:
    """What every row has in one window."""
    found = {}
    for key in list(engine._packed):
        row = engine.row(key)
        assert row is not None
        for start, gained, lost, _ in row.windows[index]:
            if start == start_ms:
                found[key] = (gained, lost)
    return found


class Life:
    """An engine that is fed, sealed and restarted; its published finals are kept."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.engine = Engine(RULES, SOURCE, ranked=ALL)
        self.rows: dict[bytes, bytes] = {}
        self.finals: dict[tuple[str, int], dict[bytes, tuple[int, int]]] = {}
        self.now = START_MS
        self.offset = 0
        self.looked = self.exact = self.grown = 0

    def feed(self) -> None:
        """Count some records."""
        random, records = self.random, []
        for _ in range(random.choice((1, 5, 40))):
            self.now += random.choice((0, 0, 10, 30, 400)) + random.choice((0,) * 60 + (7_000,))
            account = f"a{random.randrange(60)}"
            at = self.now - random.choice((0, 0, 0, 500, 1_500, 2_500))
            event = {"event_id": f"e{self.offset}", "account_id": account, "occurred_at": at}
            kind = random.random()
            if kind < 0.02:
                event["action"] = "forget"
            elif kind < 0.1:
                event |= {"action": "baseline", "followers": random.choice((0, 1, 7, 90, 3_000))}
            else:
                event |= {"follower_id": "f", "action": "follow" if kind < 0.64 else "unfollow"}
            body = json.dumps(event).encode()
            records.append(LogRecord(self.offset, self.now, account.encode(), body, []))
            self.offset += 1
        self.engine.apply(records, self.offset)

    def seal(self) -> None:
        """Seal and compare; now and then restart."""
        sealed = self.engine.seal()
        for key, body in sealed.updates:
            if body is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = body
        for key, body in sealed.windows:
            result = json.loads(body)
            window = self.finals.setdefault((result["grain"], result["start_ms"]), {})
            window[key] = (result["gained"], result["lost"])
        self.look()
        if self.random.random() < 0.05:
            self.engine = again = Engine(RULES, SOURCE, ranked=ALL)
            again.restore(sealed.checkpoint)
            again.load(list(self.rows.items()))
            self.look()

    def look(self) -> None:
        """Compare every answer of the board with the rows."""
        engine = self.engine
        gained = lost = 0
        for key in self.rows:
            row = engine.row(key)
            assert row is not None
            gained, lost = gained + row.gained, lost + row.lost
        assert (engine.table_gained, engine.table_lost) == (gained, lost)
        for index, (grain, boards) in enumerate(zip(SMALL, engine.leaders, strict=True)):
            start = engine.watermark_ms - engine.watermark_ms % grain.size_ms
            assert boards.current.start_ms == start
            self.compare(boards.current, parts_of(engine, index, start))
            self.compare_growth(boards.current, index, parts_of(engine, index, start))
            shown = boards.final.start_ms
            if not engine._sweep.is_running and shown >= 0:
                finals = self.finals.get((grain.name, shown), {})
                self.compare(boards.final, finals)
                if engine.watermark_ms < shown + grain.size_ms + grain.keep_ms:
                    self.compare_growth(boards.final, index, finals)
                newer = [at for name, at in self.finals if name == grain.name and at > shown]
                assert not newer, "a window is final and another is shown"

    def compare(self, board: Board, parts: dict[bytes, tuple[int, int]]) -> None:
        for by in BY:
            ranking = board.ranking(by)
            self.looked += 1
            if ranking.is_exact:
                self.exact += 1
                truth = first([(key, value(by, *part)) for key, part in parts.items()])
                assert ranking.first(DEPTH) == truth, by

    def compare_growth(self, board: Board, index: int, parts: dict[bytes, tuple[int, int]]) -> None:
        """The same for growth, which needs what the rows know of followers."""
        for by in GROWTH:
            places = []
            for key, (gained, lost) in parts.items():
                row = self.engine.row(key)
                if row is not None:
                    part = growth(by, row, index, board.start_ms, gained - lost)
                    places.append((key, part))
            ranking = board.ranking(by)
            self.looked += 1
            if ranking.is_exact:
                self.exact += 1
                self.grown += len(ranking.first(DEPTH))
                assert ranking.first(DEPTH) == first(places), by


@pytest.mark.parametrize("seed", some(30))
def test_the_first_places_are_those_of_all_rows(seed: int) -> None:
    life = Life(Random(seed))
    for _ in range(150):
        life.feed()
        life.seal()
    assert life.exact > 0.9 * life.looked > 1_000
    assert life.grown > 1_000


@pytest.mark.parametrize("seed", some(8))
def test_a_restart_in_the_middle_of_a_sweep_loses_nobody(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Two windows fill a slice, so that a sweep takes many seals and restarts fall between."""
    monkeypatch.setattr(engine_module, "SLICE_WINDOWS", 2)
    life = Life(Random(seed))
    for _ in range(60):
        life.feed()
        life.seal()
        while life.engine.has_unsealed and life.random.random() < 0.9:
            life.seal()
    assert life.exact > 0.8 * life.looked > 500


@pytest.mark.parametrize("seed", some(40))
def test_a_ranking_is_the_head_of_a_sorted_list(seed: int) -> None:
    """Few values and many ties: places are given, lost and taken again all the time."""
    random, ranking, truth = Random(seed), Ranking(), dict[bytes, int]()
    exact = 0
    for _ in range(400):
        key, number = b"a%02d" % random.randrange(30), random.randrange(4)
        if random.random() < 0.1:
            ranking.drop(key)
            truth.pop(key, None)
        else:
            if key in truth and truth[key] > number and random.random() < 0.5:
                number = truth[key]  # the same once more: it must not lose its place
            ranking.put(key, number)
            truth[key] = number
        if ranking.is_exact:
            exact += 1
            assert ranking.first(DEPTH) == first(list(truth.items()))
    assert exact > 100


def test_the_last_place_is_kept_when_its_account_comes_again() -> None:
    ranking = Ranking()
    for number in range(ROOM + 1):
        ranking.put(b"a%02d" % number, 1)
    assert ranking.last in ranking.values
    ranking.put(ranking.last, ranking.least)
    assert ranking.last in ranking.values


def test_growth_is_right_after_a_board_was_mended() -> None:
    engine = Engine(RULES, SOURCE, ranked=ALL)
    names = [f"a{n:03}" for n in range(30)]
    log = [baseline(n, name, 1_000 - 10 * n) for n, name in enumerate(names)]
    log += [event(30 + n, name, "follow") for n, name in enumerate(names)]
    engine.apply(log, 60)
    engine.seal()
    fallen = [event(60 + n, name, "unfollow") for n, name in enumerate([*names[:9], *names[-9:]])]
    engine.apply(fallen, 78)
    engine.seal()
    assert not engine.leaders[0].current.is_exact
    for number in range(20):
        engine.apply([event(78 + number, "b", "unfollow")], 79 + number)
        engine.seal()
    current = engine.leaders[0].current
    assert current.is_exact
    rows = {name.encode(): engine.row(name.encode()) for name in names}
    truth = [
        (key, growth("growing", row, 0, current.start_ms, row.gained - row.lost))
        for key, row in rows.items()
        if row is not None
    ]
    assert current.ranking("growing").first(DEPTH) == first(truth)
    assert len(first(truth)) == DEPTH


def baseline(offset: int, account: str, followers: int) -> LogRecord:
    body = {"event_id": f"e{offset}", "account_id": account, "action": "baseline"}
    text = json.dumps({**body, "followers": followers, "occurred_at": START_MS})
    return LogRecord(offset, START_MS, account.encode(), text.encode(), [])


def test_a_restored_board_past_keep_does_not_say_that_it_is_exact() -> None:
    """Rows have dropped that window, so accounts that changed since are missing from it."""
    rules = Rules(grains=(SMALL[0],), max_ahead_ms=800)
    span, keep = SMALL[0].size_ms + SMALL[0].grace_ms, SMALL[0].size_ms + SMALL[0].keep_ms
    engine = Engine(rules, SOURCE, ranked=ALL)
    rows: dict[bytes, bytes] = {}
    log = [at(0, "a", 0), at(1, "a", 1), at(2, "b", 2), beat(3, span), beat(4, 2 * keep)]
    for record in [*log, at(5, "a", 2 * keep + 1)]:
        engine.apply([record], record.offset + 1)
        while engine.has_unsealed:
            sealed = engine.seal()
            rows |= {key: value for key, value in sealed.updates if value is not None}
    assert engine.leaders[0].final.is_exact
    again = Engine(rules, SOURCE, ranked=ALL)
    again.restore(sealed.checkpoint)
    again.load(rows.items())
    before, after = engine.leaders[0].final, again.leaders[0].final
    assert after.start_ms == before.start_ms
    assert after.ranking("gained").first(5) != before.ranking("gained").first(5)
    assert not after.is_exact


def at(offset: int, account: str, ms: int) -> LogRecord:
    """A follow at a time after the start."""
    body = {"event_id": f"e{offset}", "account_id": account, "follower_id": "f"}
    text = json.dumps({**body, "action": "follow", "occurred_at": START_MS + ms})
    return LogRecord(offset, -1, account.encode(), text.encode(), [])


def beat(offset: int, ms: int) -> LogRecord:
    """A heartbeat at a time after the start."""
    text = json.dumps({"occurred_at": START_MS + ms})
    return LogRecord(offset, -1, None, text.encode(), [(HEARTBEAT_HEADER, b"")])


def test_a_board_that_fell_short_is_mended_a_slice_at_a_time() -> None:
    random = Random(1)
    engine = Engine(RULES, SOURCE, ranked=ALL)
    records = [event(n, f"a{n:03}", "follow") for n in range(30)]
    engine.apply(records, 30)
    engine.seal()
    board = engine.leaders[0]
    assert board.current.is_exact
    leading = [key for key, _ in board.current.ranking("gainers").first(DEPTH)]
    falling = [f"a{n:03}" for n in range(8)]
    assert leading[0].decode() == falling[0]
    engine.apply([event(30 + n, name, "unfollow") for n, name in enumerate(falling)], 38)
    engine.seal()
    assert not engine.leaders[0].current.ranking("gainers").is_exact
    for number in range(20):
        engine.apply([event(38 + number, f"b{random.randrange(9)}", "unfollow")], 39 + number)
        engine.seal()
    current = engine.leaders[0].current
    assert current.is_exact
    assert [key.decode() for key, _ in current.ranking("gainers").first(DEPTH)] == [
        "a008", "a009", "a010",
    ]  # fmt: skip


def event(offset: int, account: str, action: str) -> LogRecord:
    body = {
        "event_id": f"e{offset}", "account_id": account, "follower_id": "f", "action": action,
        "occurred_at": START_MS + offset % 30,
    }  # fmt: skip
    if action == "forget":
        del body["follower_id"]
    return LogRecord(offset, START_MS, account.encode(), json.dumps(body).encode(), [])


def test_equal_values_are_ranked_by_id() -> None:
    ranking = Ranking()
    for name in (b"c", b"a", b"b", b"d"):
        ranking.put(name, 5)
    assert ranking.first(3) == [(b"a", 5), (b"b", 5), (b"c", 5)]


def test_who_neither_gained_nor_lost_has_no_place() -> None:
    board = Board(0)
    board.put(b"a", 3, 3)
    assert board.ranking("gainers").first(3) == []
    assert board.ranking("lost").first(3) == [(b"a", 3)]


def test_a_final_window_forgotten_and_counted_again_at_once_has_only_the_new_count() -> None:
    engine = Engine(RULES, SOURCE, ranked=ALL)
    engine.apply([event(0, "a", "unfollow"), event(1, "b", "unfollow")], 2)
    engine.seal()
    late = json.dumps({"event_id": "h", "account_id": "z", "follower_id": "f", "action": "follow",
                       "occurred_at": START_MS + 2_500})  # fmt: skip
    engine.apply([LogRecord(2, START_MS + 2_500, b"z", late.encode(), [])], 3)
    engine.seal()
    assert engine.leaders[0].final.ranking("lost").first(3) == [(b"a", 1), (b"b", 1)]
    engine.apply([event(3, "a", "forget"), event(4, "a", "follow")], 5)
    engine.seal()
    final = engine.leaders[0].final
    assert final.ranking("lost").first(3) == [(b"b", 1)]
    assert final.ranking("gained").first(3) == [(b"a", 1)]


def test_growth_is_over_the_followers_before_the_window_and_undefined_without_them() -> None:
    board = Board(0)
    for key, net, before in ((b"a", 3, 10), (b"b", -1, 4), (b"c", 3, 0), (b"d", 1, -5)):
        board.grow(key, net, before)
    assert board.ranking("growing").first(3) == [(b"a", 300_000_000)]
    assert board.ranking("shrinking").first(3) == [(b"b", 250_000_000)]


def test_a_grain_that_is_not_ranked_has_empty_boards() -> None:
    engine = Engine(RULES, SOURCE, ranked=("5s",))
    engine.apply([event(0, "a", "follow")], 1)
    engine.seal()
    assert [boards.current.start_ms >= 0 for boards in engine.leaders] == [False, True, False]


def short_board(engine: Engine) -> int:
    """Let accounts fall until the board must be filled again. Return the next offset."""
    engine.apply([event(n, f"a{n:03}", "follow") for n in range(30)], 30)
    engine.seal()
    engine.apply([event(30 + n, f"a{n:03}", "unfollow") for n in range(8)], 38)
    engine.seal()
    return 38


def test_an_account_that_is_forgotten_while_the_board_is_mended_is_on_neither() -> None:
    engine = Engine(RULES, SOURCE, ranked=ALL)
    offset = short_board(engine)
    engine.seal()
    engine.apply([event(offset, "b", "unfollow")], offset + 1)
    engine.seal()
    heir = engine.leaders[0].current.heir
    assert heir is not None
    assert b"a029" in heir.gainers.values
    engine.apply([event(offset + 1, "a029", "forget")], offset + 2)
    assert b"a029" not in heir.gainers.values
    for number in range(20):
        engine.apply([event(offset + 2 + number, "b", "unfollow")], offset + 3 + number)
        engine.seal()
    assert engine.leaders[0].current is heir
    assert b"a029" not in heir.gainers.values


def test_an_account_that_waits_for_another_window_is_passed_by_while_mending() -> None:
    board = Board(5_000)
    boards = Engine(RULES, SOURCE, ranked=ALL).leaders[0]
    boards.current = board
    for number in range(20):
        board.put(b"%02d" % number, 1, 0)
    for number in range(10):
        board.put(b"%02d" % number, 1, 1)
    assert not board.is_exact
    row = new_row(len(SMALL))
    row.windows[0].append([6_000, 9, 0, 0])
    boards.mend({5_000 + boards.span_ms: [b"x", b"gone"]}, {b"x": row}.get)
    assert boards.current is board.heir
    assert boards.current.ranking("gainers").first(9) == []
