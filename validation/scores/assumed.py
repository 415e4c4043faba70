"""What was assumed of the parameters of CPUs before any board taught them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from costmodel.reading import parse_toml
from costmodel.timing.parameters import Parameter, priors

_ENGINES = "engines"


@cache
def before() -> tuple[Parameter, ...]:
    """Return the parameters determined by boards, with their priors before any board."""
    old = _file()
    found = []
    for p in priors("cpu"):
        value, spread = old.get(p.name, (p.value, p.spread))
        if spread > 0:
            found.append(replace(p, value=value, spread=spread))
    return tuple(found)


@cache
def offsets() -> Mapping[str, np.ndarray]:
    """Return by how much parameters of engines differ from those of others, by their sources [1].

    Examples
    --------
    >>> found = dict(zip([p.name for p in before()], np.exp(offsets()["tflite"]), strict=True))
    >>> round(float(found["pack"]), 2), float(found["gemm"])
    (0.25, 1.0)
    """
    return {
        engine: np.log([own.get(p.name, p.value) / p.value for p in before()])
        for engine, own in _file()[_ENGINES].items()
    }


@cache
def _file() -> dict[str, Any]:
    return parse_toml(Path(__file__).with_name("before.toml").read_text(encoding="utf-8"))
