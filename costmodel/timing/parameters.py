"""Parameters of the time model: each with a meaning, a unit, a prior and a physical range."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import resources
from typing import Any

from costmodel.errors import DataError, suggest
from costmodel.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter and its prior, log-normal within hard bounds.

    Parameters
    ----------
    name : str
        Dotted name.
    value : float
        Median of the prior, or the fitted value. [``unit``]
    spread : float
        Standard deviation of its logarithm; 0 holds it fixed. [1]
    lower, upper : float
        Physical range. [``unit``]
    unit, meaning : str
        Unit and description.
    source : str
        Source of the prior; ``""`` for a fitted value, whose source is its calibration.
    """

    name: str
    value: float
    spread: float
    lower: float
    upper: float
    unit: str
    meaning: str
    source: str = ""

    def __post_init__(self) -> None:
        numbers = (self.value, self.spread, self.lower, self.upper)
        if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
            raise DataError(f"parameter {self.name}: {numbers} must be finite numbers")
        if not all(isinstance(t, str) for t in (self.unit, self.meaning, self.source)):
            raise DataError(f"parameter {self.name}: unit, meaning and source must be texts")
        if not 0 < self.lower <= self.value <= self.upper or self.spread < 0:
            raise DataError(
                f"parameter {self.name}: {self.value:g} must lie between {self.lower:g} and "
                f"{self.upper:g}, all positive, and its spread {self.spread:g} not be negative"
            )


@cache
def priors(kind: str) -> tuple[Parameter, ...]:
    """Return the parameters of a kind of hardware, such as ``"gpu"``, with their priors.

    Examples
    --------
    >>> [p.unit for p in priors("gpu") if p.name == "launch"]
    ['s']
    """
    file = f"{kind}.toml"
    return read_priors((resources.files(__package__) / file).read_text(encoding="utf-8"), file)


def read_priors(text: str, file: str) -> tuple[Parameter, ...]:
    """Return the parameters that a file of priors describes.

    Parameters
    ----------
    text : str
        TOML: for every parameter a table of the fields of :class:`Parameter`. A name that ends in
        ``*`` stands for a parameter of each kind of kernel, ``{kind}`` in its meaning for the kind.
    file : str
        Its name, for errors.

    Raises
    ------
    DataError
        If a field is missing or unknown, or a parameter has no source.

    Examples
    --------
    >>> read_priors("launch = { value = 4e-6 }", "gpu.toml")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: gpu.toml: launch: spread is missing; a prior gives ...
    """
    tables = tomllib.loads(text).items()
    found = [(name, _prior(name, table, file)) for name, table in tables]
    return tuple(one for name, prior in found for one in _of_each_kind(name, prior))


def _of_each_kind(name: str, prior: Parameter) -> list[Parameter]:
    if not name.endswith("*"):
        return [prior]
    return [
        replace(prior, name=name[:-1] + kind, meaning=prior.meaning.format(kind=kind))
        for kind in KINDS
    ]


def _prior(name: str, table: Mapping[str, Any], file: str) -> Parameter:
    known = [field.name for field in fields(Parameter) if field.name != "name"]
    wrong = [(key, "missing") for key in known if key not in table]
    wrong += [(key, "unknown") for key in table if key not in known]
    for key, how in wrong:
        raise DataError(f"{file}: {name}: {key} is {how}; a prior gives {', '.join(known)}")
    for key in ("unit", "meaning", "source"):
        if not (isinstance(table[key], str) and table[key].strip()):
            raise DataError(f"{file}: {name}: {key} must be a text, not {table[key]!r}")
    return Parameter(name=name, **table)


def adjusted(
    parameters: tuple[Parameter, ...], changes: Mapping[str, Mapping[str, Any]], where: str
) -> tuple[Parameter, ...]:
    """Return ``parameters`` with some priors changed.

    Raises
    ------
    DataError
        If a name is unknown or a value out of range; ``where`` names the file.

    Examples
    --------
    >>> p = adjusted(priors("gpu"), {"launch": {"value": 3e-6}}, "example")
    >>> [q.value for q in p if q.name == "launch"]
    [3e-06]
    """
    names = [p.name for p in parameters]
    unknown = set(changes) - set(names)
    if unknown:
        raise DataError(
            f"{where}: unknown parameter {min(unknown)!r}; {suggest(min(unknown), names)}"
        )
    try:
        return tuple(replace(p, **changes[p.name]) if p.name in changes else p for p in parameters)
    except (DataError, TypeError) as error:
        raise DataError(f"{where}: {error}") from None
