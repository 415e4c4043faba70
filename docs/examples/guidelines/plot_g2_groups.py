"""
G2: group convolution
=====================

*Excessive group convolution increases MAC.* Groups save multiply-adds. If the savings are spent on
more channels, the multiply-adds stay the same and the memory access cost (MAC) rises, Eq. (2) of
:cite:t:`ma2018shufflenet`.
"""

import matplotlib.pyplot as plt
import numpy as np

import costmodel as cm
from costmodel import plots, zoo

# %%
# Eq. (2): for a given input and given multiply-adds :math:`B`, MAC grows with the groups
# :math:`g`.
h, w, c1, c2, g = cm.symbols("h w c1 c2 g")
layer = zoo.pointwise(h, w, c1, c2, groups=g)
print("multiply-adds =", cm.multiply_adds(layer))
print("MAC           =", cm.mac(layer))

# %%
# With :math:`g` times the output channels the multiply-adds stay the same.
groups = np.array([1, 2, 4, 8, 16])
fig, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
plots.mac_beside_bound(groups, zoo.pointwise(56, 56, 128, 128 * groups, groups=groups), ax)
ax.set_xscale("log", base=2)
ax.set_xticks(groups, groups)
ax.set_xlabel("groups $g$ at equal multiply-adds [1]")
ax.set_title("1x1 convolution, 128 channels in, 128 $g$ out, 56 x 56 pixels")

# %%
# The bound rises too. It generalizes Eq. (1) to groups, :math:`2\sqrt{hwBg} + B/(hw)`: the least
# traffic of *any* choice of channels for these groups and multiply-adds. No choice of channels
# makes many groups cheap.
#
# Latency as printed in Table 2 and as predicted after fitting the other tables of the paper. The
# paper's GPU engine runs groups one after the other, hence the steep rise there. On the phone,
# groups cost little more than their MAC.
from costmodel_validation.scores.reproduce import predict

fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.8), layout="constrained")
for ax, kind, title in zip(
    axes, ("gpu", "arm"), ("GTX 1080 Ti", "one core of a Snapdragon 810"), strict=True
):
    t = predict(kind, "table2")
    own = [i for i, cell in enumerate(t.cells) if cell.column.endswith("x1")]
    x = [int(t.cells[i].row.removeprefix("g=")) for i in own]
    predicted, width = t.seconds[own], np.exp(1.645 * t.log_spread[own])
    ax.plot(x, [1e3 * t.cells[i].seconds for i in own], "ks-", label="printed (measured)")
    ax.errorbar(
        x,
        1e3 * predicted,
        yerr=1e3 * np.array([predicted - predicted / width, predicted * width - predicted]),
        fmt="o--",
        color="#0072B2",
        capsize=3,
        label="predicted, 90 % interval",
    )
    ax.set_xscale("log", base=2)
    ax.set_xticks(x, x)
    ax.set(xlabel="groups $g$ at equal multiply-adds [1]", ylabel="latency [ms]", title=title)
    ax.set_ylim(bottom=0)
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
