"""A wait continues as long as what it watches moves. When it gives up, it says how far it came."""

from __future__ import annotations

from typing import NoReturn

import pytest

from tests.support.patience import Patience, until


def test_a_wait_never_ends_while_something_moves() -> None:
    patience = Patience("the end", silence_s=0.0)
    for count in range(10_000):
        patience.look(count)


def stand_still(where: str) -> NoReturn:
    """Look again and again."""
    patience = Patience("the end", silence_s=0.0)
    while True:
        patience.look(where)


def test_a_wait_that_stands_still_says_for_what_and_where() -> None:
    with pytest.raises(AssertionError, match=r"^waited for the end; .*\nhalf of it$"):
        stand_still("half of it")


async def test_what_holds_already_is_not_waited_for() -> None:
    await until(lambda: True, "nothing")
