"""The space of a network: its parameters, the sizes that it leaves open, its batch, its widths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import networkx as nx

from costmodel.algebra.symbols import Dim, dim
from costmodel.errors import CostModelError, DataError, listed
from costmodel.graph import at, free_symbols
from costmodel.guidelines.free import free_widths
from costmodel.spaces.space import Space
from costmodel.specs import InputShape, network
from costmodel.specs.batch import BATCH_NAMES, with_batch
from costmodel.specs.python import parameters_of
from costmodel.zoo import NETWORKS
from costmodel.zoo.parameters import accepted

_BATCH = "batch"
_WIDTHS_TOLD = 2
"""Widths in a message, which has two lines."""


@dataclass(frozen=True)
class Given:
    """A network, by name or as a graph, and what is said about its inputs.

    Parameters
    ----------
    network : str or DiGraph
        The network.
    inputs : sequence of InputShape
        Shapes of its inputs.
    dims : mapping
        Values of sizes that it leaves open.
    """

    network: str | nx.DiGraph
    inputs: Sequence[InputShape] = ()
    dims: Mapping[str, Dim] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return self.network if isinstance(self.network, str) else self.network.name or "the network"

    def graph(self, parameters: Mapping[str, Any]) -> nx.DiGraph:
        """Return its graph with these parameters."""
        if not isinstance(self.network, str):
            return at(self.network, **self.dims) if self.dims else self.network
        text = "&".join(f"{key}={value}" for key, value in parameters.items())
        joint = "&" if "?" in self.network else "?"
        spec = f"{self.network}{joint}{text}" if text else self.network
        return network(spec, True, self.inputs, self.dims)

    def parameters(self) -> tuple[tuple[str, ...], bool]:
        """Return the parameters that it is built with, and whether it may take others, too.

        A size that a network of the zoo requires is none of them: it is open.
        """
        if not isinstance(self.network, str):
            return (), False
        base, _, query = self.network.partition("?")
        if base in NETWORKS:
            given = {part.partition("=")[0] for part in query.split("&")}
            known = accepted(NETWORKS[base]).items()
            is_open = {n for n, p in known if p.default is p.empty and p.annotation == "Dim"}
            return tuple(n for n, _ in known if n in given or n not in is_open), False
        return parameters_of(self.network) if base.startswith("python:") else ((), False)


def space_of(given: Given, choices: Mapping[str, Sequence[Any]]) -> Space:
    """Return the space of a network: parameters build it anew, sizes are arrays of one graph.

    Parameters
    ----------
    given : Given
        The network.
    choices : mapping
        Values of parameters, as they are written in its name; of sizes that it leaves open and of
        its ``batch``; of widths ``c1``, ``c2`` ..., as :func:`costmodel.free_widths` names them.

    Raises
    ------
    DataError
        If it has nothing of one of these names, or leaves another size open.

    Examples
    --------
    >>> space = space_of(Given("resnet18"), {"batch": ("1", "2"), "c1": (32, 48, 64)})
    >>> space.variant(5), space.alike
    ({'batch': '2', 'c1': 64}, 3)
    """
    for name, chosen in choices.items():
        if isinstance(chosen, str) or not isinstance(chosen, Sized):
            raise DataError(f"the values of {name} must be a list, got {chosen!r}")
    empty = next((n for n, values in choices.items() if not len(values)), None)
    if empty is not None:
        raise DataError(f"space {given.name}: {empty} has no values to choose from")
    built = _built_with(given, choices)
    sizes = tuple(name for name in choices if name not in built)
    ready = _opened(given.graph({n: choices[n][0] for n in built}), sizes, given)
    values = {n: choices[n] if n in built else tuple(map(number, choices[n])) for n in choices}
    build = partial(_built, given, sizes, None if built else ready)
    return Space(given.name, build, values, sizes)


def choosable(given: Given) -> str:
    """Return the names that may be chosen of a network, in words; of many widths, the first ones.

    Examples
    --------
    >>> choosable(Given("pointwise?h=56&w=56"))
    'parameters h, w, groups, batch; open sizes c1, c2'
    """
    named, _ = given.parameters()
    found = [f"parameters {listed(named)}"] if named else []
    try:
        graph = given.graph({})
    except CostModelError:  # it needs parameters to be built
        return "; ".join(found) or "nothing"
    sizes = sorted(_open(graph))
    if not {*named, *sizes}.intersection(BATCH_NAMES) and _takes_batch(graph):
        sizes.append(_BATCH)
    found += [f"open sizes {listed(sizes)}"] if sizes else []
    _, now, layers = _freed(graph)
    widths = [f"{name} (now {now[name]}: {layers[name][0]})" for name in now if name not in named]
    found += [f"widths {listed(widths, _WIDTHS_TOLD)}"] if widths else []
    return "; ".join(found) or "nothing"


def number(value: Any) -> Any:
    """Return a number that is written as text, anything else unchanged.

    Examples
    --------
    >>> number("16"), number("0.5"), number("wide")
    (16, 0.5, 'wide')
    """
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _built_with(given: Given, choices: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return the choices that are parameters."""
    named, others = given.parameters()
    found = [name for name in choices if name in named]
    for name in choices if others else ():
        # A function that takes any name says only when it is called whether it knows this one.
        if name not in found and _builds(given, {n: choices[n][0] for n in (*found, name)}):
            found.append(name)
    return found


def _builds(given: Given, parameters: Mapping[str, Any]) -> bool:
    try:
        given.graph(parameters)
    except CostModelError:
        return False
    return True


def _built(
    given: Given, sizes: Sequence[str], ready: nx.DiGraph | None, **choices: Any
) -> nx.DiGraph:
    if ready is None:
        built = {n: value for n, value in choices.items() if n not in sizes}
        ready = _opened(given.graph(built), sizes, given)
    return at(ready, **{n: choices[n] for n in sizes}) if sizes else ready


def _opened(graph: nx.DiGraph, sizes: Iterable[str], given: Given) -> nx.DiGraph:
    """Return a graph in which these sizes are symbols, and no others.

    Raises
    ------
    DataError
        If it has nothing of one of these names, or leaves another size open.
    """
    wanted = set(sizes)
    if _BATCH in wanted - _open(graph):
        graph = with_batch(graph, dim(_BATCH))
    if missing := wanted - _open(graph):
        free, now, _ = _freed(graph)
        if unknown := sorted(missing - set(now)):
            raise DataError(
                f"{given.name} has no {unknown[0]!r} to choose; it has {choosable(given)}"
            )
        graph = at(free, **{name: width for name, width in now.items() if name not in missing})
    if left := sorted(_open(graph) - wanted):
        raise DataError(
            f"{left[0]} of {given.name} is open: it must be given a value, or values to choose from"
        )
    return graph


def _takes_batch(graph: nx.DiGraph) -> bool:
    try:
        with_batch(graph, dim(_BATCH))
    except CostModelError:
        return False
    return True


def _freed(graph: nx.DiGraph) -> tuple[nx.DiGraph, dict[str, int], dict[str, list[str]]]:
    """Return the result of :func:`costmodel.free_widths`, empty if no width is free."""
    try:
        return free_widths(graph)
    except DataError:
        return graph, {}, {}


def _open(graph: nx.DiGraph) -> set[str]:
    return {symbol.name for symbol in free_symbols(graph)}
