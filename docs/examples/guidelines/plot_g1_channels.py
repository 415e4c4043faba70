"""
G1: equal channel width
=======================

*Equal channel width minimizes memory access cost (MAC).* The first guideline follows from Eq. (1)
of :cite:t:`ma2018shufflenet`: a 1x1 convolution of :math:`B` multiply-adds moves at least
:math:`2\\sqrt{hwB} + B/(hw)` elements, with equality if it has as many input as output channels.
"""

import matplotlib.pyplot as plt
import numpy as np

import costmodel as cm
from costmodel import plots, zoo

# %%
# The formula first. Symbolic sizes give exact closed forms.
h, w, c1, c2 = cm.symbols("h w c1 c2")
layer = zoo.pointwise(h, w, c1, c2)
print("multiply-adds  B =", cm.multiply_adds(layer))
print("MAC              =", cm.mac(layer))
print("lower bound      =", cm.mac_lower_bound(layer))
print("  in terms of B  =", cm.mac_lower_bound(layer, in_terms_of="B"))

# %%
# Then numbers: the ratio changes at a constant product ``c1 * c2``, hence a constant number of
# multiply-adds. Arrays of sizes give all ratios at once.
c1 = np.array([16, 32, 64, 128, 256, 512, 1024])
c2 = 128**2 // c1

fig, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
plots.mac_beside_bound(c2 / c1, zoo.pointwise(56, 56, c1, c2), ax)
ax.set_xscale("log", base=2)
ax.set_xlabel("channel ratio $c_2 / c_1$ at equal multiply-adds [1]")
ax.set_title("1x1 convolution, 56 x 56 pixels, 51 M multiply-adds")

# %%
# Does time follow MAC? The network of Table 1 is ten blocks of two such convolutions, from ``c1``
# to ``c2`` and back. The printed values are from the paper; the predictions were fitted to the
# other tables of the paper, not to this one.
from costmodel_validation.scores.reproduce import predict

ratios = {"1:1": 1, "1:2": 2, "1:6": 6, "1:12": 12}
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.8), layout="constrained")
for ax, kind, title in zip(
    axes, ("gpu", "arm"), ("GTX 1080 Ti", "one core of a Snapdragon 810"), strict=True
):
    t = predict(kind, "table1")
    own = [i for i, cell in enumerate(t.cells) if cell.column.endswith("x1")]
    x = [ratios[t.cells[i].row] for i in own]
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
    ax.set(xlabel="channel ratio $c_2 / c_1$ [1]", ylabel="latency [ms]", title=title)
    ax.set_ylim(bottom=0)
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
