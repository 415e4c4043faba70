"""
Figure 2: where the time goes
=============================

Figure 2 of :cite:t:`ma2018shufflenet` decomposes the run time of ShuffleNet v1 and MobileNet v2
on both platforms. Top: as printed. Bottom: as predicted after fitting Tables 1-4. The figure does
not state its batch (we assume 8 on the GPU and 1 on the phone, as in Table 8), nor whether
depthwise convolutions count as convolutions (we assume they do).
"""

import matplotlib.pyplot as plt

from costmodel_validation.scores.figure2 import NETWORKS, PARTS, predicted_shares, printed_shares
from costmodel_validation.scores.paper_scores import with_transfers
from costmodel_validation.scores.reproduce import fitted_on_stacks

platforms = {kind: with_transfers(kind, fitted_on_stacks(kind)) for kind in ("gpu", "arm")}
looks = dict(
    zip(
        PARTS,
        [("#0072B2", ""), ("#AAAAAA", "//"), ("#E69F00", "xx"), ("#F0E442", ".."), ("#FFFFFF", "")],
        strict=True,
    )
)
pies = [(name, kind) for kind in platforms for name in NETWORKS]

fig, axes = plt.subplots(2, 4, figsize=(10.0, 5.4), layout="constrained")
for column, (name, kind) in enumerate(pies):
    shares = (printed_shares(name, kind), predicted_shares(name, kind, platforms[kind]))
    for ax, share, how in zip(axes[:, column], shares, ("printed", "predicted"), strict=True):
        shown = {part: value for part, value in share.items() if value >= 0.05}
        wedges, _ = ax.pie(
            shown.values(),
            colors=[looks[part][0] for part in shown],
            startangle=90,
            counterclock=False,
            wedgeprops={"edgecolor": "black", "linewidth": 0.6},
        )
        for wedge, part in zip(wedges, shown, strict=True):
            wedge.set_hatch(looks[part][1])
        ax.set_title(f"{name}, {kind.upper()}\n{how}", fontsize="medium")
        texts = [f"{part} {value:.0f} %" for part, value in shown.items() if value >= 0.5]
        lines = [", ".join(texts[i : i + 3]) for i in range(0, len(texts), 3)]
        ax.set_xlabel("\n".join(lines), fontsize="x-small")
handles = [
    plt.Rectangle((0, 0), 1, 1, facecolor=color, hatch=hatch, edgecolor="black")
    for color, hatch in looks.values()
]
fig.legend(handles, looks, loc="outside lower center", ncols=len(looks))
