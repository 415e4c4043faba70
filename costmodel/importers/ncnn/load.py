"""A file of ncnn, layer by layer."""

from __future__ import annotations

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


def load(path: Path, shape: tuple[Dim, ...]) -> nx.DiGraph:
    """Return the network of a file (see :func:`costmodel.from_ncnn`)."""
    parsed = read(path)
    refuse_unknown(
        f"from_ncnn ({path.name})",
        [
            Occurrence(layer.kind, layer.name)
            for layer in parsed
            if layer.kind not in LAYERS and layer.kind not in POST_PROCESSING
        ],
    )
    walk, outputs = _walk(parsed, path.stem, shape)
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
    except Exception:  # any fault of a file becomes one sentence that names the layer
        raise DataError(f"from_ncnn, {where}: its parameters do not fit its inputs") from None
