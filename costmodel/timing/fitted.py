"""Parameters of a platform and their uncertainty, as readable TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from costmodel.errors import DataError
from costmodel.kinds import KINDS
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.reading import parse_toml
from costmodel.timing.multipliers import with_multipliers
from costmodel.timing.parameters import Parameter
from costmodel.timing.surface import SIZES, Surface, same_fields

PRIOR_OPERATOR_SPREAD = 0.25
"""Residual spread of the log time of single kernels with priors. [1]"""
PRIOR_NETWORK_SPREAD = 0.20
"""Residual spread of the log time of whole networks with priors. [1]"""

MEASURED_WITH = "measured with"
"""Key of the provenance: settings of the measurements, if they differ from the platform's."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """Parameters, the covariance of their logarithms, and residuals.

    Parameters
    ----------
    parameters : tuple of Parameter
        Values, with the spread of their marginal posterior.
    covariance : ndarray
        Covariance of the logarithms of the parameters that are not fixed, in order. [1]
    operator_spread, network_spread : float
        Standard deviation of the log residual of single kernels and of whole networks. [1]
    rows : int
        Number of fitted measurements; 0 for priors.
    provenance : mapping
        Data, date and version.
    surfaces : tuple of Surface
        Model errors over the shapes of kernels, if there were many rows of single operators.
    """

    parameters: tuple[Parameter, ...]
    covariance: np.ndarray
    operator_spread: float
    network_spread: float
    rows: int = 0
    provenance: Mapping[str, str] = field(default_factory=dict)
    surfaces: tuple[Surface, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fitted) and same_fields(self, other)

    @staticmethod
    def prior(parameters: tuple[Parameter, ...]) -> Fitted:
        """Return the priors themselves.

        Examples
        --------
        >>> from costmodel.timing.parameters import priors
        >>> Fitted.prior(priors("cpu")).rows
        0
        """
        spreads = np.array([p.spread for p in parameters if p.spread > 0])
        return Fitted(parameters, np.diag(spreads**2), PRIOR_OPERATOR_SPREAD, PRIOR_NETWORK_SPREAD)

    @property
    def theta(self) -> dict[str, float]:
        """The values by name."""
        return {p.name: p.value for p in self.parameters}

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that are not fixed."""
        return tuple(p.name for p in self.parameters if p.spread > 0)

    @property
    def basis(self) -> str:
        """The basis of the parameters in a phrase."""
        if not self.rows:
            return "priors"
        others = self.provenance.get(MEASURED_WITH)
        return f"{self.rows} measurements" + (f" with {others}" if others else "")


def to_toml(platform: str, fitted: Fitted) -> str:
    """Return a calibration as TOML text."""
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment("Written by costmodel calibrate. Values are fitted, spreads are"))
    document.add(tomlkit.comment("standard errors of their logarithms; ranges are physical."))
    document["format"] = "costmodel-calibration"
    document["schema"] = 1
    document["platform"] = platform
    document["rows"] = fitted.rows
    document["operator_spread"] = float(f"{fitted.operator_spread:.4g}")
    document["network_spread"] = float(f"{fitted.network_spread:.4g}")
    document["provenance"] = dict(fitted.provenance)
    table = tomlkit.table()
    for p in fitted.parameters:
        entry = tomlkit.inline_table()
        for name in ("value", "spread", "lower", "upper"):
            entry[name] = float(f"{getattr(p, name):.6g}")
        entry["unit"] = p.unit
        entry["meaning"] = p.meaning
        table[p.name] = entry
    document["parameters"] = table
    spreads = np.sqrt(np.diag(fitted.covariance))
    scale = np.where(spreads > 0, spreads, 1.0)
    correlation = fitted.covariance / np.outer(scale, scale)
    document["correlation"] = [[float(f"{c:.3f}") for c in row] for row in correlation]
    if fitted.surfaces:
        document["shape"] = list(SIZES)
        document["surfaces"] = [_surface_table(s) for s in fitted.surfaces]
    return tomlkit.dumps(document)


def _surface_table(surface: Surface) -> dict[str, Any]:
    """Return a surface as a table; a row has the sizes of a shape and its weight."""
    shapes = [[float(f"{2.0**x - 1:.6g}") for x in shape] for shape in surface.shapes.tolist()]
    weights = [float(f"{w:.4g}") for w in surface.weights]
    numbers = {n: float(f"{getattr(surface, n):.4g}") for n in ("length", "signal", "noise")}
    rows = [[*shape, weight] for shape, weight in zip(shapes, weights, strict=True)]
    return {"kind": surface.kind, "dtype": surface.dtype, **numbers, "rows": rows}


@lru_cache(maxsize=64)
def from_toml(text: str, file: str) -> tuple[str, Fitted]:
    """Return the platform and parameters of a calibration file.

    Raises
    ------
    DataError
        Naming the file and the field.
    """
    try:
        data = parse_toml(text)
    except DataError as error:
        raise DataError(f"{file}: {error}") from None
    if data.get("format") != "costmodel-calibration" or data.get("schema") != 1:
        raise DataError(f'{file}: format must be "costmodel-calibration" with schema 1')
    try:
        parameters = with_multipliers(
            Parameter(name=name, **fields) for name, fields in data["parameters"].items()
        )
        if not isinstance(data["platform"], str):
            raise DataError(f"platform must be a text, got {data['platform']!r}")
        return data["platform"], _read(data, parameters, file)
    except KeyError as missing:
        raise DataError(f"{file}: field {missing} is missing") from None
    except (TypeError, AttributeError) as error:
        raise DataError(f"{file}: a parameter has a wrong field ({error})") from None
    except ValueError as error:
        raise DataError(f"{file}: a field is not a number: {error}") from None
    except DataError as error:
        raise DataError(f"{file}: {error}") from None


def _read(data: dict[str, Any], parameters: tuple[Parameter, ...], file: str) -> Fitted:
    spreads = np.array([p.spread for p in parameters if p.spread > 0])
    correlation = np.array(data["correlation"], dtype=float)
    if correlation.shape != (len(spreads), len(spreads)) or not np.all(np.abs(correlation) <= 1.01):
        raise DataError(f"correlation must be a {len(spreads)} x {len(spreads)} matrix in [-1, 1]")
    numbers = [float(data[name]) for name in ("operator_spread", "network_spread", "rows")]
    if not all(np.isfinite(numbers)) or min(numbers) < 0:
        raise DataError("operator_spread, network_spread and rows must not be negative")
    covariance = correlation * np.outer(spreads, spreads)
    covariance.flags.writeable = False  # read once, shared by all platforms of this file
    return Fitted(
        parameters,
        covariance,
        operator_spread=numbers[0],
        network_spread=numbers[1],
        rows=int(numbers[2]),
        provenance={str(k): str(v) for k, v in data.get("provenance", {}).items()},
        surfaces=tuple(_read_surface(t) for t in _surface_tables(data)),
    )


def _surface_tables(data: dict[str, Any]) -> list[dict[str, Any]]:
    tables: list[dict[str, Any]] = data.get("surfaces", [])
    if tables and tuple(data["shape"]) != SIZES:
        raise DataError("its sizes are of another version: calibrate again")
    return tables


def _read_surface(table: dict[str, Any]) -> Surface:
    kind, dtype = table["kind"], table["dtype"]
    name = f"the surface of {kind} {dtype}"
    if kind not in KINDS or dtype not in DTYPE_BYTES:
        raise DataError(
            f"{name} must have a kind of kernel and a dtype that exist: calibrate again"
        )
    length, signal, noise = (float(table[n]) for n in ("length", "signal", "noise"))
    if not 0 < min(length, signal, noise) <= max(length, signal, noise) < np.inf:
        raise DataError(f"{name} must have length, signal and noise above 0")
    rows = np.array(table["rows"], dtype=float)
    wrong = rows.ndim != 2 or rows.shape[1] != len(SIZES) + 1 or not np.all(np.isfinite(rows))
    if wrong or np.any(rows[:, :-1] < 0):
        raise DataError(f"{name} must have rows of {len(SIZES)} sizes and a weight")
    return Surface(kind, dtype, length, signal, noise, np.log2(1 + rows[:, :-1]), rows[:, -1])


def with_values(fitted: Fitted, theta: Mapping[str, float]) -> Fitted:
    """Return ``fitted`` with other values, clipped to their physical range."""
    return replace(
        fitted,
        parameters=tuple(
            replace(p, value=float(np.clip(theta.get(p.name, p.value), p.lower, p.upper)))
            for p in fitted.parameters
        ),
    )
