"""Chooses the measurements that tell most about a platform: D-optimal designs."""

from __future__ import annotations

from itertools import product

import numpy as np

from costmodel.errors import DataError
from costmodel.platforms import Platform, load_platform
from costmodel.specs import network
from costmodel.timing.spread import STEP, nudged
from costmodel.timing.table import tabulate

_NOISE = 0.05
"""Relative error of one measurement. [1]"""


def candidates() -> list[str]:
    """Return single operators that span the space: each kind, from small to large.

    Examples
    --------
    >>> len(candidates()) > 100
    True
    """
    channels_sizes = ((16, 112), (32, 56), (64, 56), (128, 28), (256, 14), (512, 7), (1024, 7))
    specs = [
        f"conv2d?cin={c}&cout={f * c}&size={s}&k={k}"
        for (c, s), k, f in product(channels_sizes, (1, 3), (1, 2))
    ]
    specs += [f"conv2d?cin=3&cout={c}&size=224&k={k}&stride=2" for c, k in ((24, 3), (64, 7))]
    specs += [
        f"conv2d?cin={c}&cout={c}&size={s}&k=1&groups={g}"
        for (c, s), g in product(channels_sizes[1:6], (2, 8))
    ]
    for c, s in channels_sizes:
        specs += [f"depthwise?c={c}&size={s}&k={k}" for k in (3, 5)]
        specs += [f"elementwise?kind={k}&shape=1x{c}x{s}x{s}" for k in ("relu", "add", "sigmoid")]
        specs += [f"batch_norm?c={c}&size={s}", f"channel_shuffle?c={c}&size={s}&groups=2"]
        specs += [f"concat?shape=1x{c}x{s}x{s}"]
        specs += [f"pool?kind={k}&c={c}&size={s}" for k in ("max", "avg")]
    specs += [
        f"linear?n={n}&cin={c}&cout=1000" for n, c in product((1, 32, 512), (256, 1024, 2048))
    ]
    specs += [f"bmm?b={b}&m={m}&k=64&n={m}" for b, m in ((1, 64), (8, 128), (12, 512))]
    specs += [f"matmul?m={m}&k={m}&n={m}" for m in (64, 256, 1024)]
    specs += [f"softmax?shape={m}x{m}" for m in (64, 512, 2048)]
    specs += [f"layer_norm?shape=1x{m}x768" for m in (16, 197, 1024)]
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
    if not 1 <= n <= len(pool):
        raise DataError(f"a design has 1 to {len(pool)} measurements, not {n}")
    table = tabulate([network(spec) for spec in pool], where)
    fitted = where.fitted
    columns = nudged(fitted.theta, fitted.free)
    logs = np.stack(
        [
            np.log(table.seconds(where, {name: float(v[i, 0]) for name, v in columns.items()}))
            for i in range(len(fitted.free) + 1)
        ]
    )
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
