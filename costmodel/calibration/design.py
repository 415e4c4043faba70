"""Chooses the measurements that tell most about a platform: D-optimal designs."""

from __future__ import annotations

from itertools import product

import numpy as np

from costmodel.errors import DataError
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.table import tabulate
from costmodel.specs import network
from costmodel.timing.spread import STEP, nudged

_Images = tuple[tuple[int, int], ...]
"""Channels, and pixels along each side."""
_NOISE = 0.05
"""Relative error of one measurement. [1]"""


def candidates() -> list[str]:
    """Return single operators that span the space: each kind, from small to large.

    Examples
    --------
    >>> len(candidates()) > 100
    True
    """
    images = ((16, 112), (32, 56), (64, 56), (128, 28), (256, 14), (512, 7))
    # Channels that fill no vectors, and kernels so small that little but the call is left.
    odd = ((24, 56), (58, 28), (116, 14), (232, 7), (16, 7))
    return [
        *_convolutions(images, odd),
        *_elementwise((*images, *odd, (256, 56))),
        *_pools(),
        *_products(),
    ]


def _convolutions(images: _Images, odd: _Images) -> list[str]:
    dense = [(c, f * c, s, k, 1) for (c, s), k, f in product(images, (1, 3), (1, 2))]
    dense += [(1024, 1024, 7, 1, 1), (144, 32, 28, 1, 1), (960, 160, 7, 1, 1)]
    dense += [(c, c, s, 1, 1) for c, s in odd]
    dense += [(64, 128, 56, 3, 2), (128, 256, 28, 3, 2), (64, 128, 56, 1, 2), (48, 64, 28, 5, 1)]
    # Small images, which some libraries treat in another way.
    dense += [(16, 16, 32, 3, 1), (64, 64, 8, 3, 1), (96, 208, 14, 3, 1), (128, 32, 7, 3, 1)]
    dense += [(3, 24, 224, 3, 2), (3, 64, 224, 7, 2)]
    specs = [f"conv2d?cin={i}&cout={o}&size={s}&k={k}&stride={t}" for i, o, s, k, t in dense]
    # Squeeze-and-excite.
    specs += [f"conv2d?cin={4 * c}&cout={c}&size=1&k=1&bias=true" for c in (8, 24, 168)]
    specs += [
        f"conv2d?cin={c}&cout={c}&size={s}&k=1&groups={g}"
        for (c, s), g in product(images[1:], (2, 8))
    ]
    specs += [f"conv2d?cin=128&cout=128&size=28&k=3&groups={g}" for g in (8, 32)]
    depthwise = [(c, s, k, 1) for (c, s), k in product((*images, (1024, 7)), (3, 5))]
    depthwise += [(c, s, 3, 1) for c, s in odd] + [(120, 28, 5, 1)]
    depthwise += [(96, 112, 3, 2), (256, 28, 3, 2), (116, 28, 3, 2)]
    specs += [f"depthwise?c={c}&size={s}&k={k}&stride={t}" for c, s, k, t in depthwise]
    return specs


def _elementwise(images: _Images) -> list[str]:
    specs = ["identity?shape=1x64x56x56"]
    for c, s in images:
        specs += [f"elementwise?kind={k}&shape=1x{c}x{s}x{s}" for k in ("relu", "add")]
        specs += [f"batch_norm?c={c}&size={s}", f"concat?shape=1x{c}x{s}x{s}"]
    shuffled = ((32, 56), (116, 28), (128, 28), (256, 14), (232, 14), (512, 7))
    specs += [f"channel_shuffle?c={c}&size={s}&groups=2" for c, s in shuffled]
    kinds = ("sigmoid", "silu", "hard_swish")
    shapes = ("1x64x56x56", "1x256x14x14", "1x120x1x1")
    specs += [f"elementwise?kind={k}&shape={shape}" for k, shape in product(kinds, shapes)]
    specs += [
        "elementwise?kind=gelu&shape=1x197x3072",
        "elementwise?kind=gelu_tanh&shape=1x64x3072",
    ]
    return specs


def _pools() -> list[str]:
    # A maximum is found by branches, and a processor learns those of a small input by heart.
    shapes = ((16, 112, 3, 2), (64, 56, 3, 2), (128, 28, 3, 2), (64, 112, 2, 2), (64, 28, 3, 1))
    specs = [
        f"pool?kind={kind}&c={c}&size={s}&k={k}&stride={t}&padding={k // 2 if k > 2 else 0}"
        for kind, (c, s, k, t) in product(("max", "avg"), shapes)
    ]
    specs += [f"pool?kind=avg&c={c}&size=7&k=7&stride=1&padding=0" for c in (128, 1024)]
    return specs


def _products() -> list[str]:
    sizes = [(1, 64, 10), (1, 512, 1000), (1, 1280, 1000), (1, 4096, 4096)]
    sizes += [(16, 512, 512), (32, 1024, 1000), (64, 768, 768), (197, 768, 768), (512, 256, 1000)]
    specs = [f"linear?n={n}&cin={i}&cout={o}" for n, i, o in sizes]
    specs += [f"bmm?b={b}&m={m}&k=64&n={m}" for b, m in ((1, 64), (8, 128), (12, 197), (64, 16))]
    specs += [f"matmul?m={m}&k={m}&n={m}" for m in (24, 64, 256)]
    heads = ((8, 64, 32), (12, 128, 64), (12, 197, 64))
    specs += [f"attention?heads={h}&length={n}&depth={d}" for h, n, d in heads]
    specs += [f"softmax?shape={shape}" for shape in ("1x1000", "64x64", "12x197x197", "512x512")]
    specs += [f"layer_norm?shape=1x{n}x{c}" for n, c in ((49, 96), (64, 512), (197, 768))]
    return specs


def design(platform: str | Platform, n: int, specs: list[str] | None = None) -> list[str]:
    r"""Return the ``n`` measurements that determine the parameters of ``platform`` best.

    Greedy D-optimal design: each next measurement is the one that raises the determinant of the
    posterior precision most,

    .. math:: \log\det\Bigl(\Sigma_0^{-1} + \sum_i g_i g_i^T / \sigma^2\Bigr)

    with ``g`` the gradient of the log time in the log parameters and the priors as ``Sigma_0``.

    Parameters
    ----------
    platform : str or Platform
        What will be measured.
    n : int
        How many measurements.
    specs : list of str, optional
        Networks or operators to choose from; by default :func:`candidates`.

    Returns
    -------
    list of str
        In order of gain.

    Examples
    --------
    >>> len(design("raspberry-pi-4/ncnn", 5))
    5
    """
    where = load_platform(platform, calibrated=False)
    pool = candidates() if specs is None else list(specs)
    if type(n) is not int or not 1 <= n <= len(pool):
        raise DataError(f"a design has 1 to {len(pool)} measurements, not {n!r}")
    table = tabulate([network(spec) for spec in pool], where)
    fitted = where.fitted
    columns = nudged(fitted.theta, fitted.free)
    logs = np.log(table.seconds(where, columns, bounded=False))
    gradients = ((logs[1:] - logs[0]) / STEP).T / _NOISE
    covariance = fitted.covariance.copy()
    chosen: list[int] = []
    for _ in range(n):
        # det(A + g g^T) = det(A) (1 + g^T A^-1 g): the widest prediction gains most.
        gain = np.einsum("ij,jk,ik->i", gradients, covariance, gradients)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        g = covariance @ gradients[best]
        covariance = covariance - np.outer(g, g) / (1 + gradients[best] @ g)
    return [pool[i] for i in chosen]
