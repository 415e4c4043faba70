r"""Lower bounds on memory access cost (MAC), each with its derivation.

The bounds answer two questions:

- *How small can MAC be for a given number of multiply-adds?* :func:`mac_lower_bound`, Eq. (1) of
  the paper and its generalizations, with free channels and fixed multiply-adds and pixels.
- *How little can a schedule of a given network move?* :func:`io_lower_bound` for any schedule, and
  :func:`cache_lower_bound` for operators that run one after the other with a finite fast memory.

MAC counts whole operands, as the paper does. The bounds count only elements that the loops touch,
so they hold for both MAC and the traffic of a schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Literal

from costmodel.algebra.later import sympy
from costmodel.algebra.symbols import Dim, dim, is_symbolic, product, ratio, same, sqrt, total
from costmodel.counting.cache_bounds import cache_lower_bound as cache_lower_bound
from costmodel.counting.demand import Views, live_in, written
from costmodel.counting.io_bounds import io_lower_bound as io_lower_bound
from costmodel.counting.needs import needs, whole
from costmodel.counting.needs.windows import axes_of, scattered_axes
from costmodel.counting.subject import Prepared, Subject, prepare
from costmodel.errors import DataError
from costmodel.graph import Node
from costmodel.ops import Conv, ConvTranspose, Linear, MatMul, Op
from costmodel.ops.reach import landing, taps, touched
from costmodel.ops.tensor import Tensor


def convolution_bound(
    multiply_adds: Dim,
    pixels_in: Dim,
    pixels_out: Dim,
    taps: Dim = 1,
    groups: Dim = 1,
    taps_read: Dim | None = None,
) -> Dim:
    r"""Return the least MAC of a convolution with given multiply-adds and free channels.

    .. math:: \mathrm{MAC} \ge 2\sqrt{\frac{A_1 B g}{\kappa}}
              + \frac{B}{A_2} \cdot \frac{\kappa'}{\kappa}

    Parameters
    ----------
    multiply_adds : Dim
        ``B = A2 c1 c2 kappa / g``. [multiply-add]
    pixels_in, pixels_out : Dim
        Input pixels that are read and output pixels of the whole batch, ``A1`` and ``A2``. [1]
    taps : Dim
        Taps ``kappa``, multiplied over all axes. [1]
    groups : Dim
        Groups ``g``. [1]
    taps_read : Dim, optional
        Taps that meet a pixel, ``kappa'``; by default all. The others are always on padding. [1]

    Returns
    -------
    Dim
        Elements, 0 without multiply-adds. [element]

    Notes
    -----
    MAC is ``A1 c1 + A2 c2 + c1 c2 kappa' / g``. The last term is ``B kappa' / (A2 kappa)``. The
    first two are at least ``2 sqrt(A1 A2 c1 c2)`` by the inequality of means, with equality iff
    ``A1 c1 = A2 c2``, and ``c1 c2 = B g / (A2 kappa)``. With ``same`` padding and stride ``s`` the
    bound is ``(2 s / sqrt(kappa)) sqrt(A2 B g) + B / A2``, with equality iff ``c2 = s**2 c1``. With
    ``A1 = A2 = hw``, ``kappa = g = 1`` it is Eq. (1) of :cite:t:`ma2018shufflenet`.

    Examples
    --------
    >>> h, w, B = dim("h"), dim("w"), dim("B")
    >>> convolution_bound(B, h * w, h * w)
    2*sqrt(B)*sqrt(h)*sqrt(w) + B/(h*w)
    >>> convolution_bound(56 * 56 * 128 * 128, 56 * 56, 56 * 56)
    819200.0
    """
    weights = ratio(multiply_adds, pixels_out)
    if taps_read is not None and not same(taps_read, taps):
        weights = weights * taps_read / taps
    return 2 * sqrt(product((pixels_in, multiply_adds, groups)) / taps) + weights


Operands = Literal["apart", "equal", "shared"]


def matmul_bound(multiply_adds: Dim, sharing: Dim = 1, operands: Operands = "apart") -> Dim:
    r"""Return the least MAC of a matrix product with given multiply-adds and free sizes.

    .. math:: mk + kn + mn \ge 3 (mnk)^{2/3}

    Parameters
    ----------
    multiply_adds : Dim
        ``B``. [multiply-add]
    sharing : Dim
        For a batch of ``N`` products: batch of the first operand times batch of the second, divided
        by ``N``; that is ``N`` without sharing and 1 if all share one operand. [1]
    operands : {"apart", "equal", "shared"}
        Whether the operands are two tensors, the same tensor (``x @ x``), or share a buffer in
        another way (``x @ x.T``).

    Returns
    -------
    Dim
        Elements. [element]

    Notes
    -----
    The bound is the inequality of means on the three operands, with equality iff they have equal
    size (for one product: ``m = n = k``). In ``x @ x`` all sizes are equal: :math:`2 B^{2/3}`.
    Operands of :math:`a` and :math:`b` elements in one buffer touch at least :math:`(a + b)/2` of
    it, so :math:`a/2 + b/2 + mn \ge 3 (B^2/4)^{1/3}`, with equality for ``x @ x.T`` with
    ``m = n = k / 2``.

    Examples
    --------
    >>> round(matmul_bound(64**3)), round(matmul_bound(64**3, operands="equal"))
    (12288, 8192)
    >>> round(matmul_bound(64 * 64 * 128, operands="shared"))
    12288
    """
    symbolic = is_symbolic(multiply_adds) or is_symbolic(sharing)
    third: Any = sympy.Rational(1, 3) if symbolic else 1 / 3
    if operands == "shared":
        sharing = ratio(sharing, 4)
    factor = 2 if operands == "equal" else 3
    return factor * product((sharing, multiply_adds, multiply_adds)) ** third


def mac_lower_bound(subject: Subject, *inputs: Tensor, in_terms_of: str | None = None) -> Dim:
    r"""Return the least MAC for the given multiply-adds, operator by operator.

    Convolutions and linear layers use :func:`convolution_bound`, matrix products
    :func:`matmul_bound`; every other operator counts the elements that it must read and write. A
    tensor in two slots of an operator counts once, and operators that no output depends on do not
    count.

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``.
    in_terms_of : str, optional
        Name of a symbol that stands for the multiply-adds of the subject, ``"B"`` as in the paper.
        By default the bound uses the symbols of the subject.

    Returns
    -------
    Dim
        Elements. [element] In terms of ``B``, ``bound.subs(dim("B"), multiply_adds(subject))`` is
        the bound in the symbols of the subject. If several operators multiply, the bound depends
        on how ``B`` is divided among them: it then uses the symbols of the subject, without ``B``.

    Raises
    ------
    DataError
        If the subject has a symbol named ``in_terms_of``.

    Examples
    --------
    >>> import costmodel as cm
    >>> g = cm.zoo.pointwise(*cm.symbols("h w c1 c2"))
    >>> cm.mac_lower_bound(g)
    2*sqrt(c1)*sqrt(c2)*h*w + c1*c2
    >>> cm.mac_lower_bound(g, in_terms_of="B")
    2*sqrt(B)*sqrt(h)*sqrt(w) + B/(h*w)
    >>> cm.mac_lower_bound(cm.zoo.pointwise(56, 56, 128, 128))
    819200.0
    """
    ready = prepare(subject, *inputs)
    live, views = live_in(ready)
    own = {
        node.name: c.cost.multiply_adds for node, c in zip(ready.nodes, ready.costs, strict=True)
    }
    if in_terms_of is not None:
        symbol = _symbol(in_terms_of, ready)
        multiplying = [node for node in live if isinstance(node.op, _MULTIPLYING)]
        if len(multiplying) == 1:
            (name,) = (node.name for node in multiplying)
            own[name] = symbol - (ready.total.multiply_adds - own[name])
    return total([_bound(node, own[node.name], views) for node in live])


def _symbol(name: str, ready: Prepared) -> Dim:
    symbol = dim(name)
    sizes = (n for node in ready.nodes for y in (*node.inputs, *node.outputs) for n in y.shape)
    if any(is_symbolic(n) and symbol in n.free_symbols for n in sizes):
        raise DataError(
            f"the bound cannot be written in terms of {name!r}, which is a symbol of the network: "
            "choose another name"
        )
    return symbol


_MULTIPLYING = (Conv, ConvTranspose, Linear, MatMul)


def _bound(node: Node, multiply_adds: Dim, views: Views) -> Dim:
    if views.are_buffers(node.sources):
        try:
            return _cached(node.op, node.inputs, multiply_adds)
        except TypeError:  # array dimensions are not hashable
            pass
    return _least(node, multiply_adds, views)


@lru_cache(maxsize=1 << 16)
def _cached(op: Op, inputs: tuple[Tensor, ...], multiply_adds: Dim) -> Dim:
    """Return the bound of an operator whose inputs are different buffers."""
    return _least(Node("", op, inputs, op.infer(*inputs), "", ""), multiply_adds, Views({}))


def _least(node: Node, multiply_adds: Dim, views: Views) -> Dim:
    if isinstance(node.op, _MULTIPLYING):
        return _product_bound(node, views)(multiply_adds)
    found = needs(node.op, node.inputs, tuple(map(whole, node.outputs)))
    slots = node.sources or [("", i) for i in range(len(node.inputs))]
    reads = views.reads(zip(slots, found.inputs, strict=True))
    return total([*reads.values(), found.weights, *written(node)])


def _product_bound(node: Node, views: Views) -> Callable[[Dim], Dim]:
    """Return the bound of a multiplying operator as a function of its multiply-adds.

    If a view repeats an operand, its elements count, not their places.
    """
    once = product(views.repeats(source) for source in node.sources)
    match node.op:
        case Conv(kernel=kernel, groups=groups):
            (x,), axes = node.inputs, axes_of(node.op, node.inputs[0])
            return partial(
                convolution_bound,
                pixels_in=_over(product((x.shape[0], *map(touched, axes))), once),
                pixels_out=_pixels(node.outputs[0]),
                taps=product(kernel),
                groups=groups,
                taps_read=product(taps(axis, axis.windows) for axis in axes),
            )
        case ConvTranspose(kernel=kernel, groups=groups):
            # The mirror image: weights move B / A1, and c1 c2 = B g / (A1 kappa). Only input
            # pixels that land on the output count.
            (x,), axes = node.inputs, scattered_axes(node.op, node.inputs[0])
            used, pixels = product((x.shape[0], *map(landing, axes))), _pixels(x)
            outputs = _over(_pixels(node.outputs[0]), once)
            return partial(
                convolution_bound,
                pixels_in=_over(
                    outputs if same(used, pixels) else outputs * ratio(used, pixels), once
                ),
                pixels_out=pixels,
                taps=product(kernel),
                groups=groups,
                taps_read=product(taps(axis, axis.windows) for axis in axes),
            )
        case Linear():
            rows = product(node.inputs[0].shape[:-1])
            return partial(convolution_bound, pixels_in=_over(rows, once), pixels_out=rows)
    a, b = (product(x.shape[:-2]) for x in node.inputs)
    sharing = ratio(a * b, product(node.outputs[0].shape[:-2]))
    return partial(matmul_bound, sharing=_over(sharing, once), operands=_operands(node, views))


def _over(count: Dim, repeats: Dim) -> Dim:
    return count if same(repeats, 1) else ratio(count, repeats)


def _operands(node: Node, views: Views) -> Operands:
    """Return whether the operands of a matrix product share a buffer."""
    if not node.sources or views.apart(*node.sources):
        return "apart"
    one, other = node.sources
    straight = one == other and node.op.transpose_a == node.op.transpose_b  # type: ignore[attr-defined]
    return "equal" if straight else "shared"


def _pixels(x: Tensor) -> Dim:
    return product((x.shape[0], *x.shape[2:]))
