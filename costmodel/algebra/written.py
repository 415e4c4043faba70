"""Expressions of dimensions from text: no code runs, and slow ones are rejected beforehand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from costmodel.algebra.later import sympy
from costmodel.algebra.symbols import Dim, dim
from costmodel.errors import DataError, cut
from costmodel.reading import Deadline

LIMITS = {
    "characters": 1000,
    "digits in a number": 100,
    "characters in a name": 50,
    "operations": 250,
    "nested operations": 120,
    "functions": 24,
    "nested functions": 4,
    "arguments of Max and Min": 12,
    "exponent": 64,
    "exponent of a symbol": 16,
}
"""Maximum sizes of an expression. Sympy looks through every pair of arguments of ``Max``, and
takes three times as long for each function around another."""
_SECONDS = 1.0
"""Maximum processor time for one expression. [s]"""
_LARGEST = 2**512
"""Largest value of an expression."""
_FUNCTIONS = ("ceiling", "floor", "Max", "Min", "sqrt")
_OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: sympy.sympify(a) / b,
}
_ALLOWED = re.compile(r"[\w\s+\-*/(),]*")
_NUMBER_AND_WORD = re.compile(r"\b\d+[^\W\d]")
_WORD = re.compile(r"\w+")


@lru_cache(maxsize=4096)
def parse_dim(text: str) -> Dim:
    """Return the expression written in ``text`` without running any code.

    The syntax has only numbers, names, ``+ - * / **`` and ``ceiling``, ``floor``, ``Max``, ``Min``,
    ``sqrt``, within :data:`LIMITS`.

    Raises
    ------
    DataError
        If the text has anything else or exceeds a limit.

    Examples
    --------
    >>> parse_dim("2*c1 + ceiling(h/2)")
    2*c1 + ceiling(h/2)
    >>> parse_dim("__import__('os')")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: cannot read the expression "__import__('os')": only ...
    >>> parse_dim("sqrt(" + "9" * 4000 + ")")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: an expression of 4006 characters is too long (at most 1000)
    """
    if len(text) > LIMITS["characters"]:
        raise DataError(
            f"an expression of {len(text)} characters is too long (at most {LIMITS['characters']})"
        )
    try:
        tree = _tree(text)
        _check_limits(tree)
        return _from_ast(tree, Deadline(_SECONDS))
    except DataError as error:
        raise DataError(f'cannot read the expression "{cut(text, 60)}": {error}') from None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, ArithmeticError):
        raise DataError(
            f'cannot read the expression "{cut(text, 60)}": only integers, names, + - * / ** and '
            f"{', '.join(_FUNCTIONS)} are allowed"
        ) from None


def _tree(text: str) -> ast.expr:
    if not _ALLOWED.fullmatch(text) or _NUMBER_AND_WORD.search(text):
        raise ValueError("not an expression of dimensions")
    for word in _WORD.findall(text):
        _limit(len(word), "digits in a number" if word.isdigit() else "characters in a name")
    return ast.parse(text.strip(), mode="eval").body


def _check_limits(tree: ast.expr) -> None:
    nodes = list(_nested(tree))
    _limit(len(nodes), "operations")
    _limit(max(depth for _, depth, _ in nodes), "nested operations")
    _limit(max(calls for _, _, calls in nodes), "nested functions")
    functions = [node for node, _, _ in nodes if isinstance(node, ast.Call)]
    _limit(len(functions), "functions")
    # sympy merges nested ones into one.
    _limit(sum(len(f.args) for f in functions if len(f.args) > 1), "arguments of Max and Min")


def _nested(tree: ast.expr) -> Iterator[tuple[ast.expr, int, int]]:
    """Yield every part with the number of enclosing parts and functions, including itself."""
    waiting = [(tree, 1, 0)]
    while waiting:
        node, depth, calls = waiting.pop()
        calls += isinstance(node, ast.Call)
        yield node, depth, calls
        waiting += [
            (part, depth + 1, calls)
            for part in ast.iter_child_nodes(node)
            if isinstance(part, ast.expr)
        ]


def _limit(number: int, what: str) -> None:
    if number > LIMITS[what]:
        raise DataError(f"{what}: {number} is too many (at most {LIMITS[what]})")


def _from_ast(node: ast.expr, deadline: Deadline) -> Dim:
    deadline.check("an expression")
    value = _value(node, deadline)
    if any(number > _LARGEST for number in _numbers(value)):
        raise DataError("its value has more than 512 bits")
    return value


def _numbers(value: Dim) -> list[int]:
    """Return the absolute values of the integers in a value."""
    if isinstance(value, int):  # without an import of sympy
        return [abs(value)]
    if value.has(sympy.zoo, sympy.nan, sympy.oo, sympy.I):
        raise ValueError("not a number")
    return [max(abs(n.p), n.q) for n in value.atoms(sympy.Rational)]


def _value(node: ast.expr, deadline: Deadline) -> Dim:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name):
            return dim(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_from_ast(operand, deadline)
        case ast.BinOp(left=left, op=operator, right=right):
            sides = _from_ast(left, deadline), _from_ast(right, deadline)
            if isinstance(operator, ast.Pow):
                return _power(*map(sympy.sympify, sides))
            if type(operator) in _OPERATORS:
                return _OPERATORS[type(operator)](*sides)
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as args, keywords=[]) if (
            name in _FUNCTIONS
        ):
            return getattr(sympy, name)(*(_from_ast(a, deadline) for a in args))
    raise ValueError("not an expression of dimensions")


def _power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    """Raise to a power; rejects towers of powers, whose digits would fill the memory."""
    if not exponent.is_Rational:
        raise ValueError("exponent")
    if base == 0 and exponent < 0:
        raise ValueError("division by zero")
    inner = max((abs(p.exp) for p in base.atoms(sympy.Pow) if p.exp.is_number), default=1)
    largest = sympy.ceiling(abs(exponent) * inner)
    _limit(int(largest), "exponent of a symbol" if base.free_symbols else "exponent")
    if any(max(abs(n.p), n.q) ** largest > _LARGEST for n in base.atoms(sympy.Rational)):
        raise DataError("its value has more than 512 bits")
    return base**exponent
