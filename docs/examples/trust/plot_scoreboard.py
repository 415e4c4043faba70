"""
The scoreboard
==============

Prediction errors on held-out measurements that *others* made and published (``h200`` is our own),
beside simpler models fitted to the same rows: FLOPs or MAC alone, a roofline, and an additive
model. The figures come from ``docs/data/scores.json``: scoring takes longer than building pages, so
the file is stored together with the command that wrote it.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt

data = Path("../../data")
document = json.loads((data / "scores.json").read_text(encoding="utf-8"))
print((data / "scores.txt").read_text(encoding="utf-8"))

# %%
# Mean absolute error on held-out rows. Not every simple model applies to every data set.
scores = document["scores"]
rows = list(dict.fromkeys((s["data"], s["device"], s["split"]) for s in scores))
looks = {
    "costmodel": ("#0072B2", "o"),
    "costmodel, priors": ("#999999", "X"),
    "FLOPs only": ("#E69F00", "s"),
    "MAC only": ("#009E73", "D"),
    "roofline": ("#CC79A7", "^"),
    "roofline x scalar": ("#56B4E9", "v"),
    "additive lookup": ("#D55E00", "P"),
}
methods = [name for name in looks if any(s["method"] == name for s in scores)]

fig, ax = plt.subplots(figsize=(8.0, 1.2 + 0.26 * len(rows)), layout="constrained")
for method in reversed(methods):
    own = [s for s in scores if s["method"] == method and s["figures"]["mape"] is not None]
    color, marker = looks[method]
    ax.plot(
        [100 * s["figures"]["mape"] for s in own],
        [rows.index((s["data"], s["device"], s["split"])) for s in own],
        linestyle="none",
        marker=marker,
        color=color,
        markeredgecolor="black",
        markeredgewidth=0.5,
        markersize=9 if method == "costmodel" else 6,
        label=method,
        zorder=3 if method == "costmodel" else 2,
    )
labels = [f"{data}: {device} ({split})" for data, device, split in rows]
ax.set_yticks(range(len(rows)), labels, fontsize="x-small")
ax.set(
    xscale="log", xlabel="mean absolute error on rows not fitted [%]", ylim=(len(rows) - 0.5, -0.5)
)
ticks = [2, 5, 10, 20, 50, 100, 200, 500]
ax.set_xticks(ticks, ticks)
ax.grid(axis="both", linewidth=0.3)
ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)

# %%
# Goals set beforehand, and their outcome; misses are shown like hits.
for goal in document["goals"]:
    print(f"{'reached' if goal['reached'] else 'MISSED ':8} {goal['goal']}: {goal['figure']}")
