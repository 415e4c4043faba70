"""Interface of the network for handlers of ncnn layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from costmodel.algebra.symbols import Dim
from costmodel.importers.emitter import Emitter, Operand
from costmodel.importers.ncnn.parse import Layer
from costmodel.importers.registry import Registry


class Blobs(Protocol):
    """The blobs of the network: all that a handler may ask of the walk over its layers."""

    emit: Emitter
    input_shape: tuple[Dim, ...]

    def inputs(self, layer: Layer) -> list[Operand]:
        """Return the inputs of ``layer``; blobs of omitted layers are skipped."""


LAYERS: Registry[Callable[[Blobs, Layer], Operand | list[Operand]]] = Registry("ncnn")
"""Handlers by layer type."""
