"""Who gains and loses most, kept exact as it changes: of the current and of the last final window.

A *board* ranks the accounts of one window by net, gained and lost. It holds the best few hundred
and the *floor*: every account that it does not hold ranks behind it. So a change is one comparison
for an account far from the top, and the best `DEPTH` are known without looking at a table of
millions. Nothing here decides a result.

    current   the window that holds the watermark; a row's part of it is its newest window
    final     the newest window whose sweep has ended, with the corrections since
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from service.engine.rows import GAINED, LOST

if TYPE_CHECKING:
    from service.engine.rows import Row
    from service.results import Window

By = Literal["gainers", "losers", "gained", "lost"]
Place = tuple[bytes, int]
"""(account id, value)."""

DEPTH: Final = 100
"""So many places of a ranking are exact."""
_ROOM: Final = 8 * DEPTH
_TRIMMED: Final = 4 * DEPTH
_BEHIND_ALL: Final = b"\xff" * 300
"""No account id: those are UTF-8."""
_SLICE: Final = 2_000
"""So many accounts are looked at again per seal."""


class Ranking:
    """Accounts by a value above 0, largest first, equal ones by id. Values may rise and fall."""

    __slots__ = ("_last", "_values", "least")

    def __init__(self) -> None:
        """Hold nobody; nobody is left out."""
        self._values: dict[bytes, int] = {}
        self.least = 1
        """A smaller value has no place."""
        self._last = _BEHIND_ALL

    def put(self, key: bytes, value: int) -> None:
        """Note the value of an account, which may be its first."""
        values = self._values
        if value <= self.least and (value < self.least or key > self._last):
            if key in values:
                del values[key]
            return
        values[key] = value
        if len(values) > _ROOM:
            self._trim()

    def drop(self, key: bytes) -> None:
        """Forget an account."""
        self._values.pop(key, None)

    def _trim(self) -> None:
        kept = sorted((-value, key) for key, value in self._values.items())[:_TRIMMED]
        self._values = {key: -value for value, key in kept}
        self.least, self._last = -kept[-1][0], kept[-1][1]

    @property
    def is_exact(self) -> bool:
        """False when so many have fallen that one who was left out may belong to the first."""
        return self._last == _BEHIND_ALL or len(self._values) >= DEPTH

    def first(self, count: int) -> list[Place]:
        """The first `count` places, at most DEPTH; equal values by id."""
        ranked = sorted((-value, key) for key, value in self._values.items())
        return [(key, -value) for value, key in ranked[: min(count, DEPTH)]]


class Board:
    """The rankings of one window."""

    __slots__ = ("_gained", "_gainers", "_losers", "_lost", "least_gained", "least_lost", "start_ms")

    def __init__(self, start_ms: int) -> None:
        """`start_ms` of the window."""
        self.start_ms = start_ms
        self._gainers, self._losers = Ranking(), Ranking()
        self._gained, self._lost = Ranking(), Ranking()
        self.least_gained = self.least_lost = 1
        """Who has gained and lost less than these has no place and had none."""

    def put(self, key: bytes, gained: int, lost: int) -> None:
        """Note what an account has gained and lost in the window."""
        self._gainers.put(key, gained - lost)
        self._losers.put(key, lost - gained)
        self._gained.put(key, gained)
        self._lost.put(key, lost)
        self.least_gained = min(self._gainers.least, self._gained.least)
        self.least_lost = min(self._losers.least, self._lost.least)

    def drop(self, key: bytes) -> None:
        """Forget an account."""
        for ranking in (self._gainers, self._losers, self._gained, self._lost):
            ranking.drop(key)

    @property
    def is_exact(self) -> bool:
        """True when the first DEPTH of every ranking are right."""
        rankings = (self._gainers, self._losers, self._gained, self._lost)
        return all(ranking.is_exact for ranking in rankings)

    def ranking(self, by: By) -> Ranking:
        """The ranking by net (gainers, losers), gained or lost."""
        rankings = {
            "gainers": self._gainers,
            "losers": self._losers,
            "gained": self._gained,
            "lost": self._lost,
        }
        return rankings[by]


class Leaders:
    """The boards of one grain of one partition."""

    __slots__ = ("_closing", "_mended", "_todo", "current", "final", "index", "size_ms", "span_ms")

    def __init__(self, index: int, size_ms: int, span_ms: int) -> None:
        """`index` of the grain in a row; `span_ms`: from start to final."""
        self.index, self.size_ms, self.span_ms = index, size_ms, span_ms
        self.current = Board(-1)
        self.final = Board(-1)
        self._closing = Board(-1)
        self._mended: Board | None = None
        self._todo: list[bytes] = []

    def turn(self, watermark_ms: int) -> None:
        """Begin a board when the watermark has entered another window."""
        start = watermark_ms - watermark_ms % self.size_ms
        if start != self.current.start_ms:
            self.current, self._mended = Board(start), None

    def look(self, key: bytes, row: Row) -> None:
        """Note a row that has changed."""
        windows, board = row.windows[self.index], self.current
        if windows:
            start, gained, lost, _ = windows[-1]
            if start == board.start_ms and (
                gained >= board.least_gained or lost >= board.least_lost
            ):
                board.put(key, gained, lost)
        if self._mended is not None:
            self._mend(self._mended, key, row)

    def mend(
        self, waiting: Mapping[int, list[bytes]], row_of: Callable[[bytes], Row | None]
    ) -> None:
        """Look again, a slice at a time, when so many have fallen that others may have a place.

        `waiting`: the sweep's index, which holds every account with a window in the current one.
        """
        mended = self._mended
        if mended is None:
            if self.current.is_exact:
                return
            mended = self._mended = Board(self.current.start_ms)
            self._todo = list(dict.fromkeys(waiting.get(mended.start_ms + self.span_ms, ())))
        for key in self._todo[-_SLICE:]:
            row = row_of(key)
            if row is not None:
                self._mend(mended, key, row)
        del self._todo[-_SLICE:]
        if not self._todo:
            self.current, self._mended = mended, None

    def _mend(self, board: Board, key: bytes, row: Row) -> None:
        windows = row.windows[self.index]
        if windows and windows[-1][0] == board.start_ms:
            board.put(key, windows[-1][GAINED], windows[-1][LOST])

    def begin_sweep(self, closing_to_ms: int) -> None:
        """Begin the board of the newest window that this sweep makes final, if it makes one."""
        start = self._newest(closing_to_ms)
        if start > self.final.start_ms and start != self._closing.start_ms:
            self._closing = Board(start)

    def end_sweep(self, closed_to_ms: int) -> None:
        """Show the board that has been closed."""
        if self._closing.start_ms == self._newest(closed_to_ms):
            self.final, self._closing = self._closing, Board(-1)

    def published(self, key: bytes, window: Window) -> None:
        """Note a final window, or a correction of one."""
        for board in (self.final, self._closing):
            if window[0] == board.start_ms:
                board.put(key, window[GAINED], window[LOST])

    def restore(self, watermark_ms: int, closed_to_ms: int, closing_to_ms: int) -> None:
        """Take up a checkpoint; rows follow by `load`."""
        self.turn(watermark_ms)
        self.final = Board(self._newest(closed_to_ms))
        self.begin_sweep(closing_to_ms)

    def load(self, key: bytes, windows: Iterable[Window]) -> None:
        """Note the windows of a restored row; boards that are not to be shown yet take them too."""
        for window in windows:
            for board in (self.current, self.final, self._closing):
                if window[0] == board.start_ms:
                    board.put(key, window[GAINED], window[LOST])

    def forget(self, key: bytes) -> None:
        """Take an account off the current board."""
        for board in (self.current, self._mended):
            if board is not None:
                board.drop(key)

    def _newest(self, final_to_ms: int) -> int:
        """Start of the newest window that is final at a watermark; -1 when there is none."""
        start = final_to_ms - self.span_ms
        return start - start % self.size_ms if start >= 0 else -1


def look_at(rows: Mapping[bytes, Row], grains: Sequence[Leaders], watermark_ms: int) -> None:
    """Note all rows that have changed, on the boards of all grains: in the seal's hot loop.

    A window has gained and lost no more than its row: most rows are passed by at a glance.
    """
    for leaders in grains:
        leaders.turn(watermark_ms)
    gained = min(leaders.current.least_gained for leaders in grains)
    lost = min(leaders.current.least_lost for leaders in grains)
    for key, row in rows.items():
        if row.gained >= gained or row.lost >= lost:
            for leaders in grains:
                leaders.look(key, row)
