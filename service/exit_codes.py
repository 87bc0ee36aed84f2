"""The exit codes of `netfollowers`, the one list of them. Every help text and a page show it."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """How a command ended. `meaning`: a sentence for people."""

    meaning: str

    OK = 0, "success: every check passed, or the worker was stopped"
    WRONG = 1, "a check failed, a command refused to act, or an account or a member does not exist"
    USAGE = 2, "wrong usage, an invalid setting, or topics that cannot work; one line names it"
    BROKER = 3, "no broker could be reached, or the broker refused this user"
    INCOMPLETE = (
        4,
        "what could be checked is right, but retention has deleted records that were needed",
    )
    INTERNAL = 70, "internal error, or the worker could not continue"
    INTERRUPTED = 130, "interrupted with Ctrl-C"

    def __new__(cls, code: int, meaning: str) -> Self:
        """Take the pair apart: the code is the value."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member
