"""ONNX files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import networkx as nx

from costmodel.algebra.symbols import Dim


def from_onnx(
    path: str | os.PathLike[str],
    strict: bool = True,
    *,
    inputs: Mapping[str, Sequence[Dim]] | None = None,
    dims: Mapping[str, Dim] | None = None,
    **sizes: Dim,
) -> nx.DiGraph:
    """Return the op graph of an ONNX file.

    Shapes are worked out by ``costmodel`` from the shapes of the inputs; weights are not read, so
    that external data may be missing. Loading runs no code and opens no other file.

    Parameters
    ----------
    path : path
        The file.
    strict : bool
        Whether unknown operators raise. Otherwise free views stand in for them, the graph carries
        ``graph.graph["coverage"]``, the share of the work that is counted, at least, and
        ``graph.graph["unknown"]``, their names and places: print both beside every total.
    inputs : mapping, optional
        Shapes of inputs by name, where the file leaves them open or others are wanted; ``""`` names
        the only input.
    dims : mapping, optional
        A number or symbol for each named size of the file, whatever characters the name has.
    **sizes : Dim
        The same: ``batch=1``, ``batch=costmodel.dim("n")``.

    Returns
    -------
    DiGraph
        A ``Transpose`` of ONNX makes a copy, so a :class:`~costmodel.ops.Contiguous` follows it;
        a ``Reshape`` is a view. A ``MatMul`` with a stored matrix and the ``Add`` of a stored
        vector after it are one :class:`~costmodel.ops.Linear`. Computations on shapes are folded.
        Activations and normalizations that exporters take apart are one operator again.
        ``graph.graph["notes"]`` says which masks of attention count the triangle.

    Raises
    ------
    DataError
        If the file is no ONNX model, or an input has no shape at all.
    UnknownOperatorError
        Naming every unknown operator and where it occurs.

    Notes
    -----
    Sizes that the file leaves open, and lengths that depend on data, are symbols with the file's
    names. An operator between ``DequantizeLinear`` and ``QuantizeLinear`` runs on the integers.
    Inputs that feed nothing but slots of weights are weights.
    """
    from costmodel.importers.onnx_file.reader import read  # its handlers are read when a file is

    return read(Path(path), strict, dict(inputs or {}), {**(dims or {}), **sizes})
