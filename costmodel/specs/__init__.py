"""Networks named by a line of text, on the command line and in measurement tables.

==========================================  =====================================================
``shufflenet_v2?width=1.5&size=224``        a function of the zoo and its parameters
``pointwise?h=56&c1=c``                     the same with symbols; longer ones need ``dim:``
``folder/graph.json``                       a saved op graph
``folder/model.onnx``                       an ONNX file
``folder/net.param``                        an ncnn file; the shape of its input is required
``python:package.module:callable``          a callable of a module or of ``folder/file.py`` that
                                            returns a graph or a torch module; a module class,
                                            or a module; ``?width=2`` is passed to the callable
==========================================  =====================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import networkx as nx

from costmodel.algebra.symbols import Dim, dim
from costmodel.arguments import mapping_of, values_of
from costmodel.errors import DataError
from costmodel.graph import at, free_symbols
from costmodel.reading import is_file
from costmodel.specs.python import from_python
from costmodel.specs.shapes import InputShape as InputShape
from costmodel.specs.shapes import split_query
from costmodel.zoo.parameters import accepted, check_names, parse_value
from costmodel.zoo.registry import NETWORKS, build, find

MAX_LENGTH = 4096
"""Maximum length of the text: that of a path. [character]"""
FORMS = (
    "a zoo name as in 'resnet50?batch=2', a .json, .onnx or .param file, or "
    "'python:module:callable'"
)
_FILES = (".json", ".onnx", ".param")


def network(
    spec: str,
    strict: bool = True,
    inputs: Sequence[InputShape] = (),
    dims: Mapping[str, Dim] | None = None,
) -> nx.DiGraph:
    """Return the op graph that ``spec`` names.

    Parameters
    ----------
    spec : str
        One of the forms of :mod:`costmodel.specs`.
    strict : bool
        Whether unknown operators are an error; otherwise the graph stores its coverage.
    inputs : sequence of InputShape
        Shapes of the inputs of a torch module, an ONNX or an ncnn file.
    dims : mapping, optional
        Values of open sizes: the named sizes of an ONNX file, or the symbols of another network.

    Raises
    ------
    DataError
        If the text has none of these forms, or a name, parameter or file is wrong.
    CostModelError
        If reading the file or importing the module fails.

    Notes
    -----
    Sizes may be integers, symbols or expressions such as ``32*m``. A symbol is a letter with an
    optional number (``c``, ``c1``) or the name of a parameter (``size=size``). The prefix ``dim:``
    makes any other word a symbol: ``size=dim:pixels``. A required size of a zoo function becomes
    the symbol of its own name if it is not given.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(network("pointwise"))
    c1*c2 + h*w*(c1 + c2)
    >>> cm.multiply_adds(network("shufflenet_v2?width=1.5&size=224"))
    298970656
    >>> network("shufflenet_v2?widht=1.5")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: shufflenet_v2 has no parameter 'widht'; it takes width, size, ...
    """
    if not isinstance(spec, str):
        raise DataError(f"a network must be a text, got {type(spec).__name__}: give {FORMS}")
    if len(spec) > MAX_LENGTH:
        raise DataError(f"a network of {len(spec)} characters is too long (at most {MAX_LENGTH})")
    text, named = spec.strip(), mapping_of(dims, "dims")
    inputs = values_of(inputs, "inputs", "InputShape")
    if wrong := [given for given in inputs if not isinstance(given, InputShape)]:
        raise DataError(f"inputs must be a list of InputShape, got {wrong[0]!r} in it")
    if text.startswith("python:"):
        return _at(from_python(text, strict, inputs), named, text)
    head, question, query = text.partition("?")
    suffix = Path(head).suffix.lower()
    if suffix in _FILES:
        return _from_file(Path(text), strict, inputs, named)
    if not text or "/" in head or "\\" in head or suffix:
        raise DataError(f"cannot tell what network {spec!r} is: give {FORMS}")
    if inputs:
        raise DataError(f"{head}: the zoo's networks take parameters, as in {head}?size=160")
    return _at(from_zoo(head, query if question else ""), named, head)


def is_network(spec: str) -> bool:
    """Return whether a text has one of the forms of a network, whether or not it exists.

    Examples
    --------
    >>> is_network("net.onnx"), is_network("resnet18?size=160"), is_network("nasbench")
    (True, True, False)
    """
    head = spec.strip().partition("?")[0]
    is_file = Path(head).suffix.lower() in _FILES
    return is_file or head.startswith("python:") or head in NETWORKS


def _at(graph: nx.DiGraph, dims: dict[str, Dim], what: str) -> nx.DiGraph:
    """Return ``graph`` with symbols replaced by numbers."""
    known = {symbol.name for symbol in free_symbols(graph)} if dims else set()
    wrong = sorted(set(dims) - known)
    if wrong:
        right = ", ".join(sorted(known)) or "none"
        raise DataError(f"{what}: no size {wrong[0]!r} is open; open are: {right}")
    return at(graph, **dims) if dims else graph


def from_zoo(name: str, query: str = "") -> nx.DiGraph:
    """Return a network of the zoo with parameters written as ``key=value&key=value``.

    Parameters
    ----------
    name : str
        A key of :data:`costmodel.zoo.NETWORKS`.
    query : str
        The parameters; values are read by the type of the parameter.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(from_zoo("conv2d", "cin=c&cout=c&k=1&size=56"))
    3136*c**2
    """
    function = find(name)
    texts = split_query(name, query)
    check_names(name, function, list(texts))
    parameters = accepted(function)
    values = {k: parse_value(name, k, parameters[k], text) for k, text in texts.items()}
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty
        if required and key not in values and parameter.annotation == "Dim":
            values[key] = dim(key)
    return build(name, **values)


def _from_file(
    path: Path, strict: bool, inputs: Sequence[InputShape], dims: dict[str, Dim]
) -> nx.DiGraph:
    if not is_file(path):
        # Devices and folders are recognized by the reader.
        if not os.path.exists(path):
            raise DataError(f"{path}: no such file")
        if path.is_dir():
            raise DataError(f"{path}: is a folder")
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        from costmodel.importers import from_onnx

        shapes = {given.name: given.shape for given in inputs}
        return from_onnx(path, strict=strict, inputs=shapes, dims=dims)
    if suffix == ".param":
        return _at(_from_ncnn(path, inputs), dims, str(path))
    if inputs:
        raise DataError(f"{path}: a saved graph has fixed input shapes; leave --input out")
    from costmodel.graph.serialize import load

    return _at(load(path), dims, str(path))


def _from_ncnn(path: Path, inputs: Sequence[InputShape]) -> nx.DiGraph:
    if len(inputs) != 1:
        raise DataError(
            f"{path}: an ncnn file needs the shape of its input, batch first: --input 1x3x224x224"
        )
    from costmodel.importers import from_ncnn

    return from_ncnn(path, inputs[0].shape)
