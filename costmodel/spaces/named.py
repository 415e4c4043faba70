"""The spaces of the literature, by name, and spaces of the zoo's networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import networkx as nx

from costmodel.errors import DataError
from costmodel.spaces.builders import (
    FBNET_BLOCKS,
    FBNET_STAGES,
    fbnet,
    ofa_mobilenet_v3,
    resnet_widths,
)
from costmodel.spaces.space import Space
from costmodel.specs import network
from costmodel.zoo import NETWORKS, mobilenet_v2, mobilenet_v3, shufflenet_v2
from costmodel.zoo.nasbench import OPERATIONS, nasbench201
from costmodel.zoo.parameters import accepted


def _shufflenet(c2: Any, c3: Any, c4: Any, c5: Any, size: int) -> nx.DiGraph:
    return shufflenet_v2(channels=(24, c2, c3, c4, c5), size=size)


def _nasbench(**edges: str) -> nx.DiGraph:
    a, b, c, d, e, f = (edges[f"edge{i}"] for i in range(6))
    return nasbench201(f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|")


def _shufflenet_v2() -> Space:
    widths = {
        "c2": range(32, 176, 2),
        "c3": range(176, 368, 4),
        "c4": range(368, 752, 8),
        "c5": (512, 1024, 1536, 2048),
    }
    return Space("shufflenet_v2", _shufflenet, {"size": (160, 192, 224), **widths}, tuple(widths))


def _nasbench201() -> Space:
    return Space("nasbench201", _nasbench, {f"edge{i}": OPERATIONS for i in range(6)})


def _mobilenet_v2() -> Space:
    sizes = range(96, 257, 32)
    widths = [round(0.1 * i, 2) for i in range(2, 21)]
    return Space("mobilenet_v2", mobilenet_v2, {"width": widths, "size": sizes})


def _mobilenet_v3() -> Space:
    widths = [round(0.1 * i, 2) for i in range(3, 21)]
    choices = {"variant": ("large", "small"), "width": widths, "size": range(96, 257, 32)}
    return Space("mobilenet_v3", mobilenet_v3, choices)


def _fbnet() -> Space:
    firsts = {f"first{i}": FBNET_BLOCKS for i in range(len(FBNET_STAGES))}
    rests = {f"rest{i}": FBNET_BLOCKS for i, stage in enumerate(FBNET_STAGES) if stage[2] > 1}
    return Space("fbnet", fbnet, {**firsts, **rests})


def _ofa() -> Space:
    choices: dict[str, Sequence[Any]] = {"size": (160, 176, 192, 208, 224)}
    for stage in range(5):
        choices[f"depth{stage}"] = (2, 3, 4)
        choices[f"kernel{stage}"] = (3, 5, 7)
        choices[f"expansion{stage}"] = (3, 4, 6)
    return Space("ofa_mobilenet_v3", ofa_mobilenet_v3, choices)


def _resnet() -> Space:
    depths = {f"depth{i}": (1, 2, 3, 4, 6) for i in range(1, 5)}
    widths = {f"width{i}": range(16 * 2**i, 64 * 2**i + 1, 4 * 2**i) for i in range(1, 5)}
    return Space("resnet", resnet_widths, {**depths, **widths}, tuple(widths))


SPACES: Mapping[str, Callable[[], Space]] = {
    "shufflenet_v2": _shufflenet_v2,
    "mobilenet_v2": _mobilenet_v2,
    "mobilenet_v3": _mobilenet_v3,
    "nasbench201": _nasbench201,
    "fbnet": _fbnet,
    "ofa_mobilenet_v3": _ofa,
    "resnet": _resnet,
}
"""Spaces by name."""


def find_space(name: str, choices: Mapping[str, Sequence[Any]] | None = None) -> Space:
    """Return a space of :data:`SPACES`, or one of a network by name with given choices.

    Parameters
    ----------
    name : str
        The name of a space or, with ``choices``, a network (:func:`costmodel.network`).
    choices : mapping, optional
        Values of its parameters, as in the name of a network; for a space, these restrict the
        values of some parameters.

    Raises
    ------
    DataError
        If there is no such space, network or parameter.

    Examples
    --------
    >>> find_space("nasbench201").count
    15625
    >>> find_space("mobilenet_v1", {"width": ("0.5", "1.0"), "size": ("128", "160")}).count
    4
    """
    if not isinstance(name, str):
        raise DataError(f"a space must be named by a str, got {name!r}")
    if choices is not None and not isinstance(choices, Mapping):
        raise DataError(f"choices must be a mapping of parameters to values, got {choices!r}")
    base = name.partition("?")[0]
    if name in SPACES and (not choices or set(choices) <= set(SPACES[name]().choices)):
        space = SPACES[name]()
        fewer = {n: tuple(map(_number, vs)) for n, vs in (choices or {}).items()}
        return Space(name, space.build, {**space.choices, **fewer}, space.sizes)
    if not choices:
        known = ", ".join(SPACES)
        raise DataError(f"unknown space {name!r}; known are {known}; of a network give the choices")
    if base in NETWORKS and (wrong := set(choices) - set(accepted(NETWORKS[base]))):
        raise DataError(f"{base} has no parameter {sorted(wrong)[0]!r} to choose")
    return Space(name, partial(_named, name), choices)


def _named(name: str, **choices: Any) -> nx.DiGraph:
    text = "&".join(f"{key}={value}" for key, value in choices.items())
    return network(f"{name}{'&' if '?' in name else '?'}{text}")


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
