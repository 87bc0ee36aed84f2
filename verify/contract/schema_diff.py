"""Compares two JSON Schemas: what does the new one break for clients of the old one?

It compares structures. A change that cannot be shown to be harmless counts as a break, and so does
a change of a keyword that no schema of the service has. `$ref` is followed. Annotations do not
count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, Final

from tests.support.contract.schemas import KNOWN, Schema
from verify.contract.rules import Break, Rule, Side

ALL: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_LOWER: Final = {"minimum": -inf, "minLength": 0.0, "minItems": 0.0}
_UPPER: Final = {"maximum": inf, "maxLength": inf, "maxItems": inf}
_ANNOTATIONS: Final = {
    *("title", "description", "examples", "$comment", "$id", "$schema", "$defs", "$anchor"),
    *("deprecated", "readOnly", "writeOnly"),
}
_HANDLED: Final = {
    *("$ref", "type", "const", "enum", KNOWN, "pattern", "format", "x-unit"),
    *("properties", "required", "additionalProperties", "propertyNames"),
    *("items", "prefixItems", "oneOf"),
}


class Values:
    """One comparison of two schemas. `roots`: the documents that their references point into."""

    def __init__(self, side: Side, old_root: Schema, new_root: Schema) -> None:
        self.breaks: list[Break] = []
        self._side = side
        self._roots = old_root, new_root

    def compare(self, old: Schema, new: Schema, place: str) -> list[Break]:
        """Add the breaks below `place`. Return all breaks."""
        before, after = resolve(old, self._roots[0]), resolve(new, self._roots[1])
        if self._types(before, after, place):
            for look in (self._values, self._limits, self._texts, self._objects, self._arrays,
                         self._variants, self._others):  # fmt: skip
                look(before, after, place)
        return self.breaks

    def _add(self, on_side: Side | None, rule: Rule, place: str, what: str) -> None:
        """Note a break, if `on_side` is the side that is compared. None: on both sides."""
        if on_side in {None, self._side}:
            self.breaks.append(Break(rule, place, what))

    def _types(self, old: dict[str, Any], new: dict[str, Any], place: str) -> bool:
        """Compare the types. Return whether the rest must be compared too."""
        before, after = types(old), types(new)
        added, removed = after - before, before - after
        said = f"{_said(before)} -> {_said(after)}"
        if "null" in added and before:
            self._add(Side.WE_WRITE, Rule.NULL_ADDED, place, said)
        if "null" in removed and after:
            self._add(Side.WE_READ, Rule.NULL_REMOVED, place, said)
        if added - {"null"} or (added and not before):
            self._add(Side.WE_WRITE, Rule.FIELD_RETYPED, place, said)
        if removed - {"null"} or (removed and not after):
            self._add(Side.WE_READ, Rule.FIELD_RETYPED, place, said)
        return bool(before & after)

    def _values(self, old: dict[str, Any], new: dict[str, Any], place: str) -> None:
        before, after = _listed(old), _listed(new)
        if before is not None:
            gone = before - after if after is not None else set()
            if gone:
                self._add(None, Rule.ENUM_NARROWED, place, f"without {', '.join(sorted(gone))}")
            if after is None:
                self._add(Side.WE_WRITE, Rule.ENUM_WIDENED, place, "any value now")
            elif after - before:
                come = ", ".join(sorted(after - before))
                self._add(Side.WE_WRITE, Rule.ENUM_WIDENED, place, f"with {come}")
        elif after is not None:
            self._add(Side.WE_READ, Rule.ENUM_NARROWED, place, f"only {', '.join(sorted(after))}")
        lost = set(old.get(KNOWN, ())) - set(new.get(KNOWN, new.get("enum", ())))
        if lost:
            self._add(None, Rule.ENUM_NARROWED, place, f"without {', '.join(sorted(lost))}")

    def _limits(self, old: dict[str, Any], new: dict[str, Any], place: str) -> None:
        for sign, limits in ((1, _LOWER), (-1, _UPPER)):
            for name, absent in limits.items():
                before, after = old.get(name, absent), new.get(name, absent)
                said = f"{name} {before} -> {after}"
                if sign * after > sign * before:
                    self._add(Side.WE_READ, Rule.LIMIT_NARROWED, place, said)
                elif after != before:
                    self._add(Side.WE_WRITE, Rule.LIMIT_WIDENED, place, said)

    def _texts(self, old: dict[str, Any], new: dict[str, Any], place: str) -> None:
        for name in ("pattern", "format"):
            before, after = old.get(name), new.get(name)
            said = f"{name} {before} -> {after}"
            if before != after and after is not None:
                self._add(Side.WE_READ, Rule.PATTERN_NARROWED, place, said)
            if before != after and before is not None:
                self._add(Side.WE_WRITE, Rule.PATTERN_WIDENED, place, said)

    def _objects(self, old: dict[str, Any], new: dict[str, Any], place: str) -> None:
        before, after = old.get("properties", {}), new.get("properties", {})
        removed = before.keys() - after.keys()
        for name in sorted(removed):
            self._add(None, Rule.FIELD_REMOVED, f"{place}/{name}", "it was there")
        for name in [name for name in before if name in after]:
            self.compare(before[name], after[name], f"{place}/{name}")
        if old.get("additionalProperties", True) is False:
            for name in after.keys() - before.keys():
                self._add(Side.WE_WRITE, Rule.FIELD_IN_CLOSED, f"{place}/{name}", "it is new")
        had, has = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(has - had):
            self._add(Side.WE_READ, Rule.REQUIRED_ADDED, f"{place}/{name}", "it is required now")
        for name in sorted(had - has - removed):
            what = "it was always there"
            self._add(Side.WE_WRITE, Rule.REQUIRED_DROPPED, f"{place}/{name}", what)
        self._openness(
            old.get("additionalProperties", True), new.get("additionalProperties", True), place
        )
        if "propertyNames" in old or "propertyNames" in new:
            self.compare(
                old.get("propertyNames", True), new.get("propertyNames", True), f"{place}/{{names}}"
            )

    def _openness(self, old: Schema, new: Schema, place: str) -> None:
        if old is False and new is not False:
            self._add(Side.WE_WRITE, Rule.OBJECT_OPENED, place, "unknown fields may come now")
        elif new is False and old is not False:
            self._add(Side.WE_READ, Rule.OBJECT_CLOSED, place, "unknown fields are refused now")
        elif old != new:
            self.compare(old, new, f"{place}/*")

    def _arrays(self, old: dict[str, Any], new: dict[str, Any], place: str) -> None:
        before, after = old.get("prefixItems", []), new.get("prefixItems", [])
        if len(before) != len(after):
            said = f"{len(before)} places -> {len(after)}"
            self._add(None, Rule.ARRAY_LENGTH, place, said)
            return
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            self.compare(one, other, f"{place}/{number}")
        if "items" in old or "items" in new:
            self.compare(old.get("items", True), new.get("items", True), f"{place}/[]")

    def _variants(self, old: dict[str, Any], new: dict[str, Any], place: str) -> None:
        before, after = (_titled(one.get("oneOf", [])) for one in (old, new))
        if bool(before) != bool(after):
            self._add(None, Rule.KEYWORD_CHANGED, place, "oneOf is gone or new")
            return
        for name in [name for name in before if name in after]:
            self.compare(before[name], after[name], f"{place}/({name})")
        for name in before.keys() - after.keys():
            self._add(None, Rule.VARIANT_REMOVED, f"{place}/({name})", "it was there")
        for name in after.keys() - before.keys():
            self._add(Side.WE_WRITE, Rule.VARIANT_ADDED, f"{place}/({name})", "it is new")

    def _others(self, old: dict[str, Any], new: dict[str, Any], place: str) -> None:
        if old.get("x-unit") != new.get("x-unit"):
            said = f"{old.get('x-unit')} -> {new.get('x-unit')}"
            self._add(None, Rule.UNIT_CHANGED, place, said)
        for name in sorted((old.keys() | new.keys()) - _ANNOTATIONS - _HANDLED):
            if name not in _LOWER and name not in _UPPER and old.get(name) != new.get(name):
                self._add(None, Rule.KEYWORD_CHANGED, place, f"{name} is not what it was")


def resolve(schema: Schema, root: Schema) -> dict[str, Any]:
    """Follow references within `root`; a boolean as an object. LookupError: it points nowhere."""
    while (reference := _ref(schema)) is not None:
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        target = pointed(root, reference)
        schema = {**target, **beside} if isinstance(target, dict) else target
    if isinstance(schema, bool):
        return {} if schema else {"type": []}
    assert isinstance(schema, dict), schema
    return schema


def pointed(root: Schema, reference: str) -> Schema:
    """What a local reference ("#/a/b") points at. LookupError: nothing, or not local."""
    if not reference.startswith("#"):
        raise LookupError(reference)
    found = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def references(part: Schema) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for name, value in part.items():
            if name not in {"examples", "const", "enum"}:
                yield from references(value)
    elif isinstance(part, list):
        for one in part:
            yield from references(one)


def types(schema: Mapping[str, Any]) -> frozenset[str]:
    """JSON types that it allows, as far as `type`, `const` and `enum` say; number has integer."""
    said = schema.get("type")
    if said is None:
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        return ALL if values is None else frozenset(map(_type, values))
    found = {said} if isinstance(said, str) else set(said)
    return frozenset(found | {"integer"} if "number" in found else found)


def _type(value: object) -> str:
    names = {
        bool: "boolean", int: "integer", float: "number", str: "string", list: "array",
        dict: "object", type(None): "null",
    }  # fmt: skip
    return names[type(value)]


def _said(found: frozenset[str]) -> str:
    return "anything" if found == ALL else "|".join(sorted(found)) or "nothing"


def _ref(schema: Schema) -> str | None:
    return schema.get("$ref") if isinstance(schema, dict) else None


def _listed(schema: Mapping[str, Any]) -> set[str] | None:
    """Its closed list of values, as JSON."""
    if "const" in schema:
        return {json.dumps(schema["const"], sort_keys=True)}
    values = schema.get("enum")
    return None if values is None else {json.dumps(one, sort_keys=True) for one in values}


def _titled(variants: list[Schema]) -> dict[str, Schema]:
    """Alternatives by title, else by type, else by number."""
    found: dict[str, Schema] = {}
    for number, one in enumerate(variants):
        body = one if isinstance(one, dict) else {}
        name = body.get("title") or body.get("$ref") or _said(types(body))
        found[name if name not in found and name != "anything" else str(number)] = one
    return found
