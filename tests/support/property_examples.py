"""How many random examples a property test looks at.

`make unit` is for every change and takes less than a minute, so it looks at a fifth of them. All
other runs look at all (`make test`, `make test-all`, and a test that is started by its name).
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import settings

QUICK: Final = 5
"""The quick run takes one of this number of examples."""
_run: dict[str, int] = {"one_of": 1}


def be_quick() -> None:
    """Look at fewer. To be called before test modules are imported."""
    _run["one_of"] = QUICK


def some(number: int) -> range:
    """Return this number of seeds, fewer in the quick run."""
    return range(max(1, number // _run["one_of"]))


def many(max_examples: int, **options: Any) -> settings:
    """Return settings of a property test, the same examples in each run of one kind."""
    return settings(
        max_examples=max(1, max_examples // _run["one_of"]),
        derandomize=True,
        deadline=None,
        database=None,
        **options,
    )
