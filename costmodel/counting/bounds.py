r"""Lower bounds on memory access cost (MAC), each with its derivation.

Two questions are answered:

- *How small could MAC be for this many multiply-adds?* :func:`mac_lower_bound`, Eq. (1) of the
  paper and its generalisations: the channels are free, the multiply-adds and pixels are fixed.
- *How little could any schedule of this very network move?* :func:`io_lower_bound` and, with a fast
  memory of finite size, :func:`cache_lower_bound`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from costmodel.algebra.symbols import Dim, dim, is_symbolic, product, ratio, sqrt, total
from costmodel.counting.cost import OpCost
from costmodel.counting.io_bounds import cache_lower_bound as cache_lower_bound
from costmodel.counting.io_bounds import compulsory
from costmodel.counting.io_bounds import io_lower_bound as io_lower_bound
from costmodel.counting.subject import Subject, prepare
from costmodel.graph import Node
from costmodel.ops import Conv, ConvTranspose, Linear, MatMul
from costmodel.ops.tensor import Tensor


def convolution_bound(
    multiply_adds: Dim, pixels_in: Dim, pixels_out: Dim, taps: Dim = 1, groups: Dim = 1
) -> Dim:
    r"""Return the least MAC of a convolution of given multiply-adds, channels free.

    .. math:: \mathrm{MAC} \ge 2\sqrt{\frac{P_i B g}{k}} + \frac{B}{P_o}

    Parameters
    ----------
    multiply_adds : Dim
        ``B = P_o c1 c2 k / g``. [multiply-add]
    pixels_in, pixels_out : Dim
        Batch times input and output pixels, ``P_i`` and ``P_o``. [1]
    taps : Dim
        Kernel size ``k``, all axes multiplied. [1]
    groups : Dim
        Groups ``g``. [1]

    Returns
    -------
    Dim
        Elements, 0 where nothing is multiplied. [element]

    Notes
    -----
    MAC is ``P_i c1 + P_o c2 + c1 c2 k / g``. The last term is ``B / P_o``; the first two are at
    least ``2 sqrt(P_i P_o c1 c2)`` by the inequality of means, with equality iff
    ``P_i c1 = P_o c2``, and ``c1 c2 = B g / (P_o k)``. With ``same`` padding and stride ``s`` that
    is ``(2 s / sqrt(k)) sqrt(P_o B g) + B / P_o``, equal iff ``c2 = s**2 c1``. With
    ``P_i = P_o = hw``, ``k = g = 1`` it is Eq. (1) of :cite:t:`ma2018shufflenet`.

    Examples
    --------
    >>> h, w, B = dim("h"), dim("w"), dim("B")
    >>> convolution_bound(B, h * w, h * w)
    2*sqrt(B)*sqrt(h)*sqrt(w) + B/(h*w)
    >>> convolution_bound(56 * 56 * 128 * 128, 56 * 56, 56 * 56)
    819200.0
    """
    weights = ratio(multiply_adds, pixels_out)
    return 2 * sqrt(pixels_in * multiply_adds * groups / taps) + weights


def matmul_bound(multiply_adds: Dim, sharing: Dim = 1) -> Dim:
    r"""Return the least MAC of a matrix product of given multiply-adds, all three sizes free.

    .. math:: mk + kn + mn \ge 3 (mnk)^{2/3}

    Parameters
    ----------
    multiply_adds : Dim
        ``B``. [multiply-add]
    sharing : Dim
        For a batch of ``b`` products: batch of the first operand times batch of the second, over
        ``b``; that is ``b`` if nothing is shared and 1 if one operand is the same for all. [1]

    Returns
    -------
    Dim
        Elements. [element]

    Notes
    -----
    Inequality of means on the three operands, equality iff they are of one size (for one product:
    ``m = n = k``).

    Examples
    --------
    >>> round(matmul_bound(64**3))
    12288
    """
    if is_symbolic(multiply_adds) or is_symbolic(sharing):
        from sympy import Rational

        third: Any = Rational(1, 3)
    else:
        third = 1 / 3
    return 3 * (sharing * multiply_adds**2) ** third


def mac_lower_bound(subject: Subject, *inputs: Tensor) -> Dim:
    r"""Return the least MAC for the multiply-adds at hand, operator by operator.

    Convolutions and linear layers by :func:`convolution_bound`, matrix products by
    :func:`matmul_bound`, every other operator by what it must read and write.

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``.

    Returns
    -------
    Dim
        Elements. [element] For a symbolic subject with a single operator that multiplies, the
        bound is written in ``B``, its number of multiply-adds, as in the paper: substitute
        ``B=flops(subject)`` to have it in channels. A subject that has a symbol ``B`` of its own
        gets the bound in its own symbols.

    Examples
    --------
    >>> import costmodel as cm
    >>> g = cm.zoo.pointwise(*cm.symbols("h w c1 c2"))
    >>> cm.mac_lower_bound(g)
    2*sqrt(B)*sqrt(h)*sqrt(w) + B/(h*w)
    >>> cm.mac_lower_bound(cm.zoo.pointwise(56, 56, 128, 128))
    819200.0
    """
    ready = prepare(subject, *inputs)
    pairs = list(zip(ready.nodes, ready.costs, strict=True))
    multiplying = [pair for pair in pairs if isinstance(pair[0].op, _MULTIPLYING)]
    if len(multiplying) == 1 and _free_of(multiplying[0][1].cost.multiply_adds, dim("B")):
        bound = _product_bound(multiplying[0][0])
        rest = [_bound(*pair) for pair in pairs if pair is not multiplying[0]]
        return bound(dim("B")) + total(rest)
    return total([_bound(*pair) for pair in pairs])


def _free_of(value: Dim, symbol: Dim) -> bool:
    return is_symbolic(value) and symbol not in value.free_symbols


_MULTIPLYING = (Conv, ConvTranspose, Linear, MatMul)


def _bound(node: Node, result: OpCost) -> Dim:
    if not isinstance(node.op, _MULTIPLYING):
        return compulsory(node, result)
    return _product_bound(node)(result.cost.multiply_adds)


def _product_bound(node: Node) -> Any:
    """Return the bound of a multiplying operator as a function of its multiply-adds."""
    match node.op:
        case Conv(kernel=kernel, groups=groups):
            pixels_in, pixels_out = _pixels(node.inputs[0]), _pixels(node.outputs[0])
            return partial(
                convolution_bound,
                pixels_in=pixels_in,
                pixels_out=pixels_out,
                taps=product(kernel),
                groups=groups,
            )
        case ConvTranspose(kernel=kernel, groups=groups):
            # The mirror image: weights move B / P_i, and c1 c2 = B g / (P_i k).
            return partial(
                convolution_bound,
                pixels_in=_pixels(node.outputs[0]),
                pixels_out=_pixels(node.inputs[0]),
                taps=product(kernel),
                groups=groups,
            )
        case Linear():
            rows = product(node.inputs[0].shape[:-1])
            return partial(convolution_bound, pixels_in=rows, pixels_out=rows)
    a, b = (product(x.shape[:-2]) for x in node.inputs)
    return partial(matmul_bound, sharing=ratio(a * b, product(node.outputs[0].shape[:-2])))


def _pixels(x: Tensor) -> Dim:
    return x.shape[0] * product(x.shape[2:])
