"""State and helpers of reading an ncnn network layer by layer."""

from __future__ import annotations

from collections import Counter

from costmodel.algebra.symbols import Dim
from costmodel.importers.emitter import Emitter, Operand
from costmodel.importers.ncnn.parse import Layer
from costmodel.importers.registry import Occurrence

POST_PROCESSING = frozenset(
    {"DetectionOutput", "YoloDetectionOutput", "Yolov3DetectionOutput", "PriorBox"}
)
"""Omitted layers: their results depend on data or are constant."""


class Walk:
    """The blobs of a network that is being read.

    Parameters
    ----------
    name : str
        Name of the network.
    input_shape : tuple of Dim
        Shape of its input, batch first. [element]
    """

    def __init__(self, name: str, input_shape: tuple[Dim, ...]) -> None:
        self.emit = Emitter(name)
        self.input_shape = input_shape
        self.blobs: dict[str, Operand] = {}
        self._left_out: set[str] = set()
        self._takers: Counter[str] = Counter()

    def inputs(self, layer: Layer) -> list[Operand]:
        """Return the inputs of ``layer``; blobs of omitted layers are skipped."""
        self._takers.update(layer.inputs)
        return [self.blobs[blob] for blob in layer.inputs if blob not in self._left_out]

    def put(self, layer: Layer, made: Operand | list[Operand]) -> None:
        """Note what ``layer`` makes."""
        outputs = made if isinstance(made, list) else [made]
        if not outputs:
            self._left_out.update(layer.outputs)
        self.blobs |= dict(zip(layer.outputs, outputs, strict=False))

    def leave_out(self, layer: Layer, outputs: dict[str, Operand]) -> None:
        """Omit ``layer``: its inputs become outputs of the graph."""
        if layer.kind != "PriorBox":  # reads sizes only
            outputs |= {b: self.blobs[b] for b in layer.inputs if b not in self._left_out}
        self._takers.update(layer.inputs)
        self._left_out.update(layer.outputs)
        self.emit.placeholder(Occurrence(layer.kind, layer.name, "post-processing"), [], [])

    def is_loose(self, blob: str) -> bool:
        """Return whether ``blob`` has no consumer."""
        return blob in self.blobs and not self._takers[blob]
