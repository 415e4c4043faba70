"""Networks in the text format of ncnn (``.param``)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.errors import CostModelError, DataError, ShapeError
from costmodel.importers.emitter import Operand
from costmodel.importers.ncnn import handlers
from costmodel.importers.ncnn.call import LAYERS
from costmodel.importers.ncnn.parse import Layer, read
from costmodel.importers.ncnn.walk import POST_PROCESSING, Walk
from costmodel.importers.registry import (
    Occurrence,
    UnsupportedFormError,
    load_modules,
    refuse_unknown,
)

load_modules(handlers)


def from_ncnn(param_path: str | os.PathLike[str], input_shape: Sequence[Dim]) -> nx.DiGraph:
    r"""Return the op graph of an ncnn network.

    Parameters
    ----------
    param_path : path
        The ``.param`` file; the weights beside it are not needed.
    input_shape : sequence of Dim
        Batch, channels, height, width of the input.

    Returns
    -------
    DiGraph
        ncnn has no batch axis; ours is put in front. Activations that a layer has fused are nodes
        of their own, which lowering fuses again.

    Raises
    ------
    DataError
        If the file is no ncnn text.
    UnknownOperatorError
        Naming every unknown layer type and where it occurs.

    Notes
    -----
    Layers with int8 weights take int8 inputs: where the input is
    not int8 yet a :class:`~costmodel.ops.Cast` quantizes it, and where the layer does not hand on
    int8 (``int8_scale_term`` up to 100) another makes float32 of the result.

    Post-processing of detectors (``DetectionOutput``, ``Yolov3DetectionOutput``, ``PriorBox``)
    depends on data or is constant: what it takes are outputs of the graph, and
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
    path = Path(param_path)
    parsed = read(path)
    refuse_unknown(
        f"from_ncnn ({path.name})",
        [
            Occurrence(layer.kind, layer.name)
            for layer in parsed
            if layer.kind not in LAYERS and layer.kind not in POST_PROCESSING
        ],
    )
    walk, outputs = _walk(parsed, path.stem, tuple(input_shape))
    return walk.emit.finish(outputs)


def _walk(layers: list[Layer], name: str, shape: tuple[Dim, ...]) -> tuple[Walk, list[Operand]]:
    """Return the walk over ``layers`` and the tensors that leave the network."""
    walk = Walk(name, shape)
    outputs: dict[str, Operand] = {}
    for layer in layers:
        if layer.kind in POST_PROCESSING:
            walk.leave_out(layer, outputs)
        else:
            _emit(walk, layer)
    loose = [blob for layer in layers for blob in layer.outputs if walk.is_loose(blob)]
    return walk, list((outputs | {blob: walk.blobs[blob] for blob in loose}).values())


def _emit(walk: Walk, layer: Layer) -> None:
    where = f"layer {layer.name!r} ({layer.kind})"
    try:
        walk.put(layer, LAYERS[layer.kind](walk, layer))
    except UnsupportedFormError as reason:
        refuse_unknown("from_ncnn", [Occurrence(layer.kind, layer.name, str(reason))])
    except CostModelError as error:
        raise ShapeError(f"from_ncnn, {where}: {error}") from None
    except (ValueError, KeyError, IndexError, TypeError, ZeroDivisionError):
        raise DataError(f"from_ncnn, {where}: its parameters do not fit its inputs") from None
