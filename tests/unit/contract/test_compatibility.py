"""The compatibility gate fails on each planted break, names its rule and place, and on no other."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.contract import schemas
from tests.unit.contract.breaking_changes import (
    BREAKS,
    EVENT,
    HARMLESS,
    RESULT,
    Planted,
    find,
    kafka,
)
from verify.contract import compatibility, releases
from verify.contract.rules import SAYS, Break, Rule, Side
from verify.contract.schema_diff import Values

RELEASED = next(reversed(releases.released().values()))


def changed(planted: Planted) -> dict[str, Any]:
    """The released contract with something planted into it."""
    document = copy.deepcopy(RELEASED)
    planted.plant(document)
    return document


@pytest.mark.parametrize("planted", BREAKS, ids=lambda planted: planted.what.replace(" ", "-"))
def test_the_gate_fails_on_a_planted_break(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(releases, "present", lambda: changed(planted))
    assert compatibility.main() == 1
    lines = capsys.readouterr().out.splitlines()
    [told] = [line for line in lines if line.startswith(f"{planted.rule}: ")]
    assert f"{planted.place}: " in told
    assert planted.rule is not None
    assert f"    rule: {SAYS[planted.rule]}" in lines


@pytest.mark.parametrize("planted", HARMLESS, ids=lambda planted: planted.what.replace(" ", "-"))
def test_the_gate_lets_a_harmless_change_pass(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(releases, "present", lambda: changed(planted))
    assert compatibility.main() == 0, capsys.readouterr().out


ELSEWHERE = {
    Rule.FIELD_IN_CLOSED,
    Rule.OBJECT_OPENED,
    Rule.VARIANT_ADDED,
    Rule.EXAMPLE_UNREADABLE,
    Rule.TOPIC_REUSED,
    Rule.RELEASE_CHANGED,
}
"""Rules about what our contract has none of, or that take more than an edit: see below."""


def test_each_rule_has_a_planted_break_and_words() -> None:
    assert {planted.rule for planted in BREAKS} | ELSEWHERE == set(Rule) == SAYS.keys()


def breaks(side: Side, old: object, new: object) -> list[Break]:
    """Compare two schemas that are documents of their own."""
    return Values(side, old, new).compare(old, new, "value")


def rules(side: Side, old: object, new: object) -> list[Rule]:
    return [one.rule for one in breaks(side, old, new)]


def test_a_closed_result_object_stays_as_it_is() -> None:
    closed = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}
    opened = {"type": "object", "properties": {"a": {}}}
    grown = {**closed, "properties": {"a": {}, "b": {}}}
    assert rules(Side.WE_WRITE, closed, opened) == [Rule.OBJECT_OPENED]
    assert rules(Side.WE_WRITE, closed, grown) == [Rule.FIELD_IN_CLOSED]
    assert rules(Side.WE_READ, closed, opened) == []
    assert rules(Side.WE_READ, closed, grown) == []


def test_a_result_gets_no_new_alternative_and_the_input_may() -> None:
    old = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
    new = {"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}
    assert rules(Side.WE_WRITE, old, new) == [Rule.VARIANT_ADDED]
    assert rules(Side.WE_READ, old, new) == []


def test_alternatives_are_told_apart_wherever_they_stand() -> None:
    old = {"oneOf": [{"title": "a", "minimum": 1}, {"title": "b", "minimum": 2}]}
    new = {"oneOf": [{"title": "b", "minimum": 2}, {"title": "a", "minimum": 0}]}
    [found] = breaks(Side.WE_WRITE, old, new)
    assert (found.rule, found.place) == (Rule.LIMIT_WIDENED, "value/(a)")


def test_what_is_said_beside_a_reference_counts() -> None:
    old = {"$defs": {"id": {"type": "string"}}, "items": {"$ref": "#/$defs/id"}}
    new = {"$defs": old["$defs"], "items": {"$ref": "#/$defs/id", "maxLength": 9}}
    [found] = breaks(Side.WE_READ, old, new)
    assert (found.rule, found.place) == (Rule.LIMIT_NARROWED, "value/[]")


def test_integers_are_numbers() -> None:
    assert rules(Side.WE_READ, {"type": "integer"}, {"type": "number"}) == []
    assert rules(Side.WE_WRITE, {"type": "number"}, {"type": "integer"}) == []
    assert rules(Side.WE_READ, {"type": "number"}, {"type": "integer"}) == [Rule.FIELD_RETYPED]


def test_a_field_that_was_forbidden_and_one_that_is() -> None:
    forbidden = {"properties": {"a": False}}
    free = {"properties": {"a": {"type": "string"}}}
    assert rules(Side.WE_READ, free, forbidden) == [Rule.FIELD_RETYPED]
    assert rules(Side.WE_READ, forbidden, free) == []
    assert rules(Side.WE_WRITE, forbidden, free) == [Rule.FIELD_RETYPED]


def test_a_result_example_that_the_released_schema_refuses() -> None:
    document = copy.deepcopy(RELEASED)
    find(document, RESULT)["examples"].append({"grain": "1m"})
    [*found] = compatibility.judge(RELEASED, document)
    assert {one.rule for one in found} == {Rule.EXAMPLE_UNREADABLE}


def as_major(document: dict[str, Any]) -> dict[str, Any]:
    document["info"]["version"] = "2.0.0-next"
    return document


def test_a_new_major_version_breaks_nothing_under_an_old_topic_name() -> None:
    document = as_major(copy.deepcopy(RELEASED))
    BREAKS[0].plant(document)  # takes the field `net` out of a result
    [found] = compatibility.judge(RELEASED, document)
    assert found.rule is Rule.TOPIC_REUSED
    assert "field-removed" in found.what


def test_a_new_major_version_may_break_under_a_new_topic_name() -> None:
    document = as_major(copy.deepcopy(RELEASED))
    BREAKS[0].plant(document)  # takes the field `net` out of a result
    document["channels"]["netFollowerWindows"]["address"] = "net-follower-windows-v2"
    find(document, *kafka("netFollowerWindows"))["topic"] = "net-follower-windows-v2"
    assert compatibility.judge(RELEASED, document) == []


def test_a_release_that_was_edited_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "released"
    shutil.copytree(releases.RELEASED, home)
    assert releases.edited(home) == []
    path = next(home.glob("*/asyncapi.json"))
    path.write_text(path.read_text().replace("unfollow", "leave"))
    found = releases.edited(home)
    monkeypatch.setattr(releases, "edited", lambda: found)
    assert compatibility.main() == 1
    assert f"{Rule.RELEASE_CHANGED}: {path.parent.name}/asyncapi.json" in capsys.readouterr().out


def test_an_edited_schema_file_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(schemas.SCHEMAS, tmp_path / "schemas")
    monkeypatch.setattr(schemas, "SCHEMAS", tmp_path / "schemas")
    path = tmp_path / "schemas" / f"{EVENT}.json"
    edited = json.loads(path.read_text())
    edited["required"].append("client")
    path.write_text(json.dumps(edited))
    assert releases.present()["info"]["version"].endswith("-next")
    [found] = compatibility.judge(RELEASED, releases.present())
    assert (found.rule, found.place) == (
        Rule.REQUIRED_ADDED,
        "follow-events followEvent value/client",
    )


def test_todays_contract_passes_from_the_command_line() -> None:
    command = [sys.executable, "-m", "verify.contract"]
    ended = subprocess.run(command, cwd=schemas.ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "nothing broken" in ended.stdout


def test_a_new_release_is_frozen_beside_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "released"
    shutil.copytree(releases.RELEASED, home)
    shutil.copytree(schemas.SCHEMAS, tmp_path / "schemas")
    monkeypatch.setattr(schemas, "SCHEMAS", tmp_path / "schemas")
    path = tmp_path / "schemas" / f"{RESULT}.json"
    path.write_text(path.read_text().replace("Final result of a window", "A result"))
    before = releases.released(home)
    assert releases.release(home).startswith("released ")
    after = releases.released(home)
    [new] = after.keys() - before.keys()
    assert new > max(before)
    assert releases.edited(home) == []
