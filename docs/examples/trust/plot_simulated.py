"""
Predicted, simulated, measured
==============================

The 51 ARM cells of Tables 1-4 of :cite:t:`ma2018shufflenet`, measured by its authors on one
Cortex-A57 of a phone. Each is predicted from priors (``snapdragon-810/neon``, nothing fitted), and
simulated: the project's own kernels, run in an emulator, at the instruction costs and caches of
that core (``docs/data/paper_simulated.csv``; ``docs/data/README.md`` has the command). The authors'
kernels are others, so that neither can be exact.

``costmodel validate NETWORK ... --backend arm:ssh://user@board --plot net.svg`` draws the same
figure of networks that are measured on a board.
"""

import csv

import matplotlib.pyplot as plt

import costmodel as cm
from costmodel import plots

with open("../../data/paper_simulated.csv", encoding="utf-8") as stream:
    rows = list(csv.DictReader(stream))

predictions = [cm.latency(cm.network(row["network"]), "snapdragon-810/neon") for row in rows]
predicted = [prediction.seconds for prediction in predictions]
intervals = [prediction.interval for prediction in predictions]
simulated = [float(row["simulated"]) for row in rows]
measured = [float(row["printed"]) for row in rows]

# %%
# All cells. Bars are the 90 % intervals of predictions.
fig, ax = plt.subplots(figsize=(5.4, 5.2), layout="constrained")
plots.agreement(predicted, simulated, measured, intervals, ax)
ax.set_xlabel("measured: one over the speed in the paper [ms]")

# %%
# Table by table. The inner widths of Table 4 are a guess: the paper does not print them.
fig, axes = plt.subplots(1, 4, figsize=(14.0, 4.2), layout="constrained")
for ax, table in zip(axes, ("table1", "table2", "table3", "table4"), strict=True):
    own = [i for i, row in enumerate(rows) if row["table"] == table]
    times = [[values[i] for i in own] for values in (predicted, simulated, measured)]
    plots.agreement(*times, ax=ax)
    ax.set_title(f"Table {table[-1]}")
