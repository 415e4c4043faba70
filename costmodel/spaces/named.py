"""The spaces of the literature, by name, and spaces of the zoo's networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.arguments import mapping_of, values_of
from costmodel.errors import DataError, suggest
from costmodel.spaces.builders import (
    FBNET_BLOCKS,
    FBNET_STAGES,
    fbnet,
    ofa_mobilenet_v3,
    resnet_widths,
)
from costmodel.spaces.networks import Given, choosable, number, space_of
from costmodel.spaces.space import Space
from costmodel.specs import InputShape, is_network
from costmodel.zoo import NETWORKS, mobilenet_v2, mobilenet_v3, shufflenet_v2
from costmodel.zoo.nasbench import OPERATIONS, nasbench201


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


def find_space(
    name: str | nx.DiGraph,
    choices: Mapping[str, Sequence[Any]] | None = None,
    inputs: Sequence[InputShape] = (),
    dims: Mapping[str, Dim] | None = None,
) -> Space:
    """Return a space of :data:`SPACES`, or that of a network with given choices.

    Parameters
    ----------
    name : str or DiGraph
        A name of a space, or with ``choices`` a network (:func:`costmodel.network`) or its graph.
    choices : mapping
        Values to choose from, by name: of a space, fewer values for some parameters; of a network
        its parameters, as they are written in its name, the sizes that it leaves open, ``batch``,
        and its widths ``c1``, ``c2`` ..., as :func:`costmodel.free_widths` names them. [1]
    inputs : sequence of InputShape
        Shapes of the inputs of a network (:func:`costmodel.network`).
    dims : mapping, optional
        Values of open sizes of a network.

    Raises
    ------
    DataError
        If there is no such space, network or name, or a network leaves another size open.

    Examples
    --------
    >>> find_space("nasbench201").count
    15625
    >>> find_space("mobilenet_v1", {"width": ("0.5", "1.0"), "size": ("128", "160")}).count
    4
    >>> import costmodel as cm
    >>> space = find_space(cm.zoo.resnet18(), {"batch": (1, 2, 4), "c1": range(32, 97, 8)})
    >>> space.count == space.alike == 27
    True
    """
    if not isinstance(name, str | nx.DiGraph):
        raise DataError(f"a space must be a name or a graph, got {name!r}")
    if choices is not None and not isinstance(choices, Mapping):
        raise DataError(f"choices must be a mapping of parameters to values, got {choices!r}")
    shapes = values_of(inputs, "inputs", "InputShape")
    given = Given(name, shapes, mapping_of(dims, "dims"))
    if isinstance(name, str) and name in SPACES:
        space = SPACES[name]()
        wrong = [n for n in choices or {} if n not in space.choices]
        if not wrong and not inputs and not dims:
            fewer = {n: tuple(map(number, vs)) for n, vs in (choices or {}).items()}
            return Space(name, space.build, {**space.choices, **fewer}, space.sizes)
        if name not in NETWORKS:
            said = f"no {wrong[0]!r} to choose" if wrong else "no inputs and no open sizes"
            raise DataError(f"space {name} has {said}; it has {', '.join(space.choices)}")
    elif isinstance(name, str) and not (choices or is_network(name)):
        raise DataError(f"unknown space {name!r}; {suggest(name, [*SPACES, *NETWORKS])}")
    if not choices:
        raise DataError(f"{given.name} must be given values to choose from: {choosable(given)}")
    return space_of(given, choices)
