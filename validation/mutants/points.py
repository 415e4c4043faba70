"""The points of a module that can be changed; each gives one mutant."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .changes import changes

PACKAGES = ("counting", "kernels", "timing", "calibration")
"""Packages of ``costmodel`` that are changed."""
_LEFT_ALONE = (ast.Import, ast.ImportFrom, ast.Raise, ast.Assert, ast.JoinedStr, ast.pattern)
_NOT_CODE = {"annotation", "returns", "decorator_list", "type_params", "bases"}


@dataclass(frozen=True)
class Mutant:
    """A module with one point changed.

    Parameters
    ----------
    module : str
        Dotted name.
    path : str
        File, from the root of the project.
    first, last : int
        Lines of the statement that holds the point.
    line : str
        The first of them, as code.
    before, after : str
        The point, as code.
    source : str
        The whole module, changed.
    """

    module: str
    path: str
    first: int
    last: int
    line: str
    before: str
    after: str
    source: str

    @property
    def label(self) -> str:
        """The location of the mutant and its change.

        Examples
        --------
        >>> next(mutants("m", "m.py", "y = x + 1")).label
        'm.py:1: y = x + 1: x + 1 -> x - 1'
        """
        return f"{self.path}:{self.first}: {self.line}: {self.before} -> {self.after}"


def all_mutants(root: Path) -> list[Mutant]:
    """Return every mutant of :data:`PACKAGES` below ``root``, the root of the project."""
    found: list[Mutant] = []
    for package in PACKAGES:
        for file in sorted((root / "costmodel" / package).rglob("*.py")):
            path = file.relative_to(root)
            module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
            found += mutants(module, path.as_posix(), file.read_text(encoding="utf-8"))
    return found


def mutants(module: str, path: str, source: str) -> Iterator[Mutant]:
    r"""Yield every mutant of a module.

    Arithmetic, comparisons, conditions, numbers, and minima and maxima are changed. Text,
    annotations, imports, errors and tables of numbers stay.

    Examples
    --------
    >>> [m.after for m in mutants("m", "m.py", "def f(x):\n    return min(x, 2) if x < 3 else 0")]
    ['min(x, 2) if not x < 3 else 0', 'x <= 3', '4', 'max(x, 2)', '3', '1']
    """
    tree, lines = ast.parse(source), source.splitlines()
    for statement in ast.walk(tree):
        if isinstance(statement, ast.stmt):
            for slot in _slots(statement):
                before = slot.node
                for changed in changes(before):
                    slot.put(changed)
                    text = ast.unparse(tree)
                    slot.put(before)
                    pair = ast.unparse(before), ast.unparse(changed)
                    first, last = statement.lineno, _last(statement)
                    line = lines[first - 1].strip()
                    yield Mutant(module, path, first, last, line, *pair, text)


@dataclass(frozen=True)
class _Slot:
    """A place in a syntax tree that holds an expression."""

    parent: ast.AST
    field: str
    number: int | None

    @property
    def node(self) -> ast.AST:
        value = getattr(self.parent, self.field)
        node: ast.AST = value if self.number is None else value[self.number]
        return node

    def put(self, node: ast.AST) -> None:
        if self.number is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.number] = node


def _slots(node: ast.AST) -> Iterator[_Slot]:
    """Yield the places of the expressions of a statement, without the statements inside it."""
    if isinstance(node, _LEFT_ALONE):
        return
    for field, value in ast.iter_fields(node):
        if field in _NOT_CODE:
            continue
        for number, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.expr):
                yield _Slot(node, field, number if isinstance(value, list) else None)
            if (
                isinstance(child, ast.AST)
                and not isinstance(child, ast.stmt)
                and not _is_table(child)
            ):
                yield from _slots(child)


def _is_table(node: ast.AST) -> bool:
    """Return whether a node is a table: rows of numbers or text, which have no correct change."""
    rows = getattr(node, "elts", ()) if isinstance(node, ast.List | ast.Tuple) else ()
    return bool(rows) and all(
        isinstance(row, ast.Tuple) and all(isinstance(e, ast.Constant) for e in row.elts)
        for row in rows
    )


def _last(statement: ast.stmt) -> int:
    """Return the last line of a statement, without the statements inside it."""
    inner = [s.lineno for s in ast.walk(statement) if isinstance(s, ast.stmt) and s != statement]
    end = statement.end_lineno or statement.lineno
    return max(statement.lineno, min([end, *(line - 1 for line in inner)]))
