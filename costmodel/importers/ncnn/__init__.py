"""Networks in the text format of ncnn (``.param``)."""

from __future__ import annotations

import os
from collections.abc import Sequence

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.arguments import path_of, values_of


def from_ncnn(param_path: str | os.PathLike[str], input_shape: Sequence[Dim]) -> nx.DiGraph:
    r"""Return the op graph of an ncnn network.

    Parameters
    ----------
    param_path : path
        The ``.param`` file; its weight file is not needed.
    input_shape : sequence of Dim
        Batch, channels, height, width of the input.

    Returns
    -------
    DiGraph
        ncnn has no batch axis; one is added in front. Activations fused into a layer are nodes
        here, which lowering fuses again.

    Raises
    ------
    DataError
        If the file is not an ncnn text file.
    UnknownOperatorError
        Lists every unknown layer type and its locations.

    Notes
    -----
    Layers with int8 weights need int8 inputs: if the input is
    not yet int8, a :class:`~costmodel.ops.Cast` quantizes it, and if the layer does not return
    int8 (``int8_scale_term`` up to 100), another converts the result to float32.

    Post-processing of detectors (``DetectionOutput``, ``Yolov3DetectionOutput``, ``PriorBox``)
    depends on data or is constant: its inputs become outputs of the graph, and
    ``graph.graph["unknown"]`` and ``["coverage"]`` say so.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> text = "7767517\n2 2\nInput data 0 1 data\nReLU relu 1 1 data out\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "net.param")
    ...     _ = file.write_text(text)
    ...     list(from_ncnn(file, (1, 3, 8, 8)))
    ['data', 'relu', 'output']
    """
    from costmodel.importers.ncnn.load import load  # its handlers are read when a file is

    file = path_of(param_path, "param_path")
    return load(file, values_of(input_shape, "input_shape", "sizes"))
