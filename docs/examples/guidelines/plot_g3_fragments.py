"""
G3: fragmentation
=================

*Network fragmentation reduces the degree of parallelism.* The blocks of Table 3 have the same
multiply-adds, in one, two or four convolutions, in series or in parallel. Work and span give the
average parallelism; Brent's theorem :cite:p:`brent1974parallel` bounds the time from both sides.
"""

import matplotlib.pyplot as plt
import numpy as np

import costmodel as cm
from costmodel import plots, zoo

structures = ["1-fragment", "2-fragment-series", "4-fragment-series", "4-fragment-parallel"]
graphs = {name: zoo.g3_stack(name, 128) for name in structures}

# %%
# Two of the blocks: four convolutions in series, and four in parallel with their sums.
fig, axes = plt.subplots(1, 2, figsize=(7.5, 4.5), layout="constrained")
for ax, name in zip(axes, structures[2:], strict=True):
    plots.draw(zoo.g3_stack(name, 128, blocks=1), ax)
    ax.set_title(name)

# %%
# Work and span of the ten blocks. The work is nearly the same; the number of kernels that wait for
# one another differs.
print(
    f"{'structure':22}{'multiply-adds':>14}{'span':>8}{'parallelism':>13}{'kernels in series':>19}"
)
for name, graph in graphs.items():
    print(
        f"{name:22}{cm.multiply_adds(graph):14,}{cm.span(graph):8,}{cm.parallelism(graph):13,.0f}"
        f"{cm.kernels_in_series(graph):19}"
    )

# %%
# Brent's bracket, :math:`\max(\lceil W/P \rceil, S) \le T_P \le (W - S)/P + S`: with few
# processors, all structures take the same time; with many, the span decides.
processors = np.round(np.geomspace(1e3, 1e7, 200))
fig, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
looks = [
    ("#0072B2", "-", ""),
    ("#E69F00", "--", "////"),
    ("#009E73", "-.", "...."),
    ("#CC79A7", ":", "xx"),
]
for (name, graph), (color, line, hatch) in zip(graphs.items(), looks, strict=True):
    low, high = cm.brent(graph, processors=processors)
    ax.fill_between(
        processors, low, high, facecolor="none", edgecolor=color, hatch=hatch, alpha=0.35
    )
    ax.plot(processors, low, color=color, linestyle=line, linewidth=2, label=name)
ax.set(xscale="log", yscale="log", xlabel="processors $P$ [1]", ylabel="time $T_P$ [step]")
ax.set_title("Brent's bracket: line at best, hatched up to at worst")
ax.legend()

# %%
# On hardware each fragment is also a kernel with a fixed cost, which matters more on a GPU than on
# a phone. Printed: Table 3. Predicted: after fitting the other tables.
from costmodel_validation.scores.reproduce import predict

columns = {"gpu": "gpu_c128", "arm": "arm_c64"}

fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained", sharey=True)
for ax, kind, title in zip(
    axes, ("gpu", "arm"), ("GTX 1080 Ti", "one core of a Snapdragon 810"), strict=True
):
    t = predict(kind, "table3")
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
    ax.set(
        xlabel="latency relative to 1-fragment [1]",
        title=f"{title}, {first[0].column.split('_')[1]}",
    )
axes[0].invert_yaxis()
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
