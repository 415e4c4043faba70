"""Discrete Fourier transforms."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, ceil_div, levels, total
from costmodel.errors import ShapeError, suggest
from costmodel.ops.base import Nest, Op, need_axis
from costmodel.ops.tensor import REAL_OF, Tensor
from costmodel.ops.window import check_sizes

TRANSFORMS = ("complex", "real", "inverse_real")
"""Complex to complex, real signal to half of its spectrum, and the inverse of the latter."""


@dataclass(frozen=True, slots=True)
class FourierTransform(Op):
    r"""Fast Fourier transform along ``axes``.

    Parameters
    ----------
    axes : tuple of int
        The transformed axes; a real transform halves the last of them.
    kind : {"complex", "real", "inverse_real"}
        The transform; both directions of a complex one cost the same.
    length : Dim
        Size of the real signal along the last of ``axes``, for the inverse of a real transform
        only. [element]

    Notes
    -----
    A butterfly computes two results from two values in ten operations (a complex product and two
    sums). With :math:`N` points in total and :math:`n_i` along axis :math:`i`:

    .. math:: 5 N \sum_i \lceil \log_2 n_i \rceil

    For real signals :math:`N` is that of half of the spectrum. Sums and products do not come in
    pairs, so they count as operations, not as multiply-adds; the scale is not counted
    (:cite:t:`cooley1965algorithm`).

    Examples
    --------
    >>> fft = FourierTransform((-1,), "real")
    >>> str(fft.infer(Tensor((1, 512)))[0]), fft.nest(Tensor((1, 512))).reduced
    ('complex64[1, 257]', (9,))
    """

    axes: tuple[int, ...]
    kind: str = "complex"
    length: Dim = 0
    kernel_kinds = ("resample",)

    def __post_init__(self) -> None:
        if self.kind not in TRANSFORMS:
            raise ShapeError(f"unknown transform {self.kind!r}; {suggest(self.kind, TRANSFORMS)}")
        check_sizes(self, "length", smallest=0)
        if not self.axes:
            raise ShapeError("FourierTransform needs at least one axis")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        last = [need_axis(self, x, axis) for axis in self.axes][-1]
        if self.kind == "real":
            kinds = {real: whole for whole, real in REAL_OF.items()}
            half = ceil_div(x.shape[last] - 1, 2) + 1
            shape = (*x.shape[:last], half, *x.shape[last + 1 :])
            return (Tensor.inferred(shape, kinds.get(x.dtype, "complex64")),)
        if not x.is_complex:
            raise ShapeError(f"FourierTransform {self.kind!r} needs a complex input, got {x}")
        if self.kind == "complex":
            return (x,)
        shape = (*x.shape[:last], self.length, *x.shape[last + 1 :])
        return (Tensor.inferred(shape, REAL_OF[x.dtype]),)

    def nest(self, *inputs: Tensor) -> Nest:
        (x,) = inputs
        (y,) = self.infer(x)
        signal, spectrum = (y, x) if self.kind == "inverse_real" else (x, y)
        steps = total(levels(signal.shape[axis]) for axis in self.axes)
        return Nest(parallel=spectrum.shape, reduced=(steps,), elementwise=5)
