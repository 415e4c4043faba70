"""Single operators as networks: the rows of measurement tables."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.graph.builder import Builder
from costmodel.ops import (
    Attention,
    BatchNorm,
    ChannelShuffle,
    Concat,
    Conv,
    Elementwise,
    Identity,
    LayerNorm,
    Linear,
    MatMul,
    Op,
    Pool,
    Softmax,
)
from costmodel.zoo.layers import Margin, Shape, Size, margin, pair


def conv2d(
    n: Dim = 1,
    cin: Dim = 64,
    size: Size = 56,
    cout: Dim = 64,
    k: Size = 3,
    stride: Size = 1,
    padding: Margin | None = None,
    groups: Dim = 1,
    dilation: Size = 1,
    bias: bool = False,
    h: Dim | None = None,
    w: Dim | None = None,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return one 2-d convolution.

    Parameters
    ----------
    n, cin, cout, groups : Dim
        Batch, input and output channels, groups. [1]
    size : Size
        Input height and width; ``h`` and ``w`` go before it. [pixel]
    k, stride, dilation : Size
        Window. [1]
    padding : Margin, optional
        Zeros on each side, by default ``k // 2``; ``"same"`` as TensorFlow and torch name it, for
        outputs of ``ceil(size / stride)``, with one zero more behind where their number is odd. [1]
    bias : bool
        Whether a bias is added.
    h, w : Dim, optional
        Input height and width where they differ. [pixel]
    dtype : str
        Element type.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(conv2d(cin=64, size=56, cout=64, k=1))
    12845056
    >>> cm.multiply_adds(conv2d(size=cm.dim("h"), w=5, k=2, stride=2, padding="same"))
    49152*ceiling(h/2)
    """
    height, width = pair(size)
    op = Conv(cout, pair(k), pair(stride), margin(padding, k), pair(dilation), groups, bias)
    shape = (n, cin, height if h is None else h, width if w is None else w)
    return _single("conv2d", op, shape, dtype=dtype)


def depthwise(
    n: Dim = 1,
    c: Dim = 64,
    size: Size = 56,
    k: Size = 3,
    stride: Size = 1,
    dtype: str = "float32",
    padding: Margin | None = None,
) -> nx.DiGraph:
    """Return one depthwise convolution of ``c`` channels, padded as :func:`conv2d` is.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(depthwise(c=64, size=56))
    1806336
    """
    op = Conv(c, pair(k), pair(stride), margin(padding, k), groups=c)
    return _single("depthwise", op, (n, c, *pair(size)), dtype=dtype)


def linear(
    n: Dim = 1,
    cin: Dim = 768,
    cout: Dim = 768,
    length: Dim | None = None,
    bias: bool = True,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return one linear layer on ``[n, cin]`` or ``[n, length, cin]``.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(linear(n=2, cin=768, cout=3072, length=128))
    603979776
    """
    shape = (n, cin) if length is None else (n, length, cin)
    return _single("linear", Linear(cout, bias), shape, dtype=dtype)


def matmul(m: Dim = 512, k: Dim = 512, n: Dim = 512, dtype: str = "float32") -> nx.DiGraph:
    """Return the product of two activations ``[m, k]`` and ``[k, n]``.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(matmul(*cm.symbols("m k n")))
    k*(m + n) + m*n
    """
    return _single("matmul", MatMul(), (m, k), (k, n), dtype=dtype)


def bmm(b: Dim = 8, m: Dim = 512, k: Dim = 64, n: Dim = 512, dtype: str = "float32") -> nx.DiGraph:
    """Return ``b`` products of activations ``[m, k]`` and ``[k, n]``.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(bmm(b=8, m=128, k=64, n=128))
    8388608
    """
    return _single("bmm", MatMul(), (b, m, k), (b, k, n), dtype=dtype)


def elementwise(
    kind: str = "relu",
    shape: Shape = (1, 64, 56, 56),
    value: float | None = None,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return one elementwise operator on tensors of one shape.

    Parameters
    ----------
    kind : str
        As in :class:`~costmodel.ops.Elementwise`.
    shape : Shape
        Of each input.
    value : float, optional
        A number in place of the second input of a binary kind.
    dtype : str
        Element type.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(elementwise("add", (512, 1024)))
    1572864
    """
    op = Elementwise(kind, value)
    return _single("elementwise", op, *[shape] * op.operands, dtype=dtype)


def softmax(shape: Shape = (8, 512, 512), axis: int = -1, dtype: str = "float32") -> nx.DiGraph:
    """Return a softmax along one axis.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(softmax((512, 1024)))
    1048576
    """
    return _single("softmax", Softmax(axis), shape, dtype=dtype)


def layer_norm(
    shape: Shape = (1, 128, 768), rms: bool = False, dtype: str = "float32"
) -> nx.DiGraph:
    """Return a layer normalization (or RMSNorm) over the last axis.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.params(layer_norm((1, 128, 768)))
    1536
    """
    return _single("layer_norm", LayerNorm(rms=rms), shape, dtype=dtype)


def batch_norm(n: Dim = 1, c: Dim = 64, size: Size = 56, dtype: str = "float32") -> nx.DiGraph:
    """Return a batch normalization with fixed statistics.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.work(batch_norm(c=64, size=56))
    401408
    """
    return _single("batch_norm", BatchNorm(), (n, c, *pair(size)), dtype=dtype)


def pool(
    kind: str = "max",
    n: Dim = 1,
    c: Dim = 64,
    size: Size = 112,
    k: Size = 3,
    stride: Size = 2,
    padding: Margin | None = None,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return a pooling, padded as :func:`conv2d` is.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(pool("max", c=64, size=112))
    1003520
    """
    return _single(
        "pool",
        Pool(kind, pair(k), pair(stride), margin(padding, k)),
        (n, c, *pair(size)),
        dtype=dtype,
    )


def concat(
    shape: Shape = (1, 58, 28, 28), parts: int = 2, axis: int = 1, dtype: str = "float32"
) -> nx.DiGraph:
    """Return the concatenation of ``parts`` tensors of one shape.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(concat((1, 58, 28, 28)))
    181888
    """
    return _single("concat", Concat(axis), *[shape] * parts, dtype=dtype)


def channel_shuffle(
    n: Dim = 1, c: Dim = 116, size: Size = 28, groups: Dim = 2, dtype: str = "float32"
) -> nx.DiGraph:
    """Return one channel shuffle.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(channel_shuffle()), cm.mac(channel_shuffle())
    (0, 181888)
    """
    shape = (n, c, *pair(size))
    return _single("channel_shuffle", ChannelShuffle(groups), shape, dtype=dtype)


def attention(
    n: Dim = 1,
    heads: Dim = 12,
    length: Dim = 512,
    depth: Dim = 64,
    keys: Dim | None = None,
    kv_heads: Dim | None = None,
    causal: bool = False,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return scaled dot-product attention.

    Parameters
    ----------
    n, heads, length, depth : Dim
        Batch, heads, queries, elements of a head. [1]
    keys, kv_heads : Dim, optional
        Keys and their heads, by default as many as queries and heads. [1]
    causal : bool
        Whether query i attends only to keys up to i.
    dtype : str
        Element type.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(attention(heads=1, length=4, depth=8))
    256
    """
    pairs = (
        n,
        heads if kv_heads is None else kv_heads,
        length if keys is None else keys,
        depth,
    )
    query = (n, heads, length, depth)
    return _single("attention", Attention(causal), query, pairs, pairs, dtype=dtype)


def identity(shape: Shape = (1, 64, 56, 56), dtype: str = "float32") -> nx.DiGraph:
    """Return a network that returns its input, to measure the call of a network.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.multiply_adds(identity()), cm.mac(identity())
    (0, 0)
    """
    return _single("identity", Identity(), shape, dtype=dtype)


def _single(name: str, op: Op, *shapes: Shape, dtype: str) -> nx.DiGraph:
    b = Builder(name)
    return b.finish(b.add(op, *[b.input(shape, dtype) for shape in shapes]))
