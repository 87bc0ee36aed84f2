"""Finds in a source what it reaches, replaces or overrides of a library.

A reach is an attribute that begins with one underscore, of something that is not the class's own.
A replacement assigns to a module or a class of a library. An override is a name that a class
defines and that its base class of a library has, too. A request of aiokafka's protocol is its name.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

LIBRARIES: Final = frozenset({"aiokafka", "faust", "mode", "aiohttp"})
OFFERED: Final = "aiokafka.abc"
"""Classes of this module are made to be derived from."""
_PUBLIC: Final = frozenset({"_replace", "_asdict", "_fields", "_make", "_value_", "_exit"})
"""Documented names of the standard library."""
_PROTOCOL: Final = "aiokafka.protocol."


@dataclass
class Found:
    """What one source touches. `replaced`: the function that assigns a name, by name."""

    reached: set[str] = field(default_factory=set)
    overridden: set[str] = field(default_factory=set)
    replaced: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        return self.reached | self.overridden | self.replaced.keys()


def found_in(source: str) -> Found:
    """Look through a source. Its imports of libraries must be importable."""
    tree = ast.parse(source)
    imported = _imported(tree)
    found = Found()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _root(node.module) in LIBRARIES:
            found.reached |= {one.name for one in node.names if _is_private(one.name)}
    _visit(tree, [], "", imported, found)
    return found


def _visit(
    node: ast.AST, bases: list[Any], function: str, imported: dict[str, str], found: Found
) -> None:
    if isinstance(node, ast.ClassDef):
        bases = [one for one in (_resolved(base, imported) for base in node.bases) if one]
        found.overridden |= set(_overrides(node, bases))
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = node.name
    elif isinstance(node, ast.Attribute):
        is_theirs = _is_library_s(node, bases) and not _is_python_s(node, imported)
        if is_theirs and _is_private(node.attr):
            found.reached.add(node.attr)
        is_set = isinstance(node.ctx, ast.Store | ast.Del)
        if is_set and _is_foreign(_dotted(node), imported):
            found.replaced[node.attr] = function
    elif isinstance(node, ast.Call):
        _by_name(node, function, imported, found)
    for child in ast.iter_child_nodes(node):
        _visit(child, bases, function, imported, found)


def _by_name(node: ast.Call, function: str, imported: dict[str, str], found: Found) -> None:
    """`getattr` and `setattr` with the name as a text."""
    called = node.func.id if isinstance(node.func, ast.Name) else ""
    if called not in {"getattr", "setattr", "delattr"} or len(node.args) < 2:
        return
    name = str(node.args[1].value) if isinstance(node.args[1], ast.Constant) else "?"
    if _is_private(name):
        found.reached.add(name)
    if called != "getattr" and _is_foreign(f"{_dotted(node.args[0])}.{name!s}", imported):
        found.replaced[name] = function


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return the dotted name of every import by its local name."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                first = _root(one.name)
                names[one.asname or first] = one.name if one.asname else first
        elif isinstance(node, ast.ImportFrom):
            names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return names


def _root(module: str | None) -> str:
    return (module or "").split(".")[0]


def _is_private(name: str) -> bool:
    return bool(re.fullmatch(r"_[^_].*", name)) and name not in _PUBLIC


def _dotted(node: ast.AST) -> str:
    """`a.b.c` of an expression; "" if it is not only names."""
    try:
        text = ast.unparse(node)
    except ValueError:
        return ""
    return text if re.fullmatch(r"[\w.]+", text) else ""


def _is_foreign(dotted: str, imported: dict[str, str]) -> bool:
    """Whether an attribute belongs to a module or a class of neither Python nor the service."""
    first, dot, _ = dotted.partition(".")
    root = _root(imported.get(first))
    return bool(dot and root and root != "service" and root not in sys.stdlib_module_names)


def _resolved(base: ast.expr, imported: dict[str, str]) -> Any:
    """The class of a library that a base names; None for all others."""
    dotted = _dotted(base.value if isinstance(base, ast.Subscript) else base)
    first, _, rest = dotted.partition(".")
    whole = ".".join(filter(None, (imported.get(first), rest)))
    if _root(whole) not in LIBRARIES:
        return None
    parts = whole.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            there: Any = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            there = getattr(there, name)
        assert not isinstance(there, ModuleType)
        return there
    message = f"{whole} cannot be imported"
    raise AssertionError(message)


def _overrides(node: ast.ClassDef, bases: list[Any]) -> Iterator[str]:
    for base in bases:
        if base.__module__.startswith(_PROTOCOL):
            yield node.name
        elif base.__module__ != OFFERED:
            yield from (name for name in _defined(node) if hasattr(base, name))


def _defined(node: ast.ClassDef) -> Iterator[str]:
    for one in node.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name != "__init__":
            yield one.name
        elif isinstance(one, ast.Assign):
            yield from (target.id for target in one.targets if isinstance(target, ast.Name))


def _is_library_s(node: ast.Attribute, bases: list[Any]) -> bool:
    """Whether a private attribute is not the class's own."""
    if not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}):
        return True
    own = [base for base in bases if not base.__module__.startswith(_PROTOCOL)]
    return any(_has(cls, node.attr) for base in own for cls in inspect.getmro(base))


def _is_python_s(node: ast.Attribute, imported: dict[str, str]) -> bool:
    """Whether it is an attribute of a module of the standard library."""
    return _root(imported.get(_dotted(node).split(".")[0])) in sys.stdlib_module_names


def _has(cls: type, name: str) -> bool:
    if _root(cls.__module__) not in LIBRARIES:
        return False
    return name in vars(cls) or bool(re.search(rf"self\.{name}\b", inspect.getsource(cls)))


def sources(folder: Path) -> dict[Path, str]:
    """The modules of a folder and of those in it."""
    return {path: path.read_text() for path in sorted(folder.rglob("*.py"))}
