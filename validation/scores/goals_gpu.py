"""The goals about GPUs: single kernels, whole networks of timm, GPUs never measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .bench import PRIORS
from .verdict import Facts, Scores, Verdict, at_least, at_most, beside, pick
from .verdict import percent as _percent

_NEVER = "never measured"
_FAMILIES = {
    # rows of a known GPU; of a GPU never measured
    "elementwise": (0.08, 0.15),
    "layer_norm": (0.08, 0.15),
    "softmax": (0.08, 0.15),
    "linear": (0.08, 0.15),
    "bmm": (0.08, 0.15),
    "conv": (0.16, 0.20),
}
_PRODUCTS = {"a100-sxm-80gb": 0.08, "h100-sxm": 0.06, "h200": 0.06}
_FEW_PRODUCTS = 0.09
# GPU, and the GPUs that its parameters come from.
_PRODUCTS_NEVER = {
    ("h100-sxm", "a100-sxm-80gb + h200"): 0.09,
    ("h200", "a100-sxm-80gb + h100-sxm"): 0.12,
    ("h100-sxm", "a100-sxm-80gb"): 0.15,
    ("rtx-pro-6000", "a100-sxm-80gb + h100-sxm + h200"): 0.15,
}
_ATTENTION = ("prefill", "encoder", "decode")
_TIMM = {"rtx-3090 eager": (0.10, 0.08), "rtx-4090 compiled": (0.12, 0.09)}


def operators_known(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on NeuSight's operators, rows of the same GPU fitted."""
    found = []
    for family, (limit, _) in _FAMILIES.items():
        for s in pick(scores, "neusight", split="rows a family", device=f" {family}"):
            goal = f"operators on a known GPU, 200 fitted, {family}: MAPE"
            found.append(at_most(goal, s.device, s.figures.mape, limit))
    return found


def operators_never(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on NeuSight's operators on GPUs never measured."""
    found = []
    for family, (_, limit) in _FAMILIES.items():
        for s in pick(scores, "neusight", split=_NEVER, device=f" {family}"):
            line = beside(scores, s, "roofline")
            value, other = s.figures.mape, line.figures.mape if line else float("inf")
            found.append(
                Verdict(
                    f"operators on a GPU {_NEVER}, {family}: MAPE <= {100 * limit:.0f} %, better "
                    "than the roofline",
                    f"{s.device}: {_percent(value)}, roofline {_percent(other)}",
                    value <= limit and value < other,
                )
            )
    return found


def products(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on the bf16 products of the set ``silicon``."""
    found = []
    for s in pick(scores, "silicon", device=" linear"):
        gpu, value = s.device.split()[0], s.figures.mape
        if s.split.startswith("200 rows, ") and "draws" in s.split and gpu in _PRODUCTS:
            goal = "bf16 products, 200 rows: MAPE"
            found.append(at_most(goal, gpu, value, _PRODUCTS[gpu]))
        elif s.split.startswith("10 rows"):
            found.append(at_most("bf16 products, 10 rows: MAPE", gpu, value, _FEW_PRODUCTS))
        elif _NEVER in s.split:
            taught = s.split.partition(": ")[2]
            limit = _PRODUCTS_NEVER.get((gpu, taught))
            if limit is not None:
                goal = f"bf16 products on a GPU {_NEVER}: MAPE"
                found.append(at_most(goal, f"{gpu} from {taught}", value, limit))
    return found


def attention(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on the attention kernels of the set ``silicon``."""
    found = []
    for family in _ATTENTION:
        for s in pick(scores, "silicon", device=f" {family}"):
            value = s.figures.mape
            if s.split.startswith("200 rows, ") and "draws" in s.split:
                found.append(at_most("attention, 200 rows: MAPE", s.device, value, 0.09))
            elif _NEVER in s.split:
                name = f"{s.device} from {s.split.partition(': ')[2]}"
                goal = f"attention on a GPU {_NEVER}: MAPE"
                found.append(at_most(goal, name, value, 0.15))
    return found


def timm(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on whole networks of timm."""
    found = []
    for device, (nothing, thirty) in _TIMM.items():
        for s in pick(scores, "timm", PRIORS, device=device):
            found.append(at_most("timm, nothing fitted: MAPE", device, s.figures.mape, nothing))
        for s in pick(scores, "timm", device=device):
            found.append(at_most("timm, 30 networks fitted: MAPE", device, s.figures.mape, thirty))
            goal = "timm, 30 networks fitted: Spearman"
            found.append(at_least(goal, device, s.figures.spearman, 0.98))
    return found


def deepbench(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on cuDNN and cuBLAS, nothing fitted."""
    found = []
    for s in pick(scores, "deepbench", PRIORS):
        line = beside(scores, s, "roofline")
        if line is not None:
            value, other = s.figures.mape, line.figures.mape
            found.append(
                Verdict(
                    "DeepBench, nothing fitted: better than the roofline",
                    f"{s.device}: {_percent(value)}, roofline {_percent(other)}",
                    value < other,
                )
            )
    return found


GPU_GOALS: Mapping[str, tuple[Callable[[Scores, Facts], list[Verdict]], ...]] = {
    "neusight": (operators_known, operators_never),
    "silicon": (products, attention),
    "timm": (timm,),
    "deepbench": (deepbench,),
}
"""By data set, the goals about GPUs."""
