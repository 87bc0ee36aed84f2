"""Texts of users, docs, docstrings and comments are plain English: no bad word is in one."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import pytest

from tests.unit.docs.user_texts import (
    NOT_HELD,
    ROOT,
    WORKSHOP,
    Text,
    comments,
    docstrings,
    said_by,
    texts,
)

BETTER: Final = {
    r"\bso (?:many|much)\b": "number of, largest number of",
    r"\bso (?:long|often)\b": "seconds, days: the unit and what it measures",
    r"\b(?:who|whom|whoever)\b": "the component: the worker, the producer, the client",
    r"\b(?:no|any|some|every)(?:body|one)\b": "the component: no worker, each client",
    r"\b(?:ours|theirs)\b": "the thing and its owner: the checkpoint of the worker",
    r"(?<![`'\"])(?<!: )\b(?-i:none)\b(?! of\b|[`'\")])": "no record, no worker: the thing itself",
    r"\b(?:is|are|was|were|be|been) (?:told|asked|heard)\b": "sent, requested, received",
    r"->": "returns, to",
    r"\banew\b": "again",
    r"\bmend(?:s|ed|ing)?\b": "correct, repair",
    r"\b(?:go|goes|went|going) on\b": "continue",
    r"\b(?:stand|stands|stood) still\b": "stops, makes no progress, does not change",
    r"\bforeign\b": "another, not allowed",
    r"\bno chance\b": "very unlikely to be chance",
    r"\bturn(?:s|ed)? away\b": "refuse",
    r"\bebb and flow\b": "gains and losses",
    r"\blet(?:s|ting)? go\b": "close, release, drop",
    r"\bin vain\b": "without result",
    r"\bat a stretch\b": "in one step",
    r"\bheld against\b": "compared with",
    r"\bis said to be\b": "is marked as",
    r"\bstrangers?\b": "an unknown client, another program",
    r"\bin good order\b": "cleanly",
    r"\bgives? itself away\b": "can be recognised by",
    r"\bwithout a word\b": "silently",
    r"\bby our word\b": "only when this code does it",
    r"\bnot (?:yet )?got\b": "lacks",
}
"""Words that a reader must read twice, and what to write instead."""


@cache
def all_texts() -> list[Text]:
    """Return every text, read once, and only where a test asks for them."""
    return list(texts())


def found_in(text: Text) -> list[str]:
    """Say for each bad word in a text where it is and what to write instead."""
    place, words = text
    return [
        f"{place}: {found.group()!r} in {words!r}; write instead: {better}"
        for bad, better in BETTER.items()
        for found in re.finditer(bad, words, re.IGNORECASE)
    ]


def test_no_text_has_a_word_of_the_list() -> None:
    found = [line for text in all_texts() for line in found_in(text)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "kind",
    [
        "setting",
        "metric",
        "help",
        "problem",
        "docs",
        "schema",
        "dashboard",
        "alert",
        "page",
        "static",
        "docstring",
    ],
)
def test_every_kind_of_text_is_looked_at(kind: str) -> None:
    assert sum(place.startswith(kind) for place, _ in all_texts()) > 3


def test_the_lines_of_the_worker_are_looked_at() -> None:
    lines = {text for place, text in all_texts() if place.startswith("service/")}
    assert "lag could not be read" in " ".join(lines)
    assert "refused to open: X" in lines


@pytest.mark.parametrize(
    ("bad", "better"),
    [
        ("a checkpoint at most so often", "seconds, days"),
        ("so many gainers have metrics too", "number of"),
        ("a batch for who is slow", "the component"),
        ("this worker's checkpoint, or theirs", "the thing and its owner"),
        ("the age of the oldest record, or none", "no record"),
        ("the worker is told the offset", "sent, requested"),
        ("reads a row -> its number", "returns"),
    ],
)
def test_a_planted_bad_text_is_found_with_its_place_and_a_better_word(
    bad: str, better: str
) -> None:
    [line] = found_in(("setting PLANTED", bad))
    assert line.startswith("setting PLANTED: ")
    assert bad in line
    assert f"write instead: {better}" in line


@pytest.mark.parametrize(
    "good", ["`none`", "0: none", "(0: none)", "none of the headers below", "so that it can"]
)
def test_a_word_in_its_right_use_is_left_alone(good: str) -> None:
    assert found_in(("setting GOOD", good)) == []


@pytest.mark.parametrize(
    "line",
    [
        'log.warning("but nobody answers partition=%d", 3)',
        'raise ApiError("failed", "but nobody answers")',
        'raise unavailable(f"{url}: but nobody answers")',
        'self._refuse(f"partition {n}: but nobody answers")',
        'message = f"partition {n}: but nobody answers"',
    ],
)
def test_a_planted_line_of_the_worker_is_found(line: str) -> None:
    [text] = [text for text in said_by("planted.py", line) if "nobody" in text[1]]
    assert found_in(text)


@pytest.mark.parametrize(
    "source",
    [
        '"""The journal.\n\nWhoever opens it waits."""',
        'def end() -> int:\n    """Stop; -> the exit code."""',
        'class Worker:\n    most: int\n    """So many records."""',
    ],
)
def test_a_planted_docstring_is_found(source: str) -> None:
    assert [line for text in docstrings("planted.py", source) for line in found_in(text)]


@pytest.mark.parametrize("room", ["service", *WORKSHOP])
@pytest.mark.parametrize("kind", ["docstring", "comment"])
def test_the_sources_of_every_room_are_looked_at(kind: str, room: str) -> None:
    assert any(place.startswith(f"{kind} {room}/") for place, _ in all_texts())


@pytest.mark.parametrize("before", ["#", "total = 0  #"])
def test_a_planted_comment_is_found(before: str) -> None:
    [text] = comments("planted.py", f"{before} nobody reads it")
    assert found_in(text)


def test_a_drawing_in_a_docstring_may_have_arrows() -> None:
    [text] = docstrings("drawn.py", '"""The states.\n\n    OPENING -> HELD\n"""')
    assert found_in(text) == []


def test_all_pages_but_the_few_that_are_named_are_looked_at() -> None:
    pages = {str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md")}
    seen = {place.removeprefix("page ") for place, _ in all_texts()}
    left_out = sorted(pages - seen)
    assert all(page.startswith(tuple(NOT_HELD)) for page in left_out), left_out
    assert all((ROOT / page).exists() for page in NOT_HELD)
