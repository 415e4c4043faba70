"""Valid parameters of the zoo's functions, as values and as text in a spec."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import networkx as nx
import numpy as np

from costmodel.algebra.later import is_expression
from costmodel.algebra.sizes import check_dim
from costmodel.algebra.symbols import Dim
from costmodel.algebra.written import parse_dim
from costmodel.errors import DataError, ShapeError, cut
from costmodel.zoo.blocks import Structure

Network = Callable[..., nx.DiGraph]
MAX_COUNT = 256
"""Maximum number of layers, blocks, parts ... of a network of the zoo."""
MAX_NUMBER = 1e12
"""Maximum of a number that is not a size."""
MAX_ENTRIES = 64
"""Maximum number of entries in a shape or a list of channels."""
_PLAIN_SYMBOL = re.compile(r"[A-Za-z]\d*")
_SYMBOL = "dim:"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of parameter.

    Parameters
    ----------
    words : str
        Description of valid values, for errors.
    accepts : callable
        Whether a value is valid.
    parse : callable
        A value from text; raises ``ValueError`` or ``DataError``.
    sizes : bool
        Whether it is one size or several.
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
                raise DataError(f"{name} needs {key!r}, {kind_of(parameter).words}")
            continue
        value, kind = given[key], kind_of(parameter)
        if value is None and parameter.default is None:
            continue
        if not kind.accepts(value):
            raise DataError(
                f"{name}: {key!r} must be {kind.words}, got {value!r}; it takes "
                f"{', '.join(accepted(network))}"
            )
        if kind.sizes and not isinstance(value, str):
            _check_sizes(f"{name}: {key!r}", value)
        elif _is_number(value):
            most = MAX_COUNT if kind is KINDS["int"] else MAX_NUMBER
            if not abs(value) <= most:
                raise DataError(
                    f"{name}: {key!r} must lie between {-most:g} and {most:g}, got "
                    f"{cut(str(value), 40)}"
                )


def written(value: Any) -> str:
    """Return a value as :func:`parse_value` reads it.

    Examples
    --------
    >>> written((6, 12, 24, 16)), written(0.5), written(None)
    ('6,12,24,16', '0.5', 'None')
    """
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


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
    >>> parse_value("resnet", "size", accepted(zoo.resnet)["size"], "large")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: resnet: 'size' must be ..., write size=dim:large
    """
    if text == "None" and parameter.default is None:
        return None
    kind = kind_of(parameter)
    meant = text.startswith(_SYMBOL) and kind.parse in _PARSERS_OF_SYMBOLS
    try:
        value = kind.parse(text.removeprefix(_SYMBOL) if meant else text)
    except (ValueError, DataError):
        raise DataError(f"{name}: {key!r} must be {kind.words}, got {text!r}") from None
    unclear = [] if meant else [s for s in _names_in(value) if not _is_plain(s)]
    if unclear:
        raise DataError(
            f"{name}: {key!r} must be {kind.words}, got {text!r}; if {unclear[0]!r} is meant as a "
            f"symbol, write {key}={_SYMBOL}{text}"
        )
    return value


def _names_in(value: Any) -> list[str]:
    entries = value if isinstance(value, tuple) else (value,)
    return sorted({str(s) for entry in entries for s in getattr(entry, "free_symbols", ())})


def _is_plain(symbol: str) -> bool:
    """Return whether a name is clearly a symbol: a letter with a number, or a parameter name.

    Other words in place of a number are usually mistakes: ``size=large``, ``batch=auto``.
    """
    return _PLAIN_SYMBOL.fullmatch(symbol) is not None or symbol in _PARAMETERS


_PARAMETERS = frozenset(
    [
        "batch",
        "channels",
        "cin",
        "classes",
        "cout",
        "depth",
        "dilation",
        "groups",
        "growth",
        "heads",
        "hidden",
        "in_channels",
        "inner",
        "keys",
        "kv_heads",
        "length",
        "padding",
        "patch",
        "size",
        "stem",
        "stride",
        "vocabulary",
        "width",
    ]
)


def _check_sizes(what: str, value: Any) -> None:
    if isinstance(value, tuple | list) and len(value) > MAX_ENTRIES:
        raise DataError(f"{what} has {len(value)} entries, too many (at most {MAX_ENTRIES})")
    for size in value if isinstance(value, tuple | list) else (value,):
        try:
            check_dim(size, what, smallest=0)
        except ShapeError as error:
            raise DataError(str(error)) from None


def _is_dim(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iu"
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return number or is_expression(value)


def _is_dims(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) > 0 and all(map(_is_dim, value))


def _is_size(value: Any) -> bool:
    return _is_dim(value) or (_is_dims(value) and len(value) == 2)


def _is_margin(value: Any) -> bool:
    return _is_size(value) or (isinstance(value, str) and value == "same")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_width(value: Any) -> bool:
    array = isinstance(value, np.ndarray) and value.dtype.kind in "iuf"
    return array or isinstance(value, np.number) or is_expression(value) or _is_number(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _parse_dims(text: str) -> tuple[Dim, ...]:
    """Read sizes separated by commas, or numbers separated by x.

    >>> _parse_dims("64,c"), _parse_dims("64x56")
    ((64, c), (64, 56))
    """
    separator = "x" if re.fullmatch(r"\d+(x\d+)+", text) else ","
    parts = text.split(separator)
    if len(parts) > MAX_ENTRIES:
        raise ValueError("too many sizes")
    return tuple(parse_dim(part.strip()) for part in parts)


def _parse_size(text: str) -> Any:
    sizes = _parse_dims(text)
    if len(sizes) > 2:
        raise ValueError("more than two sizes")
    return sizes[0] if len(sizes) == 1 else sizes


def _parse_margin(text: str) -> Any:
    return text if text == "same" else _parse_size(text)


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


_PARSERS_OF_SYMBOLS = (parse_dim, _parse_size, _parse_margin, _parse_width, _parse_dims)
_DIMS = "sizes such as 64,128 (integers or symbols)"
KINDS: dict[str, Kind] = {
    "Dim": Kind("an integer or a symbol", _is_dim, parse_dim, sizes=True),
    "Size": Kind(
        "an integer or a symbol, or two as in 800x1200", _is_size, _parse_size, sizes=True
    ),
    "Margin": Kind(
        "an integer or a symbol, two as in 1x2, or 'same'", _is_margin, _parse_margin, sizes=True
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
