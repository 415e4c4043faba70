"""
Which change pays
=================

GoogLeNet under eager PyTorch: the changes that save time, applied one after the other; and changes
of nine networks, measured.
"""

import csv
from pathlib import Path

import matplotlib.pyplot as plt

import costmodel as cm
from costmodel import plots

# %%
# Each finding is a network of its own, with a saving and its interval. Those that leave the
# function as it is need no training.
platform = "gtx-1080-ti/torch-eager"
advice = cm.advise(cm.network("googlenet"), platform)
ax = plots.savings(advice)

# %%
# Savings do not add up. Those that leave the function as it is may all be applied: the network
# computes what it did.
numbers = [i for i, f in enumerate(advice.findings, 1) if f.rewrite.same_function]
numbers = [i for i in numbers if advice.findings[i - 1].rewrite.inputs == 1]
times = [float(advice.prediction.seconds)]
for n in range(1, len(numbers) + 1):
    times.append(float(cm.latency(advice.apply(numbers[:n]), platform).seconds))
    print(f"{1e3 * times[-1]:.2f} ms with {advice.findings[numbers[n - 1] - 1].rewrite.title}")

# %%
# Does advice hold? All changes that are proposed for nine networks under three engines, built and
# measured by ``python -m validation advice``: one of 38 made its network slower.
file = Path("../../data/advice.csv")
rows = list(csv.DictReader(file.read_text().splitlines()))
fig, ax = plt.subplots(figsize=(5.6, 5.0), layout="constrained")
for engine, marker in (("torch", "o"), ("onnxruntime", "s"), ("ncnn", "^")):
    own = [row for row in rows if row["backend"] == engine]
    predicted, measured, low, high = (
        [100 * float(row[name]) for row in own] for name in ("predicted", "measured", "low", "high")
    )
    ax.hlines(measured, low, high, color="lightgrey", linewidth=1, zorder=0)
    ax.plot(predicted, measured, linestyle="none", marker=marker, label=engine)
ax.axline((0, 0), slope=1, color="black", linestyle="--", linewidth=1)
ax.axhline(0, color="black", linewidth=1)
ax.set_xlabel("predicted saving, with its interval [%]")
ax.set_ylabel("measured saving [%]")
ax.legend()
plt.show()
