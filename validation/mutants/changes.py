"""The changes of an expression."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_NAMES = {
    "max": "min",
    "min": "max",
    "maximum": "minimum",
    "minimum": "maximum",
    "any": "all",
    "all": "any",
    "argmin": "argmax",
    "argmax": "argmin",
}


def changes(node: ast.AST) -> Iterator[ast.expr]:
    """Yield all variants of an expression with one change each.

    Examples
    --------
    >>> def changed(text):
    ...     return [ast.unparse(e) for e in changes(ast.parse(text, mode="eval").body)]
    >>> changed("a * b"), changed("a <= b"), changed("2"), changed("max(a, b)")
    (['a / b'], ['a < b'], ['3'], ['min(a, b)'])
    >>> changed("a and b"), changed("not a"), changed("a if b else c"), changed("-a")
    (['a or b'], ['a'], ['a if not b else c'], ['a'])
    """
    match node:
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC and not _is_text(node):
            yield _with(node, op=_ARITHMETIC[type(op)]())
        case ast.Compare(ops=ops):
            for number, sign in enumerate(ops):
                others = [*ops[:number], _COMPARISONS[type(sign)](), *ops[number + 1 :]]
                yield _with(node, ops=others)
        case ast.BoolOp(op=op):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield copy.deepcopy(operand)
        case ast.IfExp(test=test):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as number):
            yield ast.Constant(number + 1)
        case ast.Constant(value=float() as real) if real:
            yield ast.Constant(real * 1.5)
        case ast.Call(func=ast.Name(id=name)) if name in _NAMES:
            yield _with(node, func=ast.Name(_NAMES[name]))
        case ast.Call(func=ast.Attribute(attr=name)) if name in _NAMES:
            yield _with(node, func=_with(node.func, attr=_NAMES[name]))


def _with(node: ast.expr, **fields: object) -> ast.expr:
    """Return a shallow copy of ``node`` with other ``fields``."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _is_text(node: ast.BinOp) -> bool:
    """Return whether either side is text, which is put together and not calculated."""
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )
