"""Networks as arguments of commands: spec, batch, leniency, symbols."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.cli.completion import complete_network, complete_platform
from costmodel.errors import DataError, UnknownOperatorError

if TYPE_CHECKING:
    import networkx as nx

    from costmodel.algebra.symbols import Dim
    from costmodel.specs import InputShape

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help='A zoo name ("shufflenet_v2?width=1.5"), model.onnx, graph.json, '
        "or python:module:callable.",
        show_default=False,
        autocompletion=complete_network,
    ),
]
PlatformOption = Annotated[
    str | None,
    typer.Option(
        "--platform",
        "-p",
        metavar="PLATFORM",
        help='Hardware/runtime such as "gtx-1080-ti/paper", or a calibration file.',
        show_default=False,
        autocompletion=complete_platform,
    ),
]
FastMemoryOption = Annotated[
    str | None,
    typer.Option(
        "--fast-memory",
        metavar="SIZE",
        help='Least traffic through a fast memory of this size, such as "512KB".',
        show_default=False,
    ),
]
BatchOption = Annotated[int | None, typer.Option(min=1, help="Batch size.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON by the published schema.")]

_FREE_NAMES = ("batch", "size")


def memory_size(text: str) -> float:
    """Return the bytes of a size written by the user; ``KB`` is accepted for ``kB``.

    Examples
    --------
    >>> memory_size("512KB"), memory_size("8 MiB")
    (512000.0, 8388608.0)
    """
    from costmodel.units import parse

    return parse(re.sub(r"KB$", "kB", text.strip()), "B")


def load_network(
    spec: str,
    batch: int | None = None,
    lenient: bool = False,
    inputs: Sequence[str] | None = None,
    dims: Sequence[str] | None = None,
) -> nx.DiGraph:
    """Return the graph of ``spec`` for a batch of ``batch`` inputs.

    ``inputs`` and ``dims`` are the values of ``--input`` and ``--dim``.

    Raises
    ------
    CostModelError
        If there is no such network, or its batch cannot be changed.
    """
    from costmodel.cli.given import parse_dims, parse_inputs
    from costmodel.specs.batch import BATCH_NAMES, with_batch
    from costmodel.zoo import NETWORKS
    from costmodel.zoo.parameters import accepted

    name, _, query = spec.partition("?")
    if batch is not None and name in NETWORKS:
        key = next((k for k in BATCH_NAMES if k in accepted(NETWORKS[name])), None)
        if key is not None:
            text = _with(name, query, key, str(batch))
            return _network(text, inputs=parse_inputs(inputs), dims=parse_dims(dims))
    graph = _network(spec, not lenient, parse_inputs(inputs), parse_dims(dims))
    return graph if batch is None else with_batch(graph, batch)


def load_networks(
    specs: Sequence[str],
    batch: int | None = None,
    inputs: Sequence[str] | None = None,
    dims: Sequence[str] | None = None,
) -> list[nx.DiGraph]:
    """Return several graphs: shapes apply to networks outside the zoo, sizes to open ones.

    Raises
    ------
    DataError
        If no network leaves a given size open, or takes a given shape.
    CostModelError
        If there is no such network, or its batch cannot be changed.
    """
    from costmodel.cli.given import parse_dims

    values = parse_dims(dims)
    if inputs and all(map(_in_zoo, specs)):
        name = specs[0].partition("?")[0]
        raise DataError(f"{name}: the zoo's networks take parameters, as in {name}?size=160")
    graphs = [load_network(spec, batch, inputs=_taken(spec, inputs)) for spec in specs]
    if wrong := sorted(set(values).difference(*map(_open, graphs))):
        raise DataError(f"--dim: no size {wrong[0]!r} is open in any of these networks")
    return [_closed(graph, values) for graph in graphs]


def subject_of(
    spec: str,
    inputs: Sequence[str] | None = None,
    dims: Sequence[str] | None = None,
) -> str | nx.DiGraph:
    """Return a network whose parameters may vary: the spec if it has any, else its graph.

    Raises
    ------
    CostModelError
        If there is no such network.
    """
    from costmodel.cli.given import parse_dims

    taken = _taken(spec, inputs)
    graph = load_network(spec, inputs=taken)
    values = {name: value for name, value in parse_dims(dims).items() if name in _open(graph)}
    built = taken is None and (_in_zoo(spec) or spec.startswith("python:"))
    if built and not values:
        return spec
    graph = _closed(graph, values)
    graph.graph["name"] = spec
    return graph


def _in_zoo(spec: str) -> bool:
    from costmodel.zoo import NETWORKS

    return spec.partition("?")[0] in NETWORKS


def _taken(spec: str, inputs: Sequence[str] | None) -> Sequence[str] | None:
    """Return the shapes given for a network; zoo networks have parameters instead."""
    return None if not inputs or _in_zoo(spec) else inputs


def _open(graph: nx.DiGraph) -> set[str]:
    from costmodel.graph import free_symbols

    return {symbol.name for symbol in free_symbols(graph)}


def _closed(graph: nx.DiGraph, values: Mapping[str, Dim]) -> nx.DiGraph:
    """Return a graph with the given values of its open sizes."""
    from costmodel.graph import at

    own = {name: value for name, value in values.items() if name in _open(graph)}
    return at(graph, **own) if own else graph


def symbolic_network(
    spec: str, inputs: Sequence[str] | None = None, dims: Sequence[str] | None = None
) -> nx.DiGraph:
    """Return the graph of ``spec``; batch and size of a zoo network are symbols unless given."""
    from costmodel.cli.given import parse_dims, parse_inputs
    from costmodel.graph import free_symbols
    from costmodel.zoo import NETWORKS
    from costmodel.zoo.parameters import accepted

    name, _, query = spec.partition("?")
    shapes, sizes = parse_inputs(inputs), parse_dims(dims)
    graph = _network(spec, inputs=shapes, dims=sizes)
    if name not in NETWORKS or free_symbols(graph) or sizes:
        return graph
    given = {part.partition("=")[0] for part in query.split("&")}
    for key in _FREE_NAMES:
        if key in accepted(NETWORKS[name]) and key not in given:
            query = f"{query}&{key}={key}".lstrip("&")
    return _network(f"{name}?{query}") if query else graph


def need_numbers(graph: nx.DiGraph) -> nx.DiGraph:
    """Return ``graph`` if no size is open.

    Raises
    ------
    DataError
        If a size is open; the message says what to give.
    """
    if names := sorted(_open(graph)):
        raise DataError(
            f"numbers are needed, but {', '.join(names)} of {graph.name} are free: give them "
            f"values, as in --dim {names[0]}=1, or ask costmodel formula"
        )
    return graph


def _network(
    spec: str,
    strict: bool = True,
    inputs: Sequence[InputShape] = (),
    dims: Mapping[str, Dim] | None = None,
) -> nx.DiGraph:
    """Return the graph of ``spec``, even if its Python code calls ``sys.exit``."""
    from costmodel.specs import network

    try:
        with ended_by(spec):
            return network(spec, strict, inputs, dims)
    except UnknownOperatorError as error:
        raise UnknownOperatorError(str(error).replace("strict=False", "--lenient")) from None


@contextmanager
def ended_by(spec: str) -> Iterator[None]:
    """Raise an error where the Python code of a network wants to end the program.

    Raises
    ------
    DataError
        If it does.
    """
    try:
        yield
    except SystemExit as stop:
        raise DataError(f"{spec}: its code ended the program (exit {stop.code})") from None


def _with(name: str, query: str, key: str, value: str) -> str:
    if any(part.partition("=")[0] == key for part in query.split("&")):
        raise DataError(f"{name}: {key!r} is given in the network and by --batch; give it once")
    return f"{name}?{query}&{key}={value}" if query else f"{name}?{key}={value}"
