r"""Priors of a GPU that is scored, without its own fits.

Some priors of GPUs come from fits to four GPUs that are scored, too (``silicon-fits.toml``). Such a
prior moves by the difference between the mean of the other GPUs' fits and that of all:

.. math:: \log m_{-g} = \log m + \overline{\log x}_{-g} - \overline{\log x}

The priors that come with the package are those of all four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from costmodel.platforms import Platform
from costmodel.reading import parse_toml
from costmodel.timing.fitted import Fitted
from costmodel.timing.parameters import Parameter


@cache
def fits() -> Mapping[str, Mapping[str, float]]:
    """Return the logarithm of the fit of each GPU, by parameter: the mean over kinds of kernel."""
    text = Path(__file__).with_name("silicon-fits.toml").read_text(encoding="utf-8")
    return {
        name: {gpu: float(np.mean(np.log(found))) for gpu, found in by_gpu.items()}
        for name, by_gpu in parse_toml(text).items()
    }


def without_own(platform: Platform) -> Platform:
    """Return ``platform`` with priors that its own hardware did not teach.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> shipped = load_platform("rtx-pro-6000/cuda-graphs", calibrated=False)
    >>> fair = without_own(shipped)
    >>> [round(p.fitted.theta["tensor_fill"]) for p in (shipped, fair)]
    [175, 189]
    """
    gpu = platform.hardware.name
    parameters = tuple(_without(p, gpu) for p in platform.fitted.parameters)
    if parameters == platform.fitted.parameters:
        return platform
    return replace(platform, fitted=Fitted.prior(parameters))


def _without(p: Parameter, gpu: str) -> Parameter:
    own = fits().get(p.name, {})
    if gpu not in own:
        return p
    others = [log for other, log in own.items() if other != gpu]
    moved = p.value * float(np.exp(np.mean(others) - np.mean(list(own.values()))))
    return replace(p, value=float(np.clip(moved, p.lower, p.upper)))
