"""What the parameters of the zoo's functions may hold, as values and as text in a spec."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import networkx as nx
import numpy as np
import sympy

from costmodel.algebra.expressions import parse_dim
from costmodel.algebra.sizes import check_dim
from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError, ShapeError
from costmodel.zoo.blocks import Structure

Network = Callable[..., nx.DiGraph]


@dataclass(frozen=True, slots=True)
class Kind:
    """What one type of parameter holds.

    Parameters
    ----------
    words : str
        What would be right, for an error.
    accepts : callable
        Whether a value is right.
    parse : callable
        A value from text; raises ``ValueError`` or ``DataError``.
    sizes : bool
        Whether it holds one size or several.
    """

    words: str
    accepts: Callable[[Any], bool]
    parse: Callable[[str], Any]
    sizes: bool = False


def accepted(network: Network) -> dict[str, inspect.Parameter]:
    """Return the parameters of a zoo function by name.

    Examples
    --------
    >>> from costmodel import zoo
    >>> list(accepted(zoo.pointwise))
    ['h', 'w', 'c1', 'c2', 'groups', 'batch']
    """
    return dict(inspect.signature(network).parameters)


def kind_of(parameter: inspect.Parameter) -> Kind:
    """Return the kind of a parameter, by its annotation."""
    return KINDS[str(parameter.annotation).removesuffix(" | None")]


def check_names(name: str, network: Network, given: list[str]) -> None:
    """Raise ``DataError`` if a name in ``given`` is not a parameter of ``network``."""
    parameters = accepted(network)
    unknown = [key for key in given if key not in parameters]
    if unknown:
        raise DataError(
            f"{name} has no parameter {', '.join(map(repr, unknown))}; it takes "
            f"{', '.join(parameters)}"
        )


def check_values(name: str, network: Network, given: dict[str, Any]) -> None:
    """Raise ``DataError`` if a parameter is unknown, missing, of the wrong type, or no size."""
    check_names(name, network, list(given))
    for key, parameter in accepted(network).items():
        if key not in given:
            if parameter.default is parameter.empty:
                raise DataError(
                    f"{name} needs {key!r}, {kind_of(parameter).words}; it takes "
                    f"{', '.join(accepted(network))}"
                )
            continue
        value, kind = given[key], kind_of(parameter)
        if value is None and parameter.default is None:
            continue
        if not kind.accepts(value):
            raise DataError(
                f"{name}: {key!r} must be {kind.words}, got {value!r}; it takes "
                f"{', '.join(accepted(network))}"
            )
        if kind.sizes:
            _check_sizes(f"{name}: {key!r}", value)


def parse_value(name: str, key: str, parameter: inspect.Parameter, text: str) -> Any:
    """Return the value of a parameter from its text in a spec.

    Raises
    ------
    DataError
        If the text is of the wrong type.

    Examples
    --------
    >>> from costmodel import zoo
    >>> parse_value("resnet", "size", accepted(zoo.resnet)["size"], "800x1200")
    (800, 1200)
    """
    kind = kind_of(parameter)
    try:
        return kind.parse(text)
    except (ValueError, DataError):
        raise DataError(f"{name}: {key!r} must be {kind.words}, got {text!r}") from None


def _check_sizes(what: str, value: Any) -> None:
    for size in value if isinstance(value, tuple | list) else (value,):
        try:
            check_dim(size, what, smallest=0)
        except ShapeError as error:
            raise DataError(str(error)) from None


def _is_dim(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iu"
    return isinstance(value, int | np.integer | sympy.Expr) and not isinstance(value, bool)


def _is_dims(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) > 0 and all(map(_is_dim, value))


def _is_size(value: Any) -> bool:
    return _is_dim(value) or (_is_dims(value) and len(value) == 2)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_width(value: Any) -> bool:
    array = isinstance(value, np.ndarray) and value.dtype.kind in "iuf"
    return array or isinstance(value, sympy.Expr | np.number) or _is_number(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _parse_dims(text: str) -> tuple[Dim, ...]:
    """Read sizes apart by commas, or numbers apart by x.

    >>> _parse_dims("64,c"), _parse_dims("64x56")
    ((64, c), (64, 56))
    """
    separator = "x" if re.fullmatch(r"\d+(x\d+)+", text) else ","
    return tuple(parse_dim(part.strip()) for part in text.split(separator))


def _parse_size(text: str) -> Any:
    sizes = _parse_dims(text)
    if len(sizes) > 2:
        raise ValueError("more than two sizes")
    return sizes[0] if len(sizes) == 1 else sizes


def _parse_bool(text: str) -> bool:
    """Read true or false.

    >>> _parse_bool("true"), _parse_bool("0")
    (True, False)
    """
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
        text.lower()
    ]


def _bool_or_error(text: str) -> bool:
    try:
        return _parse_bool(text)
    except KeyError:
        raise ValueError(text) from None


def _parse_width(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return parse_dim(text)


_DIMS = "sizes such as 64,128 (integers or symbols)"
KINDS: dict[str, Kind] = {
    "Dim": Kind("an integer or a symbol", _is_dim, parse_dim, sizes=True),
    "Size": Kind(
        "an integer or a symbol, or two as in 800x1200", _is_size, _parse_size, sizes=True
    ),
    "Width": Kind("a number or a symbol", _is_width, _parse_width),
    "Shape": Kind(_DIMS, _is_dims, _parse_dims, sizes=True),
    "Channels": Kind(_DIMS, _is_dims, _parse_dims, sizes=True),
    "Structure": Kind(
        f"one of {', '.join(get_args(Structure))}", lambda v: v in get_args(Structure), str
    ),
    "int": Kind("an integer", _is_int, int),
    "float": Kind("a number", _is_number, float),
    "bool": Kind("true or false", lambda v: isinstance(v, bool), _bool_or_error),
    "str": Kind("a text", _is_text, str),
}
"""Kinds by the annotation of a parameter."""
