"""GPUs whose fits stand in for an unmeasured GPU: never one with the same chip and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_NEUSIGHT = ("v100-pcie-32gb", "t4", "p100-pcie-16gb")
_A100, _H100, _H200, _RTX = "a100-sxm-80gb", "h100-sxm", "h200", "rtx-pro-6000"
_SILICON: Mapping[str, Sequence[Sequence[str]]] = {
    _H100: ((_A100, _H200), (_A100,)),
    _H200: ((_A100, _H100),),
    _RTX: ((_A100, _H100, _H200),),
}
_NEWER = {_A100}
"""GPUs that a family without them is taught by the others of."""
_FAMILIES = {
    "linear": True,
    "prefill": True,
    "decode": True,
    "encoder": False,
    "stream": False,
}
"""Families of the set ``silicon``, and whether the A100 is in them."""


def _of_silicon() -> dict[str, tuple[tuple[str, ...], ...]]:
    found = {}
    for family, old in _FAMILIES.items():
        for gpu, lessons in _SILICON.items():
            kept = [[t for t in lesson if old or t not in _NEWER] for lesson in lessons]
            named = [tuple(f"silicon {t} {family}" for t in lesson) for lesson in kept if lesson]
            found[f"silicon {gpu} {family}"] = tuple(named)
    return found


TEACHERS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    **{
        f"neusight {gpu}": (tuple(f"neusight {other}" for other in _NEUSIGHT if other != gpu),)
        for gpu in _NEUSIGHT
    },
    **_of_silicon(),
    f"transformer_layers {_A100}": ((f"transformer_layers {_H100}",),),
    f"transformer_layers {_H100}": ((f"transformer_layers {_A100}",),),
}
"""By device of a set, the devices that teach it, for every way in which it is taught."""
