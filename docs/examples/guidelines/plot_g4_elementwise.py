"""
G4: element-wise operations
===========================

*Element-wise operations are non-negligible.* They have almost no multiply-adds, but they read
and write whole tensors. :cite:t:`ma2018shufflenet` include depthwise convolutions, which have few
multiply-adds for their traffic.
"""

import matplotlib.pyplot as plt
import numpy as np

import costmodel as cm

# %%
# Three shares of each network: of the multiply-adds, of the memory access cost (MAC), and of the
# predicted device time without fusion (eager PyTorch on a GTX 1080 Ti).
LIGHT = {"elementwise", "batch_norm", "depthwise"}


def shares(spec: str) -> tuple[float, float, float]:
    graph = cm.network(spec)
    prediction = cm.latency(graph, "gtx-1080-ti/torch-eager")
    light = [k for k in prediction.kernels if k.kernel.kind in LIGHT]
    ready = cm.prepare(graph)
    names = {k.kernel.name for k in light}
    costs = {node.name: c.cost for node, c in zip(ready.nodes, ready.costs, strict=True)}
    return (
        sum(costs[name].multiply_adds for name in names) / cm.multiply_adds(ready),
        sum(costs[name].mac for name in names) / cm.mac(ready),
        sum(k.seconds for k in light) / prediction.device_seconds,
    )


networks = ["shufflenet_v1", "shufflenet_v2", "mobilenet_v2", "efficientnet_b0", "resnet50", "vit"]
found = np.array([shares(f"{name}?batch=8") for name in networks])

fig, ax = plt.subplots(figsize=(7.2, 4.0), layout="constrained")
y = np.arange(len(networks))
for i, (label, color, hatch) in enumerate(
    [
        ("multiply-adds", "#FFFFFF", ""),
        ("memory access cost", "#E69F00", "////"),
        ("predicted device time", "#0072B2", "...."),
    ]
):
    ax.barh(
        y + 0.27 * (i - 1),
        100 * found[:, i],
        0.25,
        color=color,
        hatch=hatch,
        edgecolor="black",
        label=label,
    )
ax.set_yticks(y, networks)
ax.invert_yaxis()
ax.set_xlabel("share of element-wise operators and depthwise convolutions [%]")
fig.legend(loc="outside lower center", ncols=3)
ax.set_title("batch 8, nothing fused")

# %%
# **Closed form.** For one bottleneck unit with :math:`m` channels inside, :math:`4m` at both ends
# and images of :math:`h \times h` pixels, ReLUs and the shortcut make up the share
# :math:`24 h^2 / (36 h^2 + 17 m)` of the memory access cost: two thirds, as long as there are more
# pixels than channels.
import sympy

m, h = sympy.symbols("m h", positive=True, integer=True)
unit, bare = (
    cm.mac(cm.zoo.g4_stack(c=4 * m, inner=m, size=h, blocks=1, relu=kept, shortcut=kept))
    for kept in (True, False)
)
share = sympy.factor(1 - bare / unit)
print(f"{share}, {float(share.subs({m: 16, h: 56})):.1%} for 64 channels at both ends")

# %%
# Table 4 removes the ReLUs and the shortcut from ten bottleneck units. The paper measured networks
# without both about 20 % faster. Predicted: after fitting the other tables.
from costmodel_validation.scores.reproduce import predict

columns = {"gpu": "gpu_c64", "arm": "arm_c64"}

fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained", sharey=True)
for ax, kind, title in zip(
    axes, ("gpu", "arm"), ("GTX 1080 Ti", "one core of a Snapdragon 810"), strict=True
):
    t = predict(kind, "table4")
    own = [i for i, cell in enumerate(t.cells) if cell.column == columns[kind]]
    first = [t.cells[i] for i in own]
    predicted = t.seconds[own]
    printed = np.array([cell.seconds for cell in first])
    y = np.arange(len(first))
    ax.barh(
        y - 0.2,
        printed / printed[0],
        0.38,
        color="#BBBBBB",
        edgecolor="black",
        label="printed (measured)",
    )
    ax.barh(
        y + 0.2,
        predicted / predicted[0],
        0.38,
        color="#0072B2",
        edgecolor="black",
        hatch="////",
        label="predicted",
    )
    ax.set_yticks(y, [cell.row for cell in first])
    ax.set(xlabel="latency relative to the full unit [1]", title=f"{title}, c = 64", xlim=(0, 1.15))
axes[0].invert_yaxis()
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
