"""The fixed list of networks, one file a family."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass

from ..entry import Build

QUICK = (
    "plain/LSTM_bi_lm",
    "plain/LSTM_proj_lm",
    "plain/deepspeech2",
    "plain/dlrm_embeddingbag",
    "plain/esrgan",
    "plain/fno_fft",
    "plain/packed_lstm",
    "plain/vqvae",
    "audio/conformer",
    "audio/hifigan",
    "decode/greedy steps",
    "decode/llama prefill",
    "decode/llama step",
    "decode/static cache",
    "detection/non-maximum suppression",
    "detection/yolo v8",
    "diffusion/unet",
    "forms/containers",
    "forms/data-dependent branches",
    "forms/hypernetwork",
    "forms/in-place slices",
    "forms/lazy modules",
    "forms/nested inputs, dataclass output",
    "forms/products of many kinds",
    "graph/dgcnn",
    "images/unet",
    "moe/top-2 sorted",
    "ranking/din",
    "sequences/attention captioner",
    "video/c3d",
)
"""Networks that stand for the list where time is short; they need nothing but torch."""


@dataclass(frozen=True)
class Network:
    """One network of the list.

    Parameters
    ----------
    name : str
        Family and name, such as ``timm/resnet18``.
    build : callable
        Makes it and its inputs.
    needs : tuple of str
        Libraries that it is taken from, beyond torch.
    """

    name: str
    build: Build
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The libraries that are not installed here, or not in a build that loads."""
        return tuple(name for name in self.needs if not _loads(name))


def _loads(library: str) -> bool:
    try:
        importlib.import_module(library)
    except (ImportError, OSError, RuntimeError):  # an extension that was built for another torch
        return False
    return True


def networks() -> dict[str, Network]:
    """Return the list by name, in the order of the files.

    Examples
    --------
    >>> len(networks()) >= 220
    True
    """
    return {network.name: network for network in _networks()}


def _networks() -> Iterator[Network]:
    for entry in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{entry.name}")
        family = getattr(module, "FAMILY", None)
        if family is not None:
            needs = getattr(module, "NEEDS", ())
            for name, build in module.NETWORKS.items():
                yield Network(f"{family}/{name}", build, needs)
