"""sympy, imported when it is first used: its import takes longer than a report on numbers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any


class Later:
    """Stands for a module that is imported when an attribute is first read.

    Parameters
    ----------
    name : str
        Of the module.

    Examples
    --------
    >>> Later("math").sqrt(9)
    3.0
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._name), name)
        setattr(self, name, value)  # the next read finds it without this call
        return value

    def __reduce__(self) -> tuple[type[Later], tuple[str]]:
        return Later, (self._name,)


if TYPE_CHECKING:
    import sympy as sympy
else:
    sympy = Later("sympy")


def is_expression(value: object) -> bool:
    """Return whether ``value`` is an expression of sympy, which is not imported for others.

    Examples
    --------
    >>> is_expression(3), is_expression(sympy.Integer(3))
    (False, True)
    """
    return type(value) is not int and hasattr(value, "free_symbols") and _is_expr(value)


def _is_expr(value: object) -> bool:
    return isinstance(value, sympy.Expr)
