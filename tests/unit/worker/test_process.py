"""The line of an exit names the error, and what lies below it."""

from __future__ import annotations

from itertools import pairwise

from service.process import with_causes


def raised(*chain: Exception, hides: bool = False) -> Exception:
    """The first error, raised from the second, and so on."""
    for error, cause in pairwise(chain):
        if hides:
            error.__suppress_context__, error.__context__ = True, cause
        else:
            error.__cause__ = cause
    return chain[0]


def test_each_error_below_is_named() -> None:
    error = raised(RuntimeError("batch delivery"), ValueError("mapping"), KeyError("id"))
    assert with_causes(error) == (
        "RuntimeError('batch delivery'), caused by ValueError('mapping'), caused by KeyError('id')"
    )


def test_an_error_without_a_cause_stands_alone_and_so_does_one_that_hides_it() -> None:
    assert with_causes(KeyError(1)) == "KeyError(1)"
    assert with_causes(raised(KeyError(1), ValueError(2), hides=True)) == "KeyError(1)"


def test_an_error_raised_while_another_was_handled_names_it() -> None:
    error = KeyError(1)
    error.__context__ = ValueError(2)
    assert with_causes(error) == "KeyError(1), caused by ValueError(2)"


def test_a_circle_of_errors_ends() -> None:
    first, second = KeyError(1), ValueError(2)
    first.__cause__, second.__cause__ = second, first
    assert with_causes(first) == "KeyError(1), caused by ValueError(2)"
