"""Layouts of images that a library gets channels last (NHWC): which kernels turn which of them.

Convolutions read and write images with the channels of a pixel side by side; most other operators
on images write the layout that they read. A reshape that no stride expresses, a norm or softmax
over rows and products read elements in the order of the axes: images are copied element by element
before them, and plain tensors before convolutions.

Source: PyTorch 2.13, ``aten/src/ATen/native``: Convolution.cpp
(``determine_backend_memory_format``), Normalization.cpp, Pool.h, AdaptiveAveragePooling.cpp,
UpSample.h, TensorShape.cpp (``cat``, ``reshape``), SoftMax.cpp, layer_norm.cpp; the strides of the
results of torch 2.13 for each operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from costmodel.algebra.symbols import Dim, product, same, total
from costmodel.graph import Node, Source
from costmodel.kernels.kernel import Kernel
from costmodel.ops import (
    AdaptivePool,
    BatchNorm,
    Cast,
    Concat,
    Conv,
    ConvTranspose,
    Elementwise,
    GroupNorm,
    Identity,
    Input,
    Merge,
    Pad,
    PixelShuffle,
    Pool,
    PReLU,
    Reduce,
    Reshape,
    Resize,
    Slice,
    Split,
    Transpose,
)
from costmodel.ops.tensor import Tensor

Order = Literal["last", "part", "columns", "pixels", "plain", "other"]
"""The order of a tensor's elements in memory: an image with the channels last; some channels of
one; one whose pixels are a single axis; rows of pixels, transposed to such an image; the order of
the axes; any other order."""

_KEEP = (
    *(BatchNorm, Elementwise, PReLU, Cast, Pool, AdaptivePool, Resize, Pad, GroupNorm, Concat),
    PixelShuffle,
)
"""Operators that write an image in the layout that they read."""
_BY_CHANNELS = (Pool, AdaptivePool, Resize, BatchNorm)
"""Operators with vectors along the channels for images with the channels last."""
_TO_LAST, _TO_ROWS, _SWAPPED = (0, 3, 1, 2), (0, 2, 3, 1), (0, 2, 1)
_TURNS: Mapping[tuple[Order, tuple[int, ...]], Order] = {
    ("last", _TO_ROWS): "plain",
    ("columns", _SWAPPED): "plain",
    ("plain", _TO_LAST): "last",
    ("plain", _SWAPPED): "pixels",
}
"""Orders after a transpose."""
_FAST = ("last", "part")
_IN_ORDER = ("plain", "pixels")
"""Orders that products and rows read without a copy."""


def with_images(kernels: Sequence[Kernel], nodes: Sequence[Node]) -> tuple[Kernel, ...]:
    """Return ``kernels`` with what they turn, and whether their images have the channels last.

    Parameters
    ----------
    kernels : sequence of Kernel
        In order of execution.
    nodes : sequence of Node
        The network; its inputs of rank 4 are images with the channels last.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from costmodel import zoo
    >>> from costmodel.kernels import lower
    >>> from costmodel.runtimes import load_runtime
    >>> from costmodel.counting.subject import nodes_of
    >>> graph = zoo.shufflenet_v2()
    >>> kernels = with_images(lower(graph, load_runtime("torch-eager")), nodes_of(graph))
    >>> [k.turned for k in kernels if k.kind == "max_pool"], kernels[0].channels_last
    ([0], True)
    """
    found = _Orders(nodes)
    return tuple(found.of(kernel) for kernel in kernels)


class _Orders:
    """The order of every tensor of a network, and the elements that each node turns."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._order: dict[Source, Order] = {}
        self._turned: dict[str, Dim] = {}
        self._pieces: dict[str, Dim] = {}
        self._last: set[str] = set()
        for node in nodes:
            self._visit(node)

    def of(self, kernel: Kernel) -> Kernel:
        """Return a kernel with the sums over its nodes."""
        return kernel._replace(
            turned=total(self._turned.get(name, 0) for name in kernel.nodes),
            channels_last=kernel.name in self._last,
            pieces=self._pieces.get(kernel.name, kernel.pieces),
        )

    def _visit(self, node: Node) -> None:
        orders: list[Order] = [self._order.get(source, "plain") for source in node.sources]
        written = self._written(node, list(zip(node.inputs, orders, strict=False)))
        for i, tensor in enumerate(node.outputs):
            image = tensor.rank == 4 or written != "last"
            self._order[node.name, i] = written if image else "plain"

    def _written(self, node: Node, reads: list[tuple[Tensor, Order]]) -> Order:
        """Return the order of the outputs; note what is turned for the node."""
        op = node.op
        if isinstance(op, Input):
            return "last"
        if op.is_view:
            return _viewed(node, reads[0][1])
        images = [order for tensor, order in reads if _has_pixels(tensor)]
        if isinstance(op, Conv | ConvTranspose) and reads[0][0].rank == 4:
            self._last.add(node.name)
            x, order = reads[0]
            self._turned[node.name] = 0 if order in _FAST else _elements(x)
            return "last"
        if isinstance(op, Reduce):
            return "last" if node.outputs[0].rank == 4 and "last" in images else "plain"
        if isinstance(op, _KEEP) and not set(_FAST).isdisjoint(images):
            return self._kept(node, reads)
        self._turned[node.name] = total(_elements(x) for x, o in reads if o not in _IN_ORDER)
        return "plain"

    def _kept(self, node: Node, reads: list[tuple[Tensor, Order]]) -> Order:
        """Return the layout that an operator on images keeps; note what is turned for it."""
        op = node.op
        if isinstance(op, Concat) and any(order not in _FAST for _, order in reads):
            self._turned[node.name] = total(_elements(x) for x, o in reads if o in _FAST)
            return "plain"
        # A batch normalization of some of the channels runs over single elements.
        fast = ("last",) if isinstance(op, BatchNorm) else _FAST
        images = [(x, order) for x, order in reads if x.rank == 4]
        self._turned[node.name] = total(_elements(x) for x, order in images if order not in fast)
        # Bicubic interpolation has a kernel for single elements alone.
        if isinstance(op, _BY_CHANNELS) and not (isinstance(op, Resize) and op.kind == "bicubic"):
            self._last.add(node.name)
        if isinstance(op, BatchNorm):
            # One scale and shift for each channel, then one run of channels for each pixel.
            n, channels, *pixels = reads[0][0].shape
            self._pieces[node.name] = channels + product((n, *pixels))
        return "last"


def _viewed(node: Node, order: Order) -> Order:
    """Return the order of a view of a tensor in ``order``."""
    op, x, y = node.op, node.inputs[0], node.outputs[0]
    if isinstance(op, Identity | Merge):
        return order
    if isinstance(op, Transpose):
        axes = tuple(axis % x.rank for axis in op.order)
        return _TURNS.get((order, axes), order if order in _IN_ORDER else "other")
    joined = isinstance(op, Reshape) and y.rank in (3, 4) and _same_channels(x, y)
    if joined and order in ("last", "columns", "pixels"):
        return "last" if y.rank == 4 else "columns"
    if order in _IN_ORDER or not _has_pixels(x):
        return "plain"
    return "part" if isinstance(op, Split | Slice) and order in _FAST else "other"


def _same_channels(x: Tensor, y: Tensor) -> bool:
    return same(x.shape[0], y.shape[0]) and same(x.shape[1], y.shape[1])


def _has_pixels(tensor: Tensor) -> bool:
    """Return whether a tensor has several pixels: the layouts of a single one are the same."""
    return tensor.rank < 3 or not all(same(size, 1) for size in tensor.shape[2:])


def _elements(tensor: Tensor) -> Dim:
    """Return the elements that a copy of a tensor into another layout turns [1]."""
    return tensor.elements if _has_pixels(tensor) else 0
