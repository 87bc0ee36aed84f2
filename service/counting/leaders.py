"""The accounts that gain and lose most, exact at any time, in the current and last final window.

A *board* ranks the accounts of one window by net, gained, lost and growth. It holds the best few
hundred and the *floor*: every account that it does not hold ranks behind the floor. So a change
costs one comparison for an account far from the top, and the best `DEPTH` are known without reading
a table of millions. Nothing here decides a result.

    current   the window that holds the watermark; a row's part of it is its newest window
    final     the newest window whose sweep has ended, with the corrections since
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from service.counting.rows import GAINED, LOST, REVISION

if TYPE_CHECKING:
    from service.contract.results import Window
    from service.counting.rows import Row

By = Literal["gainers", "losers", "gained", "lost", "growing", "shrinking"]
Place = tuple[bytes, int]
"""(account id, value)."""

GROWTH_UNIT: Final = 1_000_000_000
"""Growth rate in parts per billion, rounded towards 0: net of the window / followers before it.

Undefined if these followers are unknown or not above 0.
"""

DEPTH: Final = 50
"""Number of places of a ranking that are exact."""
_ROOM: Final = 6 * DEPTH
_TRIMMED: Final = 3 * DEPTH
_BEHIND_ALL: Final = b"\xff" * 300
"""Ranks behind every account id, because ids are UTF-8."""
_SLICE: Final = 2_000
"""Number of accounts that one seal checks again."""


class Ranking:
    """Ranks accounts by a value above 0: largest first, then by id. Values may rise and fall."""

    __slots__ = ("last", "least", "values")

    def __init__(self) -> None:
        """Start without accounts. No account has been left out."""
        self.values: dict[bytes, int] = {}
        self.least = 1
        """A smaller value gets no place."""
        self.last = _BEHIND_ALL

    def put(self, key: bytes, value: int) -> None:
        """Note the value of an account. It may be its first value."""
        values = self.values
        if value <= self.least and (value < self.least or key > self.last):
            if key in values:
                del values[key]
            return
        values[key] = value
        if len(values) > _ROOM:
            self._trim()

    def drop(self, key: bytes) -> None:
        """Forget an account."""
        self.values.pop(key, None)

    def _trim(self) -> None:
        kept = sorted((-value, key) for key, value in self.values.items())[:_TRIMMED]
        self.values = {key: -value for value, key in kept}
        self.least, self.last = -kept[-1][0], kept[-1][1]

    @property
    def is_exact(self) -> bool:
        """False if enough values have fallen that a left-out account may be among the first."""
        return self.last == _BEHIND_ALL or len(self.values) >= DEPTH

    def first(self, count: int) -> list[Place]:
        """Return the first `count` places, at most DEPTH. Equal values are ordered by id."""
        ranked = sorted((-value, key) for key, value in self.values.items())
        return [(key, -value) for value, key in ranked[: min(count, DEPTH)]]


class Board:
    """The rankings of one window.

    Of net, gained and lost, only net can fall. So an account needs no update if it is in neither
    ranking by net and all its values are behind the last places: it had no place and gets no place.
    This holds for nearly all accounts. Two numbers decide it for most of them, because net is at
    most what was gained and at least minus what was lost. Growth is updated separately, for
    accounts with a baseline only.
    """

    __slots__ = (
        "gained", "gainers", "growing", "heir", "is_whole", "least", "least_gained", "least_lost",
        "losers", "lost", "shrinking", "start_ms",
    )  # fmt: skip

    def __init__(self, start_ms: int, *, is_whole: bool = True) -> None:
        """`start_ms`: of the window. `is_whole`: the board saw every account of the window."""
        self.start_ms = start_ms
        self.is_whole = is_whole
        self.gainers, self.losers = Ranking(), Ranking()
        self.gained, self.lost = Ranking(), Ranking()
        self.growing, self.shrinking = Ranking(), Ranking()
        self.heir: Board | None = None
        """Will replace this board. Until then every change must be noted in it."""
        self.least = (1, 1, 1, 1)
        """The last values that have a place: of gainers, losers, gained, lost."""
        self.least_gained = self.least_lost = 1
        """An account that gained and lost less than these needs no update."""

    def look(self, key: bytes, gained: int, lost: int) -> None:
        """Note what an account has gained and lost, if it can matter."""
        net = gained - lost
        up, down, most_gained, most_lost = self.least
        if (
            net >= up
            or -net >= down
            or gained >= most_gained
            or lost >= most_lost
            or key in self.gainers.values
            or key in self.losers.values
        ):
            self.put(key, gained, lost)

    def put(self, key: bytes, gained: int, lost: int) -> None:
        """Note what an account has gained and lost in the window."""
        net = gained - lost
        gainers, losers = self.gainers, self.losers
        if net >= gainers.least or key in gainers.values:
            gainers.put(key, net)
        if -net >= losers.least or key in losers.values:
            losers.put(key, -net)
        if gained >= self.gained.least:
            self.gained.put(key, gained)
        if lost >= self.lost.least:
            self.lost.put(key, lost)
        if self.heir is not None:
            self.heir.put(key, gained, lost)
        else:
            self.least = (gainers.least, losers.least, self.gained.least, self.lost.least)
            self.least_gained = min(gainers.least, self.gained.least)
            self.least_lost = min(losers.least, self.lost.least)

    def grow(self, key: bytes, net: int, before: int) -> None:
        """Note the growth of an account: net of the window, and followers before it."""
        growth = abs(net) * GROWTH_UNIT // before if before > 0 else 0
        for ranking, value in (
            (self.growing, growth if net > 0 else 0),
            (self.shrinking, growth if net < 0 else 0),
        ):
            if value >= ranking.least or key in ranking.values:
                ranking.put(key, value)
        if self.heir is not None:
            self.heir.grow(key, net, before)

    def empty(self, key: bytes) -> None:
        """Remove an account from all rankings."""
        for ranking in self.rankings:
            ranking.drop(key)
        if self.heir is not None:
            self.heir.empty(key)

    @property
    def rankings(self) -> tuple[Ranking, ...]:
        """The rankings by net (gainers, losers), gained, lost, growth (growing, shrinking)."""
        return (
            self.gainers, self.losers, self.gained, self.lost, self.growing, self.shrinking,
        )  # fmt: skip

    @property
    def is_exact(self) -> bool:
        """True if the first DEPTH of every ranking are right."""
        return self.is_whole and all(ranking.is_exact for ranking in self.rankings)

    def ranking(self, by: By) -> Ranking:
        """Return a ranking by its name."""
        found: Ranking = getattr(self, by)
        return found


class Leaders:
    """The boards of one grain of one partition."""

    __slots__ = (
        "_closing", "_todo", "current", "final", "index", "is_kept", "kept_ms", "size_ms",
        "span_ms",
    )  # fmt: skip

    def __init__(
        self, index: int, size_ms: int, span_ms: int, kept_ms: int, *, is_kept: bool = True
    ) -> None:
        """`index`: of the grain in a row. `span_ms`, `kept_ms`: from start to final, to past keep.

        If not `is_kept`, the boards stay empty: each board makes a seal some per cent slower.
        """
        self.index, self.size_ms, self.span_ms, self.kept_ms = index, size_ms, span_ms, kept_ms
        self.is_kept = is_kept
        self.current = Board(-1)
        self.final = Board(-1)
        self._closing = Board(-1)
        self._todo: list[bytes] = []

    def turn(self, watermark_ms: int) -> None:
        """Start a new board if the watermark has entered another window."""
        start = watermark_ms - watermark_ms % self.size_ms
        if self.is_kept and start != self.current.start_ms:
            self.current = Board(start)

    def mend(
        self, waiting: Mapping[int, list[bytes]], row_of: Callable[[bytes], Row | None]
    ) -> None:
        """Check accounts again, a slice at a time, if accounts without a place may now have one.

        `waiting`: the index of the sweep. It has every account with a window in the current window.
        """
        board, at = self.current, self.index
        if board.heir is None:
            if board.is_exact:
                return
            board.heir = Board(board.start_ms)
            board.least = (0, 0, 0, 0)  # all accounts: either net or -net is at least 0
            board.least_gained = board.least_lost = 0
            self._todo = list(dict.fromkeys(waiting.get(board.start_ms + self.span_ms, ())))
        for key in self._todo[-_SLICE:]:
            row = row_of(key)
            windows = row.windows[at] if row is not None else ()
            if row is not None and windows and windows[-1][0] == board.start_ms:
                board.heir.put(key, windows[-1][GAINED], windows[-1][LOST])
                self.grow(key, row)
        del self._todo[-_SLICE:]
        if not self._todo:
            self.current = board.heir

    def begin_sweep(self, closing_to_ms: int) -> None:
        """Start the board of the newest window that this sweep makes final, if there is one."""
        start = self._newest(closing_to_ms)
        if self.is_kept and start > self.final.start_ms and start != self._closing.start_ms:
            self._closing = Board(start)

    def end_sweep(self, closed_to_ms: int) -> None:
        """Show the board of the window that the sweep has closed."""
        if self.is_kept and self._closing.start_ms == self._newest(closed_to_ms):
            self.final, self._closing = self._closing, Board(-1)

    def published(self, key: bytes, window: Window) -> None:
        """Note a final window, or a correction of one."""
        for board in (self.final, self._closing):
            if window[0] == board.start_ms:
                if window[REVISION]:  # a forget may have lowered values that otherwise only rise
                    board.empty(key)
                board.put(key, window[GAINED], window[LOST])

    def restore(self, watermark_ms: int, closed_to_ms: int, closing_to_ms: int) -> None:
        """Start from a checkpoint. Rows follow with `load`.

        A row drops windows past keep, so the board of such a window lacks accounts.
        """
        self.turn(watermark_ms)
        start = self._newest(closed_to_ms) if self.is_kept else -1
        self.final = Board(start, is_whole=start + self.kept_ms > watermark_ms)
        self.begin_sweep(closing_to_ms)
        self._closing.is_whole = self._closing.start_ms + self.kept_ms > watermark_ms

    def grow(self, key: bytes, row: Row) -> None:
        """Note the growth of an account in every window that has a board.

        Followers before a window = followers now - net of this window and of later ones. Windows
        older than every board are skipped, because a waiting row may have thousands.
        """
        before = row.followers
        if before is None or not self.is_kept:
            return
        starts = [self.current.start_ms, self.final.start_ms, self._closing.start_ms]
        oldest = min((start for start in starts if start >= 0), default=0)
        for window in reversed(row.windows[self.index]):
            if window[0] < oldest:
                return
            net = window[GAINED] - window[LOST]
            before -= net
            for board in (self.current, self.final, self._closing):
                if window[0] == board.start_ms:
                    board.grow(key, net, before)

    def load(self, key: bytes, row: Row) -> None:
        """Note the windows of a restored row, also in boards that are not shown yet."""
        for window in row.windows[self.index]:
            start, gained, lost, _ = window
            for board in (self.current, self.final, self._closing):
                if start == board.start_ms and (
                    gained >= board.least_gained or lost >= board.least_lost
                ):
                    board.look(key, gained, lost)
        if row.baseline is not None:
            self.grow(key, row)

    def forget(self, key: bytes) -> None:
        """Remove an account from the current board."""
        self.current.empty(key)

    def _newest(self, final_to_ms: int) -> int:
        """Return the start of the newest window that is final at a watermark, or -1."""
        start = final_to_ms - self.span_ms
        return start - start % self.size_ms if start >= 0 else -1
