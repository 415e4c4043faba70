"""Figure 2 of the paper: the run time of ShuffleNet v1 and MobileNet v2 by kind of operator.

The paper's text counts shortcut additions, activations and biases as "element-wise", and moving
input and output as "Data"; everything else is a convolution or a shuffle. The fixed cost of an
inference, which belongs to no operator, is "Other".
"""

from __future__ import annotations

from costmodel.kinds import KINDS
from costmodel.platforms import Platform
from costmodel.prediction.latency import latency
from costmodel.specs import network

from .paper_tables import printed

NETWORKS = {
    "ShuffleNet V1": "shufflenet_v1?width=1.0",
    "MobileNet V2": "mobilenet_v2?width=1.0",
}
BATCH = {"gpu": 8, "arm": 1}
"""Batch size, as in Table 8; the figure does not state it."""
PARTS = ("Conv", "Data", "Elemwise", "Shuffle", "Other")


def printed_shares(name: str, kind: str) -> dict[str, float]:
    """Return the printed shares of a network on ``"gpu"`` or ``"arm"``. [percent].

    Examples
    --------
    >>> printed_shares("MobileNet V2", "gpu")["Conv"]
    54.0
    """
    data = printed()["figure2"]["data"][f"{name} on {kind.upper()}"]
    return {part: float(data.get(part, 0.0)) for part in PARTS}


def predicted_shares(name: str, kind: str, platform: Platform) -> dict[str, float]:
    """Return the predicted shares. [percent]."""
    prediction = latency(network(f"{NETWORKS[name]}&batch={BATCH[kind]}"), platform)
    spent = dict.fromkeys(PARTS, 0.0)
    for k in prediction.kernels:
        spent[KINDS[k.kernel.kind].part] += float(k.seconds - k.terms.passes)
        spent["Elemwise"] += float(k.terms.passes)
    spent["Data"] += float(prediction.transfer)
    spent["Other"] += float(prediction.fixed)
    whole = sum(spent.values())
    return {part: 100 * spent[part] / whole for part in PARTS}


def worst_distance(kind: str, platform: Platform) -> float:
    """Return the largest distance of a predicted share from the printed one. [percentage point]."""
    return max(
        abs(predicted_shares(name, kind, platform)[part] - share)
        for name in NETWORKS
        for part, share in printed_shares(name, kind).items()
    )
