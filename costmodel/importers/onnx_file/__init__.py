"""ONNX files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.arguments import mapping_of, path_of


def from_onnx(
    path: str | os.PathLike[str],
    strict: bool = True,
    *,
    inputs: Mapping[str, Sequence[Dim]] | None = None,
    dims: Mapping[str, Dim] | None = None,
    **sizes: Dim,
) -> nx.DiGraph:
    """Return the op graph of an ONNX file.

    ``costmodel`` infers all shapes from the shapes of the inputs. Weights are not read, so
    external data may be missing. Loading runs no code and opens no other file.

    Parameters
    ----------
    path : path
        The file.
    strict : bool
        Whether unknown operators are an error. Otherwise free views replace them, the graph has
        ``graph.graph["coverage"]``, a lower bound of the counted share of the work, and
        ``graph.graph["unknown"]``, their names and locations: print both with every total.
    inputs : mapping, optional
        Shapes of inputs by name, to fix open sizes or to override those of the file; ``""`` names
        the only input.
    dims : mapping, optional
        A number or symbol for each named size of the file; names may have any characters.
    **sizes : Dim
        The same: ``batch=1``, ``batch=costmodel.dim("n")``.

    Returns
    -------
    DiGraph
        A ``Transpose`` of ONNX makes a copy, so a :class:`~costmodel.ops.Contiguous` follows it;
        a ``Reshape`` is a view. A ``MatMul`` with a stored matrix and the ``Add`` of a stored
        vector after it are one :class:`~costmodel.ops.Linear`. Computations on shapes are folded.
        Activations and normalizations decomposed by exporters are merged into one operator.
        ``graph.graph["notes"]`` says which masks of attention count the triangle.

    Raises
    ------
    DataError
        If the file is not an ONNX model, or an input has no shape.
    UnknownOperatorError
        Lists every unknown operator and its locations.

    Notes
    -----
    Open sizes of the file, and lengths that depend on data, are symbols with the file's
    names. An operator between ``DequantizeLinear`` and ``QuantizeLinear`` runs on the integers.
    Inputs used only in weight slots are weights.
    """
    from costmodel.importers.onnx_file.reader import read  # its handlers are read when a file is

    shapes, named = mapping_of(inputs, "inputs"), mapping_of(dims, "dims")
    return read(path_of(path, "path"), strict, shapes, named | sizes)
