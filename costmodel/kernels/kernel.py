"""A kernel: what a runtime launches, one operator or several fused ones, and what it moves."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, exact_div, product, same, total
from costmodel.graph import Node
from costmodel.ops import (
    AdaptivePool,
    Attention,
    AttentionMix,
    AttentionScores,
    BatchNorm,
    Cast,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Elementwise,
    Embedding,
    Gather,
    GroupNorm,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MatMul,
    Op,
    Pool,
    PReLU,
    Recurrent,
    RecurrentSteps,
    Reduce,
    Resize,
    Softmax,
)
from costmodel.ops.tensor import Tensor

CLASSES: dict[type[Op], str] = {
    AdaptivePool: "pool",
    Attention: "attention",
    AttentionMix: "matmul",
    AttentionScores: "matmul",
    BatchNorm: "elementwise",
    Cast: "elementwise",
    Conv: "convolution",
    ConvTranspose: "convolution",
    Elementwise: "elementwise",
    Embedding: "gather",
    Gather: "gather",
    GroupNorm: "norm",
    LayerNorm: "norm",
    Linear: "matmul",
    LocalResponseNorm: "norm",
    MatMul: "matmul",
    PReLU: "elementwise",
    Pool: "pool",
    Recurrent: "recurrent",
    RecurrentSteps: "recurrent",
    Reduce: "pool",
    Resize: "pool",
    Softmax: "norm",
}
"""The class of kernel that each operator starts; what is missing here is a ``"copy"``."""

SPECIAL: dict[str, int] = {
    "cos": 1,
    "elu": 1,
    "erf": 1,
    "exp": 1,
    "gelu": 1,
    "gelu_tanh": 5,
    "log": 1,
    "mish": 2,
    "pow": 1,
    "sigmoid": 1,
    "silu": 1,
    "sin": 1,
    "softplus": 2,
    "tanh": 5,
}
"""Cost of the transcendental functions of an elementwise kind, in exponentials an element.

Others take none. Vector libraries keep a hyperbolic tangent accurate near zero with divisions: on
a Zen 4 core under torch 2.13 it took 2.5 ns an element, a sigmoid 0.46, a GELU (erf) 0.45 to 0.59.
"""

KINDS = (
    "pointwise",
    "convolution",
    "grouped",
    "depthwise",
    "linear",
    "matmul",
    "attention",
    "recurrent",
    "elementwise",
    "batch_norm",
    "norm",
    "softmax",
    "pool",
    "max_pool",
    "gather",
    "copy",
)
"""The kinds of kernel that differ in efficiency."""


@dataclass(frozen=True, slots=True)
class Product:
    """The matrix products that a kernel is: ``batch`` times ``[m x k] @ [k x n]``.

    Parameters
    ----------
    batch : Dim
        Independent products: groups of a convolution, batch of a batched product. [1]
    m, n, k : Dim
        Output channels or rows, output pixels or columns, reduced length. [1]
    height, width : Dim
        Output pixels of one image of a 2-d convolution, ``n`` being images times these; else 1. [1]
    taps : Dim
        Positions of the window of a convolution; else 1. [1]
    winograd : bool
        Whether it is a dense 3x3 convolution of stride and dilation 1.
    """

    batch: Dim
    m: Dim
    n: Dim
    k: Dim
    height: Dim = 1
    width: Dim = 1
    taps: Dim = 1
    winograd: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """A tensor that a kernel reads.

    Parameters
    ----------
    maker : str, optional
        The kernel that made it; None for an input or constant of the network.
    bytes : Dim
        [byte]
    """

    maker: str | None
    bytes: Dim


@dataclass(frozen=True, slots=True)
class Kernel:
    """What a runtime launches at once.

    Parameters
    ----------
    name : str
        The node that the kernel is built around.
    kind : str
        One of :data:`KINDS`.
    nodes : tuple of str
        All nodes that it computes, in order; folded ones too.
    multiply_adds : Dim
        [multiply-add]
    elementwise : Dim
        Other operations. [operation]
    product : Product, optional
        The matrix products that it is.
    reads : tuple of Read
        Tensors read from outside the kernel.
    weight_bytes, write_bytes : Dim
        Learned tensors read, tensors written. [byte]
    dtype : str
        Dtype of the arithmetic.
    passes : int
        Operators fused behind the first that compute something: activations, additions.
    special : Dim
        Exponentials among the other operations, or what costs as many. [operation]
    rows : Dim
        Pieces that it handles one after the other (:func:`rows_of`). [1]
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    multiply_adds: Dim
    elementwise: Dim
    product: Product | None
    reads: tuple[Read, ...]
    weight_bytes: Dim
    write_bytes: Dim
    dtype: str
    passes: int = 0
    special: Dim = 0
    rows: Dim = 0

    @property
    def read_bytes(self) -> Dim:
        """Activations read [byte]."""
        return total(read.bytes for read in self.reads)

    @property
    def bytes(self) -> Dim:
        """Everything moved, each tensor once [byte]."""
        return self.read_bytes + self.weight_bytes + self.write_bytes


def kernel_class(op: Op) -> str:
    """Return the class by which fusion rules know the kernel that ``op`` starts.

    Examples
    --------
    >>> kernel_class(Elementwise("relu")), kernel_class(Conv(8, (1, 1)))
    ('elementwise', 'convolution')
    """
    return CLASSES.get(type(op), "copy")


def kernel_kind(op: Op, inputs: tuple[Tensor, ...]) -> str:
    """Return the kind of kernel (:data:`KINDS`) that ``op`` starts on ``inputs``.

    Examples
    --------
    >>> kernel_kind(Conv(8, (3, 3), groups=8), (Tensor((1, 8, 7, 7)),))
    'depthwise'
    """
    found = kernel_class(op)
    if isinstance(op, Linear):
        return "linear"
    if isinstance(op, BatchNorm):
        return "batch_norm"
    if isinstance(op, Softmax):
        return "softmax"
    if isinstance(op, Pool) and op.kind == "max":
        return "max_pool"
    if not isinstance(op, Conv | ConvTranspose):
        return found
    if not same(op.groups, 1):
        return "depthwise" if same(op.groups, inputs[0].shape[1]) else "grouped"
    return "pointwise" if all(same(k, 1) for k in op.kernel) else "convolution"


def special_of(node: Node) -> Dim:
    """Return the exponentials that an operator takes, or what costs as many [operation].

    Examples
    --------
    >>> from costmodel.graph import Node
    >>> x = Tensor((2, 8))
    >>> special_of(Node("gate", Elementwise("sigmoid"), (x,), (x,), "", "gate"))
    16
    """
    match node.op:
        case Elementwise(kind=kind):
            return SPECIAL.get(kind, 0) * node.outputs[0].elements
        case Softmax():
            return node.inputs[0].elements
        case Attention():
            return product(node.inputs[0].shape[:-1]) * node.inputs[1].shape[-2]
        case Recurrent(kind=kind, hidden=hidden, layers=layers):
            # Sigmoids and hyperbolic tangents: three and two in an LSTM, two and one in a GRU.
            tanh = SPECIAL["tanh"]
            cells = {"lstm": 3 + 2 * tanh, "gru": 2 + tanh, "rnn": tanh}[kind] * layers * hidden
            return product(node.inputs[0].shape[:2]) * cells
    return 0


def rows_of(node: Node) -> Dim:
    """Return the pieces of a tensor that an operator handles one after the other [1].

    The planes of a batch normalization; the rows of a softmax or layer normalization;
    the runs of elements that a channel shuffle finds side by side. Zero for what goes over a tensor
    in one sweep.

    Examples
    --------
    >>> from costmodel.graph import Node
    >>> x = Tensor((1, 64, 7, 7))
    >>> rows_of(Node("norm", BatchNorm(), (x,), (x,), "", "norm"))
    64
    """
    match node.op:
        case BatchNorm() | ChannelShuffle():
            return product(node.outputs[0].shape[:2])
        case LayerNorm(axes=axes):
            return product(node.inputs[0].shape[:-axes])
        case GroupNorm(groups=groups):
            return node.inputs[0].shape[0] * groups
        case Softmax(axis=axis):
            return exact_div(node.inputs[0].elements, node.inputs[0].shape[axis])
    return 0


def product_of(node: Node) -> Product | None:
    """Return the matrix products that the operator of ``node`` is, or None.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.graph import nodes_in_order
    >>> node = list(nodes_in_order(zoo.pointwise(56, 56, 24, 48)))[1]
    >>> product_of(node)
    Product(batch=1, m=48, n=3136, k=24, height=56, width=56, taps=1, winograd=False)
    """
    op, inputs = node.op, node.inputs
    if isinstance(op, Conv):
        depth = exact_div(inputs[0].shape[1], op.groups) * product(op.kernel)
        sizes = node.outputs[0].shape[2:]
        height, width = sizes if len(sizes) == 2 else (1, product(sizes))
        unit = all(same(s, 1) for s in (*op.stride, *op.dilation, op.groups))
        return Product(
            batch=op.groups,
            m=exact_div(op.out_channels, op.groups),
            n=inputs[0].shape[0] * height * width,
            k=depth,
            height=height,
            width=width,
            taps=product(op.kernel),
            winograd=unit and op.kernel == (3, 3),
        )
    if isinstance(op, ConvTranspose):
        pixels = inputs[0].shape[0] * product(inputs[0].shape[2:])
        rows = exact_div(op.out_channels, op.groups) * product(op.kernel)
        return Product(op.groups, rows, pixels, exact_div(inputs[0].shape[1], op.groups))
    if isinstance(op, Linear):
        return Product(1, op.out_features, product(inputs[0].shape[:-1]), inputs[0].shape[-1])
    if isinstance(op, MatMul):
        *batch, m, n = node.outputs[0].shape
        a = inputs[0].shape
        return Product(product(batch), m, n, a[-2] if op.transpose_a else a[-1])
    if isinstance(op, AttentionScores | Attention):
        q, k = inputs[0].shape, inputs[1].shape
        return Product(product(q[:-2]), q[-2], k[-2], q[-1])
    if isinstance(op, AttentionMix):
        weights, v = inputs[0].shape, inputs[1].shape
        return Product(product(weights[:-2]), weights[-2], v[-1], weights[-1])
    if isinstance(op, Recurrent):
        time, batch, features = inputs[0].shape
        return Product(time, op.hidden, batch, features + op.hidden)
    return None
