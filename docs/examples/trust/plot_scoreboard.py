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
from statistics import median

import matplotlib.pyplot as plt

data = Path("../../data")
document = json.loads((data / "scores.json").read_text(encoding="utf-8"))
print((data / "scores.txt").read_text(encoding="utf-8"))

# %%
# Mean absolute error on rows that were not fitted: medians over devices and kinds of operator, with
# the range of costmodel as a line. Above, part of the rows of the same device were fitted; below,
# the device was never measured. Not every simple model applies to every data set.
scores = [s for s in document["scores"] if s["figures"]["mape"] is not None]
looks = {
    "costmodel": ("#0072B2", "o"),
    "additive lookup": ("#D55E00", "P"),
    "roofline x scalar": ("#56B4E9", "v"),
    "FLOPs only": ("#E69F00", "s"),
    "MAC only": ("#009E73", "D"),
}


def row_of(score):
    """Return whether the device was measured, the data set, and what was fitted."""
    fitted = score["split"].split(":")[0].split(",")[0]
    return "never measured" in fitted, score["data"].replace("_", " "), fitted


errors = {}
for s in scores:
    errors.setdefault(row_of(s), {}).setdefault(s["method"], []).append(100 * s["figures"]["mape"])
rows = sorted(errors, key=lambda row: (row[0], median(errors[row]["costmodel"])))

fig, ax = plt.subplots(figsize=(8.6, 1.4 + 0.3 * len(rows)), layout="constrained")
for at, row in enumerate(rows):
    own = errors[row]["costmodel"]
    ax.plot([min(own), max(own)], [at, at], color=looks["costmodel"][0], linewidth=2, zorder=2)
for method, (color, marker) in reversed(looks.items()):
    known = [(at, errors[row][method]) for at, row in enumerate(rows) if method in errors[row]]
    ax.plot(
        [median(found) for _, found in known],
        [at for at, _ in known],
        linestyle="none",
        marker=marker,
        color=color,
        markeredgecolor="black",
        markeredgewidth=0.5,
        markersize=9 if method == "costmodel" else 6,
        label=method,
        zorder=3,
    )
labels = [f"{row[1]}, {len(errors[row]['costmodel'])} ({row[2]})" for row in rows]
ax.set_yticks(range(len(rows)), labels)
first_unmeasured = sum(not row[0] for row in rows)
ax.axhline(first_unmeasured - 0.5, color="black", linewidth=0.8)
ax.set(
    xscale="log",
    xlabel="mean absolute error on rows not fitted [%], median",
    ylim=(len(rows) - 0.5, -0.5),
)
ticks = [2, 5, 10, 20, 50, 100, 200]
ax.set_xticks(ticks, ticks)
ax.minorticks_off()
ax.grid(axis="both", linewidth=0.3)
handles, names = ax.get_legend_handles_labels()
ax.legend(
    handles[::-1],
    names[::-1],
    loc="lower center",
    bbox_to_anchor=(0.3, 1.0),
    ncols=5,
    frameon=False,
)

# %%
# Goals set beforehand, and their outcome; misses are shown like hits.
for goal in document["goals"]:
    print(f"{'reached' if goal['reached'] else 'MISSED ':8} {goal['goal']}: {goal['figure']}")
