"""`make contract` compares today's contract with the last released one; 1 for a breaking change.

With a new major version (`releases.MAJOR`) breaks are allowed, but not under an old topic name.
A client that still reads or writes the old topic must not notice.
"""

# ruff: noqa: T201 - a command line

from __future__ import annotations

from typing import Any

from verify.contract import releases
from verify.contract.rules import SAYS, Break, Rule
from verify.contract.topic_diff import compare, topics_of


def judge(old: dict[str, Any], new: dict[str, Any]) -> list[Break]:
    """Breaks that keep the new contract from being released after the old one."""
    breaks = compare(old, new)
    if _major(new) == _major(old):
        return breaks
    kept = {topic.address for topic in topics_of(old).values()} & {
        topic.address for topic in topics_of(new).values()
    }
    return [
        Break(Rule.TOPIC_REUSED, one.place, f"{one.rule}: {one.what}")
        for one in breaks
        if one.place.split(" ", maxsplit=1)[0] in kept
    ]


def _major(document: dict[str, Any]) -> str:
    return str(document["info"]["version"]).split(".", maxsplit=1)[0]


def main() -> int:
    """Print every break with its rule and place."""
    found = releases.released()
    assert found, "there is no released contract"
    last, new = next(reversed(found.values())), releases.present()
    breaks = [
        Break(Rule.RELEASE_CHANGED, name, "not what was released") for name in releases.edited()
    ]
    breaks += judge(last, new)
    for one in breaks:
        print(one)
    versions = f"{last['info']['version']} -> {new['info']['version']}"
    if breaks:
        print(
            f"contract {versions}: {len(breaks)} breaking changes. Take them back, or see "
            "'A breaking change' in docs/contract/README.md"
        )
        return 1
    print(f"contract {versions}: {len(SAYS)} rules, nothing broken")
    return 0
