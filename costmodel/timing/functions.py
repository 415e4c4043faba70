"""Cost of transcendental functions relative to an exponential, from ``functions.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

from costmodel.algebra.symbols import Dim
from costmodel.ops.elementwise import TRANSCENDENTAL


@cache
def costs() -> Mapping[str, float]:
    """Return the cost of one evaluation of each function, in exponentials [1].

    Raises
    ------
    LookupError
        If the file lacks one of :data:`~costmodel.ops.elementwise.TRANSCENDENTAL` or has others.

    Examples
    --------
    >>> costs()["sigmoid"]
    1
    """
    text = (resources.files(__package__) / "functions.toml").read_text(encoding="utf-8")
    found: dict[str, float] = tomllib.loads(text)["exponentials"]
    if set(found) != TRANSCENDENTAL:
        odd = ", ".join(sorted(set(found) ^ TRANSCENDENTAL))
        raise LookupError(f"functions.toml and TRANSCENDENTAL differ in {odd}")
    return found


def exponentials(functions: Iterable[tuple[str, Dim]]) -> Dim:
    """Return the cost of ``functions`` in exponentials [operation].

    Parameters
    ----------
    functions : iterable of (str, Dim)
        Evaluations of each function. [operation]

    Examples
    --------
    >>> exponentials([("sigmoid", 10), ("tanh", 2)])
    20
    """
    cost = costs()
    return sum(cost[name] * count for name, count in functions)
