r"""The layout of images that a compiler chooses for the convolutions of a whole network.

A compiler that expects convolutions in NHWC to take :math:`r_c` times as long as in NCHW, by their
class :math:`c`, keeps a network in NCHW where

.. math:: \sum_i r_{c(i)} M_i > \sum_i M_i

with :math:`M` the multiply-adds of each convolution. Classes, the first that applies: ``grouped``
(more than one input channel a group), ``small`` (at most 64 channels in and out), ``narrowing`` (at
most half as many channels out as in, and a window larger than 1x1), ``other``.

Source: PyTorch, torch/_inductor/graph.py (``decide_layout_opt``), for inference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from costmodel.algebra.symbols import Dim, at_most, maximum, minimum, total
from costmodel.kernels.kernel import Kernel
from costmodel.kinds import KINDS

_SMALL = 64
"""Most channels of a small convolution. [1]"""


def in_one_layout(kernels: Sequence[Kernel], costs: Mapping[str, float]) -> tuple[Kernel, ...]:
    """Return the kernels, each with the layout that was chosen for the whole network.

    Parameters
    ----------
    kernels : sequence of Kernel
        The kernels of a network.
    costs : mapping of str to float
        Expected time in NHWC over that in NCHW for every class. [1]

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels import lower
    >>> from costmodel.runtimes import load_runtime
    >>> runtime = load_runtime("torch-compile")
    >>> for network in (zoo.resnet50(), zoo.conv2d(28, 224, 28, 224, 3, groups=2)):
    ...     kernels = in_one_layout(lower(network, runtime), runtime.layout_costs)
    ...     print({kernel.nchw for kernel in kernels})
    {0}
    {1}
    """
    convolutions = [k for k in kernels if KINDS[k.kind].group == "convolution"]
    excess = total(k.multiply_adds * (_cost(k, costs) - 1) for k in convolutions)
    chosen = minimum(1, maximum(0, excess))
    return tuple(kernel._replace(nchw=chosen) for kernel in kernels)


def _cost(kernel: Kernel, costs: Mapping[str, float]) -> Dim:
    """Return the expected time of a convolution in NHWC over that in NCHW [1]."""
    if kernel.kind == "grouped":
        return costs["grouped"]
    (p,) = kernel.products
    inputs, outputs = p.k / p.taps, p.batch * p.m
    small = at_most(inputs, _SMALL) * at_most(outputs, _SMALL)
    narrowing = (1 - small) * at_most(2 * outputs, inputs) * (1 - at_most(p.taps, 1))
    other = costs["other"]
    return other + small * (costs["small"] - other) + narrowing * (costs["narrowing"] - other)
